"""What docs/results/series.md and docs/series.md show of streams."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import tables

FILE = tables.ROOT / "series" / "stream.json"
NAMES = {"default": "nearfar"}
STREAMS = {"made": "made machines", "motions": "BasicMotions joined"}


def found() -> dict[str, Any]:
    return json.loads(FILE.read_text(encoding="utf-8"))


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _shown(value: Mapping[str, float]) -> str:
    return f"{value['mean']:.3f} ± {value['sd']:.3f}"


def anomalies() -> str:
    """Area and average precision by kind of anomaly, on both kinds of streams."""
    kinds = [k for k in next(iter(found()["made"]["auc"]["by"].values())) if k != "all"]
    rows = []
    for stream, called in STREAMS.items():
        area, precision = (found()[stream][figure]["by"] for figure in ("auc", "average_precision"))
        for way in area:
            each = [f"{area[way][k]['mean']:.3f} / {precision[way][k]['mean']:.3f}" for k in kinds]
            both = f"{_shown(area[way]['all'])} / {_shown(precision[way]['all'])}"
            rows.append([called, NAMES.get(way, way), *each, both])
    return _table(["stream", "scored by", *kinds, "all, ± sd over seeds"], rows)


def changes() -> str:
    """Area and average precision of changes of activity."""
    area, precision = (found()["changes"][figure]["by"] for figure in ("auc", "average_precision"))
    rows = [[NAMES.get(w, w), _shown(area[w]["all"]), _shown(precision[w]["all"])] for w in area]
    return _table(["scored by", "AUC", "average precision"], rows)


def motifs() -> str:
    """Share of the copies that are found."""
    by = found()["motifs"]["found"]["by"]
    head = [k for k in next(iter(by.values())) if k != "all"]
    rows = [[NAMES.get(w, w), *(f"{v[k]['mean']:.2f}" for k in head), _shown(v["all"])] for w, v in by.items()]
    return _table(["searched by", *head, "all"], rows)


def above() -> str:
    """How far nearfar is above each floor, over the seeds."""
    said = {"made": "anomalies, made machines", "motions": "anomalies, BasicMotions", "changes": "changes"}
    parts = {called: found()[key]["auc"] for key, called in said.items()}
    parts["motifs"] = found()["motifs"]["found"]
    rows = [
        [called, NAMES.get(way, way), f"{d['mean']:+.3f} [{d['interval'][0]:+.3f}, {d['interval'][1]:+.3f}]"]
        for called, part in parts.items() for way, d in part["above"]["default"].items()
    ]  # fmt: skip
    return _table(["", "nearfar above", "by, 95 % interval over seeds"], rows)
