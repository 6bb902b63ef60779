"""Successive halving under a budget of time."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nearfar.core.config import Config
from nearfar.core.console import QUIET, SILENT, Console, clock
from nearfar.core.errors import CollapseWarning, ConfigError, Stopped, TrainingError, library
from nearfar.core.randomness import derive
from nearfar.training import rehearsal
from nearfar.training.plan.prepare import Plan, narrowed
from nearfar.training.stopping import stop_signals
from nearfar.training.trainer import Trainer
from nearfar.training.tuning.score import Parts, Scorer
from nearfar.training.tuning.space import Space

THIRD = 3  # one trial in so many goes on to the next rung, which is so many times as long
RUNGS = 3
RESERVE = 8  # the budget is worth so many whole trials, unless the training itself is shorter
SLACK = 1.25  # what a step costs beyond the one that the time is estimated from
RANDOM = 10  # trials before Optuna's model says where to look
WHOLE, BEHIND, BROKEN, CUT, STOPPED = "whole", "behind", "not finite", "out of time", "stopped"


@dataclass
class Trial:
    """One trial."""

    number: int  # 0 is the defaults
    asked: dict[str, float]  # what Optuna proposed
    values: dict[str, float]  # what that came to (`Space.settle`)
    measured: list[np.ndarray | None] = field(default_factory=list)  # by rung; None where something was not finite
    epochs: int = 0  # trained
    seconds: float = 0.0  # spent, measuring included
    ended: str = ""  # why: WHOLE, BEHIND (others were better at the rung), BROKEN, CUT or STOPPED


def rungs(horizon: int) -> list[int]:
    """Epochs after which trials are compared: a ninth, a third and all of the horizon, as far as those differ."""
    return sorted({max(1, round(horizon / THIRD**r)) for r in range(RUNGS)})


def order(trials: list[Trial], scorer: Scorer) -> list[Trial]:
    """Best first: who got further, then who scored better there; of equals the earlier one."""
    places: list[tuple[float, float, int]] = []
    for t in trials:
        rung = len(t.measured)
        score = at_rung(trials, scorer, rung - 1)[t.number] if rung else -np.inf
        places.append((-rung if np.isfinite(score) else 0, -score, t.number))
    return [trials[number] for *_, number in sorted(places)]


def at_rung(trials: list[Trial], scorer: Scorer, rung: int) -> dict[int, float]:
    """Scores by number of all trials that were measured at a rung."""
    there = [t for t in trials if len(t.measured) > rung]
    scores = scorer.scores([t.measured[rung] for t in there])
    return {t.number: float(s) for t, s in zip(there, scores, strict=True)}


class Search:
    """Trials one after the other, until the `budget` of seconds is spent.

    `plan` is that of the defaults on all training rows; `horizon` and `most` are the epochs of a whole trial and the
    most trials, as `tune` takes them.
    """

    def __init__(
        self, plan: Plan, rows: Parts, space: Space, scorer: Scorer, *, budget: float, horizon: int | None = None,
        most: int | None = None, console: Console = QUIET,
    ) -> None:  # fmt: skip
        self.plan, self.rows, self.space, self.scorer = plan, rows, space, scorer
        self.budget, self.most, self.console = budget, most, console
        self.trials: list[Trial] = []
        self.stopped = 0  # exit status of a signal
        self.began = time.monotonic()
        self.shown = 0  # seconds that progress shows
        self.like: dict[int, Plan] = {}
        self.horizon = horizon or self._horizon()
        self.rungs = rungs(self.horizon)

    @property
    def spent(self) -> float:
        """Seconds since the search began."""
        return time.monotonic() - self.began

    def run(self) -> None:
        """Try until the time is up, the trials are, or a signal comes; raises where nothing was measured by then."""
        try:
            with stop_signals() as stopped, self.console.progress("tuning", round(self.budget), "s") as progress:
                self.shown = int(self.spent)
                progress.advance(self.shown)
                while self._goes_on():
                    self._try(progress)
                    if code := stopped():
                        self.stopped = code
        except Stopped as e:  # by a signal inside a training
            self.stopped = e.exit_code
            self.trials[-1].ended = STOPPED
        self.trials = [t for t in self.trials if t.measured]
        if not self.trials and self.stopped:
            raise Stopped("stopped before anything was measured.", exit_code=self.stopped)
        if not self.trials:
            raise ConfigError(
                f"the budget was over before the defaults were measured, after {self.rungs[0]} epochs.",
                where="--budget", hint="Give it more, or lower --horizon or data.limit.",
            )  # fmt: skip

    def _goes_on(self) -> bool:
        """Whether there is room for another trial, should it turn out to be worth all its rungs."""
        if not self.trials:
            return True
        if self.stopped or (self.most is not None and len(self.trials) >= self.most):
            return False
        return self.budget - self.spent >= self.trials[0].seconds

    def _horizon(self) -> int:
        """Epochs of a whole trial that leave the budget room for `RESERVE` of them."""
        config = self.space.base
        epoch = SLACK * rehearsal.expected_seconds(self._trainer(config)) / config.train.epochs
        self.like.clear()  # positives may depend on the number of epochs
        if 2 * epoch > self.budget:
            raise ConfigError(
                f"{clock(self.budget)} is too short: one epoch of {len(self.rows.train):,} rows takes about "
                f"{clock(max(1, epoch))}.", where="--budget",
                hint="Give it more, or use fewer rows: --set data.limit=5000.",
            )  # fmt: skip
        return int(np.clip(self.budget / RESERVE / max(epoch, 1e-6), 1, config.train.epochs))

    def _trainer(self, config: Config) -> Trainer:
        """A trial's trainer; what belongs together is found once for every size of batch."""
        batch = config.train.batch_size
        plan = narrowed(self.plan, config, self.rows.train, self.rows.held, like=self.like.get(batch))
        self.like.setdefault(batch, plan)
        return Trainer(plan, None, SILENT)

    def _try(self, progress: Any) -> None:
        """One trial, and a line about it."""
        number = len(self.trials)
        asked = propose(self.space, order(self.trials, self.scorer), self.plan.config.train.seed)
        trial = Trial(number, asked, self.space.settle(asked))
        self.trials.append(trial)
        began = time.monotonic()

        def tick() -> bool:
            if (whole := min(int(self.spent), round(self.budget)) - self.shown) > 0:
                self.shown += whole
                progress.advance(whole, trial=number)
            return self.spent >= self.budget

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CollapseWarning)  # such a trial scores badly, which says it
                trial.ended = self._climb(trial, tick)
        finally:
            trial.seconds = time.monotonic() - began
        self.console.say(self._line(trial))

    def _climb(self, trial: Trial, tick: Callable[[], bool]) -> str:
        """Train from rung to rung, as long as the trial is among the best third of each; why it ended."""
        config = self.space.config(trial.values)
        trainer = self._trainer(replace(config, train=replace(config.train, epochs=self.horizon)))
        for epochs in self.rungs:
            goal = epochs * trainer.sampler.steps_per_epoch
            try:
                trainer.fit(lambda step, goal=goal: tick() or step >= goal)
            except TrainingError:
                trial.measured.append(None)
                return BROKEN
            trial.epochs = trainer.position.step // trainer.sampler.steps_per_epoch
            if trainer.position.step < goal:
                return CUT
            trial.measured.append(self.scorer(trainer))
            if trial.measured[-1] is None:
                return BROKEN
            place, among = self._place(trial)
            # The defaults go through all rungs, so that everything has something to be held against.
            if trial.number and epochs < self.horizon and place > max(1, among // THIRD):
                return BEHIND
        return WHOLE

    def _place(self, trial: Trial) -> tuple[int, int]:
        """Its place at its last rung, and among how many."""
        scores = at_rung(self.trials, self.scorer, len(trial.measured) - 1)
        return 1 + sum(s > scores[trial.number] for s in scores.values()), len(scores)

    def _line(self, trial: Trial) -> str:
        what = "the defaults" if trial.number == 0 else self.space.describe(trial.values)
        head, took = f"Trial {trial.number} ({what})", clock(trial.seconds)
        if trial.ended == BROKEN:
            return f"{head}: not finite after {trial.epochs} epochs; {took}."
        if not trial.measured:
            return f"{head}: out of time; {took}."
        rung, (place, among) = len(trial.measured) - 1, self._place(trial)
        score, epochs = at_rung(self.trials, self.scorer, rung)[trial.number], self.rungs[rung]
        return f"{head}: {score:.3f} after {epochs} epoch{'s' * (epochs != 1)}, {place} of {among} there; {took}."


def propose(space: Space, best_first: list[Trial], seed: int) -> dict[str, float]:
    """What the next trial should be: the defaults first, then ten at random, then what Optuna's model says.

    The model (TPE, Bergstra et al. 2011, multivariate) is given everything again each time, by place among all trials:
    scores of different rungs cannot be compared, places can. What is drawn is a formula of the seed and of the number
    of the trial.
    """
    if not best_first:
        return space.defaults()
    optuna = library("optuna", "tune")
    d = optuna.distributions
    distributions = {
        k.name: d.CategoricalDistribution(k.choices) if k.choices else d.FloatDistribution(k.low, k.high, log=True)
        for k in space.knobs
    }
    sampler = optuna.samplers.TPESampler(
        seed=derive(seed, "tune", len(best_first)) % 2**32, multivariate=True, n_startup_trials=RANDOM + 1
    )
    place = {t.number: float(-i) for i, t in enumerate(best_first)}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for t in sorted(best_first, key=lambda t: t.number):
            given = {"params": dict(t.asked), "distributions": distributions, "value": place[t.number]}
            study.add_trial(optuna.trial.create_trial(**given))
        return dict(study.ask(distributions).params)
    finally:
        optuna.logging.set_verbosity(verbosity)
