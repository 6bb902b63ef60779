"""Columns of numbers, whatever wrote them: text that spells numbers, decimal commas, marks of missing values, ids.

A container says what its cells are made of; what they mean is decided here, the same for CSV, JSON, Parquet and
tables from Python.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearfar.core.errors import BadCell
from nearfar.core.names import is_utf8
from nearfar.data.readers.parquet import LazyColumn
from nearfar.data.readers.raw import EXACT, Cells, Chain, is_text

# What stands for a missing number in a column that otherwise holds numbers. In labels and texts these are values.
MARKS = frozenset({"?", "-", "--", ".", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing",
                   "inf", "-inf", "+inf", "infinity", "-infinity"})  # fmt: skip
TRUTHS = pa.array(["true", "false"])
LIKELY = 0.5  # share of the cells that are numbers, from which on a column is meant to hold numbers
LOOKED_AT = 1000  # cells that are looked at before all are
PLAIN = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
DIGITS = r"^[+-]?[0-9]{16,}$"  # that may be beyond EXACT
COMMA = r"^[+-]?([0-9]{1,3}(\.[0-9]{3})+|[0-9]*),[0-9]+([eE][+-]?[0-9]+)?$"  # 0,5 and 1.234,5
THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+")  # may be 1,234 as well as 1.234
ENGLISH = r"^[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?$"
SPACES = "[ \u00a0\u2009\u202f'\u2019]"
SPACED = rf"^[+-]?[0-9]{{1,3}}({SPACES}[0-9]{{3}})+([.,][0-9]+)?$"
ROW_NUMBERS = re.compile(r"(unnamed: ?\d+|index|level_\d+|__index_level_\d+__|)", re.IGNORECASE)
IDS = re.compile(r"(.*[ _-])?(id|ids|uuid|guid|rowid|row|rownum|row_number|nr|no|key)|#", re.IGNORECASE)
CAMEL = re.compile(r".*[a-z](ID|Id|IDs|Ids|Nr|No|Key)")


@dataclass(frozen=True)
class Numeric:
    """A column of numbers."""

    values: np.ndarray  # float64 (N,), NaN where one is missing
    marks: Mapping[str, int] = field(default_factory=dict)  # what stood in place of missing ones, and how often
    commas: bool = False  # a comma was read as the decimal point
    distinct: bool = False  # whole numbers of which none comes twice, as the numbers of rows are
    rounded: int = 0  # how many are whole numbers that a float does not hold exactly


def numeric(cells: Any, *, commas: bool = False) -> Numeric | str | None:
    """The numbers of a column; why it holds none although it seems to; None where nothing looks like numbers.

    With `commas`, other columns of this table have decimal commas, so that ``1,234`` is one as well.
    """
    if isinstance(cells, np.ndarray):
        if cells.ndim != 1 or cells.dtype.kind not in "iufb":
            return None
        values = cells.astype(np.float64)
        whole = cells.dtype.kind in "iu" or (np.isfinite(values).all() and (values == np.round(values)).all())
        large = int((np.abs(values) > EXACT).sum()) if cells.dtype.kind in "iu" else 0
        return Numeric(values, distinct=bool(whole) and len(np.unique(cells)) == len(cells) > 1, rounded=large)
    texts = _texts(cells)
    return None if texts is None else _of_texts(texts, commas)


def _texts(cells: Any) -> pa.ChunkedArray | None:
    """The cells as Arrow strings; None where some are of another kind, or are not to be read for this."""
    if isinstance(cells, Cells):
        column = cells.column
        if isinstance(column, LazyColumn):
            return None
        if pa.types.is_decimal(column.type) or pa.types.is_boolean(column.type) or pa.types.is_integer(column.type):
            return column.cast(pa.string())
        return column if is_text(column.type) else None
    if isinstance(cells, Chain):
        parts = [_texts(p.tolist() if isinstance(p, np.ndarray) and p.ndim == 1 else p) for p in cells.pieces]
        if any(p is None for p in parts):
            return None
        return pa.chunked_array([c.cast(pa.string()) for p in parts for c in p.chunks], pa.string())
    if not isinstance(cells, Sequence) or isinstance(cells, str | bytes):
        return None
    texts: list[str | None] = []
    for i in range(len(cells)):
        try:
            cell = cells[i]
        except BadCell:
            return None
        plain = cell is None or isinstance(cell, str | int | float | bool | np.number | Decimal)
        if not plain and not any(texts):
            return None
        missing = cell is None or (isinstance(cell, float | np.floating) and not np.isfinite(cell))
        texts.append(None if missing else str(cell) if plain else f"({type(cell).__name__})")
    try:
        return pa.chunked_array([texts], pa.string())
    except UnicodeEncodeError:  # half a character
        return None


def _of_texts(texts: pa.ChunkedArray, commas: bool) -> Numeric | str | None:
    texts = pc.replace_substring(pc.utf8_trim_whitespace(texts), "\u2212", "-")  # the typographic minus
    texts = pc.if_else(pc.equal(texts, ""), None, texts)
    texts = pc.if_else(  # 1 234.5, also with other spaces, and 1'234.5
        pc.match_substring_regex(texts, SPACED), pc.replace_substring_regex(texts, SPACES, ""), texts
    )
    some = texts if len(texts) <= LOOKED_AT else texts.take(np.linspace(0, len(texts) - 1, LOOKED_AT).astype(int))
    if texts.null_count == len(texts) or (some.null_count < len(some) and not _likely(some)):
        return None
    lower = pc.utf8_lower(texts)
    if pc.all(pc.is_in(lower.drop_null(), TRUTHS)).as_py():
        return Numeric(_floats(pc.equal(lower, "true")))
    marked = pc.is_in(lower, pa.array(sorted(MARKS)))
    spelt = pc.if_else(marked, None, texts)
    form = _form(spelt.drop_null(), commas)
    if isinstance(form, str):
        return form if _likely(texts) else None
    point, between = form
    plain = pc.replace_substring(spelt, between, "") if between else spelt
    values = _floats(pc.replace_substring(plain, point, "."))
    whole = pc.all(pc.match_substring_regex(spelt.drop_null(), r"^[+-]?[0-9]+(\.0*)?$")).as_py()
    marks = Counter(texts.filter(marked).to_pylist())
    distinct = bool(whole) and pc.count_distinct(spelt).as_py() == len(spelt) - spelt.null_count > 1
    digits = pc.sum(pc.match_substring_regex(spelt, DIGITS)).as_py() or 0
    large = int((np.isfinite(values) & (np.abs(values) > EXACT)).sum()) if digits else 0
    return Numeric(values, marks, point == ",", distinct, min(digits, large))


def _likely(texts: pa.ChunkedArray) -> bool:
    """Whether most cells that are not empty are numbers in some way of writing, or true and false."""
    there = texts.drop_null()
    ways = [pc.match_substring_regex(there, pattern) for pattern in (PLAIN, COMMA, ENGLISH)]
    right = reduce(pc.or_, ways, pc.is_in(pc.utf8_lower(there), TRUTHS))
    return len(there) > 0 and pc.sum(right).as_py() >= LIKELY * len(there)


def _form(spelt: pa.ChunkedArray, commas: bool) -> tuple[str, str] | str:
    """The decimal point and what separates thousands; or what speaks against numbers."""
    plain, comma, english = (pc.match_substring_regex(spelt, pattern) for pattern in (PLAIN, COMMA, ENGLISH))
    rest = spelt.filter(pc.invert(plain))
    if not len(rest):
        return ".", ""
    if pc.all(pc.or_(plain, comma)).as_py():
        if pc.any(pc.match_substring(spelt.filter(plain), ".")).as_py():
            return f"has decimal points and decimal commas, such as {rest[0].as_py()!r}"
        if commas or not all(THOUSANDS.fullmatch(t) for t in rest.to_pylist()):
            return ",", "."
        return f"has commas that may be decimal points or separate thousands, such as {rest[0].as_py()!r}"
    if pc.all(pc.or_(plain, english)).as_py():
        return ".", ","
    odd = spelt.filter(pc.invert(pc.or_(pc.or_(plain, comma), english)))
    odd = odd if len(odd) else rest
    cell = odd[0].as_py()
    shown = cell if len(cell) <= 40 else f"{cell[:39]}…"
    cells = "a cell that is no number," if len(odd) == 1 else f"{len(odd):,} cells that are no numbers, such as"
    return f"has {cells} {shown!r}"


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    """float64 (N,), NaN where there is nothing."""
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)


def without(cells: Any, words: Sequence[str]) -> Any:
    """The cells, of which those that are one of `words` are missing; arrays of more than one dimension stay.

    A word that spells a number means that number however it is spelt: ``-999`` and ``-999.0``.
    """
    numbers = [float(w) for w in words if re.fullmatch(PLAIN, w)]
    if isinstance(cells, Chain):
        return Chain([without(p, words) for p in cells.pieces])
    if isinstance(cells, np.ndarray):
        if cells.ndim != 1 or cells.dtype.kind not in "iuf" or not np.isin(cells, numbers).any():
            return cells
        return np.where(np.isin(cells, numbers), np.nan, cells.astype(np.float64))
    if isinstance(cells, Cells) and cells.text:
        cells = list(cells)  # of text that is in part no UTF-8
    if isinstance(cells, list):
        return [None if _is_one_of(c, words, numbers) else c for c in cells]
    if not isinstance(cells, Cells) or (texts := _texts(cells)) is None:
        return cells
    texts = pc.utf8_trim_whitespace(texts)
    plain = pc.if_else(pc.match_substring_regex(texts, PLAIN), texts, None).cast(pa.float64())
    words = [w for w in words if is_utf8(w)]  # no cell of these columns is another one
    missing = pc.or_(pc.is_in(texts, pa.array(words, texts.type)), pc.is_in(plain, pa.array(numbers, pa.float64())))
    return Cells(pc.if_else(missing, None, cells.column), cells.folder)


def _is_one_of(cell: Any, words: Sequence[str], numbers: Sequence[float]) -> bool:
    if isinstance(cell, str):
        return cell.strip() in words or (re.fullmatch(PLAIN, cell.strip()) is not None and float(cell) in numbers)
    return isinstance(cell, int | float | np.number | Decimal) and not isinstance(cell, bool) and cell in numbers


def names_of_rows(name: str, position: int, numbers: Numeric) -> bool:
    """Whether a column of distinct whole numbers is the index of a table, or an id, rather than a measurement."""
    if not numbers.distinct:
        return False
    if ROW_NUMBERS.fullmatch(name.strip()):
        return bool(name.strip()) or position == 0
    return any(pattern.fullmatch(name.strip()) for pattern in (IDS, CAMEL))


def label_texts(values: Sequence[Any]) -> list[str | None]:
    """Labels as text, None where there is none; numbers and truths are spelt alike whatever container they are from.

    ``1`` and ``1.0`` are one class, as tables with missing values write whole numbers; ``01`` and ``1`` are two where
    a column has both or any number with a leading zero, which no program writes for a number.
    """
    texts: list[str | None] = []
    for value in values:
        if isinstance(value, float | np.floating) and float(value).is_integer():
            value = str(int(value))
        elif isinstance(value, str):
            value = unicodedata.normalize("NFC", value.strip())
        texts.append(None if value is None else format(value, "f") if isinstance(value, Decimal) else str(value))
    distinct = {t for t in texts if t is not None}
    truths, lower = {"true": "True", "false": "False"}, {t.lower() for t in distinct}
    if lower <= set(truths) | {"1", "0"} and lower & set(truths):  # 1 beside True is True
        return [t and (truths | {"1": "True", "0": "False"})[t.lower()] for t in texts]
    if all(re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", t) for t in distinct):
        return [t.rstrip("0").rstrip(".") if t and "." in t else t for t in texts]  # 1.50 is 1.5, and 2.0 is 2
    return texts
