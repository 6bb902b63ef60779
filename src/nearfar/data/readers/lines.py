"""Plain text: a line is a row."""

from __future__ import annotations

from pathlib import Path

from nearfar.core.errors import DataError
from nearfar.core.names import printable
from nearfar.data.readers import _files, folders, structure
from nearfar.data.readers.raw import Raw

ENDINGS = (".txt",)
RANK = 10  # readers are asked in this order; after pictures, beside which there may be notes
LIMIT = 4 * 2**30  # bytes of a file


def recognises(path: Path) -> bool:
    """A ``.txt``, or a folder of them that are named after splits."""
    return folders.recognised(path, ENDINGS, named=True)


def open(path: Path) -> Raw:
    """The lines in their order, called by their numbers; blank ones are passed over and counted.

    Raises a `DataError` where no line is UTF-8, or a split's texts lie in several folders, which may be languages or
    classes.
    """
    around: dict[str | None, set[tuple[str, ...]]] = {}
    for split, place in folders.chosen(path, ENDINGS, named=True) if path.is_dir() else ():
        around.setdefault(split, set()).add(place[:-1])
    several = next((sorted(a) for a in around.values() if len(a) > 1), None)
    if several:
        said = structure.listed([printable("/".join(p)) + "/" for p in several])
        raise DataError(
            f"the texts of one split lie in several folders ({said}), and folders of texts are not labels.",
            where=str(path), hint="Make a table with the columns text and label, or give one of the folders.",
        )  # fmt: skip
    return folders.opened(path, ENDINGS, _opened, named=True)


def _opened(path: Path, name: str) -> Raw:
    try:
        if path.stat().st_size > LIMIT:
            raise DataError(f"is larger than {LIMIT >> 30} GiB.", where=str(path), hint="Make it Parquet.")
        _files.head_of(path)
        content = path.read_bytes()
    except OSError as e:
        raise DataError(f"cannot be read ({e.strerror}).", where=str(path)) from e
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n" if b"\n" in content else b"\r")
    if not lines[-1].strip():
        lines.pop()
    texts: list[str | None] = []
    names, bad = [], {}
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode("utf-8").rstrip("\r")
        except UnicodeDecodeError as e:
            bad[len(texts)], text = _files.not_utf8(e), None
        if text is None or text.strip():
            texts.append(text)
            names.append(f"{name}:{number}")
    if texts and len(bad) == len(texts):
        raise DataError(
            f"none of its {len(texts):,} lines is text in UTF-8; the first {bad[0]}.",
            where=str(path), hint=_files.HINT.format("latin1"),
        )  # fmt: skip
    blank = len(lines) - len(texts)
    notes = (f"Passed over: {blank:,} blank line{'s' if blank > 1 else ''} of {path.name}.",) if blank else ()
    return Raw({"text": texts}, names, files=(path,), notes=notes, bad=bad)
