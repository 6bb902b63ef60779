"""``nearfar align``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from nearfar.cli import common, console

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

    from nearfar.vectors.sequences import Joined, Match

SHOWN = 20  # matches on the screen; --out has all
WIDTH = 48  # characters of each text there


@click.command(short_help="Find what belongs together in two sequences.")
@click.argument("a", type=click.Path())
@click.argument("b", type=click.Path())
@click.option("--run", required=True, help="Run folder of the model.")
@click.option("--columns", nargs=2, help="The model's columns for A and for B, where it has several.")
@click.option("--most", default=3, show_default=True, type=click.IntRange(1, 8), help="Rows joined to one at most.")
@click.option("--skip", default="auto", show_default=True,
              help="Cost of leaving out a row, where a random pair costs 1; 20% is a percentile of those.")  # fmt: skip
@click.option("--encode", is_flag=True, help="Encode joined texts anew, instead of adding their vectors.")
@click.option("--out", type=click.Path(), help="File to write, tab-separated.")
@common
def command(
    a: str, b: str, run: str, columns: tuple[str, str] | None, most: int, skip: str, encode: bool, out: str | None,
    as_json: bool, quiet: bool, debug: bool,
) -> None:  # fmt: skip
    """Align A and B, two sequences in order: a text and its translation, a book and the scenes of its film.

    Rows are joined one to one, one to several or several to one, or skipped; nothing crosses. A text file has a row
    on each line; anything else that the model reads will do. Rows are counted from 1, blank lines included.

    \b
    nearfar align book.en.txt book.de.txt --run runs/en-de --columns en de --out pairs.tsv
    nearfar align storyboard/ scenes/ --run runs/photos
    """
    from nearfar.core import files
    from nearfar.models import loading
    from nearfar.vectors.sequences import align, skip_cost

    to = console(as_json, quiet, debug)
    skip_cost(skip)  # a slip is said before anything is encoded
    if out:
        files.check_target(out, a, b)
    model = loading.load(run)
    sides = [_side(model, path, name, to) for path, name in zip((a, b), _columns(model, columns), strict=True)]
    joined = (sides[0].joined(model, to), sides[1].joined(model, to)) if encode and all(s.text for s in sides) else None
    found = align(sides[0].vectors, sides[1].vectors, most=most, skip=skip, joined=joined)
    rows = [_row(match, sides) for match in found]
    if out:
        _write(out, rows)
    else:
        for row in rows[:SHOWN]:
            to.say(f"{row['left_rows']:>9}  {row['right_rows']:>9}  {row['score']:6.3f}  "
                   f"{row['left_text'][:WIDTH]:{WIDTH}}  {row['right_text'][:WIDTH]}")  # fmt: skip
        if len(rows) > SHOWN:
            to.say(f"… and {len(rows) - SHOWN:,} more; --out writes all.")
    counts = _counts(found)
    to.say(f"{counts['joined']:,} matches; left out are {counts['left_skipped']:,} rows of {a} and "
           f"{counts['right_skipped']:,} of {b}.{f' All are in {out}.' if out else ''}")  # fmt: skip
    matches = [{"left": [*m["left"]], "right": [*m["right"]], "score": m["score"]} for m in rows]
    to.result({"schema": 1, "verb": "align", "run": run, "left": a, "right": b, "most": most, "skip": skip, "out": out,
               "counts": counts, "matches": matches})  # fmt: skip


@dataclass(frozen=True)
class _Side:
    """The rows of one file: their numbers, what they say or are called, and their vectors."""

    column: str
    numbers: list[int]
    texts: list[str]
    vectors: np.ndarray
    text: bool

    def joined(self, model: Any, to: Any) -> Joined:
        """What encodes all n neighbouring texts as one."""
        count = len(self.texts)
        return lambda n: model.encode(
            [" ".join(self.texts[i : i + n]) for i in range(count - n + 1)], column=self.column, console=to
        )


def _columns(model: Any, asked: tuple[str, str] | None) -> tuple[str, str]:
    from nearfar.core.errors import ConfigError, UnknownName

    names = list(model.columns)
    if asked is None and len(names) > 1:
        raise ConfigError(f"the model has the columns {', '.join(names)}.", where="--columns",
                          hint=f"Say which A and B are: --columns {names[0]} {names[1]}.")  # fmt: skip
    for name in asked or ():
        if name not in names:
            raise UnknownName("column", name, names, where="--columns")
    return asked or (names[0], names[0])


def _side(model: Any, path: str, column: str, to: Any) -> _Side:
    from nearfar.core.errors import DataError

    if model.columns[column][0] == "text":
        lines = [(k, t.strip()) for k, t in enumerate(_texts(path, column), 1) if t.strip()]
        if not lines:
            raise DataError("there are no rows.", where=path)
        numbers, texts = [k for k, _ in lines], [t for _, t in lines]
        return _Side(column, numbers, texts, model.encode(texts, column=column, console=to), True)
    table = model.read(path, column=column, console=to)
    vectors = model.encode(table, column=column, console=to)
    return _Side(column, [*range(1, len(table) + 1)], [str(n) for n in table.names], vectors, False)


def _texts(path: str, column: str) -> Iterable[str]:
    """The lines of a text file, or the column of a table."""
    from pathlib import Path

    from nearfar.core.errors import DataError, UnknownName
    from nearfar.data.opening import open_source
    from nearfar.data.readers.tables import ENDINGS

    file = Path(os.path.expanduser(path))
    if file.is_file() and file.suffix.lower() not in ENDINGS:
        try:
            return file.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
        except UnicodeDecodeError as e:
            raise DataError("is no text in UTF-8.", where=path) from e
    found = open_source(path).columns  # which says so where there is no such file
    if column not in found and len(found) > 1:
        raise UnknownName("column", column, found, where=path)
    return ["" if t is None else str(t) for t in found.get(column, next(iter(found.values())))]


def _row(match: Match, sides: list[_Side]) -> dict[str, Any]:
    row: dict[str, Any] = {"score": match.score}
    for name, side, own in (("left", sides[0], match.left), ("right", sides[1], match.right)):
        row[name] = [side.numbers[i] for i in own]
        row[f"{name}_rows"] = ",".join(map(str, row[name]))
        row[f"{name}_text"] = " ".join(" ".join(side.texts[i].split()) for i in own)
    return row


def _write(out: str, rows: list[dict[str, Any]]) -> None:
    from nearfar.core import files

    lines = ["left\tright\tscore\tleft_text\tright_text"]
    lines += [
        f"{r['left_rows']}\t{r['right_rows']}\t{r['score']:.4f}\t{r['left_text']}\t{r['right_text']}" for r in rows
    ]
    files.write_text(out, "\n".join(lines) + "\n")


def _counts(found: list[Match]) -> dict[str, int]:
    return {
        "joined": sum(bool(m.left and m.right) for m in found),
        "left_skipped": sum(not m.right for m in found),
        "right_skipped": sum(not m.left for m in found),
    }
