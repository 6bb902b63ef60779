"""The same training from several seeds.

::

    runs/NAME/
      seeds.json      the seeds, and what was asked for
      seed0/ …        a run each
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar import api, files
from nearfar.config import Config
from nearfar.errors import ConfigError, RunError, Stopped
from nearfar.loading import is_series, load
from nearfar.run import Run

if TYPE_CHECKING:
    from nearfar.api import Trained
    from nearfar.console import Console

SCHEMA = 1


def train_seeds(
    source: Any = None, *, seeds: int | None = None, out: str | Path | None = None, resume: bool = False,
    overwrite: bool = False, config: Config | None = None, quiet: bool = False, console: Console | None = None,
    command: str | None = None, **knobs: Any,
) -> list[Trained]:  # fmt: skip
    """Train the same from several seeds, one after the other.

    Everything that is drawn differs: weights, views, the order of rows, and with ``limit`` the rows.

    Parameters
    ----------
    source : path, hub name, array, list or dict of splits
    seeds : int, optional
        How many: ``seed``, ``seed`` + 1 … By default 3; where resumed, as many as were asked for then, or more.
    out : path, optional
        Folder of the runs ``seed0``, ``seed1`` … Without one nothing is written.
    resume : bool
        Keep what is finished in that folder, go on with what was begun, and begin what was not. With `knobs` that
        were changed what is finished goes on too.
    overwrite, config, quiet, console, command, **knobs
        As `nearfar.train` takes them; ``stop_after`` is the time of each seed.

    Returns
    -------
    list of Trained
        By seed.

    Raises
    ------
    UserError, TrainingError
        As `nearfar.train` does.
    Stopped
        Stopped from outside; all that was done is saved.
    """
    from nearfar import distributed
    from nearfar.console import of_call
    from nearfar.data.objects import settled

    console, command, source = of_call(console, quiet), command or shlex.join(sys.argv), settled(source)
    distributed.join_if_launched()
    folder = None if out is None else Path(out)
    if resume:
        if folder is None:
            raise ConfigError("--resume needs to know the folder of the runs.", hint="Say --out FOLDER.")
        config, numbers = _stored(folder, seeds)
        for word, value in knobs.items():
            config = config.set(word, value)
    else:
        config = api.with_knobs(config or Config(), source, knobs)
        numbers = list(range(config.train.seed, config.train.seed + (3 if seeds is None else seeds)))
    if folder is None:
        return [api.train(source, config=config.set("train.seed", n), console=console) for n in numbers]

    world = distributed.world()
    whole = Run(folder)
    found = {n: _found(folder / f"seed{n}", resume) for n in numbers}
    world.barrier()  # all have looked before anything is written
    if world.is_main:
        _take(whole, resume or overwrite)
    try:
        if world.is_main:
            files.write_json(folder / "seeds.json", {
                "schema": SCHEMA, "seeds": numbers, "command": command, "config": config.as_dict(),
            })  # fmt: skip
        world.barrier()
        trained = []
        for i, n in enumerate(numbers, 1):
            own = {"out": folder / f"seed{n}", "console": console, "command": command}
            console.say(f"\nSeed {n}, {i} of {len(numbers)}{': finished before' * (found[n] == 'finished')}.")
            try:
                if found[n] == "finished" and not knobs:
                    trained.append(_kept(own["out"], source))
                elif found[n] == "new":
                    trained.append(
                        api.train(source, config=config.set("train.seed", n), overwrite=resume or overwrite, **own)
                    )
                else:
                    trained.append(api.train(source, resume=True, **own, **knobs))
            except Stopped as e:
                hint = f"Say --resume --out {folder} to go on."
                raise Stopped(f"seed {n}: {e.message}", exit_code=e.exit_code, hint=hint) from e
        return trained
    finally:
        whole.release()


# --- its parts ----------------------------------------------------------------------------------------------------


def _stored(folder: Path, seeds: int | None) -> tuple[Config, list[int]]:
    """What was asked for when the folder was begun, and its seeds, with more of them if more are wanted now."""
    if not is_series(folder):
        raise RunError("holds no training from several seeds.", where=str(folder), hint="Leave --resume away.")
    stored = files.read_json(folder / "seeds.json")
    if not isinstance(stored.get("schema"), int) or stored["schema"] > SCHEMA:
        raise RunError("was written by a newer nearfar.", where=str(folder), hint="Upgrade nearfar to read it.")
    first, count = stored["seeds"][0], max(len(stored["seeds"]), seeds or 0)
    return Config.from_dict(stored["config"]), list(range(first, first + count))


def _found(folder: Path, resume: bool) -> str:
    """What is there of a seed: it is ``finished``, ``begun``, or ``new``."""
    run = Run(folder)
    if not resume or not run.checkpoint_file.exists():
        return "new"
    return "finished" if run.model_file.exists() else "begun"


def _take(whole: Run, may_exist: bool) -> None:
    """Lock the folder of the runs for this process."""
    if whole.config_file.exists():
        raise RunError("holds a single run.", where=str(whole.path), hint="Choose another --out.")
    if whole.path.exists() and not whole.path.is_dir():
        raise RunError("is a file, not a folder.", where=str(whole.path), hint="Choose another --out.")
    if whole.path.is_dir() and any(p.name != ".lock" for p in whole.path.iterdir()):
        if not is_series(whole.path):
            raise RunError("is not empty and not a training from several seeds.", where=str(whole.path),
                           hint="Choose another --out.")  # fmt: skip
        if not may_exist:
            raise RunError("the folder of runs exists.", where=str(whole.path),
                           hint="Say --resume to go on, or --overwrite to begin anew.")  # fmt: skip
    whole.path.mkdir(parents=True, exist_ok=True)
    whole.lock()


def _kept(folder: Path, source: Any) -> Trained:
    """A training that is finished, as it lies there."""
    run = Run.open(folder)
    arrays = None if isinstance(source, str | Path) else source
    plan = api.plan(Config.from_dict(run.config["config"]), source=arrays)
    return api.Trained(load(folder), plan, run.path, run.metrics())
