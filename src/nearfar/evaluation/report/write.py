"""Everything that is known of a run as one HTML page."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nearfar.core import files
from nearfar.core.names import real
from nearfar.core.version import __version__
from nearfar.evaluation import verdict
from nearfar.evaluation.report import charts, kept
from nearfar.evaluation.report.card import command, first
from nearfar.evaluation.report.templates import FOLDER, render
from nearfar.evaluation.table import OF_VECTORS, about_rows, cells

MOST_CLASSES = 40  # of a table of all confusions; of more the most frequent ones are listed
SKIPPED_SHOWN = 500  # rows that the page names; all are in skipped.csv
FLOORS = {"untrained_encoder": "untrained encoder", "raw_input": "raw input"}


def write(
    path: Path, *, name: str, config: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]],
    measured: Sequence[Mapping[str, Any]] = (), shown: Mapping[str, Any] | None = None,
    skipped: Sequence[tuple[str, str]] = (), level: float | None = None,
) -> Path:  # fmt: skip
    """Write the page.

    Parameters
    ----------
    path : Path
    name : str
        Of the run.
    config : mapping
        ``config.json`` of the run.
    metrics : sequence of mapping
        Lines of ``metrics.jsonl``.
    measured : sequence of mapping
        JSON forms of the run's measurements, the latest first: that one is shown, the others are listed.
    shown : mapping, optional
        What `nearfar.evaluation.report.collect.collect` gave.
    skipped : sequence of (name, reason)
    level : float, optional
        Loss without learning.
    """
    evaluation = measured[0] if measured else None
    result = evaluation["results"][0] if evaluation else {}
    rows = [(result["run"], result)] if result else []
    rows += [(text, result["floors"][key]) for key, text in FLOORS.items() if key in result.get("floors", {})]
    rows += [(name, floor) for name, floor in result.get("floors", {}).items() if name not in OF_VECTORS]
    about = [kept.about(e) for e in measured]
    page = render(
        "page.html", name=name, config=config, command=command(config), place=shlex.quote(str(real(path.parent))),
        first=first(config, metrics, measured), of=about[0] if about else None, others=about[1:],
        pretty=json.dumps(config.get("config", config), indent=2), version=__version__,
        curves=_curves(metrics, level), heads=list(cells(result)),
        rows=[(name, figures, list(cells(figures, result).values())) for name, figures in rows],
        about_rows=about_rows(evaluation["data"]) if evaluation else "", few=_few(rows), evaluation=evaluation,
        result=result, shown=shown or {}, skipped=list(skipped), skipped_shown=SKIPPED_SHOWN,
        confusion=_confusion(evaluation), last=metrics[-1] if metrics else {},
        style=(FOLDER / "page.css").read_text(), script=(FOLDER / "page.js").read_text(),
    )  # fmt: skip
    files.write_text(path, page)
    return path


def _curves(metrics: Sequence[Mapping[str, Any]], level: float | None) -> list[dict[str, Any]]:
    def line(key: str) -> list[tuple[float, float]]:
        return [(m["step"], m[key]) for m in metrics if m.get(key) is not None]

    losses = line("loss")
    near = level if losses and level and level < 3 * max(y for _, y in losses) else None  # else it flattens the curve
    ranks = {"embedding": line("rank"), "features": line("feature_rank"), "held out": line("heldout_rank")}
    curves = [
        charts.lines({"loss": losses}, x="step", title="Loss", level=near, level_name="without learning"),
        charts.lines({name: points for name, points in ranks.items() if points}, x="step", title="Effective rank"),
        charts.lines({"alignment": line("alignment"), "uniformity": line("uniformity")}, x="step", title="Geometry"),
    ]  # fmt: skip
    for key, (title, _) in verdict.WATCHED.items():
        looks = line(key)
        before = looks[0][1] if looks and looks[0][0] == 0 else None
        curves.append(charts.lines({title: looks}, x="step", title=title, level=before, level_name="before training"))
    return [c for c in curves if c]


def _few(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any] | None:
    """The chart of few labels: the model and its floors at each count."""
    groups = []
    for count in rows[0][1].get("few_labels", {}) if rows else ():
        dots = []
        for name, figures in rows:
            if r := figures.get("few_labels", {}).get(count):
                half = 1.96 * r["std"] / math.sqrt(len(r["draws"]))
                dots.append((name, r["mean"], r["mean"] - half, r["mean"] + half))
        groups.append((f"{count} per class", dots))
    return charts.dots(groups, title="Accuracy with few labels (mean over draws, 95 % interval)")


def _confusion(evaluation: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """All confusions; of many classes the most frequent ones."""
    table = evaluation["results"][0].get("linear_probe", {}).get("confusion") if evaluation else None
    if not table:
        return None
    classes = evaluation["data"]["classes"]
    if len(table) > MOST_CLASSES:
        wrong = [(n, i, j) for i, r in enumerate(table) for j, n in enumerate(r) if n and i != j]
        most = sorted(wrong, key=lambda w: (-w[0], w[1:]))[:MOST_CLASSES]
        pairs = [{"truth": classes[i], "taken": classes[j], "n": n, "of": sum(table[i])} for n, i, j in most]
        return {"classes": classes, "pairs": pairs, "wrong": sum(n for n, *_ in wrong), "different": len(wrong)}
    return {"classes": classes, "rows": [[(n, n / max(1, sum(r))) for n in r] for r in table]}
