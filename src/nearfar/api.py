"""The Python functions behind the command: `train`, `load` and `evaluate`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.config import Config

if TYPE_CHECKING:
    from nearfar.console import Console
    from nearfar.embedder import Embedder
    from nearfar.evaluation.run import Evaluation
    from nearfar.plan import Plan


@dataclass(frozen=True)
class Trained:
    """What `train` gives: the model, and where it lies."""

    model: Embedder
    plan: Plan
    path: Path | None
    metrics: list[dict[str, Any]]

    def encode(self, inputs: Any, **options: Any) -> Any:
        """`Embedder.encode` of the model."""
        return self.model.encode(inputs, **options)


def train(
    source: Any = None, *, out: str | Path | None = None, resume: bool = False, overwrite: bool = False,
    config: Config | None = None, console: Console | None = None, command: str | None = None, **knobs: Any,
) -> Trained:  # fmt: skip
    """Train an embedding model.

    Parameters
    ----------
    source : path, hub name, array, list or dict of splits
        The data; a path or name is written down in the run, arrays are not.
    out : path, optional
        Run folder. Without one nothing is written.
    resume, overwrite : bool
        Go on from the folder's checkpoint, or begin anew in it.
    config : Config, optional
        Instead of, or beneath, the knobs.
    console : Console, optional
        Where text and progress go; silent by default.
    command : str, optional
        What was typed, for the run's records.
    **knobs
        Any word of `nearfar config`: ``method="byol"``, ``epochs=50``, ``lr=0.001``, ``temperature=0.2`` …

    Returns
    -------
    Trained

    Raises
    ------
    UserError
        The request or the data must change.
    TrainingError
        Training could not go on.
    Stopped
        Stopped from outside, saved.
    """
    from nearfar.console import QUIET
    from nearfar.plan import prepare
    from nearfar.run import Run

    console = console or QUIET
    run = None
    try:
        if resume:
            run = Run.create(_required(out), resume=True)
            config = Config.from_dict(run.config["config"])
        else:
            config = _with_knobs(config or Config(), source, knobs)
        plan = prepare(config, None if isinstance(source, str | Path) else source, console=console)
        for note in plan.notes:
            console.say(note)
        if out is not None and not resume:
            run = Run.create(out, overwrite=overwrite)
        return _fit(plan, run, resume, console, command)
    finally:
        if run is not None:
            run.release()


def _fit(plan: Plan, run: Any, resume: bool, console: Console, command: str | None) -> Trained:
    from nearfar import distributed
    from nearfar.embedder import Embedder
    from nearfar.training import Trainer

    if plan.config.train.processes > 1:
        raise NotImplementedError
    trainer = Trainer(plan, run, console)
    if resume:
        trainer.load()
    elif run is not None:
        _record(run, plan, command)
    trainer.fit()
    place = {"name": run.name, "path": run.path} if run else {}
    model = Embedder.of(trainer.learner, plan.config, plan.columns, **place)
    if run is not None and distributed.world().is_main:
        model.save(run.model_file)
    return Trained(model, plan, run.path if run else None, run.metrics() if run else [])


def _record(run: Any, plan: Plan, command: str | None) -> None:
    """Write ``config.json``: what was asked, decided and found."""
    table = plan.table
    run.write_config({
        "command": command or " ".join(sys.argv),
        "config": plan.config.as_dict(),
        "columns": {n: {"modality": c.modality, "spec": dict(c.spec)} for n, c in plan.columns.items()},
        "data": {
            "source": dict(table.source), "rows": len(table), "fingerprint": table.fingerprint,
            "train_rows": len(plan.train), "heldout_rows": len(plan.heldout),
            "skipped": len(table.skipped), "label_names": list(table.label_names),
        },
        "notes": list(plan.notes),
    })  # fmt: skip


def load(path: str | Path, device: str = "auto") -> Embedder:
    """The model of a run folder; see `nearfar.embedder.Embedder`."""
    from nearfar.embedder import Embedder

    return Embedder.load(path, device)


def evaluate(models: Any, data: Any = None, **options: Any) -> Evaluation:
    """Measure one or several models on labelled (or unlabelled) data, with floors and intervals.

    Parameters
    ----------
    models : Embedder, path, or a sequence of them
    data : path, array or Table, optional
        By default the data that the first model was trained on.
    **options
        Of `nearfar.evaluation.run.evaluate`, and of `nearfar.data.read.read` (``label=``, ``column=``).

    Returns
    -------
    Evaluation
    """
    from nearfar.evaluation import run as evaluation

    several = models if isinstance(models, Sequence) and not isinstance(models, str) else [models]
    loaded = [load(m) if isinstance(m, str | Path) else m for m in several]
    return evaluation.evaluate(loaded, data, **options)


def _required(out: str | Path | None) -> str | Path:
    from nearfar.errors import ConfigError

    if out is None:
        raise ConfigError("--resume needs to know the run folder.", hint="Say --out RUN.")
    return out


def _with_knobs(config: Config, source: Any, knobs: dict[str, Any]) -> Config:
    """The config with the given words set; a word of the method's own record counts as well."""
    from nearfar import record
    from nearfar.errors import UnknownName

    for word in ("method", *[w for w in knobs if w != "method"]):
        if word not in knobs:
            continue
        try:
            config = config.set("model.method" if word == "method" else word, knobs[word])
        except UnknownName:
            numbers = record.as_dict(record.resolve(config.model.method))
            if word not in numbers:
                raise
            config = config.set(f"method.{word}", knobs[word])
    if isinstance(source, str | Path):
        config = replace(config, data=replace(config.data, source=str(source)))
    return config
