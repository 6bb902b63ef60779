"""A folder of pictures: sub-folders are labels, or splits if all of them are named so."""

from __future__ import annotations

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
    tops = {r.parts[0] for r in relative if len(r.parts) > 1}
    split = bool(tops) and all(t.lower() in SPLITS for t in tops) and all(len(r.parts) > 1 for r in relative)
    if split:
        splits = [SPLITS[r.parts[0].lower()] for r in relative]
        labels = ["/".join(r.parts[1:-1]) for r in relative]
    else:
        splits, labels = None, ["/".join(r.parts[:-1]) for r in relative]
    columns: dict[str, list] = {"image": files}
    labelled = any(labels)
    if labelled:
        columns["label"] = [text or None for text in labels]
    return Raw(columns, [str(r) for r in relative], splits, "label" if labelled else None, files=tuple(files))
