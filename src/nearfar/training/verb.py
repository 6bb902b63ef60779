"""The function behind ``nearfar train``: one training, the same from several seeds, or what either would do."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfar.core.config import Config, assemble
from nearfar.core.console import Console, of_call
from nearfar.core.values import whole
from nearfar.data.interactions import paired
from nearfar.models.loading import is_series
from nearfar.training import resuming
from nearfar.training import seeds as several
from nearfar.training import train as single
from nearfar.training.plan.prepare import Plan
from nearfar.training.train import Trained, notes


@dataclass(frozen=True)
class TrainedSeeds(Sequence["Trained"]):
    """What `train` with ``seeds`` gives: a sequence of `Trained`, by seed."""

    runs: tuple[Trained, ...]
    path: Path | None  # the folder of their runs

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, i: Any) -> Any:
        return self.runs[i]

    def __repr__(self) -> str:
        if self.path is None:
            return "\n".join(map(repr, self.runs))
        places = ", ".join(str(t.path) for t in self.runs)
        return f"The models are in {places}.\nNext: nearfar eval {shlex.quote(str(self.path))}"

    def as_dict(self) -> dict[str, Any]:
        """What ``nearfar train --seeds 3 --json`` prints."""
        runs = [{"seed": t.plan.config.train.seed, "run": str(t.path), **t.figures()} for t in self.runs]
        return {"schema": 1, "verb": "train", "run": str(self.path), "runs": runs, **notes(self.runs[0].plan)}


@dataclass(frozen=True)
class Rehearsed:
    """What `train` with ``dry_run`` gives: what would be done, with no "auto" left."""

    plan: Plan

    def __repr__(self) -> str:
        p = self.plan
        return (f"Dry run: {p.record.name} would train for {p.steps:,} steps on {len(p.train):,} rows. "
                "Nothing was trained or written.")  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """What ``nearfar train --dry-run --json`` prints."""
        return {"schema": 1, "verb": "train", "config": self.plan.config.as_dict(), **notes(self.plan)}


def train(
    data: Any = None, *, out: str | Path | None = None, pair: Sequence[str] | Sequence[Sequence[str]] = (),
    resume: bool = False, overwrite: bool = False, seeds: int | None = None,
    set: Mapping[str, Any] | Sequence[str] = (), config: Config | str | Path | None = None, dry_run: bool = False,
    quiet: bool = False, console: Console | None = None, command: str | None = None, **knobs: Any,
) -> Trained | TrainedSeeds | Rehearsed:  # fmt: skip
    """Train an embedding model.

    Parameters
    ----------
    data : path, hub name or object
        See the table of objects in ``docs/data.md``; a path or name is recorded in the run, objects are not.
    out : path, optional
        Run folder. Without one nothing is written.
    pair : (str, str), or sequence of such pairs
        Columns whose cells in one row belong together; the same as ``column=("a", "b")``.
    resume : bool
        Continue the run in `out` from its checkpoint. `knobs` that come with it take effect, as more ``epochs`` do, or
        are refused by name; a finished run continues only if it was trained with ``keep_optimizer``.
    overwrite : bool
        Replace the run that `out` already holds.
    seeds : int, optional
        Train from so many consecutive seeds, from ``seed`` on, one after the other, into ``out/seed0`` and so on. All
        that is drawn differs: weights, views, the order of rows, and with ``limit`` the rows.
    set : mapping, or sequence of "KNOB=VALUE"
        Knobs by their paths, such as ``{"optim.lr": 0.003, "method.projector.out": 64}``.
    config : Config or path, optional
        Values instead of the defaults: a `Config`, a TOML or JSON file, or a run's ``config.json``. A `Config` is
        refused with `resume`, since it does not say what is to change.
    dry_run : bool
        Read the data and check everything, but train and write nothing.
    **knobs
        Any word of `nearfar config`: ``method="byol"``, ``epochs=50``, ``lr=0.001``, ``temperature=0.2`` and so on.
        They take precedence over `set`, which takes precedence over `config`.

    Returns
    -------
    Trained, TrainedSeeds or Rehearsed
        Of one training, of several `seeds`, of a `dry_run`.

    Raises
    ------
    UserError
        The request or the data must change.
    TrainingError
        Training could not go on.
    Stopped
        Stopped from outside; all that was done is saved.
    """
    console = of_call(console, quiet)
    seeds = None if seeds is None else whole(seeds, "seeds", 1, "--seeds")
    values: Config | None
    values, named = assemble(config, set)
    knobs |= paired(pair, {**vars(values.data), **knobs}) if pair else {}
    if resume:  # the run has its own config, of which only what is named here may change
        knobs = {path: resuming.at(values, path) for path in named} | knobs
        values = config if isinstance(config, Config) else None
    asked = {"out": out, "resume": resume, "overwrite": overwrite, "config": values, "console": console, **knobs}
    together = (seeds or 1) > 1 or (resume and out is not None and is_series(out))
    if dry_run:
        plan = several.rehearse(data, seeds=seeds, **asked) if together else single.rehearse(data, **asked)
        return Rehearsed(plan)
    if together:
        runs = several.train_seeds(data, seeds=seeds, command=command, **asked)
        made: Trained | TrainedSeeds = TrainedSeeds(tuple(runs), None if out is None else Path(out))
    else:
        made = single.train(data, command=command, **asked)
    console.say()
    return made
