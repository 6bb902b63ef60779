"""Rows that show the same are not negatives of each other: found once, before training, and only when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nearfar.core.errors import ConfigError, DataError, UnknownName
from nearfar.core.names import is_number
from nearfar.core.randomness import derive
from nearfar.core.registry import MODALITIES
from nearfar.data.table import Column, Table
from nearfar.vectors.basics import unit

KINDS = ("auto", "off", "exact", "near")
NEAR = 0.98  # cosine from which on rows are near duplicates
SKETCH = 256  # dimensions in which all pairs are compared; what passes there is compared in full
BLOCK = 1024  # rows at a time
LINKED = 0.5  # share of pairs of rows that are equal in a column from which on it is said


def parse(text: str) -> tuple[str, float]:
    """Kind and cosine of ``off``, ``exact``, ``near`` or ``near:0.99``.

    Raises an `UnknownName` or `ConfigError` where there is no such kind, or the cosine is not between 0.5 and 1.
    """
    kind, colon, number = text.partition(":")
    if kind not in KINDS or (colon and kind != "near"):
        raise UnknownName("kind of duplicates", text, KINDS, where="data.ignore_duplicates")
    cosine = float(number) if colon and is_number(number) else 0.0 if colon else NEAR
    if not 0.5 <= cosine <= 1:
        raise ConfigError(f"{number!r} is not a cosine from 0.5 to 1.", where="data.ignore_duplicates",
                          hint="For example near:0.99.")  # fmt: skip
    return kind, cosine


def kind(text: str, table: Table) -> str:
    """What "auto" means: exact for text and for pairs, since sentences and captioned pictures repeat; else off."""
    if text != "auto":
        return text
    several = len(table.columns) > 1
    return "exact" if several or any(c.modality == "text" for c in table.columns.values()) else "off"


def ignored(table: Table, rows: np.ndarray, text: str, seed: int) -> tuple[np.ndarray | None, str]:
    """What `Relation.ignore` is for every row of the table, and a sentence about it; `text` is as `parse` takes it.

    It is int64 (N_table,) or (N_table, columns): equal for rows that are connected by duplicates; of several columns,
    of each by itself; None where nothing was asked for or found. Only `rows`, which are trained on, are looked at.
    """
    how, cosine = parse(kind(text, table))
    if how == "off":
        return None, ""
    several = len(table.columns) > 1
    hashes = [c.hashes for c in table.columns.values()] if several else [table.hashes]
    groups = [np.unique(h[rows], return_inverse=True)[1] for h in hashes]
    if how == "near":  # of equal rows one is compared
        _, first, group = np.unique(hashes[0][rows], return_index=True, return_inverse=True)
        groups[0] = _near(table.first, rows[first], cosine, seed)[group]
    what = "equal to the bit" if how == "exact" else f"cosine of the raw values at least {cosine:g}"
    sizes = [np.bincount(group) for group in groups]
    if not any((size > 1).any() for size in sizes):
        return None, f"Duplicates ignored as negatives: none found ({what})."
    ignore = np.tile(np.arange(len(table), dtype=np.int64)[:, None], (1, len(groups)))  # others are their own
    for column, (group, size) in enumerate(zip(groups, sizes, strict=True)):
        smallest = np.full(len(size), len(table), np.int64)
        np.minimum.at(smallest, group, rows)
        ignore[rows, column] = smallest[group]
    said = [
        (f"of {name!r} " if several else "") + f"{size[size > 1].sum():,} rows in {(size > 1).sum():,} groups, "
        f"the largest of {size.max():,}"
        for name, size in zip(table.columns, sizes, strict=True) if (size > 1).any()
    ]  # fmt: skip
    return ignore if several else ignore[:, 0], f"Duplicates ignored as negatives: {'; '.join(said)} ({what})."


def about_negatives(table: Table, rows: np.ndarray, ignore: np.ndarray | None) -> list[str]:
    """A sentence where few rows of pairs are negatives of each other.

    Raises a `DataError` where none are, since a column is the same in all rows.
    """
    said = []
    for name, column in table.columns.items():
        counts = np.unique(column.hashes[rows], return_counts=True)[1]
        if len(counts) == 1:
            raise DataError(
                f"all {len(rows):,} training rows have the same {name!r}, so it tells no row from another.",
                hint="Leave that column out, or bring rows that differ in it.",
            )
        share = float(np.square(counts / len(rows)).sum())
        if ignore is not None and share >= LINKED:
            said.append(f"Only {1 - share:.0%} of the pairs of rows differ in {name!r}: the others are not negatives.")
    return said


def equal(hashes: list[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Number of the group of each row, int64 (M,); rows that are equal in one column at least are connected."""
    items = [np.unique(h[rows], return_inverse=True)[1] for h in hashes]
    if len(items) == 1:
        return items[0]
    ends = len(rows)  # the nodes of a graph are the rows, and the items of each column after them
    linked = []
    for item in items:
        linked.append(ends + item)
        ends += int(item.max()) + 1
    return np.unique(_connected(np.tile(np.arange(len(rows)), len(items)), np.concatenate(linked), ends)[: len(rows)],
                     return_inverse=True)[1]  # fmt: skip


