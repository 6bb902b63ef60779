"""What docs/results/pretrained.md shows of pictures: what benchmarks/adapt_pictures.py left."""

from __future__ import annotations

from functools import cache
from typing import Any

import tables


@cache
def found() -> dict[str, Any]:
    return tables.read("pretrained")["pictures"]


def frozen() -> str:
    """The model as it is."""
    body = []
    for name, r in found()["frozen"].items():
        if "few_labels" in r:
            few = [f"{r['few_labels'][n]['mean']:.3f} ± {r['few_labels'][n]['std']:.3f}" if n in r["few_labels"] else ""
                   for n in ("1", "5", "10")]  # fmt: skip
            body.append([name, f"{r['linear_probe']['accuracy']:.3f}", f"{r['knn']['accuracy']:.3f}", *few])
    return tables.rows(["set", "linear probe", "kNN", "1 label a class", "5", "10"], body)


def regression() -> str:
    """The model as it is, by the regression that its floors were measured with."""
    r = found()["regression"]
    body = [["all", f"{r['all']:.3f}", ".892"]]
    body += [[n, tables.over(r[n]), floor] for n, floor in (("5", ".728 ± .031"), ("10", ".783 ± .030"))]
    return tables.rows(["labels a class", "20 draws", "floor, five draws"], body)


def adapted() -> str:
    """Frozen and adapted on the same draws."""
    body = []
    for name, r in found().items():
        if "gain" in r:
            low, high = r["interval"]
            body.append([
                name, str(len(r["frozen"])), tables.over(r["frozen"]), tables.over(r["adapted"]),
                f"{r['gain']:+.3f} [{low:+.3f}, {high:+.3f}]", f"{sum(r['cpu_seconds']) / len(r['cpu_seconds']):.0f}",
            ])  # fmt: skip
    return tables.rows(["set", "draws", "frozen", "adapted", "gain", "CPU seconds a training"], body)
