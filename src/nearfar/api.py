"""The Python functions behind the command: `train`, `load` and `evaluate`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar import files
from nearfar.config import Config
from nearfar.errors import ConfigError, UnknownName
from nearfar.options import check, checked, names

if TYPE_CHECKING:
    from nearfar.console import Console
    from nearfar.data.table import Table
    from nearfar.embedder import Embedder
    from nearfar.evaluation.run import Evaluation
    from nearfar.plan import Plan
    from nearfar.run import Run
    from nearfar.training_rows import TrainingRows

# of reading: what a trained model says itself
FROM_THE_MODEL = ("source", "modality", "spec", "known", "several", "negative", "size", "depth", "tokens", "length")
SHORT = 50  # steps; shorter trainings are over before their time is told


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
    config: Config | None = None, quiet: bool = False, console: Console | None = None, command: str | None = None,
    **knobs: Any,
) -> Trained:  # fmt: skip
    """Train an embedding model.

    Parameters
    ----------
    source : path, hub name or object
        The data, see the table of objects in ``docs/data.md``; a path or name is written down in the run, objects are
        not.
    out : path, optional
        Run folder. Without one nothing is written.
    resume, overwrite : bool
        Go on from the folder's checkpoint, or begin anew in it.
    config : Config, optional
        Instead of, or beneath, the knobs.
    quiet : bool
        Show no text on stderr; warnings come all the same, as `NearfarWarning`.
    console : Console, optional
        Another place for text and progress.
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
    from nearfar import distributed
    from nearfar.console import of_call
    from nearfar.data.objects import settled
    from nearfar.run import Run

    console, source = of_call(console, quiet), settled(source)
    distributed.join_if_launched()
    if resume:
        if out is None:
            raise ConfigError("--resume needs to know the run folder.", hint="Say --out RUN.")
        config = Config.from_dict(Run.open(out).config["config"])
        for word, value in knobs.items():
            config = config.set(word, value)
    else:
        config = with_knobs(config or Config(), source, knobs)
    arrays = None if isinstance(source, str | Path) else source
    job = _Job(config, arrays, None if out is None else str(out), resume, overwrite, command or shlex.join(sys.argv))
    if config.train.processes > 1 and distributed.world().size == 1:
        if out is None:
            raise ConfigError("several processes need a run folder.", hint="Say --out RUN.")
        distributed.launch(_work, (job, console.quiet), config.train.processes)
        run = Run.open(out)
        return Trained(load(out), plan(config, source=arrays), run.path, run.metrics())
    return _work(job, console)


@dataclass(frozen=True)
class _Job:
    """What a process needs to know to train."""

    config: Config
    arrays: Any
    out: str | None
    resume: bool
    overwrite: bool
    command: str


def _work(job: _Job, console: Console | bool) -> Trained:
    """Train in this process, alone or as one of many."""
    from nearfar import distributed
    from nearfar.console import SILENT, Console, clock
    from nearfar.embedder import Embedder
    from nearfar.plan import prepare
    from nearfar.run import Run
    from nearfar.training import Trainer
    from nearfar.training_rows import TrainingRows

    world, run = distributed.world(), None
    if isinstance(console, bool):
        console = Console(quiet=console) if world.is_main else SILENT
    try:
        plan = prepare(job.config, job.arrays, console=console)
        for note in plan.notes:
            console.say(note)
        if job.out is not None and world.is_main:
            run = Run.create(job.out, resume=job.resume, overwrite=job.overwrite)
        elif job.out is not None:
            run = Run(job.out)
        world.barrier()
        trainer = Trainer(plan, run, console)
        for name, column in plan.columns.items():
            room = getattr(trainer.learner.branches[name].encoder, "room", None)  # of what is kept, less may be taken
            if room and room < column.spec["length"] and (said := column.too_long(room)):
                console.warn(said)
        if job.resume:
            trainer.load()
        elif run is not None and world.is_main:
            run.clear()  # only now: whatever could be wrong with the request has been found out
            _record(run, plan, job.command)
        if world.size == 1 and not plan.config.train.chunk and plan.steps > SHORT:
            console.say(f"Time: about {clock(trainer.expected_seconds())} on this machine.")
        trainer.fit()
        place: dict[str, Any] = {"name": run.name, "path": run.path} if run else {}
        known = TrainingRows.of(plan.table, plan.train, plan.taught).after(_earlier(plan))
        place |= {"fingerprint": plan.table.fingerprint, "training_rows": known}
        model = Embedder.of(trainer.finished(), plan.config, plan.columns, **place)
        if run is not None and world.is_main:
            _finish(run, model, plan)
        return Trained(model, plan, run.path if run else None, run.metrics() if run else trainer.metrics)
    finally:
        if run is not None:
            run.release()


