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
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_IN_QUOTES = re.compile(r"""(?<!\w)(['"])((?:\\.|(?!\1(?!\w))[^\\])*)\1(?!\w)""", re.S)
_UNBROKEN = re.compile(rf"[^\s'\"]{{{2 * QUOTED},}}")
_IN_BRACKETS = re.compile(rf"[\[{{].{{{QUOTED},}}[\]}}]", re.S)


def printable(text: str, keep: str = "") -> str:
    r"""Text as it is stored: bytes that are not UTF-8, and control characters other than `keep`, as ``\x…``.

    It escapes less than `visible`, and stays as it is: stored names of files are compared with what it gives.
    """
    return text if text.isprintable() else _escaped(_CONTROL, text, keep)


def visible(text: str, keep: str = "") -> str:
    """Text as people may see it: what a terminal would obey, or hide, is escaped, but for the characters `keep`."""
    return text if text.isascii() and text.isprintable() else _escaped(_HIDDEN, text, keep)


def _escaped(pattern: re.Pattern[str], text: str, keep: str) -> str:
    def spelt(match: re.Match[str]) -> str:
        char = match[0]
        if char in keep:
            return char
        # how Python keeps a byte of a file name that is not UTF-8
        byte = "\udc80" <= char <= "\udcff"
        return f"\\x{ord(char) - 0xDC00:02x}" if byte else char.encode("unicode_escape").decode()

    return pattern.sub(spelt, text)


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
