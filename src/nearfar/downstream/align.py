"""Two sequences of anything that a model reads, aligned; the function behind ``nearfar align``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.core import files
from nearfar.core.console import of_call
from nearfar.core.errors import ConfigError, DataError, UnknownName
from nearfar.core.options import checked
from nearfar.data.opening import open_source
from nearfar.data.readers.tables import ENDINGS
from nearfar.models import loading
from nearfar.vectors import sequences

if TYPE_CHECKING:
    import numpy as np

    from nearfar.core.console import Console
    from nearfar.models.model import Model

SHOWN = 20  # matches in the repr; a file has all
WIDTH = 48  # characters of each text there


@dataclass(frozen=True)
class Match:
    """Rows that belong together, counted from 1, and their texts or names; one side is empty for a skipped row."""

    left: list[int]
    right: list[int]
    score: float
    left_text: str
    right_text: str

    def cells(self, digits: int) -> tuple[str, str, str, str, str]:
        """As text: rows of the left, of the right, score, and both texts."""
        left, right = (",".join(map(str, rows)) for rows in (self.left, self.right))
        return left, right, f"{self.score:.{digits}f}", self.left_text, self.right_text


@dataclass(frozen=True)
class Alignment:
    """What `align` gives: the matches in order, and how they were asked for."""

    run: str
    left: str
    right: str
    most: int
    skip: str
    out: str | None
    matches: Sequence[Match]

    @property
    def counts(self) -> dict[str, int]:
        """Matches with rows of both sides, and those that only one side has."""
        return {
            "joined": sum(bool(m.left and m.right) for m in self.matches),
            "left_skipped": sum(not m.right for m in self.matches),
            "right_skipped": sum(not m.left for m in self.matches),
        }

    def __repr__(self) -> str:
        lines = []
        for match in [] if self.out else self.matches[:SHOWN]:
            left, right, score, left_text, right_text = match.cells(3)
            lines.append(f"{left:>9}  {right:>9}  {score:>6}  {left_text[:WIDTH]:{WIDTH}}  {right_text[:WIDTH]}")
        if not self.out and len(self.matches) > SHOWN:
            lines.append(f"… and {len(self.matches) - SHOWN:,} more; --out writes all.")
        n, where = self.counts, f" All are in {self.out}." if self.out else ""
        lines.append(f"{n['joined']:,} matches; left out are {n['left_skipped']:,} rows of {self.left} and "
                     f"{n['right_skipped']:,} of {self.right}.{where}")  # fmt: skip
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """What ``nearfar align --json`` prints."""
        matches = [{"left": m.left, "right": m.right, "score": m.score} for m in self.matches]
        asked = {k: getattr(self, k) for k in ("run", "left", "right", "most", "skip", "out")}
        return {"schema": 1, "verb": "align", **asked, "counts": self.counts, "matches": matches}

    def write(self, path: str | Path) -> None:
        """Write all matches, tab-separated."""
        lines = [("left", "right", "score", "left_text", "right_text"), *(m.cells(4) for m in self.matches)]
        files.write_text(path, "".join("\t".join(line) + "\n" for line in lines))


@checked
def align(
    a: str | Path, b: str | Path, *, run: Model | str | Path, columns: tuple[str, str] | None = None, most: int = 3,
    skip: float | str = "auto", encode: bool = False, out: str | Path | None = None, cache: bool = True,
    precision: str | None = None, quiet: bool = False, console: Console | None = None,
) -> Alignment:  # fmt: skip
    """Align two sequences in the same order; `nearfar.vectors.sequences.align` takes vectors from anywhere.

    Arguments that are not described here are those of `nearfar`.

    Parameters
    ----------
    a, b : path
        Text files with one row a line, of which blank lines are counted and passed over, or whatever else the model
        reads.
    columns : (str, str), optional
        The model's columns for `a` and `b`; needed where it has several.
    most, skip
        Of `nearfar.vectors.sequences.align`.
    encode : bool
        Encode joined texts as one text instead of adding their vectors.
    out : path, optional
        File to write all matches to, tab-separated.

    Returns
    -------
    Alignment

    Raises
    ------
    ConfigError
        `columns` are not named where they have to be, `most` or `skip` has no meaning, or `out` cannot be written.
    UnknownName
        There is no such column.
    DataError
        A sequence cannot be read, or has no rows.
    """
    console, a, b = of_call(console, quiet), os.fspath(a), os.fspath(b)
    sequences.skip_cost(skip)  # before anything is encoded, which takes long
    if out is not None:
        files.check_target(out, a, b)
    model, called = loading.opened(run, cache=cache, precision=precision)
    sides = [_side(model, path, column, console) for path, column in zip((a, b), _columns(model, columns), strict=True)]
    joined = None
    if encode and all(s.text for s in sides):
        joined = tuple(lambda n, side=side: side.joined(n, model, console) for side in sides)
    matches = sequences.align(sides[0].vectors, sides[1].vectors, most=most, skip=skip, joined=joined)
    made = Alignment(called, a, b, most, skip,
                     None if out is None else str(out), [_named(m, *sides) for m in matches])  # fmt: skip
    if out is not None:
        made.write(out)
    return made


@dataclass(frozen=True)
class _Side:
    """The rows of one file: their numbers, what they say or are called, and their vectors."""

    column: str
    numbers: list[int]
    texts: list[str]
    vectors: np.ndarray
    text: bool

    def joined(self, n: int, model: Model, console: Console) -> np.ndarray:
        """The vectors of all n neighbouring texts as one."""
        texts = [" ".join(self.texts[i : i + n]) for i in range(len(self.texts) - n + 1)]
        return model.encode(texts, column=self.column, console=console)

    def taken(self, rows: Sequence[int]) -> tuple[list[int], str]:
        """The numbers of some rows, and their texts in one line."""
        return [self.numbers[i] for i in rows], " ".join(" ".join(self.texts[i].split()) for i in rows)


def _named(match: sequences.Match, left: _Side, right: _Side) -> Match:
    (numbers, text), (others, other) = left.taken(match.left), right.taken(match.right)
    return Match(numbers, others, match.score, text, other)


def _columns(model: Model, asked: tuple[str, str] | None) -> tuple[str, str]:
    names = list(model.columns)
    if asked is None and len(names) > 1:
        raise ConfigError(f"the model has the columns {', '.join(names)}.", where="--columns",
                          hint=f"Name those of A and B: --columns {names[0]} {names[1]}.")  # fmt: skip
    for name in asked or ():
        if name not in names:
            raise UnknownName("column", name, names, where="--columns")
    return asked or (names[0], names[0])


def _side(model: Model, path: str, column: str, console: Console) -> _Side:
    if model.columns[column][0] == "text":
        lines = [(k, t.strip()) for k, t in enumerate(_texts(path, column), 1) if t.strip()]
        if not lines:
            raise DataError("there are no rows.", where=path)
        numbers, texts = [k for k, _ in lines], [t for _, t in lines]
        return _Side(column, numbers, texts, model.encode(texts, column=column, console=console), True)
    table = model.read(path, column=column, console=console)
    vectors = model.encode(table, column=column, console=console)
    return _Side(column, [*range(1, len(table) + 1)], [str(n) for n in table.names], vectors, False)


def _texts(path: str, column: str) -> list[str]:
    """The lines of a text file, or the column of a table."""
    file = Path(os.path.expanduser(path))
    if file.is_file() and file.suffix.lower() not in ENDINGS:
        try:
            return file.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
        except UnicodeDecodeError as e:
            raise DataError("is not text in UTF-8.", where=path) from e
    columns = open_source(path).columns  # raises where there is no such file
    if column not in columns and len(columns) > 1:
        raise UnknownName("column", column, columns, where=path)
    return ["" if t is None else str(t) for t in columns.get(column, next(iter(columns.values())))]