def _earlier(plan: Plan) -> list[TrainingRows | None]:
    """What the runs were trained on that this training begins with, or is taught by."""
    from nearfar import starting
    from nearfar.positives import teacher
    from nearfar.training_rows import TrainingRows

    model = plan.config.model
    runs = [start.run.path for start in starting.starts(model.init_from, list(plan.columns)).values()]
    kind, _, argument = model.positives.partition(":")
    if kind == "teacher":
        runs.append(Path(teacher.parse(argument)[0]))
    return [TrainingRows.load(path) for path in runs]


def plan(config: Config, *, source: Any = None, console: Console | None = None) -> Plan:
    """What a training with this config would do."""
    from nearfar.plan import prepare

    return prepare(config, source, console=console)


def _finish(run: Run, model: Embedder, plan: Plan) -> None:
    """Write the model, the list of skipped rows, the card and the report, whose figures were those of other weights."""
    from nearfar.report import card, collect, kept

    before = files.sha256(run.model_file) if run.model_file.exists() else None
    model.save(run.model_file)
    model.training_rows.save(run.path)
    if before != files.sha256(run.model_file):
        run.forget()
    if plan.table.skipped:
        lines = ["name,reason", *(f"{_csv(s.name)},{_csv(s.reason)}" for s in plan.table.skipped)]
        files.write_text(run.path / "skipped.csv", "\n".join(lines) + "\n")
    rows = plan.heldout if len(plan.heldout) >= 50 else plan.train
    shown = collect.collect(model, plan.table, plan.train, rows, kind="pca")
    measured = kept.every(run)
    card.write(run.path / "README.md", name=run.name, config=run.config, measured=measured)
    _report(run, shown, plan.table, measured)


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
    from nearfar.report import card, collect, kept
    from nearfar.run import Run

    if model.path is None:
        raise ConfigError(f"{model.name} lies in no run folder.", hint="Train it with out=.")
    own = [r for r in evaluation.results if r["run"] == model.name]
    if len(own) != 1:
        names = ", ".join(str(r["run"]) for r in evaluation.results)
        raise ConfigError(f"the measurement is of {names}, so it is not told which is that of {model.name}.")
    run, table, rows = Run.open(model.path), evaluation.table_of_rows, evaluation.rows
    file, before = kept.add(run, evaluation.as_dict() | {"results": own, "summary": []})
    measured = kept.every(run)
    if console is not None and before is not None:
        console.say(f"This replaces the measurement of {kept.name(before)} of {kept.day(before)} ({file}).")
    elif console is not None and len(measured) > 1:
        console.say(f"Kept in {file}, beside {len(measured) - 1} of other data or options.")
    shown = collect.collect(model, table, rows.train, rows.test, kind=layout)
    card.write(run.path / "README.md", name=run.name, config=run.config, measured=measured)
    return _report(run, shown, table, measured)


