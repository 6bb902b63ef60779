"""Retrieval both ways: the right picture for a caption, and the right caption for a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from nearfar.evaluation.directions import Way, both
from nearfar.evaluation.protocols import Figure, Sides
from nearfar.vectors.basics import TIE
from nearfar.vectors.intervals import wilson

TITLE = "retrieval"
PLACE = 6
TAKES = "pairs"
FITS = False
AT = (1, 5, 10)
DEPTH = 10  # of nDCG


class First(NamedTuple):
    """Where the first right answer of each query stands, int64 (Q,) each."""

    above: np.ndarray  # gallery items nearer to the query
    level: np.ndarray  # items as near as the first right answer, itself among them
    right: np.ndarray  # how many of these are right


def measure(
    sides: Sides, *, seed: int = 0, distractors: np.ndarray | None = None, left_distractors: np.ndarray | None = None
) -> dict[str, Any]:
    """Recall, median rank, reciprocal rank and nDCG of cosine search, from left to right and back.

    Queries are the distinct items of one side, the gallery those of the other and the distractors. A query may have
    several right answers, see `nearfar.evaluation.directions.both`. Recall at k is the share of queries with at least
    one right answer among the k nearest (Karpathy and Fei-Fei 2015, arXiv 1412.2306); ranks are those of the first
    right answer, from 1; nDCG (Järvelin and Kekäläinen 2002) has gains of 0 and 1 and is divided by the best that so
    many right answers allow.

    Ties: items whose cosines differ by no more than 1e-6 may stand in any order, and every figure is its mean over
    all of them (McSherry and Najork 2008). So a collapsed embedding scores what chance scores, and the order of the
    rows decides nothing. With one right answer a query's rank is the mid rank of what it is tied with.

    `distractors` (M, D) are further vectors of the right-hand gallery and `left_distractors` of the left-hand one;
    they are never right.

    Returns
    -------
    dict
        ``left_to_right`` and ``right_to_left``, each with ``recall`` by k, ``interval`` of recall at 1 (95 %,
        Wilson), ``median_rank``, ``mrr``, ``ndcg`` at 10, ``chance`` (recall by k of a gallery in random order) and
        ``settings``.

    Raises
    ------
    DataError
        A distractor is not finite or of another width, or no row is labelled 1.
    """
    return {name: _measure(way) for name, way in both(sides, distractors, left_distractors).items()}


def _measure(way: Way) -> dict[str, Any]:
    above, level, score = places(way)
    right, total = way.right, len(way.gallery)
    starts = np.searchsorted(way.owner, np.arange(len(way.queries)))
    best = np.maximum.reduceat(score, starts)[way.owner]
    tied = (score >= best - np.float32(TIE)).astype(np.int64)
    first = First(
        np.minimum.reduceat(above, starts),
        np.maximum.reduceat(np.where(score == best, level, 0), starts),
        np.add.reduceat(tied, starts),
    )
    hits = {str(k): met(first.right, first.level, k - first.above) for k in AT}
    # of nDCG, each right answer gains the mean discount of the places it may stand at
    sums = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(DEPTH) + 2))])
    gain = (sums[np.minimum(above + level, DEPTH)] - sums[np.minimum(above, DEPTH)]) / level
    ndcg = np.bincount(way.owner, gain, minlength=len(way.queries)) / sums[np.minimum(right, DEPTH)]
    rank = first.above + 1 + (first.level - first.right) / (first.right + 1)
    return {
        "recall": {k: float(h.mean()) for k, h in hits.items()},
        "interval": wilson(float(hits["1"].sum()), len(right)),
        "median_rank": float(np.median(rank)),
        "mrr": float(reciprocal(first).mean()),
        "ndcg": float(ndcg.mean()),
        "chance": {str(k): float(met(right, np.full_like(right, total), np.full_like(right, k)).mean()) for k in AT},
        "settings": {**way.about(), "ties": f"mean over all orders of cosines within {TIE:g}", "ndcg at": DEPTH},
    }


def places(way: Way) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each right answer: how many items lie above it, how many level with it (itself included), and its cosine."""
    above, level = np.empty((2, len(way.owner)), np.int64)
    score = np.empty(len(way.owner), np.float32)
    for tile in way.tiles():
        own = tile.scores[tile.owner, tile.answer]
        tile.scores.sort(axis=1)  # once a query, however many right answers it has
        ends = np.searchsorted(tile.owner, np.arange(len(tile.scores) + 1))
        not_above, below = np.empty((2, len(own)), np.int64)
        for i, line in enumerate(tile.scores):
            mine = slice(ends[i], ends[i + 1])
            not_above[mine] = np.searchsorted(line, own[mine] + np.float32(TIE), "right")
            below[mine] = np.searchsorted(line, own[mine] - np.float32(TIE), "left")
        above[tile.pairs], level[tile.pairs] = tile.scores.shape[1] - not_above, not_above - below
        score[tile.pairs] = own
    return above, level, score


def met(right: np.ndarray, total: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Probability that one of `right` among `total` items in random order is in the first `places`, float64 (Q,).

    1 − C(total − right, places) / C(total, places), place by place.
    """
    missed = np.ones(len(right))
    for j in range(int(max(0, min(places.max(), total.max())))):
        still = (j < places) & (j < total)
        missed *= np.where(still, np.maximum(total - right - j, 0) / np.maximum(total - j, 1), 1.0)
    return 1 - missed


def reciprocal(first: First) -> np.ndarray:
    """Mean of 1 / rank of the first right answer over all orders of what is tied, float64 (Q,)."""
    found = 1 / (first.above + 1.0)
    tied = np.flatnonzero(first.level > first.right)
    known: dict[tuple[int, int, int], float] = {}
    for q in tied:
        above, level, right = key = tuple(int(part[q]) for part in first)
        if key not in known:
            wrong = np.arange(level - right + 1)  # so many wrong ones come first
            so_far = np.cumprod(np.concatenate([[1.0], (level - right - wrong[:-1]) / (level - wrong[:-1])]))
            known[key] = float((so_far * right / (level - wrong) / (above + 1 + wrong)).sum())
        found[q] = known[key]
    return found


def figures(result: Mapping[str, Mapping[str, Any]]) -> Iterator[Figure]:
    """Recall at each k by direction, of which that at 1 is compared, and the median rank."""
    for way, r in result.items():
        for k, recall in r["recall"].items():
            first = {"interval": r.get("interval"), "chance": r.get("chance", {}).get("1")} if k == "1" else {}
            yield Figure(f"R@{k} {way}", recall, **first, compared=k == "1")
        yield Figure(f"median rank {way}", r["median_rank"], digits=1, compared=False)
