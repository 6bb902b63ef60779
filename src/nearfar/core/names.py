"""Names of files as they can be stored in every format, and all text as it is shown to people."""

from __future__ import annotations

import os
import re
from pathlib import Path

QUOTED, SENTENCE = 100, 600  # characters that are shown of a value, and of a message
BEGINNING = 60  # characters of a longer value
UNBOUNDED = 10_000  # characters above which nothing is looked for in a message

# What moves the cursor, turns the direction of what follows, or cannot be seen. Joiners are left between letters of
# scripts that need them.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
)
_IN_QUOTES = re.compile(r"""(?<!\w)(['"])((?:\\.|(?!\1(?!\w))[^\\])*)\1(?!\w)""", re.S)
_UNBROKEN = re.compile(rf"[^\s'\"]{{{2 * QUOTED},}}")
_IN_BRACKETS = re.compile(rf"[\[{{].{{{QUOTED},}}[\]}}]", re.S)


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


def visible(text: str, keep: str = "") -> str:
    """Text as people may see it: what a terminal would obey, or hide, is escaped, but for the characters `keep`."""
    if text.isascii() and text.isprintable():
        return text
    return _HIDDEN.sub(lambda m: m[0] if m[0] in keep else _spelt(m[0]), text)


def _spelt(char: str) -> str:
    return f"\\x{ord(char) - 0xDC00:02x}" if "\udc80" <= char <= "\udcff" else char.encode("unicode_escape").decode()


def brief(text: str, most: int = SENTENCE) -> str:
    """A message in which long values are shown by their beginning and their length, and which is bounded itself."""
    if len(text) <= QUOTED:
        return text
    if len(text) <= UNBOUNDED:
        text = _IN_QUOTES.sub(lambda m: f"{m[1]}{beginning(m[2], m[1])}", text)
        text = _UNBROKEN.sub(lambda m: beginning(m[0]), text)
        text = _IN_BRACKETS.sub(lambda m: beginning(m[0]), text) if len(text) > most else text
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}… ({len(text):,} characters) …{text[-most // 4 :]}"


def beginning(text: str, close: str = "", most: int = QUOTED) -> str:
    """The first characters of text that has more than `most`, and how many it has."""
    return f"{text}{close}" if len(text) <= most else f"{text[:BEGINNING]}…{close} ({len(text):,} characters)"


def real(path: str | os.PathLike[str]) -> Path:
    """The absolute path without links; unlike `Path.resolve` it does not mind links that lead round in a circle."""
    return Path(os.path.realpath(path))


def is_utf8(path: str | os.PathLike[str]) -> bool:
    """Whether a path is text in UTF-8, as some libraries need it."""
    try:
        os.fspath(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def is_number(text: str) -> bool:
    """Whether text spells a number, or ``nan`` or ``inf``."""
    try:
        float(text)
    except ValueError:
        return False
    return True
