"""The Python functions behind the command: `train`, `load` and `evaluate`."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar import files
from nearfar.config import Config
from nearfar.errors import ConfigError, NearfarError
from nearfar.job import Job, recorded, requested
from nearfar.names import real
from nearfar.options import check, checked, names

if TYPE_CHECKING:
    from nearfar.branches import Kinds
    from nearfar.console import Console
    from nearfar.data.table import Table
    from nearfar.embedder import Embedder
    from nearfar.evaluation.run import Evaluation
    from nearfar.plan import Plan
    from nearfar.run import Run
    from nearfar.training import Trainer
    from nearfar.verdict import Verdict

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
    kept: int | None = None  # step of the state that is the model, where that was chosen by held-out rows

    def encode(self, inputs: Any, **options: Any) -> Any:
        """`Embedder.encode` of the model."""
        return self.model.encode(inputs, **options)

    @property
    def verdict(self) -> Verdict | None:
        """Whether training helped, by the held-out rows that it watched; None where these tell nothing."""
        from nearfar import verdict

        return verdict.of(self.metrics, self.kept)


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
        Go on from the folder's checkpoint, or begin anew in it. `knobs` that come with `resume` take effect, as more
        ``epochs`` do, or are refused by name; a finished run goes on only if ``keep_optimizer`` was said.
    config : Config, optional
        Instead of, or beneath, the knobs; not with `resume`.
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
    from nearfar import distributed, resuming
    from nearfar.console import SILENT, of_call
    from nearfar.data.objects import settled
    from nearfar.launching import launch
    from nearfar.run import Run

    console, source = of_call(console, quiet), settled(source)
    distributed.join_if_launched()
    job = requested(source, out, resume, overwrite, config, command, knobs)
    if resume and resuming.nothing_left(Run(job.out), job.config, job.changes, console):
        return finished(job.out, source, job.config, console)
    if job.config.train.processes > 1 and distributed.world().size == 1:
        launch(_work, (job, console.quiet), job.config.train.processes)
        run = Run(job.out)
        run.settle()  # what it may be a part of, of which the other processes do not know
        return finished(run.path, source, job.config, SILENT)
    return _work(job, console)


def rehearse(
    source: Any = None, *, out: str | Path | None = None, resume: bool = False, overwrite: bool = False,
    config: Config | None = None, quiet: bool = False, console: Console | None = None, **knobs: Any,
) -> Plan:  # fmt: skip
    """Everything that `train` does before its first step: data are read, networks are built, nothing is written.

    Parameters are those of `train`.

    Raises
    ------
    UserError
        The request or the data must change.
    """
    from nearfar import resuming
    from nearfar.console import of_call
    from nearfar.data.objects import settled
    from nearfar.run import Run

    console, source = of_call(console, quiet), settled(source)
    job = requested(source, out, resume, overwrite, config, None, knobs)
    if resume and resuming.nothing_left(Run(job.out), job.config, job.changes, console):
        return resuming.as_trained(Run(job.out), source, job.config, console)
    return _ready(job, console, dry=True)[0]


def finished(folder: str | Path, source: Any, config: Config, console: Console) -> Trained:
    """A training that is finished, as it lies there; what a kill left in its last instants is removed."""
    from nearfar import resuming
    from nearfar.run import Run

    run = Run.open(folder)
    with contextlib.suppress(NearfarError):  # it may lie where nothing can be written
        taken = Run.create(folder, resume=True)
        try:
            taken.finish()
        finally:
            taken.release()
    found = resuming.as_trained(run, source, config, console)
    return Trained(load(folder), found, run.path, run.metrics(), run.config.get("kept"))


def _ready(job: Job, console: Console, *, dry: bool = False) -> tuple[Plan, Trainer, Run | None]:
    """Plan and trainer before the first step; the run folder is taken, unless it is a dry run."""
    from nearfar import distributed, rehearsal, resuming
    from nearfar.plan import prepare
    from nearfar.run import Run
    from nearfar.training import Trainer

    world, run = distributed.world(), None if job.out is None else Run(job.out)
    plan = prepare(job.config, job.arrays, console=console, known=resuming.reading(run) if job.resume else None)
    for note in plan.notes:
        console.say(note)
    if run is not None:
        _check(run, plan, job, console)
    if run is not None and world.is_main and not dry:
        run = Run.create(job.out, resume=job.resume, overwrite=job.overwrite)
    world.barrier()
    try:
        trainer = Trainer(plan, run, console, fresh=not job.resume)
        for name, column in plan.columns.items():
            room = getattr(trainer.learner.branches[name].encoder, "room", None)  # of what is kept, less may be taken
            if room and room < column.spec["length"] and (said := column.too_long(room)):
                console.warn(said)
        rehearsal.rehearse(trainer, job.config)
        if job.resume:
            trainer.load(dry=dry)
            resuming.check_steps(trainer)
            for sentence in resuming.about(job.changes, trainer):
                console.say(sentence)
        if dry:
            trainer.positives.check()
        elif run is not None and world.is_main and (job.changes or not job.resume):
            recorded(run, plan, job, trainer)  # only now: whatever could be wrong has been found out
    except BaseException:
        if run is not None:
            run.release()
        raise
    return plan, trainer, run


def _check(run: Run, plan: Plan, job: Job, console: Console) -> None:
    """Raise where the folder goes with other data, or holds what this training needs."""
    from nearfar import resuming

    if job.resume:
        resuming.check_data(run, plan, job.path if job.arrays is None else job.arrays, console)
        resuming.check_state(run, plan)
    elif real(run.path) in map(real, _earlier(plan)):
        raise ConfigError("is a run that this training begins with or is taught by.", where=str(run.path),
                          hint="Choose another --out.")  # fmt: skip


def _work(job: Job, console: Console | bool) -> Trained:
    """Train in this process, alone or as one of many."""
    from nearfar import distributed, timing
    from nearfar.console import SILENT, Console, clock
    from nearfar.embedder import Embedder
    from nearfar.training_rows import TrainingRows

    world = distributed.world()
    if isinstance(console, bool):
        console = Console(quiet=console) if world.is_main else SILENT
    plan, trainer, run = _ready(job, console)
    try:
        earlier = [TrainingRows.load(path) for path in _earlier(plan)]
        if world.size == 1 and not plan.config.train.chunk and plan.steps > SHORT:
            at_most = "at most " * bool(plan.config.train.patience)
            console.say(f"Time: {at_most}about {clock(timing.expected_seconds(trainer))} on this machine.")
        trainer.fit()
        place: dict[str, Any] = {"name": run.name, "path": run.path} if run else {}
        known = TrainingRows.of(plan.table, plan.train, plan.taught).after(earlier)
        place |= {"fingerprint": plan.table.fingerprint, "training_rows": known}
        model = Embedder.of(trainer.finished(), plan.config, plan.columns, **place)
        if run is not None and world.is_main:
            run.write_config({**run.config, "kept": trainer.best.step})
            _finish(run, model, plan, console)
            run.finish()
        metrics = run.metrics() if run else trainer.metrics
        trained = Trained(model, plan, run.path if run else None, metrics, trainer.best.step)
        if world.is_main:
            _tell(trained, console, told="worse" in trainer.monitor.told)
        return trained
    finally:
        if run is not None:
            run.release()


def _tell(trained: Trained, console: Console, *, told: bool) -> None:
    """Say whether training helped; that it made the model worse is a warning, unless it was one before."""
    from nearfar import verdict
    from nearfar.errors import WorseWarning

    said = verdict.sentence(trained.metrics, trained.plan.config.as_dict()["train"], trained.kept)
    worse = trained.verdict is not None and trained.verdict.outcome == "worse"
    if trained.kept == 0 or (worse and not told):
        console.warn(said, WorseWarning)
    elif said:
        console.say(said)


def _earlier(plan: Plan) -> list[Path]:
    """The runs that this training begins with, or is taught by."""
    from nearfar import starting
    from nearfar.positives import teacher

    model = plan.config.model
    runs = [start.run.path for start in starting.starts(model.init_from, list(plan.columns)).values()]
    kind, _, argument = model.positives.partition(":")
    return [*runs, Path(teacher.parse(argument)[0])] if kind == "teacher" else runs


def plan(
    config: Config, *, source: Any = None, console: Console | None = None, known: Kinds | None = None
) -> Plan:
    """What a training with this config would do; `known` is that of `nearfar.plan.prepare`."""
    from nearfar.plan import prepare

    return prepare(config, source, console=console, known=known)


def _finish(run: Run, model: Embedder, plan: Plan, console: Console) -> None:
    """Write the model, the list of skipped rows, the card and the report, whose figures were those of other weights."""
    from nearfar.report import card, collect, kept

    model.save(run.model_file)
    model.training_rows.save(run.path)
    run.forget()
    if plan.table.skipped:
        lines = ["name,reason", *(f"{_csv(s.name)},{_csv(s.reason)}" for s in plan.table.skipped)]
        files.write_text(run.path / "skipped.csv", "\n".join(lines) + "\n")
    rows = plan.heldout if len(plan.heldout) >= 50 else plan.train
    shown = collect.collect(model, plan.table, plan.train, rows, kind="pca")
    measured = kept.every(run, console)
    card.write(run.path / "README.md", name=run.name, config=run.config, measured=measured, metrics=run.metrics())
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
    from nearfar.console import QUIET, SILENT
    from nearfar.report import card, collect, kept
    from nearfar.run import Run

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
