"""Successive halving under a budget of time."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.config import Config
from nearfar.core.console import QUIET, SILENT, Console, clock
from nearfar.core.errors import CollapseWarning, ConfigError, Stopped, TrainingError
from nearfar.core.randomness import derive
from nearfar.training import rehearsal
from nearfar.training.plan.prepare import Plan, narrowed
from nearfar.training.stopping import stop_signals
from nearfar.training.tuning.score import Parts, Scorer
from nearfar.training.tuning.space import Space

if TYPE_CHECKING:
    from nearfar.training.trainer import Trainer

THIRD = 3  # one trial in so many goes on to the next rung, which is so many times as long
RUNGS = 3
RESERVE = 8  # the budget is worth so many whole trials, unless the training itself is shorter
SLACK = 1.25  # what a step costs beyond the one that the time is estimated from
RANDOM = 10  # trials before Optuna's model says where to look
WHOLE, BEHIND, BROKEN, CUT, STOPPED = "whole", "behind", "not finite", "out of time", "stopped"


@dataclass
class Trial:
    """One trial.

    Attributes
    ----------
    number : int
        0 is the defaults.
    asked, values : dict
        What Optuna proposed, and what that came to (`Space.settle`).
    measured : list
        What the scorer gave at each rung; None where the training or the features were not finite.
    epochs : int
        Trained.
    seconds : float
        Spent, measuring included.
    ended : str
        Why: ``whole``, ``behind`` (others were better at the rung), ``not finite``, ``out of time``, ``stopped``.
    """

    number: int
    asked: dict[str, float]
    values: dict[str, float]
    measured: list[np.ndarray | None] = field(default_factory=list)
    epochs: int = 0
    seconds: float = 0.0
    ended: str = ""


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
    """Trials one after the other, until the time is up.

    Parameters
    ----------
    plan : Plan
        Of the defaults, on all training rows.
    rows : Parts
    space : Space
        Its base is the config of a trial with the defaults.
    scorer : Scorer
    budget : float
        Seconds.
    horizon : int, optional
        Epochs of a whole trial; by default as many as let the budget hold eight whole trials, and no more than the
        training has.
    most : int, optional
        Trials at most.
    console : Console
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
        self.told = 0  # seconds that progress knows of
        self.like: dict[int, Plan] = {}
        self.horizon = horizon or self._horizon()
        self.rungs = rungs(self.horizon)

    @property
    def spent(self) -> float:
        """Seconds since the search began."""
        return time.monotonic() - self.began

    def run(self) -> list[Trial]:
        """Try until the time is up, the trials are, or a signal comes. Returns the trials.

        Raises
        ------
        ConfigError
            The time did not suffice to measure the defaults once.
        Stopped
            A signal came before anything was measured.
        """
        try:
            with stop_signals() as stopped, self.console.progress("tuning", round(self.budget), "s") as progress:
                self.told = int(self.spent)
                progress.advance(self.told)
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
        return self.trials

    # --- what comes next --------------------------------------------------------------------------------------

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
        epoch = SLACK * rehearsal.expected_seconds(self._trainer(self._plan(config))) / config.train.epochs
        self.like.clear()  # positives may depend on the number of epochs
        if 2 * epoch > self.budget:
            raise ConfigError(
                f"{clock(self.budget)} is too short: one epoch of {len(self.rows.train):,} rows takes about "
                f"{clock(max(1, epoch))}.", where="--budget",
                hint="Give it more, or use fewer rows: --set data.limit=5000.",
            )  # fmt: skip
        return int(np.clip(self.budget / RESERVE / max(epoch, 1e-6), 1, config.train.epochs))

    def _plan(self, config: Config) -> Plan:
        """The plan of a trial; what belongs together is found once for every size of batch."""
        batch = config.train.batch_size
        made = narrowed(self.plan, config, self.rows.train, self.rows.held, like=self.like.get(batch))
        self.like.setdefault(batch, made)
        return made

    @staticmethod
    def _trainer(plan: Plan) -> Trainer:
        from nearfar.training.trainer import Trainer

        return Trainer(plan, None, SILENT)

    # --- one trial --------------------------------------------------------------------------------------------

    def _try(self, progress: Any) -> None:
        number = len(self.trials)
        asked = propose(self.space, order(self.trials, self.scorer), self.plan.config.train.seed)
        trial = Trial(number, asked, self.space.settle(asked))
        self.trials.append(trial)
        began = time.monotonic()

        def tick() -> bool:
            if (whole := min(int(self.spent), round(self.budget)) - self.told) > 0:
                self.told += whole
                progress.advance(whole, trial=number)
            return self.spent >= self.budget

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CollapseWarning)  # such a trial scores badly, which says it
                self._climb(trial, tick)
        finally:
            trial.seconds = time.monotonic() - began
        self.console.say(self._line(trial))

    def _climb(self, trial: Trial, tick: Callable[[], bool]) -> None:
        """Train from rung to rung, as long as the trial is among the best third of each."""
        config = self.space.config(trial.values)
        trainer = self._trainer(self._plan(replace(config, train=replace(config.train, epochs=self.horizon))))
        for rung, epochs in enumerate(self.rungs):
            goal = epochs * trainer.sampler.steps_per_epoch
            try:
                trainer.fit(lambda step, goal=goal: tick() or step >= goal)
            except TrainingError:
                trial.measured.append(None)
                trial.ended = BROKEN
                return
            trial.epochs = trainer.position.step // trainer.sampler.steps_per_epoch
            if trainer.position.step < goal:
                trial.ended = CUT
                return
            trial.measured.append(self.scorer(trainer))
            if trial.measured[-1] is None:
                trial.ended = BROKEN
                return
            if trial.number and not self._among_the_best(trial, rung):
                trial.ended = BEHIND
                break
        trial.ended = trial.ended or WHOLE

    def _among_the_best(self, trial: Trial, rung: int) -> bool:
        if rung == len(self.rungs) - 1:
            return True
        scores = at_rung(self.trials, self.scorer, rung)
        better = sum(s > scores[trial.number] for s in scores.values())
        return better < max(1, len(scores) // THIRD)

    def _line(self, trial: Trial) -> str:
        what = "the defaults" if trial.number == 0 else self.space.describe(trial.values)
        head, took = f"Trial {trial.number} ({what})", clock(trial.seconds)
        if trial.ended == BROKEN:
            return f"{head}: not finite after {trial.epochs} epochs; {took}."
        if not trial.measured:
            return f"{head}: out of time; {took}."
        rung = len(trial.measured) - 1
        scores = at_rung(self.trials, self.scorer, rung)
        place = 1 + sum(s > scores[trial.number] for s in scores.values())
        reached = f"{scores[trial.number]:.3f} after {_epochs(self.rungs[rung])}, {place} of {len(scores)} there"
        return f"{head}: {reached}; {took}."


def _epochs(count: int) -> str:
    return f"{count} epoch{'s' if count != 1 else ''}"


# --- Optuna -------------------------------------------------------------------------------------------------------


def require() -> Any:
    """Optuna.

    Raises
    ------
    ConfigError
        It is not installed.
    """
    try:
        import optuna
    except ImportError as e:
        raise ConfigError("Optuna is not installed.", hint='Say pip install "nearfar[tune]".') from e
    return optuna


def propose(space: Space, best_first: list[Trial], seed: int) -> dict[str, float]:
    """What the next trial should be: the defaults first, then ten at random, then what Optuna's model says.

    The model (TPE, Bergstra et al. 2011, multivariate) is told everything anew each time, by place among all trials:
    scores of different rungs cannot be compared, places can. What is drawn is a formula of the seed and of the number
    of the trial.
    """
    if not best_first:
        return space.defaults()
    optuna = require()
    d = optuna.distributions
    distributions = {
        k.name: d.CategoricalDistribution(k.choices) if k.choices else d.FloatDistribution(k.low, k.high, log=True)
        for k in space.knobs
    }
    sampler = optuna.samplers.TPESampler(
        seed=derive(seed, "tune", len(best_first)) % 2**32, multivariate=True, n_startup_trials=RANDOM + 1
    )
    place = {t.number: float(-i) for i, t in enumerate(best_first)}
    with _silent(optuna):
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for t in sorted(best_first, key=lambda t: t.number):
            study.add_trial(_told(optuna, t.asked, distributions, place[t.number]))
        return dict(study.ask(distributions).params)


def _told(optuna: Any, asked: Mapping[str, float], distributions: dict[str, Any], value: float) -> Any:
    return optuna.trial.create_trial(params=dict(asked), distributions=distributions, value=value)


@contextmanager
def _silent(optuna: Any) -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
