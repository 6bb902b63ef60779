"""What a file is that is no picture of a format that is read: a word for the person who has to mend it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

HEAD = 64  # bytes looked at
STARTS: Mapping[bytes, str] = {
    b"version https://git-lfs": "a Git LFS pointer; fetch the file itself with `git lfs pull`",
    b"<!doctype html": "a web page", b"<html": "a web page", b"<?xml": "XML or SVG", b"<svg": "SVG",
    b"%pdf": "a PDF", b"%!ps": "PostScript", b"8bps": "a Photoshop file", b"\xff\x0a": "JPEG XL",
    b"pk\x03\x04": "a ZIP archive", b"\x1f\x8b": "a gzip archive", b"rar!": "a RAR archive",
    b"\x80\x02": "a Python pickle", b"\x80\x03": "a Python pickle", b"\x80\x04": "a Python pickle",
    b"\x80\x05": "a Python pickle", b"\x93numpy": "a NumPy array", b"\x89hdf": "HDF5", b"par1": "Parquet",
}  # fmt: skip
BRANDS: Mapping[bytes, str] = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC", b"avif": "AVIF", b"crx ": "raw"}
PICTURES = (b"gif8", b"\x89png", b"\xff\xd8\xff", b"riff", b"bm", b"ii*\0", b"mm\0*", b"p5", b"p6")


def found(cell: Any) -> str:
    """``"; it is a PDF"`` and the like, or nothing, for bytes or a path."""
    try:
        head = cell[:HEAD] if isinstance(cell, bytes) else _head(Path(cell))
    except (OSError, TypeError):
        return ""
    start = head.lower().lstrip()  # bytes: only ASCII letters change
    word = next((w for s, w in STARTS.items() if start.startswith(s)), None)
    if head[4:8] == b"ftyp":
        word = BRANDS.get(head[8:12], "a video")
    if word is None and head and not any(head):
        word = "nothing but zero bytes"
    if word is None and start.startswith(PICTURES):
        return "; it begins like one, so it is damaged or cut short"
    if word is None and _is_text(head):
        word = "text"
    return f"; it is {word}" if word else ""


def _head(path: Path) -> bytes:
    with path.open("rb") as f:
        return f.read(HEAD)


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return bool(text) and all(c.isprintable() or c.isspace() for c in text)
