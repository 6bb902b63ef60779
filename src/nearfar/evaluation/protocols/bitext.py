"""Bitext: does every sentence find its translation?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nearfar.evaluation.directions import Way, both, products
from nearfar.evaluation.protocols import Figure, Sides
from nearfar.vectors.basics import TIE, chosen
from nearfar.vectors.intervals import wilson

TITLE = "bitext"
PLACE = 7
TAKES = "pairs"
FITS = False
K = 4  # neighbours of the margin
SMALLEST = 1e-12  # of a mean of neighbours: the ratio to a negative one would prefer what is far


def measure(sides: Sides, *, seed: int = 0) -> dict[str, Any]:
    """Accuracy of the nearest neighbour by cosine and by margin, from left to right and back.

    The task of Tatoeba as in LASER (Artetxe and Schwenk 2018, arXiv 1812.10464), with every distinct item as one
    query and equal items counted as right. The margin (Artetxe and Schwenk 2019, arXiv 1811.01136) is the cosine
    divided by the mean of those of the k = 4 nearest neighbours, of both sides: what is near to everything counts for
    less. As in LASER's code the margin chooses among a query's k nearest.

    Ties: of several best items (cosines within 1e-6) each is chosen with equal probability, and the accuracy is the
    expected one. Means of neighbours that are not positive count as 1e-12.

    Returns
    -------
    dict
        ``left_to_right`` and ``right_to_left``, each with ``accuracy``, ``interval`` (95 %, Wilson), ``chance``,
        ``margin`` (``accuracy``, ``interval``) and ``settings``.

    Raises
    ------
    DataError
        No row is labelled 1.
    """
    forward, back = both(sides).values()
    left, right = back.gallery, forward.gallery
    about_left, about_right = neighbourhood(left, right), neighbourhood(right, left)
    return {
        "left_to_right": _measure(forward, about_left[forward.asked], about_right),
        "right_to_left": _measure(back, about_right[back.asked], about_left),
    }


def neighbourhood(x: np.ndarray, among: np.ndarray, k: int = K) -> np.ndarray:
    """Mean cosine of each row of x (N, D) with its k nearest of `among` (M, D), unit vectors; float32 (N,)."""
    k, found = min(k, len(among)), np.empty(len(x), np.float32)
    for part, scores in products(x, among):
        found[part] = np.partition(scores, len(among) - k, axis=1)[:, len(among) - k :].mean(1)
    return found


def _measure(way: Way, about_queries: np.ndarray, about_gallery: np.ndarray) -> dict[str, Any]:
    near, by_margin, k = 0.0, 0.0, min(K, len(way.gallery))
    for tile in way.tiles():
        near += _hits(tile.scores, tile.owner, tile.answer)
        kth = np.partition(tile.scores, len(way.gallery) - k, axis=1)[:, len(way.gallery) - k, None]
        mean = (about_queries[tile.queries, None] + about_gallery) / 2
        margin = tile.scores / np.maximum(mean, SMALLEST)
        margin[tile.scores < kth - np.float32(TIE)] = -np.inf
        by_margin += _hits(margin, tile.owner, tile.answer)
    queries = len(way.queries)
    return {
        "accuracy": near / queries, "interval": wilson(near, queries),
        "chance": float(way.right.mean()) / len(way.gallery),
        "margin": {"accuracy": by_margin / queries, "interval": wilson(by_margin, queries)},
        "settings": {**way.about(), "margin": "ratio", "k": k},
    }  # fmt: skip


def _hits(scores: np.ndarray, owner: np.ndarray, answer: np.ndarray) -> float:
    """Expected number of queries whose best item is a right one."""
    return float(chosen(scores)[owner, answer].sum())


def figures(result: Mapping[str, Mapping[str, Any]]) -> Iterator[Figure]:
    """The accuracy by margin in each direction."""
    for way, r in result.items():
        margin = r["margin"]
        yield Figure(
            f"nearest by margin {way}", margin["accuracy"], interval=margin.get("interval"), chance=r.get("chance")
        )
