"""A folder of sounds: sub-folders are labels, or splits where they are named so (structure.py)."""

from __future__ import annotations

from pathlib import Path

from nearfar.data.readers import folders
from nearfar.data.readers.raw import IMAGE_ENDINGS, SOUND_ENDINGS, Raw

RANK = 8  # before pictures, which may lie beside sounds as their covers


def recognises(path: Path) -> bool:
    """A folder with more sounds inside than pictures."""
    if not path.is_dir():
        return False
    files = folders.listing(path)
    return len(files.ending(SOUND_ENDINGS)) > len(files.ending(IMAGE_ENDINGS))


def open(path: Path) -> Raw:
    """Sounds in alphabetical order of their paths."""
    return folders.of_files(path, SOUND_ENDINGS, "sound")
