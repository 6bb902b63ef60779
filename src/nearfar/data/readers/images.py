"""A folder of pictures: sub-folders are labels, or splits where they are named so (structure.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nearfar.data.readers import folders, structure
from nearfar.data.readers.raw import IMAGE_ENDINGS, Raw

RANK = 9  # readers are asked in this order


def recognises(path: Path) -> bool:
    """A folder with a picture somewhere inside."""
    return path.is_dir() and bool(folders.listing(path).ending(IMAGE_ENDINGS))


def open(path: Path) -> Raw:
    """Pictures in alphabetical order of their paths."""
    listing = folders.listing(path)
    pictures = listing.ending(IMAGE_ENDINGS)
    placed = structure.of_folders([p[:-1] for p in pictures])
    kept = [pictures[i] for i in placed.kept]
    files = [listing.path(p) for p in kept]
    columns: dict[str, Any] = {"image": files} | ({"label": placed.labels} if placed.labels else {})
    label = "label" if placed.labels else None
    raw = Raw(columns, ["/".join(p) for p in kept], placed.splits, label, files=tuple(files), warnings=placed.warnings)
    return folders.with_rest(raw, path, IMAGE_ENDINGS)
