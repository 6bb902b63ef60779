"""Names of files as they can be shown, and stored in every format."""

from __future__ import annotations

import os


def printable(text: str, keep: str = "") -> str:
    r"""With bytes that are no UTF-8, and control characters other than `keep`, as ``\x…``."""
    if text.isprintable():
        return text
    return "".join(c if c in keep else _escaped(c) for c in text)


def _escaped(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # how Python keeps a byte of a file name that is no UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    hidden = char < " " or "\x7f" <= char <= "\x9f" or "\ud800" <= char <= "\udfff"
    return char.encode("unicode_escape").decode() if hidden else char


def is_utf8(path: str | os.PathLike[str]) -> bool:
    """Whether a path is text in UTF-8, as some libraries need it."""
    try:
        os.fspath(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
