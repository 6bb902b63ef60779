"""What docs/results/series.md and docs/series.md show."""

from __future__ import annotations

import json
from typing import Any

import tables

NAMES = {
    "ts_gun_point": "GunPoint",
    "ts_italy_power_demand": "ItalyPowerDemand",
    "ts_basic_motions": "BasicMotions",
    "ts_pendigits": "PenDigits",
}
# T-Loss with 10 negatives, as its authors' results have it.
PUBLISHED = {"ts_gun_point": 0.980, "ts_italy_power_demand": 0.954, "ts_basic_motions": 1.0, "ts_pendigits": 0.979}


def found() -> dict[str, dict[str, Any]]:
    """The JSON of each set that is there."""
    files = {name: tables.ROOT / "series" / f"{name}.json" for name in NAMES}
    return {name: json.loads(f.read_text(encoding="utf-8")) for name, f in files.items() if f.exists()}


def accuracies() -> str:
    """Test accuracy by set, beside the floors."""
    head = ["set", "train / test rows", "nearfar, mean ± sd over seeds", "CPU seconds", "1-NN Euclid", "1-NN DTW",
            "MiniROCKET", "T-Loss (published)"]  # fmt: skip
    lines, sums = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)], []
    for name, f in found().items():
        row = [f["accuracy"], f["euclidean"], f["dtw"], f["minirocket"], PUBLISHED[name]]
        sums.append(row)
        ours, *others = row
        lines.append(
            f"| {NAMES[name]} | {f['rows']['train']:,} / {f['rows']['test']:,} | {ours:.3f} ± {f['deviation']:.3f} "
            f"| {f['seconds']:.0f} | " + " | ".join("–" if v is None else f"{v:.3f}" for v in others) + " |"
        )
    if not sums:
        return "\n".join(lines)
    columns = zip(*sums, strict=True)
    ours, *others = ("–" if None in c else f"{sum(c) / len(c):.4f}" for c in columns)
    return "\n".join([*lines, f"| mean | | {ours} | | " + " | ".join(others) + " |"])


def few() -> str:
    """Ten labels a class, where a set has enough rows."""
    lines = ["| set | nearfar | raw series, logistic regression | 1-NN Euclid | 1-NN DTW | above DTW, 95 % interval |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for name, f in found().items():
        if "few" in f:
            s, d = f["few"], f["above"]["dtw"]
            lines.append(f"| {NAMES[name]} | {s['ours']:.3f} | {s['raw']:.3f} | {s['euclidean']:.3f} | {s['dtw']:.3f} "
                         f"| {d['mean']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}] |")  # fmt: skip
    return "\n".join(lines)
