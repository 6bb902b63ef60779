"""What docs/results/pretrained.md shows of distillation."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import tables

TITLES = {"teacher": "MiniLM itself", "own": "distilled", "scratch": "not distilled", "model2vec": "model2vec"}
ORDER = ("teacher", "own", "scratch", "model2vec")


def few() -> str:
    """Accuracy with few labels of five sets, the mean of them, and texts per second."""
    found = tables.read("pretrained")["distil"]
    sets, body = list(found["unlabelled"]), []
    for way in ORDER:
        if way not in found["accuracies"]:
            continue
        of_sets = [[statistics.mean(draws) for draws in found["accuracies"][way][s]] for s in sets]
        mean, speed = found["means"][way], found.get("texts_per_second", {})
        body.append([
            TITLES[way], str(found.get("dimensions", {}).get(way, "")), *map(tables.over, of_sets), f"{mean:.3f}",
            f"{mean / found['means']['teacher']:.0%}",
            f"{speed[way]:,.0f} ({speed[way] / speed['teacher']:.0f} ×)" if speed else "",
        ])  # fmt: skip
    return tables.rows(["", "dimensions", *sets, "mean", "of MiniLM's", "texts per second"], body)


def seconds() -> str:
    """Processor seconds of a training, the mean of all."""
    found = tables.read("pretrained")["distil"]["seconds"]
    return f"{np.mean(found['own']):.0f} (not distilled: {np.mean(found['scratch']):.0f})"


def pictures() -> str:
    """Figures of clothing_small."""
    found: dict[str, Any] = tables.read("pretrained")["distil_pictures"]
    keys = ("linear_probe", "knn", "5 labels", "10 labels")
    titles = {"teacher": "EfficientNet-Lite0 itself", "distilled": "distilled", "scratch": "not distilled"}
    body = [
        [title, *(tables.over([run[k] for run in found["accuracies"][way]]) for k in keys),
         f"{np.mean(found['seconds'][way]):.0f}" if way in found["seconds"] else ""]
        for way, title in titles.items()
    ]  # fmt: skip
    return tables.rows(["", "linear probe", "kNN", "5 labels a class", "10", "CPU seconds a training"], body)
