"""What is known of items, as features that they have or not: words, categories and ranges of numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nearfar.core.errors import BadCell
from nearfar.data.numeric import Numeric, numeric

BETWEEN = "|"  # categories of one cell
RANGES = 10  # of a column of numbers, with as many items each
MOST, ALL = 64, 8192  # features of an item, and of all, of which the commonest are kept
LEAST = 2  # items that have a feature, or it says nothing of others
WORD = re.compile(r"\w+")


def features(content: Mapping[str, Sequence[Any]]) -> np.ndarray:
    """The features of each item, int32 (I, K): their numbers, the commonest being 1, and 0 where there are no more.

    A column of numbers gives ten ranges with as many items each. Of texts that are all different each word is a
    feature; of others each is one, or each part where they are lists or have ``|`` between parts. What a single item
    has is left out, and so is, of more than 64 features of an item or 8,192 of all, what is rarest.
    """
    size = len(next(iter(content.values()), ()))
    had: list[list[tuple[str, str]]] = [[] for _ in range(size)]
    for column, cells in content.items():
        for i, parts in enumerate(_parts([None if isinstance(c, BadCell) else c for c in cells])):
            had[i] += [(column, p) for p in dict.fromkeys(parts)]
    counts = Counter(f for own in had for f in own)
    number = {f: n for n, (f, count) in enumerate(counts.most_common(ALL), 1) if count >= LEAST}
    rows = [sorted(number[f] for f in own if f in number)[:MOST] for own in had]
    made = np.zeros((size, max(1, max(map(len, rows), default=1))), np.int32)
    for row, own in zip(made, rows, strict=True):
        row[: len(own)] = own
    return made


def _parts(cells: list[Any]) -> Iterator[list[str]]:
    """The features of each cell of a column."""
    numbers = numeric(cells)
    if isinstance(numbers, Numeric):
        yield from _ranges(numbers.values)
        return
    lists = [
        list(map(str, c)) if isinstance(c, list | tuple) else str(c).split(BETWEEN) for c in cells if c is not None
    ]
    words = all(len(parts) == 1 for parts in lists) and len({p for (p,) in lists}) > len(lists) / 2
    found = iter(lists)
    for cell in cells:
        parts = [] if cell is None else next(found)
        yield WORD.findall(parts[0].lower()) if words and parts else [p.strip() for p in parts if p.strip()]


def _ranges(values: np.ndarray) -> Iterator[list[str]]:
    there = np.isfinite(values)
    inner = np.linspace(0, 1, RANGES + 1)[1:-1]
    place = np.searchsorted(np.unique(np.quantile(values[there], inner)) if there.any() else values[:0], values)
    yield from ([str(p)] * known for p, known in zip(place.tolist(), there.tolist(), strict=True))
