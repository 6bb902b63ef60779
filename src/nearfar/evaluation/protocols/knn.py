"""kNN: nothing is fitted, so it is the plainest question that can be put to an embedding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nearfar.evaluation.protocols import Features, Figure
from nearfar.vectors.intervals import wilson
from nearfar.vectors.knn import SETTINGS, hits

TITLE = "kNN"
PLACE = 0
TAKES = "labels"
FITS = True


def measure(train: Features, test: Features, *, seed: int = 0) -> dict[str, Any]:
    """Cosine kNN at three fixed settings (weights exp(cos/τ): Wu et al. 2018, arXiv 1805.01978).

    Ties: of rows whose cosines with a query are equal at the k-th place all vote, with equal shares of the places that
    are left; of classes with equally many votes each is chosen with equal probability, and the accuracy is the expected
    one. So the order of the rows and that of the classes decide nothing, and a collapsed embedding scores what the
    most frequent class scores.

    Returns
    -------
    dict
        ``accuracy``, ``interval`` and ``settings`` of the first, and all three under ``all``.
    """
    found = []
    for k, tau in SETTINGS:
        used = min(k, len(train.y))
        right = float(hits(train.x, train.y, test.x, test.y, train.classes, used, tau).sum())
        settings = {"k": used, "temperature": tau, "metric": "cosine", "gallery": len(train.y), "queries": len(test.y)}
        found.append({"accuracy": right / len(test.y), "interval": wilson(right, len(test.y)), "settings": settings})
    return {**found[0], "all": found}


def figures(result: Mapping[str, Any]) -> Iterator[Figure]:
    """The accuracy at the first setting; k is bounded by the rows, so it is equal for all that stand together."""
    settings = result.get("settings", {})
    about = f"k {settings['k']}, cosine" if settings else ""
    yield Figure("kNN", result["accuracy"], about, interval=result.get("interval"), majority=True)
