"""The cheapest monotone path through two sequences, by exact dynamic programming, whole or within a corridor.

A node (i, j) means that i items of the left and j of the right are done. A path goes from (0, 0) to (M, N) by moves
(a, b), which join a items of the left to b of the right, and by skips (1, 0) and (0, 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

ROWS = 64  # nodes' rows whose costs are found at once
CELLS = 2**20  # and at most so many nodes

LEFT, RIGHT, FIRST = 0, 1, 2  # back-pointers: skip on either side, then the moves
LARGEST = 255 - FIRST

Costs = Callable[[slice, slice], Sequence[np.ndarray]]


@dataclass(frozen=True)
class Corridor:
    """The nodes that are looked at: columns ``low[i]`` to ``high[i]``, both included, of each row i = 0 … M.

    Neither ever falls; ``low[0]`` is 0, ``high[M]`` is N, and ``low[i + 1] <= high[i]``, so that there is a path.
    """

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def whole(cls, m: int, n: int) -> Corridor:
        """All nodes of M and N items."""
        return cls(np.zeros(m + 1, np.int64), np.full(m + 1, n, np.int64))

    @classmethod
    def around(cls, nodes: np.ndarray, width: int) -> Corridor:
        """All nodes within `width` ≥ 1 rows and columns of the line through some nodes.

        These are int64 (K, 2), from (0, 0) to (M, N), rising in at least one coordinate each time.
        """
        (m, n), along = nodes[-1], nodes.sum(1)
        steps = np.arange(m + n + 1)
        i = np.floor(np.interp(steps, along, nodes[:, 0]) + 1e-9).astype(np.int64)
        j = steps - i  # i rises by at most 1, so that no row is missed
        low, high = np.full(m + 1, n), np.zeros(m + 1, np.int64)
        np.minimum.at(low, i, j)
        np.maximum.at(high, i, j)
        rows = np.arange(m + 1)
        return cls(
            np.maximum(low[np.maximum(rows - width, 0)] - width, 0),
            np.minimum(high[np.minimum(rows + width, m)] + width, n),
        )


@dataclass(frozen=True)
class Path:
    """A path and what it costs."""

    steps: np.ndarray  # int64 (K, 2): items of either side that each step takes; of adjacent skips the left's first
    cost: float

    @property
    def nodes(self) -> np.ndarray:
        """The nodes that are passed, int64 (K + 1, 2)."""
        return np.concatenate([np.zeros((1, 2), np.int64), np.cumsum(self.steps, 0)])


def cheapest(
    costs: Costs, moves: Sequence[tuple[int, int]], skips: tuple[np.ndarray, np.ndarray],
    corridor: Corridor | None = None,
) -> Path:  # fmt: skip
    """The path of least cost among those within the corridor.

    Time is O(nodes · moves), row by row in NumPy; memory is one byte a node.

    Parameters
    ----------
    costs : callable
        ``costs(rows, columns)`` with two slices of nodes gives, for each move (a, b), an array (rows, columns) of what
        the move that *ends* in each node costs. Where i < a or j < b its value is not used.
    moves : sequence of (int, int)
        Both numbers at least 1.
    skips : pair of ndarray (M,), (N,)
        What leaving out each item costs, not negative.
    corridor : Corridor, optional
        By default all nodes.

    Notes
    -----
    Skips of the right lead along the row that is being computed. With S the running sum of their costs,
    D[j] = S[j] + min over k ≤ j of (best[k] − S[k]), where best is what all other steps give: a running minimum.
    """
    m, n = len(skips[0]), len(skips[1])
    corridor = corridor or Corridor.whole(m, n)
    low, high = corridor.low, corridor.high
    starts = np.concatenate([[0], np.cumsum(high - low + 1)])
    back = np.empty(starts[-1], np.uint8)
    total = np.concatenate([[0.0], np.cumsum(skips[1], dtype=np.float64)])
    at_once = int(np.clip(CELLS // (np.max(high - low) + 1), 1, ROWS))
    before: list[tuple[int, np.ndarray]] = []  # rows i − 1, i − 2 … and where they begin
    reach = max((a for a, _ in moves), default=1)
    for i in range(m + 1):
        if i % at_once == 0:
            last = min(i + at_once, m + 1)
            first_column = low[i]
            block = costs(slice(i, last), slice(first_column, high[last - 1] + 1))
        lo, hi = low[i], high[i]
        pointers = back[starts[i] : starts[i + 1]]
        pointers[:] = LEFT
        if i == 0:
            best = np.full(hi - lo + 1, np.inf)
            best[0] = 0.0
        else:
            best = _between(*before[0], lo, hi) + skips[0][i - 1]
        for number, (a, b) in enumerate(moves):
            if a <= i:
                added = block[number][i % at_once, lo - first_column : hi + 1 - first_column]
                candidate = _between(*before[a - 1], lo - b, hi - b) + added
                better = candidate < best
                best[better], pointers[better] = candidate[better], FIRST + number
        own = best - total[lo : hi + 1]
        least = np.minimum.accumulate(own)
        skipped = least < own
        pointers[skipped] = RIGHT
        best = np.where(skipped, least + total[lo : hi + 1], best)
        before = [(lo, best), *before[: reach - 1]]
    takes, steps, i, j = [(1, 0), (0, 1), *moves], [], m, n
    while i or j:
        steps.append(takes[back[starts[i] + j - low[i]]])
        i, j = i - steps[-1][0], j - steps[-1][1]
    steps = np.asarray(steps[::-1], np.int64).reshape(-1, 2)
    # Adjacent skips cost the same in any order; those of the left are put first, so that equal paths look alike.
    joins = steps.all(1)
    run = 2 * np.cumsum(joins) + ~joins  # even for a join, odd for the skips after it
    return Path(steps[np.lexsort((steps[:, 1], run))], float(before[0][1][-1]))


def _between(begins: int, row: np.ndarray, lo: int, hi: int) -> np.ndarray:
    """Columns lo to hi of a row that begins at column `begins`; infinite where it has none."""
    out = np.full(hi - lo + 1, np.inf)
    first, last = max(lo, begins), min(hi, begins + len(row) - 1)
    if first <= last:
        out[first - lo : last - lo + 1] = row[first - begins : last - begins + 1]
    return out
