"""The report and the card of a run, of the latest of what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.core.errors import ConfigError
from nearfar.core.options import checked

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.data.table import Table
    from nearfar.evaluation.measurement import Evaluation
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
    from nearfar.evaluation.report import card, collect, kept
    from nearfar.models.run import Run

    if model.path is None:
        raise ConfigError(f"{model.name} lies in no run folder.", hint="Train it with out=.")
    own = [r for r in evaluation.results if r["run"] == model.name]
    if len(own) != 1:
        names = ", ".join(str(r["run"]) for r in evaluation.results)
        raise ConfigError(f"the measurement is of {names}, so it is not told which is that of {model.name}.")
    run, table, rows = Run.open(model.path), evaluation.table_of_rows, evaluation.rows
    file, before = kept.add(run, evaluation.as_dict() | {"results": own, "summary": []}, console or QUIET)
    measured = kept.every(run, SILENT)
    if console is not None and before is not None:
        console.say(f"This replaces the measurement of {kept.name(before)} of {kept.day(before)} ({file}).")
    elif console is not None and len(measured) > 1:
        console.say(f"Kept in {file}, beside {len(measured) - 1} of other data or options.")
    shown = collect.collect(model, table, rows.train, rows.test, kind=layout)
    card.write(run.path / "README.md", name=run.name, config=run.config, measured=measured, metrics=run.metrics())
    return _report(run, shown, table, measured)


def _report(run: Run, shown: dict[str, Any], table: Table, measured: list[dict[str, Any]]) -> Path:
    """Write the report of the latest of what was measured."""
    from nearfar.evaluation.report.write import write
    from nearfar.methods import no_learning, record

    config = run.config["config"]
    method = record.resolve(config["model"]["method"], config["method"])
    return write(
        run.path / "report.html", name=run.name, config=run.config, metrics=run.metrics(), measured=measured,
        shown=shown, skipped=[(s.name, s.reason) for s in table.skipped],
        level=no_learning.no_learning(method, config["train"]["batch_size"]),
    )  # fmt: skip
