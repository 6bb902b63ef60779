"""The same training from several seeds.

::

    runs/NAME/
      seeds.json      the seeds, and what was asked for
      seed0/ …        a run each
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nearfar.core import files, replacing
from nearfar.core.config import Config
from nearfar.core.console import Console, of_call
from nearfar.core.errors import ConfigError, RunError, Stopped
from nearfar.core.leftovers import occupied
from nearfar.core.values import whole
from nearfar.data.objects import settled
from nearfar.models.loading import is_series
from nearfar.models.run import Run, written
from nearfar.models.stored import SEEDS_SCHEMA, stored_seeds
from nearfar.training import distributed, resuming, train
from nearfar.training.job import with_knobs
from nearfar.training.plan.prepare import Plan
from nearfar.training.train import Trained


def train_seeds(
    source: Any = None, *, seeds: int | None = None, out: str | Path | None = None, resume: bool = False,
    overwrite: bool = False, config: Config | None = None, quiet: bool = False, console: Console | None = None,
    command: str | None = None, **knobs: Any,
) -> list[Trained]:  # fmt: skip
    """Train the same from `seeds` seeds, by default 3, one after the other, as `nearfar.train` describes it.

    `resume` keeps what is finished in the folder, goes on with what was begun, and begins what was not. With more
    ``epochs`` what is finished goes on too, if it has kept its checkpoint; other knobs take effect where something is
    left to do, or are refused by name.
    """
    console, command, source = of_call(console, quiet), command or shlex.join(sys.argv), settled(source)
    distributed.join_if_launched()
    folder = None if out is None else Path(out)
    config, numbers, changes = _asked(source, seeds, folder, resume, overwrite, config, knobs)
    if folder is None:
        return [train.train(source, config=config.set("train.seed", n), console=console) for n in numbers]

    world = distributed.world()
    states = {n: _state(folder / f"seed{n}", resume, config) for n in numbers}
    if resume and changes and set(states.values()) == {"finished"}:
        first = Run(folder / f"seed{numbers[0]}")
        resuming.nothing_left(first, config, changes, console)  # which says what can be done
    world.barrier()  # all have looked before anything is written
    series = Run(folder)
    if world.is_main:
        _check(series, resume or overwrite)
        series.take(_written if overwrite and is_series(folder) else None)  # the new one is beside what is there
    try:
        if world.is_main:
            files.write_json(series.path / "seeds.json", {
                "schema": SEEDS_SCHEMA, "seeds": numbers, "command": command, "config": config.as_dict(),
            })  # fmt: skip
        world.barrier()
        trained = []
        for i, n in enumerate(numbers, 1):
            given = {"out": series.path / f"seed{n}", "console": console, "command": command}
            console.say(f"\nSeed {n}, {i} of {len(numbers)}{': finished before' * (states[n] == 'finished')}.")
            try:
                if states[n] == "finished":
                    done = Config.from_dict(Run.open(given["out"]).config["config"])
                    trained.append(train.finished(given["out"], source, done, console))
                elif states[n] == "new":
                    trained.append(train.train(source, config=config.set("train.seed", n), overwrite=resume, **given))
                else:
                    trained.append(train.train(source, resume=True, **given, **resuming.free(config)))
            except Stopped as e:
                hint = f"Pass --resume --out {folder} to go on."
                raise Stopped(f"seed {n}: {e.message}", exit_code=e.exit_code, hint=hint) from e
            finally:
                if _is_there(Run(series.path / f"seed{n}")):
                    series.settle()
        return trained
    finally:
        if world.is_main and not resume and not any(series.path.glob("seed*/config.json")):
            (series.path / "seeds.json").unlink(missing_ok=True)  # not even the first could begin
        series.release()


def rehearse(
    source: Any = None, *, seeds: int | None = None, out: str | Path | None = None, resume: bool = False,
    overwrite: bool = False, config: Config | None = None, console: Console | None = None, **knobs: Any,
) -> Plan:  # fmt: skip
    """What `train_seeds` does before its first step, for the first seed; see `nearfar.training.train.rehearse`."""
    folder = None if out is None else Path(out)
    config, numbers, _ = _asked(source, seeds, folder, resume, overwrite, config, knobs)
    if folder is not None:
        _check(Run(folder), resume or overwrite)
        for n in numbers:
            _state(folder / f"seed{n}", resume, config)  # which raises where one cannot be resumed
    return train.rehearse(source, config=config.set("train.seed", numbers[0]), console=console)


def _asked(
    source: Any, seeds: int | None, folder: Path | None, resume: bool, overwrite: bool, config: Config | None,
    knobs: dict[str, Any],
) -> tuple[Config, list[int], resuming.Changes]:  # fmt: skip
    """The config of all seeds, the seeds, and what is to change of trainings that are resumed."""
    seeds = None if seeds is None else whole(seeds, "seeds", 1)
    if not resume:
        config = with_knobs(config or Config(), source, knobs)
        return config, list(range(config.train.seed, config.train.seed + (3 if seeds is None else seeds))), {}
    resuming.check_request(folder, overwrite, config)
    if not is_series(folder):
        raise RunError("holds no training from several seeds.", where=str(folder), hint="Leave --resume out.")
    stored = stored_seeds(folder)
    first, have = stored["seeds"][0], len(stored["seeds"])
    if seeds is not None and seeds < have:
        raise ConfigError(f"{have} seeds were begun in {folder}, and {seeds} are asked for.", where="--seeds",
                          hint=f"Pass at least {have}, or leave it out.")  # fmt: skip
    numbers = list(range(first, first + (seeds or have)))
    config, changes = resuming.changed(stored, knobs, folder / f"seed{first}", source)
    return config, numbers, changes


def _state(folder: Path, resume: bool, config: Config) -> str:
    """Whether the training of a seed is ``finished``, ``begun`` or ``new``; with more epochs asked for it is begun."""
    run = Run(folder)
    if not resume or not _is_there(run):
        return "new"
    return "finished" if resuming.ended(run, config) else "begun"


def _is_there(run: Run) -> bool:
    """Whether the training of a seed got as far as its first checkpoint."""
    return run.trained or os.path.exists(run.checkpoint_file)


def _written(folder: Path) -> Iterator[Path]:
    """The files that nearfar wrote."""
    yield folder / "seeds.json"
    yield from folder.glob("seed*/.lock")  # of a seed that was killed; that of the folder itself comes along
    for file in folder.glob("seed*/config.json"):
        if Run(file.parent).is_there:
            yield from written(file.parent)


def _check(series: Run, may_exist: bool) -> None:
    """Raise a `RunError` where the folder of the runs is taken by something else."""
    taken, another = occupied(series.path), "Choose another --out."
    if os.path.exists(series.config_file):
        wrong = "holds a single run.", another
    elif os.path.exists(series.path) and not os.path.isdir(series.path):
        wrong = "is a file, not a folder.", another
    elif taken and not is_series(series.path):
        wrong = "is not empty and not a training from several seeds.", another
    elif taken and not may_exist:
        wrong = "the folder of runs exists.", "Pass --resume to continue, or --overwrite to begin again."
    else:
        if taken:
            replacing.check(series.path)
        return
    raise RunError(wrong[0], where=str(series.path), hint=wrong[1])
