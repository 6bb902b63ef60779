"""A folder of pictures: sub-folders are labels, or splits where they are named so (structure.py)."""

from __future__ import annotations

from pathlib import Path

from nearfar.data.readers import folders
from nearfar.data.readers.raw import IMAGE_ENDINGS, Raw

RANK = 9  # readers are asked in this order


def recognises(path: Path) -> bool:
    """A folder with a picture somewhere inside."""
    return path.is_dir() and bool(folders.listing(path).ending(IMAGE_ENDINGS))


def open(path: Path) -> Raw:
    """Pictures in alphabetical order of their paths."""
    return folders.of_files(path, IMAGE_ENDINGS, "image")
