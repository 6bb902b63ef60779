"""Tuning: short trainings with other numbers, scored on held-out training rows, until the time is up.

The trials are those of successive halving (Jamieson and Talwalkar 2016, arXiv 1502.07943) as they come one after the
other (Li et al. 2018, arXiv 1810.05934, without its pauses). All follow the schedule of a whole trial, which the rungs
cut short: so a higher rung goes on from the lower one, and the last one is a training as it will be. That the rate has
not come down yet at a lower rung is a bias against high rates, hence a third goes on instead of the best alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nearfar.core.config import Config, assemble, seconds
from nearfar.core.console import Console, of_call
from nearfar.core.errors import ConfigError, library
from nearfar.training.job import with_knobs
from nearfar.training.plan.prepare import prepare
from nearfar.training.tuning import outcome, space
from nearfar.training.tuning.halving import Search
from nearfar.training.tuning.outcome import Outcome
from nearfar.training.tuning.score import Scorer, parts

BUDGET = "30m"
FAR = 2  # a training so many times as long as a trial may need other values, which is warned of


def tune(
    data: Any = None, *, budget: str = BUDGET, out: str | Path | None = None, overwrite: bool = False,
    config: Config | str | Path | None = None, set: Mapping[str, Any] | Sequence[str] = (), vary: Sequence[str] = (),
    horizon: int | None = None, trials: int | None = None, quiet: bool = False, console: Console | None = None,
    **knobs: Any,
) -> Outcome:  # fmt: skip
    """Look for a better learning rate, temperature, crop scale and batch size than the defaults.

    Parameters
    ----------
    data : path, hub name, array, list or dict of splits
        As for `nearfar.train`. Rows of the test split are not touched.
    budget : str
        Time, such as ``"90s"``, ``"30m"`` or ``"1h"``, from when the data are read.
    out : path, optional
        Config file (.toml, .json) to write, or a folder for ``best.toml`` and ``tune.json``. By default nothing is
        written.
    overwrite : bool
        Write over a config file that is there.
    config, set
        As for `nearfar.train`; trials start from these values instead of the defaults.
    vary : sequence of {"lr", "temperature", "crop", "batch"}
        What to try; by default all that the method and the views have.
    horizon : int, optional
        Epochs of a whole trial; by default as many as let the budget hold eight whole trials, at most the training's
        own. Given a horizon and a number of trials, the search is the same each time on one machine.
    trials : int, optional
        Most trials, the defaults among them.
    **knobs
        Any word of `nearfar config`, as for `nearfar.train`; ``seed`` is also that of the search.

    Returns
    -------
    Outcome
        ``config`` is for `nearfar.train`, ``table()`` and ``verdict`` are for people.

    Raises
    ------
    UserError
        The request or the data must change, or Optuna is not installed.
    Stopped
        Stopped from outside before anything was measured; later, what was found is kept.
    """
    console = of_call(console, quiet)
    library("optuna", "tune")  # now, not after the data were read
    time = seconds(budget, "--budget")
    if time <= 0:
        raise ConfigError("the budget must be more than nothing.", where="--budget")
    for name, number in (("--horizon", horizon), ("--trials", trials)):
        if number is not None and number < 1:
            raise ConfigError(f"{number} is out of range; it must be at least 1.", where=name)
    if out is not None:
        outcome.free(out, overwrite)
    asked = with_knobs(assemble(config, set)[0], data, knobs)
    if asked.train.processes > 1:
        raise ConfigError("trials run in one process.", where="train.processes", hint="Leave it at 1 to tune.")

    plan = prepare(asked, None if isinstance(data, str | Path) else data, console=console)
    for note in plan.notes:
        console.say(note)
    if not plan.record.trains:
        raise ConfigError(f"{plan.record.name} does not train, so there is nothing to tune.", where="model.method")
    rows = parts(plan)
    base = _of_a_trial(plan.config, asked)
    tried = space.of(plan, base, len(rows.train), tuple(vary))
    scorer = Scorer(plan, rows)
    search = Search(plan, rows, tried, scorer, budget=time, horizon=horizon, most=trials, console=console)
    left_out = f" Not tried: {', '.join(tried.notes)}." if tried.notes else ""
    spared = f", {rows.spared:,} left for `nearfar eval` to score" if rows.spared else ""
    whole = base.train.epochs
    console.say(
        f"Tuning: {', '.join(k.name for k in tried.knobs)}.{left_out}\n"
        f"Trials train on {len(rows.train):,} rows{spared}; score: {scorer.words}. A whole trial has {search.horizon} "
        f"of the training's {whole} epochs; trials are compared after {', '.join(map(str, search.rungs))}."
    )
    if search.horizon * FAR < whole:
        console.warn(f"what is best after {search.horizon} epochs need not be best after {whole}: give it more time.")
    if out is not None:
        outcome.target(out).parent.mkdir(parents=True, exist_ok=True)  # before, not after, half an hour
    search.run()
    console.say()
    result = Outcome(search, asked, search.spent)
    return result if out is None else replace(result, written=result.save(out))


def _of_a_trial(config: Config, asked: Config) -> Config:
    """The config of a trial with the defaults: nothing is saved, logged or watched."""
    # Numbers of the method that follow from the data, such as clusters, are left as they were asked for: a trial has
    # fewer rows.
    quiet = {"monitor_rows": 0, "checkpoint_every": "never", "stop_after": None, "log": (), "compile": False}
    method = {k: v for k, v in config.method.items() if k != "parts"}
    method |= {"parts": asked.method["parts"]} if "parts" in asked.method else {}
    train = replace(config.train, epochs=max(1, config.train.epochs), **quiet)
    return replace(config, train=train, method=method)
