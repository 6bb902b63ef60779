"""Which rows of one sequence belong to which of another, in order: a translation, a book and its film.

Costs are those of Vecalign (Thompson and Koehn 2019, "Vecalign: Improved Sentence Alignment in Linear Time and Space",
EMNLP, ACL Anthology D19-1136): the cosine distance of two segments, over the mean distance of each from the segments
of the other side, times the numbers of rows in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nearfar.core.errors import ConfigError, DataError
from nearfar.vectors.basics import unit
from nearfar.vectors.monotone import LARGEST, Corridor, Path, cheapest

WHOLE = 3_000  # up to WHOLE × WHOLE pairs every path is looked at
BAND = 100  # beyond that, paths this near to that of the halved sequences
SKIP = 0.5  # two rows are rather left alone than paired at random
PAIRS = 20_000  # random pairs whose costs a percentage is taken of
TINY, LARGE = 1e-6, 1e9

Joined = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Match:
    """Rows that belong together, or a row that is skipped."""

    left: tuple[int, ...]  # neighbouring rows, counted from 0; empty for a skip of the other side
    right: tuple[int, ...]
    score: float  # 1 where both are equal, 0 at the mean distance of such segments or for a skip, below 0 farther


def align(
    left: np.ndarray, right: np.ndarray, *, most: int = 3, skip: float | str = "auto", band: int | None = None,
    joined: tuple[Joined, Joined] | None = None,
) -> list[Match]:  # fmt: skip
    """Align two sequences: one to one, one to several, several to one, and skips on both sides, never crossing.

    Parameters
    ----------
    left : ndarray (M, D)
    right : ndarray (N, D)
        Embeddings in the order of the sequences, of any length.
    most : int
        At most so many rows are joined to one of the other side.
    skip : float or str
        Cost of leaving out one row, where a pair of random rows costs 1 on average: a pair is given up when it costs
        more than two skips. ``"20%"``: that percentile of the costs of random pairs, which is how Vecalign has it.
        ``"auto"`` is 0.5: two rows are rather left alone than paired at random.
    band : int, optional
        The sequences are halved by joining neighbours until they are small, aligned whole, and aligned again at each
        finer level within so many rows of the path found before. By default whole up to 3,000 × 3,000, beyond that 100.
    joined : pair of callable, optional
        ``joined[0](n)`` gives the vectors (M − n + 1, D) of all n neighbouring rows of the left, ``joined[1](n)`` those
        of the right. By default the sum of the rows' unit vectors.

    Returns
    -------
    list of Match
        In order; every row of both sides is in exactly one.

    Raises
    ------
    DataError
        Vectors of different dimensions, or numbers that are not finite.
    ConfigError
        `most`, `skip` or `band` has no meaning.
    """
    if not 1 <= most <= LARGEST // 2:
        raise ConfigError(f"cannot join {most} rows.", where="most", hint=f"Pass 1 to {LARGEST // 2}.")
    if band is not None and band < 1:
        raise ConfigError(f"the band is {band} rows wide.", where="band", hint="Pass at least 1.")
    cost = skip_cost(skip)
    a, b = _checked(left, "the left sequence"), _checked(right, "the right sequence")
    if len(a) and len(b) and a.shape[1] != b.shape[1]:
        raise DataError(f"the vectors have {a.shape[1]} and {b.shape[1]} dimensions.")
    if not (len(a) and len(b)):
        return [Match((i,), (), 0.0) for i in range(len(a))] + [Match((), (j,), 0.0) for j in range(len(b))]
    return _matches(*_aligned((_scaled(a), _scaled(b)), most, cost, band, joined))


def skip_cost(skip: float | str) -> tuple[float, bool]:
    """What `skip` says: a number, and whether it is a share of random pairs instead of a cost.

    Raises
    ------
    ConfigError
        It is neither.
    """
    text = str(SKIP if skip == "auto" else skip).strip()
    share = text.endswith("%")
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = np.nan
    if not (0 <= number <= (100 if share else LARGE)):
        raise ConfigError(
            f"{skip!r} is not the cost of a skip.", where="skip", hint='Pass a cost such as 0.4, or "20%".'
        )
    return (number / 100, True) if share else (number, False)


def _scaled(vectors: np.ndarray) -> np.ndarray:
    """Unit vectors in 32 bits, of lengths in 64: sums of many rows are long."""
    return unit(vectors.astype(np.float64)).astype(np.float32)


def _checked(vectors: np.ndarray, name: str) -> np.ndarray:
    found = np.asarray(vectors)
    if found.ndim != 2:
        raise DataError(f"{name} has shape {found.shape}, expected rows of vectors.")
    bad = np.flatnonzero(~np.isfinite(found).all(1))
    if len(bad):
        raise DataError(f"{name} has numbers that are not finite, first in row {bad[0]}.")
    return found


class Segments:
    """The segments of both sides, unit vectors of float32 (M, D) and (N, D), and what joining them costs."""

    def __init__(
        self, left: np.ndarray, right: np.ndarray, most: int, joined: tuple[Joined, Joined] | None = None
    ) -> None:  # fmt: skip
        self.sizes = len(left), len(right)
        self.vectors = [_segments(r, min(most, len(r)), joined and joined[s]) for s, r in enumerate((left, right))]
        self.moves = [(a, b) for a in self.vectors[0] for b in self.vectors[1] if 1 in (a, b)]
        # The paper draws segments of the other side; the mean distance from all of them is one product with their mean.
        means = [np.mean([v[n:].mean(0, dtype=np.float64) for n, v in side.items()], 0) for side in self.vectors]
        self.distances = [
            {n: np.float32(1) - v @ mean.astype(np.float32) for n, v in side.items()}
            for side, mean in zip(self.vectors, means[::-1], strict=True)
        ]

    def costs(self, rows: slice, columns: slice) -> list[np.ndarray]:
        """Cost of each move that ends in the given nodes, float32 (rows, columns)."""
        costs = []
        for a, b in self.moves:
            cost = np.float32(1) - self.vectors[0][a][rows] @ self.vectors[1][b][columns].T
            cost *= np.float32(2 * a * b)
            cost /= np.maximum(self.distances[0][a][rows, None] + self.distances[1][b][None, columns], np.float32(TINY))
            costs.append(np.maximum(cost, 0, out=cost))
        return costs

    def single(self, rows: np.ndarray, columns: np.ndarray, a: int = 1, b: int = 1) -> np.ndarray:
        """Cost of the move (a, b) that ends in each of some nodes, float64 (K,)."""
        x, y = self.vectors[0][a][rows], self.vectors[1][b][columns]
        mean = np.maximum(self.distances[0][a][rows] + self.distances[1][b][columns], TINY).astype(np.float64)
        return np.maximum(2 * a * b * (1 - np.einsum("kd,kd->k", x, y, dtype=np.float64)) / mean, 0)

    def percentile(self, share: float) -> float:
        """Cost below which that share of random pairs of rows lies."""
        m, n = self.sizes
        pairs = np.arange(m * n) if m * n <= PAIRS else np.random.default_rng(0).integers(m * n, size=PAIRS)
        return float(np.quantile(self.single(pairs // n + 1, pairs % n + 1), share))


def _segments(rows: np.ndarray, most: int, joined: Joined | None) -> dict[int, np.ndarray]:
    """By size n: unit vectors, float32 (len(rows) + 1, D), of the n rows that end before each node; zeros before."""
    found = {}
    for n in range(1, most + 1):
        if n > 1 and joined is not None:
            own = _checked(joined(n), f"what was joined of {n} rows")
            if own.shape != (len(rows) - n + 1, rows.shape[1]):
                raise DataError(f"{n} joined rows have shape {own.shape}, expected {len(rows) - n + 1} vectors.")
        else:
            own = rows[: len(rows) - n + 1].copy()
            for k in range(1, n):
                own += rows[k : len(rows) - n + 1 + k]
        found[n] = np.concatenate([np.zeros((n, rows.shape[1]), np.float32), _scaled(own)])
    return found


def _halved(rows: np.ndarray) -> np.ndarray:
    """Neighbours joined, without what all have in common, so that what differs is compared."""
    half = rows[::2].copy()
    half[: len(rows) // 2] += rows[1::2]
    return _scaled(half - half.mean(0, dtype=np.float64)) if len(half) > 2 else _scaled(half)


def _aligned(
    rows: tuple[np.ndarray, np.ndarray], most: int, skip: tuple[float, bool], band: int | None,
    joined: tuple[Joined, Joined] | None = None,
) -> tuple[Segments, Path]:  # fmt: skip
    """The cheapest path of all, or of those near the path of the halved sequences."""
    m, n = (len(r) for r in rows)
    corridor = Corridor.whole(m, n)
    if m * n > WHOLE**2 or (band is not None and min(m, n) > 1):
        half = tuple(map(_halved, rows))
        deeper = band if len(half[0]) * len(half[1]) > WHOLE**2 else None
        coarse = _aligned(half, most, skip, deeper)[1]
        joins = coarse.steps.all(1)
        # Where both sides skip, the order is arbitrary, so the corridor leads straight from join to join.
        kept = np.concatenate([[True], joins]) | np.concatenate([joins, [True]])
        corridor = Corridor.around(np.minimum(2 * coarse.nodes[kept], (m, n)), band or BAND)
    pair = Segments(*rows, most, joined)
    cost = pair.percentile(skip[0]) if skip[1] else skip[0]
    return pair, cheapest(pair.costs, pair.moves, (np.full(m, cost), np.full(n, cost)), corridor)


def _matches(pair: Segments, path: Path) -> list[Match]:
    scores, nodes = np.zeros(len(path.steps)), path.nodes
    for a, b in pair.moves:
        own = np.flatnonzero((path.steps == (a, b)).all(1))
        if len(own):
            ends = nodes[own + 1]
            scores[own] = 1 - pair.single(ends[:, 0], ends[:, 1], a, b) / (a * b)
    steps = zip(pairwise(nodes.tolist()), scores.tolist(), strict=True)
    return [Match(tuple(range(i, k)), tuple(range(j, l)), s) for ((i, j), (k, l)), s in steps]


def evaluate(found: Iterable, truth: Iterable) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 as Vecalign counts them.

    Strict: a pair counts when exactly it is in the other list. Lax: when at least one row of its left and one of its
    right belong together in the other list. Skips count in the precision (right when the truth skips the same row),
    not in the recall.

    Parameters
    ----------
    found, truth : iterable of Match, or of (rows of the left, rows of the right)

    Returns
    -------
    dict
        ``strict`` and ``lax``, each with ``precision``, ``recall``, ``f1``, and the counts ``right`` of ``found`` and
        ``recalled`` of ``true``. A share of nothing is 0.
    """
    sets = []
    for matches in (found, truth):
        sides = ((m.left, m.right) if isinstance(m, Match) else m for m in matches)
        sets.append({(tuple(map(int, left)), tuple(map(int, right))) for left, right in sides} - {((), ())})
    own, other = sets
    joined, wanted = {p for p in own if all(p)}, {p for p in other if all(p)}
    precise, recalled = _right(own, other), _right(wanted, joined)
    out = {}
    for kind, right, back in (("strict", precise[0], recalled[0]), ("lax", precise[1], recalled[1])):
        p, r = right / max(len(own), 1), back / max(len(wanted), 1)
        out[kind] = {
            "precision": p, "recall": r, "f1": 2 * p * r / (p + r) if p + r else 0.0,
            "right": right, "found": len(own), "recalled": back, "true": len(wanted),
        }  # fmt: skip
    return out


def _right(pairs: set[tuple[tuple[int, ...], ...]], other: set[tuple[tuple[int, ...], ...]]) -> tuple[int, int]:
    """How many of the pairs the other list has, exactly and in part."""
    partners: dict[int, set[int]] = {}
    for left, right in other:
        for i in left:
            partners.setdefault(i, set()).update(right)
    exact = pairs & other
    near = sum(any(not partners.get(i, set()).isdisjoint(right) for i in left) for left, right in pairs - exact)
    return len(exact), len(exact) + near
