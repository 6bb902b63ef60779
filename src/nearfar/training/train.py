"""One training, from what was asked for to a model in its folder."""

from __future__ import annotations

import contextlib
import csv
import io
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfar.core import files
from nearfar.core.config import Config
from nearfar.core.console import SILENT, Console, clock, of_call
from nearfar.core.errors import ConfigError, NearfarError, WorseWarning
from nearfar.core.names import real
from nearfar.data.objects import settled
from nearfar.evaluation import verdict
from nearfar.evaluation.report import kept
from nearfar.evaluation.report.of_run import refresh
from nearfar.models import kept_histories, loading
from nearfar.models.columns import Kinds
from nearfar.models.embedder import Embedder
from nearfar.models.run import Run
from nearfar.models.training_rows import TrainingRows
from nearfar.training import distributed, rehearsal, resuming
from nearfar.training.job import Job, recorded, requested
from nearfar.training.launching import launch
from nearfar.training.plan.prepare import Plan, prepare
from nearfar.training.positives import teacher
from nearfar.training.trainer import Trainer

SHORT = 50  # steps; shorter trainings are over before their time would be estimated


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
    def verdict(self) -> verdict.Verdict | None:
        """Whether training helped, by the held-out rows that it watched; None where these tell nothing."""
        return verdict.of(self.metrics, self.kept)

    def figures(self) -> dict[str, Any]:
        """The last metrics, and whether training helped, where that was watched; JSON values."""
        watched = {} if self.verdict is None else {"watched": self.verdict.as_dict()}
        return {"metrics": self.metrics[-1] if self.metrics else {}, "kept": self.kept, **watched}

    def __repr__(self) -> str:
        if self.path is None:
            return f"A model of {', '.join(self.plan.columns)} by {self.plan.record.name}, which lies in no folder."
        plan, columns = self.plan, self.plan.by_column.values()
        begun = dict.fromkeys(str(c.start.run.path) if c.start else c.encoder for c in columns if c.pretrained)
        # Where every row taught, none of them tells whether the weights of the beginning were better.
        on = plan.table.labels is None or (begun and not len(plan.heldout))
        names = " ".join(map(shlex.quote, [*begun, str(self.path)]))
        more = f"\nThen: nearfar recommend {names} --user USER" if (users := plan.config.data.user is not None) else ""
        return (f"The model is in {self.path}; its curves are in {self.path / 'report.html'}.\n"
                f"Next: nearfar eval {names}"
                f"{' --on LABELLED_DATA' * bool(on and len(plan.columns) == 1 and not users)}{more}")  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """What ``nearfar train --json`` prints."""
        return {"schema": 1, "verb": "train", "run": self.path and str(self.path), **self.figures(), **notes(self.plan)}


def notes(plan: Plan) -> dict[str, list[str]]:
    """What was said of a plan, for ``--json``."""
    return {"notes": list(plan.notes), "warnings": list(plan.warnings)}


def train(
    source: Any = None, *, out: str | Path | None = None, resume: bool = False, overwrite: bool = False,
    config: Config | None = None, quiet: bool = False, console: Console | None = None, command: str | None = None,
    **knobs: Any,
) -> Trained:  # fmt: skip
    """One training, as `nearfar.train` describes it."""
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
    """What `train` does before its first step: data are read, networks are built, nothing is written."""
    console, source = of_call(console, quiet), settled(source)
    job = requested(source, out, resume, overwrite, config, None, knobs)
    if resume and resuming.nothing_left(Run(job.out), job.config, job.changes, console):
        return resuming.as_trained(Run(job.out), source, job.config, console)
    return _ready(job, console, dry=True)[0]


def finished(folder: str | Path, source: Any, config: Config, console: Console) -> Trained:
    """A training that is finished, as it lies there; what a kill left in its last instants is removed."""
    run = Run.open(folder)
    with contextlib.suppress(NearfarError):  # it may lie where nothing can be written
        taken = Run.create(folder, resume=True)
        try:
            taken.finish()
        finally:
            taken.release()
    plan = resuming.as_trained(run, source, config, console)
    return Trained(loading.load(folder), plan, run.path, run.metrics(), run.config.get("kept"))


def _ready(job: Job, console: Console, *, dry: bool = False) -> tuple[Plan, Trainer, Run | None]:
    """Plan and trainer before the first step; the run folder is taken, unless it is a dry run."""
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
    if job.resume:
        resuming.check_data(run, plan, job.path if job.arrays is None else job.arrays, console)
        resuming.check_state(run, plan)
    elif real(run.path) in map(real, _earlier(plan)):
        raise ConfigError("is a run that this training begins with or is taught by.", where=str(run.path),
                          hint="Choose another --out.")  # fmt: skip


def _work(job: Job, console: Console | bool) -> Trained:
    """Train in this process, alone or as one of many."""
    world = distributed.world()
    if isinstance(console, bool):
        console = Console(quiet=console) if world.is_main else SILENT
    plan, trainer, run = _ready(job, console)
    try:
        earlier = [TrainingRows.load(path) for path in _earlier(plan)]
        dear = plan.steps > SHORT or (plan.steps and any(c.pretrained for c in plan.by_column.values()))
        if world.size == 1 and not plan.config.train.chunk and dear and trainer.position.step < plan.steps:
            at_most = "at most " * bool(plan.config.train.patience)
            console.say(f"Time: {at_most}about {clock(rehearsal.expected_seconds(trainer))} on this machine.")
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
            said = verdict.sentence(trained.metrics, plan.config.as_dict()["train"], trained.kept)
            worse = trained.verdict is not None and trained.verdict.outcome == "worse"
            if trained.kept == 0 or (worse and "worse" not in trainer.monitor.seen.told):  # else there was a warning
                console.warn(said, WorseWarning)
            elif said:
                console.say(said)
        return trained
    finally:
        if run is not None:
            run.release()


def _earlier(plan: Plan) -> list[Path]:
    """The runs that this training begins with, or is taught by."""
    runs = [c.start.run.path for c in plan.by_column.values() if c.start]
    kind, _, argument = plan.config.model.positives.partition(":")
    return [*runs, Path(teacher.parse(argument)[0])] if kind == "teacher" else runs


def plan(config: Config, *, source: Any = None, console: Console | None = None, known: Kinds | None = None) -> Plan:
    """What a training with this config would do; `known` is that of `nearfar.training.plan.prepare.prepare`."""
    return prepare(config, source, console=console, known=known)


def _finish(run: Run, model: Embedder, plan: Plan, console: Console) -> None:
    """Write the model, the list of skipped rows, the card and the report, whose figures were those of other weights."""
    model.save(run.model_file)
    model.training_rows.save(run.path)
    kept_histories.save(plan.table, run.path)
    run.forget()
    if plan.table.skipped:
        lines = io.StringIO("name,reason\n")
        lines.seek(0, io.SEEK_END)
        cells = csv.writer(lines, quoting=csv.QUOTE_ALL, lineterminator="\n")
        cells.writerows((s.name, s.reason) for s in plan.table.skipped)
        files.write_text(run.path / "skipped.csv", lines.getvalue())
    rows = plan.heldout if len(plan.heldout) >= 50 else plan.train
    refresh(run, model, plan.table, plan.train, rows, kept.every(run, console))