def _connected(starts: np.ndarray, ends: np.ndarray, size: int) -> np.ndarray:
    """Number of the component of each of `size` nodes."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(ends)), (starts, ends)), shape=(size, size))
    return connected_components(graph, directed=False)[1]


def _near(column: Column, rows: np.ndarray, cosine: float, seed: int) -> np.ndarray:
    """Number of the connected group of each row, int64 (M,).

    All pairs are compared block by block in a random projection, whose cosine c is off by (1 − c²)/√`SKETCH` (one
    standard deviation); those within five of them of the threshold are compared in full. In memory are the
    projections, M × `SKETCH` numbers, and one block's pairs.
    """
    mean = sum(x.sum(0, dtype=np.float64) for x in _blocks(column, rows)) / len(rows)
    mean = mean.astype(np.float32)
    draw = np.random.default_rng(derive(seed, "duplicates"))
    projection = draw.standard_normal((len(mean), SKETCH), dtype=np.float32)
    sketch = np.concatenate([unit((x - mean) @ projection) for x in _blocks(column, rows)])
    passes = cosine - 5 * (1 - cosine**2) / np.sqrt(SKETCH)
    group = np.arange(len(rows))
    for start in range(0, len(rows), BLOCK):
        for other in range(start, len(rows), BLOCK):
            i, j = np.nonzero(sketch[start : start + BLOCK] @ sketch[other : other + BLOCK].T >= passes)
            i, j = i + start, j + other
            i, j = i[new := (i < j) & (group[i] != group[j])], j[new]
            if len(i):
                same = _cosines(column, rows, i, j, mean) >= cosine
                group = _connected(group[i[same]], group[j[same]], len(rows))[group]
    return group


def _blocks(column: Column, rows: np.ndarray) -> Iterator[np.ndarray]:
    """The raw values of the rows as numbers, float32 (≤ `BLOCK`, F)."""
    for start in range(0, len(rows), BLOCK):
        yield _raw(column, rows[start : start + BLOCK])


def _raw(column: Column, rows: np.ndarray) -> np.ndarray:
    values: Any = np.asarray(column.values[rows])
    return MODALITIES.get(column.modality).raw_features(values, column.spec)


def _cosines(column: Column, rows: np.ndarray, i: np.ndarray, j: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Cosine of row i and row j less the mean row, for each pair, float32."""
    parts = []
    for start in range(0, len(i), BLOCK):
        a, b = (unit(_raw(column, rows[k[start : start + BLOCK]]) - mean) for k in (i, j))
        parts.append((a * b).sum(1))
    return np.concatenate(parts)
