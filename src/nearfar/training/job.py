"""What a training is asked to do: the request as it is before the data are read, and its record in the run."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearfar.core.config import Config
from nearfar.core.errors import ConfigError
from nearfar.models.run import Run
from nearfar.training import distributed, resuming
from nearfar.training.plan import warm_start
from nearfar.training.plan.prepare import Plan
from nearfar.training.trainer import Trainer


@dataclass(frozen=True)
class Job:
    """What a process needs to know to train."""

    config: Config
    arrays: Any
    out: str | None
    resume: bool
    overwrite: bool
    command: str
    changes: resuming.Changes = field(default_factory=dict)  # of a training that is resumed
    path: str | None = None  # of the data, if one was named


def requested(
    source: Any, out: str | Path | None, resume: bool, overwrite: bool, config: Config | None, command: str | None,
    knobs: dict[str, Any],
) -> Job:  # fmt: skip
    """What is asked for, as far as it can be checked without the data."""
    changes: resuming.Changes = {}
    named = isinstance(source, str | Path)
    if resume:
        resuming.check_request(out, overwrite, config)
        config, changes = resuming.changed(Run.open(out).config, knobs, out, source)
    else:
        config = with_knobs(config or Config(), source, knobs)
    if source is None and not config.data.source:
        if resume:
            raise ConfigError("was trained on data from Python, which it does not keep.", where=str(out),
                              hint="Give them again: train(data, resume=True, …).")  # fmt: skip
        raise ConfigError("no data are given.", hint="Give a path, a name on the hub, or arrays.")
    needs = {"several processes need": config.train.processes > 1, "loggers need": config.train.log}
    if out is None and (what := next((w for w, asked in needs.items() if asked), None)):
        raise ConfigError(f"{what} a run folder.", hint="Pass --out RUN.")
    if out is not None and distributed.world().is_main:
        run = Run.check(out, resume=resume, overwrite=overwrite)
        if resume:
            resuming.check_networks(run)
    return Job(
        config, None if named else source, None if out is None else str(out), resume, overwrite,
        command or shlex.join(sys.argv), changes, str(source) if named else None,
    )  # fmt: skip


def recorded(run: Run, plan: Plan, job: Job, trainer: Trainer) -> None:
    """Write ``config.json``: what was asked, decided and found; of a training that is resumed, what changed."""
    table, before = plan.table, run.config if job.resume else {}
    asked = Config.from_dict(before.get("asked", before["config"])) if job.resume else job.config
    for path, (_, value) in job.changes.items():
        asked = asked.set(path, value)
    if job.resume:
        step = {"step": trainer.position.step, "command": job.command, "changed": job.changes}
        before |= {"resumed": [*before.get("resumed", ()), step]}
    elif begins_with := warm_start.origins(plan.by_column):
        before |= {"origins": begins_with}
    run.write_config({
        "command": job.command, "folder": str(Path.cwd()), **before, "finished": False,
        "config": plan.config.as_dict(), "asked": asked.as_dict(),
        "columns": {n: {"modality": c.modality, "spec": dict(c.spec)} for n, c in plan.columns.items()},
        "data": {
            "source": dict(table.source), "rows": len(table), "fingerprint": table.fingerprint,
            "train_rows": len(plan.train), "heldout_rows": len(plan.heldout),
            "skipped": len(table.skipped), "label_names": list(table.label_names),
        },
        "notes": [*plan.warnings, *plan.notes],
    })  # fmt: skip


def with_knobs(config: Config, source: Any, knobs: dict[str, Any]) -> Config:
    """The config with the given words set, and the data where they are a path or a name."""
    if isinstance(source, str | Path):
        knobs = {"data.source": str(source), **knobs}
    return config.changed(knobs.items())
