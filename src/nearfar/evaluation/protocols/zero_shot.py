"""Zero-shot: are rows nearest to the name of their class?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nearfar.core.errors import DataError
from nearfar.evaluation.directions import products
from nearfar.evaluation.protocols import Features, Figure, number, shown
from nearfar.vectors.basics import right, unit
from nearfar.vectors.intervals import wilson

TITLE = "zero-shot"
PLACE = 8
TAKES = "named labels"
FITS = False


def measure(train: Features, test: Features, *, seed: int = 0) -> dict[str, Any]:
    """Accuracy of the nearest class vector by cosine (Radford et al. 2021, arXiv 2103.00020).

    Nothing is fitted, so `train` is not looked at. Ties: of several nearest classes (cosines within 1e-6) each is
    chosen with equal probability and the accuracy is the expected one, so a collapsed embedding scores chance.

    Returns
    -------
    dict
        ``accuracy``, ``interval`` (95 %, Wilson), ``by_class`` (mean over the classes of the accuracy within each),
        ``chance`` (1 / classes), ``majority`` (the share of the most frequent class, which is what always saying that
        one scores) and ``settings``.

    Raises
    ------
    DataError
        There are no vectors of the classes' names.
    """
    if test.prompts is None:
        raise DataError("zero_shot needs the vectors of the classes' names.")
    hits = np.concatenate([right(scores, test.y[part]) for part, scores in products(unit(test.x), test.prompts)])
    counts = np.bincount(test.y, minlength=test.classes)
    within = np.bincount(test.y, hits, minlength=test.classes)[counts > 0] / counts[counts > 0]
    return {
        "accuracy": float(hits.mean()), "interval": wilson(float(hits.sum()), len(hits)),
        "by_class": float(within.mean()), "chance": 1 / test.classes, "majority": float(counts.max() / len(test.y)),
        "settings": {"metric": "cosine", "classes": test.classes, "queries": len(test.y), **(test.about or {})},
    }  # fmt: skip


def figures(result: Mapping[str, Mapping[str, Any]]) -> Iterator[Figure]:
    """The accuracy by column; always predicting the most frequent class is chance as well."""
    for column, r in result.items():
        chance, most = r.get("chance"), r.get("majority")
        floors = [x for x in map(number, (chance, most)) if x is not None]
        yield Figure(
            f"zero-shot {column}", r["accuracy"], f"chance {shown(chance)}, most frequent {shown(most)}",
            interval=r.get("interval"), chance=max(floors, default=None),
        )  # fmt: skip
