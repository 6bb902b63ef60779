"""A folder of pictures: sub-folders are labels, or splits if all of them are named so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nearfar.data.raw import IMAGE_ENDINGS, SPLITS, Raw

RANK = 9  # readers are asked in this order


def recognises(path: Path) -> bool:
    """A folder with a picture somewhere inside."""
    return path.is_dir() and any(_pictures(path))


def _pictures(folder: Path):  # noqa: ANN202 - a generator of paths
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in IMAGE_ENDINGS and not any(p.startswith(".") for p in file.relative_to(folder).parts):
            yield file


def open(path: Path) -> Raw:
    """Pictures in alphabetical order of their paths."""
    files = list(_pictures(path))
    relative = [f.relative_to(path) for f in files]
    splits, labels = of_paths([r.parts for r in relative])
    columns: dict[str, list] = {"image": files}
    if labels:
        columns["label"] = labels
    return Raw(columns, [str(r) for r in relative], splits, "label" if labels else None, files=tuple(files))


def of_paths(paths: Sequence[tuple[str, ...]]) -> tuple[list[str] | None, list[str | None] | None]:
    """Splits and labels of pictures by the folders that they are in; None where those say nothing.

    Parameters
    ----------
    paths : sequence of tuple of str
        Parts of the relative path of every picture, its own name last.
    """
    tops = {p[0].lower() for p in paths if len(p) > 1}
    split = bool(tops) and tops <= set(SPLITS) and all(len(p) > 1 for p in paths)
    labels = ["/".join(p[1:-1] if split else p[:-1]) or None for p in paths]
    return [SPLITS[p[0].lower()] for p in paths] if split else None, labels if any(labels) else None