def _report(run: Run, shown: dict[str, Any], table: Table, measured: list[dict[str, Any]]) -> Path:
    """Write the report of the latest of what was measured."""
    from nearfar import health, record
    from nearfar.report.write import write

    config = run.config["config"]
    method = record.resolve(config["model"]["method"], config["method"])
    return write(
        run.path / "report.html", name=run.name, config=run.config, metrics=run.metrics(), measured=measured,
        shown=shown, skipped=[(s.name, s.reason) for s in table.skipped],
        level=health.no_learning(method, config["train"]["batch_size"]),
    )  # fmt: skip


def _csv(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _record(run: Any, plan: Plan, command: str | None) -> None:
    """Write ``config.json``: what was asked, decided and found."""
    table = plan.table
    run.write_config({
        "command": command or shlex.join(sys.argv), "folder": str(Path.cwd()),
        "config": plan.config.as_dict(),
        "columns": {n: {"modality": c.modality, "spec": dict(c.spec)} for n, c in plan.columns.items()},
        "data": {
            "source": dict(table.source), "rows": len(table), "fingerprint": table.fingerprint,
            "train_rows": len(plan.train), "heldout_rows": len(plan.heldout),
            "skipped": len(table.skipped), "label_names": list(table.label_names),
        },
        "notes": list(plan.notes),
    })  # fmt: skip


@checked
def load(path: str | Path, device: str = "auto") -> Embedder:
    """The model of a run folder; see `nearfar.loading.load`."""
    from nearfar import loading

    return loading.load(path, device)


def evaluate(
    models: Any, data: Any = None, *, quiet: bool = False, console: Console | None = None, **options: Any
) -> Evaluation:
    """Measure one or several models on labelled (or unlabelled) data, with floors and intervals.

    Parameters
    ----------
    models : Embedder, path, or a sequence of them
        The folder of a training with several seeds, or of any runs, stands for all of them.
    data : path, array or Table, optional
        By default the data that the first model was trained on.
    quiet : bool
        Show no text on stderr; warnings come all the same, as `NearfarWarning`.
    console : Console, optional
        Another place for text and progress.
    **options
        Of `nearfar.evaluation.run.evaluate`, and of `nearfar.data.read.read` (``label=``, ``column=``).

    Returns
    -------
    Evaluation
        With mean and standard deviation over those that differ by the seed alone.

    Raises
    ------
    UnknownName
        There is no such option.
    """
    from nearfar import loading
    from nearfar.console import of_call
    from nearfar.data.read import read
    from nearfar.evaluation import run as evaluation
    from nearfar.evaluation import summary

    if "with_floors" in options:  # as it was called in version 0.1.0
        options["floors"] = options.pop("with_floors")
    own = {"models", "data", *FROM_THE_MODEL}
    known = dict.fromkeys(["quiet", *names(evaluation.evaluate), *names(read)])
    check(options, [n for n in known if n not in own])
    loaded = loading.models(models if isinstance(models, Sequence) and not isinstance(models, str) else [models])
    found = evaluation.evaluate(loaded, data, console=of_call(console, quiet), **options)
    found.summary = summary.over_seeds(loaded, found.results)
    return found


def with_knobs(config: Config, source: Any, knobs: dict[str, Any]) -> Config:
    """The config with the given words set; a word of the method's own record counts as well."""
    from nearfar import record

    numbers = {f.name for f in fields(record.Method)}
    for word in ("method", *[w for w in knobs if w != "method"]):
        if word not in knobs:
            continue
        try:
            config = config.set("model.method" if word == "method" else word, knobs[word])
        except UnknownName:
            method = config.model.method
            if method == "auto" and word in numbers:
                raise ConfigError(
                    f"{word} is a number of a method, and auto has not chosen one yet.", hint="Name the method."
                ) from None
            fixed = method in ("default", "auto")
            known = (numbers if method == "default" else ()) if fixed else record.as_dict(record.resolve(method))
            if word not in known:
                raise
            config = config.set(f"method.{word}", knobs[word])
    if isinstance(source, str | Path):
        config = replace(config, data=replace(config.data, source=str(source)))
    return config
