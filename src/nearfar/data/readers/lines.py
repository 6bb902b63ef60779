"""Plain text: a line is a row."""

from __future__ import annotations

from pathlib import Path

from nearfar.data.raw import Raw, joined, split_of
from nearfar.errors import DataError

RANK = 10  # readers are asked in this order; after pictures, beside which there may be notes
LIMIT = 4 * 2**30  # bytes of a file


def recognises(path: Path) -> bool:
    """A ``.txt``, or a folder of them that are named after splits."""
    if path.is_file():
        return path.suffix.lower() == ".txt"
    return path.is_dir() and bool(_files(path))


def _files(folder: Path) -> list[Path]:
    return [f for f in sorted(folder.glob("*.txt")) if split_of(f.stem)]


def open(path: Path) -> Raw:
    """The lines in their order, those without text too, which are then skipped and named; bytes where no UTF-8."""
    if path.is_dir():
        return joined([(split_of(f.stem), open(f)) for f in _files(path)])
    try:
        if path.stat().st_size > LIMIT:
            raise DataError(f"is larger than {LIMIT >> 30} GiB.", where=str(path), hint="Make it Parquet.")
        content = path.read_bytes()
    except OSError as e:
        raise DataError(f"cannot be read ({e.strerror}).", where=str(path)) from e
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if not lines[-1].strip():
        lines.pop()
    return Raw(
        {"text": [_text(line) for line in lines]}, [f"{path.name}:{i + 1}" for i in range(len(lines))], files=(path,)
    )


def _text(line: bytes) -> str | bytes:
    try:
        return line.decode("utf-8").rstrip("\r")
    except UnicodeDecodeError:
        return line
