"""One model of several runs, in a folder of its own; the function behind ``nearfar ensemble``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import ConfigError, DataError, RunError
from nearfar.core.names import real
from nearfar.core.options import checked
from nearfar.models.ensemble import Ensemble
from nearfar.models.pretrained import is_pretrained
from nearfar.models.stored import NO_DATA

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.data.table import Table
    from nearfar.models.embedder import Embedder
    from nearfar.models.model import Model

FIT_ROWS = 5000  # at most so many rows are aligned on


@checked
def ensemble(
    runs: Sequence[Model | str | Path], *, out: str | Path | None = None, how: str = "concat", data: Any = None,
    overwrite: bool = False, device: str = "auto", quiet: bool = False, console: Console | None = None,
    command: str | None = None,
) -> Ensemble:  # fmt: skip
    """Combine several models into one.

    Arguments that are not described here are those of `nearfar`.

    Parameters
    ----------
    runs : sequence of Embedder or path
        At least two; the folder of a training with several seeds stands for its runs.
    out : path, optional
        Run folder, which holds all that the ensemble needs. Without one nothing is written.
    how : {"concat", "average"}
        See `Ensemble`.
    data : path, array or Table, optional
        What ``average`` aligns the members on: its rows for training, at most 5,000. By default what the first run
        was trained on.
    overwrite : bool
        Replace the run that `out` already holds.
    device : str

    Returns
    -------
    Ensemble

    Raises
    ------
    ConfigError
        The members do not go together, such as by modality, or for ``average`` by dimensions.
    DataError
        There are fewer rows than dimensions to align on.
    RunError
        A run has no model, or `out` is taken.
    """
    from nearfar.core.console import of_call
    from nearfar.models.loading import models

    console = of_call(console, quiet)
    made = Ensemble([m for run in runs for m in models([run], device)], how)
    facts: dict[str, Any] = {}
    if how == "average":
        table, rows = _training_rows(made, data, console)
        facts = {"aligned_on": len(rows), "agreement": made.align(table.first, rows)}
        for m, a in zip(made.members[1:], made.agreement, strict=True):
            cosines = f"{a['before']:.3f} as trained, {a['after']:.3f} aligned"
            console.say(f"{m.name}: mean cosine with {made.members[0].name} {cosines}.")
    if out is not None:
        _write(made, Path(out), facts, overwrite, command or "")
    return made


combine = ensemble  # as it was called in version 0.1.0


def _training_rows(made: Ensemble, data: Any, console: Console) -> tuple[Table, np.ndarray]:
    """The table to align on, and the rows of it that the first member was trained on, or would be."""
    from nearfar.data import splits

    d = made.config.data
    table = made.read(made.source() if data is None else data, console=console, max_bad=d.max_bad,
                      **(made.reading() if data is None else {}))  # fmt: skip
    rows = splits.plan(table, train_split=d.train_split, test_split=d.test_split, holdout=d.holdout).train
    rows = np.sort(np.random.default_rng(0).permutation(rows)[:FIT_ROWS])
    dims = made.members[0].features(table.first, rows[:1], made.members[0].keeps).shape[1]
    if len(rows) < dims:
        raise DataError(
            f"{len(rows):,} rows are too few to align {dims:,} dimensions.", hint="Use concat, or name more data."
        )
    return table, rows


def _described(model: Embedder) -> dict[str, Any]:
    """What ``config.json`` of a run would say of a pretrained model that is used as it is."""
    columns = {name: {"modality": modality, "spec": dict(spec)} for name, (modality, spec) in model.columns.items()}
    return {"config": model.config.as_dict(), "columns": columns, "data": dict(NO_DATA)}


def _write(made: Ensemble, out: Path, facts: dict[str, Any], overwrite: bool, command: str) -> None:
    """The run folder: nothing in it points to the members' folders."""
    from nearfar.evaluation.report import card
    from nearfar.models.run import Run

    homes = [m.path for m in made.members if m.path is not None]
    if any(m.path is None and not is_pretrained(m) for m in made.members):
        raise ConfigError("a model that lies in no run folder cannot be written.", hint="Train it with out=.")
    if real(out) in map(real, homes):
        raise RunError("is one of the members.", where=str(out), hint="Choose another --out.")
    # As they are stored: the config of a model that was loaded names its data by where they lie here.
    stored = [Run.open(m.path).config if m.path else _described(m) for m in made.members]
    run = Run.create(out, overwrite=overwrite, beside=True)
    try:
        members = [
            {"name": m.name, "config": s["config"], "columns": s["columns"]}
            for m, s in zip(made.members, stored, strict=True)
        ]
        first = {k: stored[0][k] for k in ("config", "columns")}
        first["data"] = {k: v for k, v in stored[0]["data"].items() if k != "source"}
        notes = [f"An ensemble ({made.how}) of {', '.join(m.name for m in made.members)}."]
        run.write_config({
            "command": command, **first, "notes": notes, "ensemble": {"how": made.how, "members": members, **facts},
        })  # fmt: skip
        made.save(run.model_file)
        if made.training_rows is not None:
            made.training_rows.save(run.path)
        card.write(run.path / "README.md", name=run.name, config=run.config)
        run.settle()
        made.name, made.path = run.name, run.path
    finally:
        run.release()
