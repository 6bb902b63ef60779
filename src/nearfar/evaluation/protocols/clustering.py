"""Clustering: do the classes lie in heaps that k-means finds?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nearfar.core.errors import DataError
from nearfar.evaluation.protocols import Features, Figure, shown
from nearfar.vectors import kmeans
from nearfar.vectors.basics import unit

TITLE = "clustering"
PLACE = 5
TAKES = "labels"
FITS = False
SEEDS = 10


def measure(train: Features, test: Features, *, seed: int = 0) -> dict[str, Any]:
    """V-measure of k-means of the test rows' unit vectors, with as many clusters as these have classes.

    The harmonic mean of homogeneity and completeness (Rosenberg and Hirschberg 2007), as MTEB measures clustering
    (Muennighoff et al. 2022, arXiv 2210.07316). The labels say how many clusters there are and score them, nothing
    else; `train` is not looked at. MTEB takes MiniBatchKMeans for any number of rows; below 20,000 k-means itself is
    as quick and does not hang on the batches.

    Returns
    -------
    dict
        ``mean``, ``std`` and ``draws`` over ten starts (k-means++), ``chance`` (mean over the same clusters of the
        v-measure of shuffled labels, which is not 0) and ``settings``.

    Raises
    ------
    DataError
        All rows are of one class, or each of its own, which any clustering finds.
    """
    from sklearn.metrics import v_measure_score

    x, clusters = unit(test.x), len(np.unique(test.y))
    if clusters < 2:
        raise DataError(f"clustering takes rows of two classes or more, and the {len(x):,} that are scored are of one.")
    if clusters == len(x):
        raise DataError(f"each of the {len(x):,} rows that are scored is its own class, which any clustering finds.")
    found, chance = [], []
    for start in range(SEEDS):
        assigned = kmeans.cluster(x, clusters, seed * SEEDS + start)
        found.append(float(v_measure_score(test.y, assigned)))
        shuffled = np.random.default_rng((seed, start)).permutation(test.y)
        chance.append(float(v_measure_score(shuffled, assigned)))
    return {
        "mean": float(np.mean(found)), "std": float(np.std(found, ddof=1)), "draws": found,
        "chance": float(np.mean(chance)),
        "settings": {
            "clusters": clusters, "rows": len(test.y), "starts": SEEDS, "seed": seed, "features": "unit length",
            "algorithm": "KMeans" if len(x) < kmeans.EXACT else f"MiniBatchKMeans, batches of {kmeans.MEASURED_BATCH}",
        },
    }  # fmt: skip


def figures(result: Mapping[str, Any]) -> Iterator[Figure]:
    """The v-measure, with that of chance beside it."""
    chance = result["chance"]
    yield Figure(
        "v-measure", result["mean"], beside=f"(chance {shown(chance)})", draws=result.get("draws"), chance=chance
    )
