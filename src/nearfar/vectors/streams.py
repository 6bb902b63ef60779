"""Windows of long recordings by their vectors: how unusual each is, where a recording changes, which of them to show.

A window is of the recording ``owner``, from the step ``start`` to the one before ``stop``: three int64 (N,).
"""

from __future__ import annotations

import numpy as np

NEAREST = 1  # windows whose mean distance is a score
LEAST = 0.02  # of the largest deviation: directions with less hardly vary at all
AHEAD = 2  # windows that are compared before and after a step, in lengths
FLAT = 1e-7  # of the usual deviation: rounding
CELLS = 1 << 24  # distances that are held at once


def whitened(known: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Vectors in the principal directions of `known` (M, D), each by its deviation there: float32 (M, P), (N, P) …

    Distances are then Mahalanobis's: what hardly ever varies counts as much as what always does, since it is there
    that an unusual window stands out. Directions of next to no deviation are left out.
    """
    mean = known.mean(0, dtype=np.float64)
    _, size, directions = np.linalg.svd(known - mean, full_matrices=False)
    deviation = size / np.sqrt(max(1, len(known)))
    kept = deviation > LEAST * deviation[:1]
    turn = directions[kept].T / deviation[kept]
    return [((x - mean) @ turn).astype(np.float32) for x in (known, *others)]


def unusual(vectors: np.ndarray, known: np.ndarray, k: int = NEAREST) -> np.ndarray:
    """Mean distance of each of `vectors` (N, D) to its `k` nearest of `known` (M, D), float64 (N,).

    A window that is like none of those that are known scores high (Ramaswamy et al. 2000, "Efficient Algorithms for
    Mining Outliers from Large Data Sets").
    """
    out = np.zeros(len(vectors))
    square = np.square(known, dtype=np.float64).sum(1)
    rows, k = max(1, CELLS // max(1, len(known))), min(k, len(known))
    for i in range(0, len(vectors), rows):
        part = vectors[i : i + rows].astype(np.float64)
        apart = np.square(part).sum(1)[:, None] + square - 2 * part @ known.T
        out[i : i + rows] = np.sqrt(np.maximum(0, np.partition(apart, k - 1, 1)[:, :k])).mean(1)
    return out


def unusual_so_far(
    vectors: np.ndarray, owner: np.ndarray, start: np.ndarray, stop: np.ndarray, k: int = NEAREST
) -> np.ndarray:  # fmt: skip
    """The same by the windows of the same recording that end before a window begins; NaN where there are not `k`."""
    out = np.full(len(vectors), np.nan)
    for i in range(len(vectors)):
        before = (owner == owner[i]) & (stop <= start[i])
        if before.sum() >= k:
            out[i] = unusual(vectors[i : i + 1], vectors[before], k)[0]
    return out


def changes(vectors: np.ndarray, owner: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Distance between the mean vectors before and after the first step of each window, float64 (N,).

    Means are of windows that lie wholly within two lengths of a window on either side; NaN where there is none.
    """
    out, length = np.full(len(vectors), np.nan), int((stop - start).max(initial=0))
    for own in np.unique(owner):
        rows = np.flatnonzero(owner == own)
        for i, at in zip(rows.tolist(), start[rows].tolist(), strict=True):
            before = rows[(stop[rows] <= at) & (start[rows] >= at - AHEAD * length)]
            after = rows[(start[rows] >= at) & (stop[rows] <= at + AHEAD * length)]
            if len(before) and len(after):
                out[i] = np.linalg.norm(vectors[before].mean(0, dtype=np.float64) - vectors[after].mean(0))
    return out


def by_step(scores: np.ndarray, start: np.ndarray, stop: np.ndarray, steps: int) -> np.ndarray:
    """Mean score of the windows that hold each of the `steps` of one recording, NaN where there is none."""
    known = ~np.isnan(scores)
    total, count = np.zeros(steps + 1), np.zeros(steps + 1)
    for values, sums in ((scores[known], total), (np.ones(known.sum()), count)):
        np.add.at(sums, start[known], values)
        np.add.at(sums, stop[known], -values)
    count = count.cumsum()[:steps]
    return np.where(count > 0, total.cumsum()[:steps] / np.maximum(count, 1), np.nan)


def between(scores: np.ndarray, start: np.ndarray, steps: int) -> np.ndarray:
    """Scores of first steps along lines between them, float64 (steps,); NaN before the first and after the last."""
    known = np.flatnonzero(~np.isnan(scores))
    if not len(known):
        return np.full(steps, np.nan)
    known = known[np.argsort(start[known])]
    return np.interp(np.arange(steps), start[known], scores[known], left=np.nan, right=np.nan)


def best(scores: np.ndarray, owner: np.ndarray, start: np.ndarray, stop: np.ndarray, k: int) -> np.ndarray:
    """The windows of highest score, none of which shares a step with a better one: at most `k`, the best first."""
    found: list[int] = []
    for i in np.argsort(-scores, kind="stable").tolist():
        if np.isnan(scores[i]) or len(found) == k:
            break
        taken = np.asarray(found, np.int64)
        if not ((owner[taken] == owner[i]) & (start[taken] < stop[i]) & (start[i] < stop[taken])).any():
            found.append(i)
    return np.asarray(found, np.int64)


def profile(queries: np.ndarray, recording: np.ndarray, until: np.ndarray | None = None) -> np.ndarray:
    """The matrix profile: distance of each window to the nearest of a recording, float64 (N,), infinite without any.

    Both are standardised by themselves first (Yeh et al. 2016, "Matrix Profile I"); of two windows that are the same
    number everywhere the distance is 0, of one of them and another √L, as in stumpy (Law 2019).

    Parameters
    ----------
    queries : ndarray (N, L)
        Windows of one channel.
    recording : ndarray (T,)
        Where to look: at each of its steps a window begins, but where a number is missing.
    until : ndarray of int64 (N,), optional
        Windows that are looked at end before this step.
    """
    steps = queries.shape[1]
    if len(recording) < steps:
        return np.full(len(queries), np.inf)
    (a, flat), (b, level) = map(_standard, (queries, np.lib.stride_tricks.sliding_window_view(recording, steps)))
    ends = np.arange(len(b)) + steps
    out, rows = np.empty(len(a)), max(1, CELLS // len(b))
    for i in range(0, len(a), rows):
        some = slice(i, i + rows)
        square = 2 * steps - 2 * a[some] @ b.T
        square[flat[some, None] | level] = steps
        square[flat[some, None] & level] = 0
        square[:, np.isnan(b).any(1)] = np.inf
        if until is not None:
            square[ends > until[some, None]] = np.inf
        out[some] = np.sqrt(np.maximum(square, 0)).min(1)
    return out


def _standard(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Windows (N, L) of mean 0 and deviation 1, and which of them are the same number everywhere."""
    x = x - x.mean(1, keepdims=True, dtype=np.float64)
    spread = x.std(1, keepdims=True)
    flat = spread <= FLAT * np.nanmedian(spread)
    return x / np.where(flat, 1, spread), flat[:, 0]
