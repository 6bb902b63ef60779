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
from nearfar.evaluation.table import about_rows
from nearfar.evaluation.table import shown as shown_figures
from nearfar.vectors.intervals import wilson

MOST_CLASSES = 40  # of a table of all confusions; of more the most frequent ones are listed
SKIPPED_SHOWN = 500  # rows that the page names; all are in skipped.csv


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
        JSON forms of the run's measurements, the latest first: that one is shown, and what others there are.
    shown : mapping, optional
        What `nearfar.evaluation.report.collect.collect` gave.
    skipped : sequence of (name, reason)
    level : float, optional
        Loss without learning.
    """
    import jinja2

    folder = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters |= {"figure": _figure, "data": _data}
    evaluation = measured[0] if measured else None
    result = evaluation["results"][0] if evaluation else None
    page = environment.get_template("page.html").render(
        name=name, config=config, command=command(config), place=shlex.quote(str(real(path.parent))),
        first=first(config, metrics, measured), of=_about(evaluation) if evaluation else None,
        others=[_about(e) for e in measured[1:]],
        pretty=json.dumps(config.get("config", config), indent=2), version=__version__,
        curves=_curves(metrics, level), heads=list(shown_figures(result or {})), rows=_lines(result),
        about_rows=about_rows(evaluation["data"]) if evaluation else "",
        few=_few(result), evaluation=evaluation, result=result, shown=shown or {},
        skipped=list(skipped), skipped_shown=SKIPPED_SHOWN,
        confusion=_confusion(result, evaluation), last=metrics[-1] if metrics else {},
        style=(folder / "page.css").read_text(), script=(folder / "page.js").read_text(),
    )  # fmt: skip
    files.write_text(path, page)
    return path


def _figure(value: Any, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) and math.isfinite(value) else "–"


def _data(value: Any) -> str:
    """JSON that is safe inside a script element."""
    import markupsafe

    text = json.dumps(files.finite(value))
    return markupsafe.Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _curves(metrics: Sequence[Mapping[str, Any]], level: float | None) -> list[Any]:
    def line(key: str) -> list[tuple[float, float]]:
        return [(m["step"], m[key]) for m in metrics if m.get(key) is not None]

    losses = line("loss")
    shown_level = level if losses and level and level < 3 * max(y for _, y in losses) else None
    ranks = {"embedding": line("rank"), "features": line("feature_rank"), "held out": line("heldout_rank")}
    found = [
        charts.lines({"loss": losses}, x="step", title="Loss", level=shown_level, level_name="without learning"),
        charts.lines({name: points for name, points in ranks.items() if points}, x="step", title="Effective rank"),
        charts.lines({"alignment": line("alignment"), "uniformity": line("uniformity")}, x="step", title="Geometry"),
        *(_watched(title, line(key)) for key, (title, _) in verdict.WATCHED.items()),
    ]  # fmt: skip
    return [c for c in found if c]


def _watched(title: str, looks: list[tuple[float, float]]) -> Any:
    """A figure of held-out rows over the steps, with its value before the first one as a line."""
    start = looks[0][1] if looks and looks[0][0] == 0 else None
    return charts.lines({title: looks}, x="step", title=title, level=start, level_name="before training")


def _rows(result: Mapping[str, Any] | None) -> list[tuple[str, Mapping[str, Any]]]:
    """(name, figures): the model, then its floors."""
    if not result:
        return []
    names = {"untrained_encoder": "untrained encoder", "raw_input": "raw input"}
    under = [(text, result["floors"][key]) for key, text in names.items() if key in result["floors"]]
    return [(result["run"], result), *under]


def _lines(result: Mapping[str, Any] | None) -> list[tuple[str, Mapping[str, Any], list[tuple[str, str]]]]:
    """(name, figures, cells): each cell a figure, and the spread or interval beside it."""
    lines = []
    for name, figures in _rows(result):
        own = shown_figures(figures)
        cells = [own.get(head, "–").partition(" ") for head in shown_figures(result)]
        lines.append((name, figures, [(figure, spread) for figure, _, spread in cells]))
    return lines


def _few(result: Mapping[str, Any] | None) -> Any:
    if not result or not result.get("few_labels"):
        return ""
    groups = []
    for count in result["few_labels"]:
        dots = []
        for name, values in _rows(result):
            if r := values.get("few_labels", {}).get(count):
                half = 1.96 * r["std"] / math.sqrt(len(r["draws"]))
                dots.append((name, r["mean"], r["mean"] - half, r["mean"] + half))
        groups.append((f"{count} per class", dots))
    return charts.dots(groups, title="Accuracy with few labels (mean over draws, 95 % interval)")


def _about(entry: Mapping[str, Any]) -> dict[str, str]:
    """Which data a measurement is of, when and how it was made."""
    found = {"name": kept.name(entry), "day": kept.day(entry), "how": kept.how(entry)}
    return found | {"source": entry["data"].get("source") or ""}


def _confusion(result: Mapping[str, Any] | None, evaluation: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """All confusions; of many classes the most frequent ones."""
    table = (result or {}).get("linear_probe", {}).get("confusion")
    if not table:
        return None
    classes = evaluation["data"]["classes"]
    if len(table) > MOST_CLASSES:
        wrong = [(n, i, j) for i, r in enumerate(table) for j, n in enumerate(r) if n and i != j]
        most = sorted(wrong, key=lambda w: (-w[0], w[1:]))[:MOST_CLASSES]
        pairs = [{"truth": classes[i], "taken": classes[j], "n": n, "of": sum(table[i])} for n, i, j in most]
        return {"classes": classes, "pairs": pairs, "wrong": sum(n for n, *_ in wrong), "different": len(wrong)}
    rows = [
        {"total": sum(r), "cells": [(n, n / max(1, sum(r))) for n in r], "interval": wilson(r[i], sum(r))}
        for i, r in enumerate(table)
    ]
    return {"classes": classes, "rows": rows}
