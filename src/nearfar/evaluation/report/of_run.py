"""The report and the card of a run, of the latest of what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.core.errors import ConfigError
from nearfar.core.options import checked

if TYPE_CHECKING:
    import numpy as np

    from nearfar.core.console import Console
    from nearfar.data.table import Table
    from nearfar.evaluation.evaluate import Evaluation
    from nearfar.models.embedder import Embedder
    from nearfar.models.run import Run


@checked
def keep(model: Embedder, evaluation: Evaluation, *, layout: str = "tsne", console: Console | None = None) -> Path:
    """Put a measurement into the run's folder, beside those of other data. Returns the report's path.

    It replaces that of the same data in the same way (options, seed, layer, limit). ``evaluation.json`` and the report
    are of the latest; the card shows all, each with its data and date.

    Raises
    ------
    ConfigError
        The model lies in no run folder, or the measurement is of other models.
    """
    from nearfar.core.console import QUIET, SILENT
    from nearfar.evaluation.report import kept
    from nearfar.models.run import Run

    if model.path is None:
        raise ConfigError(f"{model.name} lies in no run folder.", hint="Train it with out=.")
    results = [r for r in evaluation.results if r["run"] == model.name]
    if len(results) != 1:
        names = ", ".join(str(r["run"]) for r in evaluation.results)
        raise ConfigError(f"the measurement is of {names}, so it is not known which is that of {model.name}.")
    run, rows = Run.open(model.path), evaluation.rows
    file, before = kept.add(run, evaluation.as_dict() | {"results": results, "summary": []}, console or QUIET)
    measured = kept.every(run, SILENT)
    if console is not None and before is not None:
        about = kept.about(before)
        console.say(f"This replaces the measurement of {about['name']} of {about['day']} ({file}).")
    elif console is not None and len(measured) > 1:
        console.say(f"Kept in {run.path / file}, beside {len(measured) - 1} of other data or options.")
    return refresh(run, model, evaluation.table_of_rows, rows.train, rows.test, measured, layout)


def refresh(
    run: Run, model: Embedder, table: Table, train: np.ndarray, shown: np.ndarray, measured: list[dict[str, Any]],
    layout: str = "pca",
) -> Path:  # fmt: skip
    """Write the card of what was measured and the report of the latest, with a map of the rows `shown`."""
    from nearfar.evaluation.report import card, collect, write
    from nearfar.methods import no_learning, record

    metrics, config = run.metrics(), run.config["config"]
    drawn = collect.collect(model, table, train, shown, kind=layout)  # first: UMAP may be missing
    card.write(run.path / "README.md", name=run.name, config=run.config, measured=measured, metrics=metrics)
    method = record.resolve(config["model"]["method"], config["method"])
    return write.write(
        run.path / "report.html", name=run.name, config=run.config, metrics=metrics, measured=measured,
        shown=drawn, skipped=[(s.name, s.reason) for s in table.skipped],
        level=no_learning.no_learning(method, config["train"]["batch_size"]),
    )  # fmt: skip
