"""What readers share of files: whether bytes are text in UTF-8, and what is said of damaged ones."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nearfar.core import names
from nearfar.core.errors import DataError, NearfarError, reason

MARKS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}
HINT = "Save it as UTF-8, for example with `iconv -f {0} -t utf-8`."
HEAD = 2**16  # bytes looked at
PART = 2**22  # bytes read at once
ZEROS = 0.1  # share of zero bytes from which on it is no text


@contextmanager
def damage(path: Path, kind: str, hint: str | None = None) -> Iterator[None]:
    """Around the calls of a library that read a file, which on damaged bytes may raise anything: a `DataError`."""
    try:
        yield
    except (NearfarError, PermissionError):
        raise
    except MemoryError as e:
        raise DataError("needs more memory than there is, or is damaged.", where=str(path)) from e
    except Exception as e:
        hint = HINT.format("latin1") if isinstance(e, UnicodeDecodeError) else hint
        raise DataError(f"cannot be read as {kind} ({reason(e)}).", where=str(path), hint=hint) from e


def head_of(file: Path) -> bytes:
    """The first bytes of a file of text; raises a `DataError` where it begins as UTF-16 or holds no text."""
    with file.open("rb") as f:
        head = f.read(HEAD)
    if (encoding := next((name for mark, name in MARKS.items() if head.startswith(mark)), None)) is not None:
        raise DataError(f"is {encoding}, not UTF-8.", where=str(file), hint=HINT.format(encoding.lower()))
    if head.count(b"\0") > ZEROS * len(head):
        raise DataError("holds no text, or is not UTF-8.", where=str(file), hint=HINT.format("utf-16"))
    return head


def arrow_source(file: Path) -> str | BinaryIO:
    """A file as Arrow opens it: it takes paths in UTF-8 only."""
    return str(file) if names.is_utf8(file) else file.open("rb")


def is_utf8(file: Path) -> bool:
    """Whether a whole file is."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with file.open("rb") as f:
            while part := f.read(PART):
                decoder.decode(part)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def not_utf8(error: UnicodeDecodeError) -> str:
    """Why a cell is no text."""
    return f"is not UTF-8 (byte {error.object[error.start]:#04x} at {error.start})"
