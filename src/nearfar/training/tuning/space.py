"""What a trial may change, and how far from the defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nearfar.core.config import Config
from nearfar.core.errors import ConfigError, UnknownName, UserError
from nearfar.methods.record import Loss, Method
from nearfar.training.plan.prepare import Plan
from nearfar.training.plan.resolve import batch_size_of
from nearfar.transforms.image.crop import Crop

NAMES = ("lr", "temperature", "crop", "batch")
RATE = 10.0  # the learning rate is tried from a tenth of its default to ten times it
WARM = 4.0  # the temperature from a quarter to four times
COLDEST, HOTTEST = 0.02, 1.0
SMALLEST_CROP, LARGEST_CROP = 0.08, 0.75  # of the area, for the smaller end of the crop's scale
FEWEST = 8  # rows of a batch


@dataclass(frozen=True)
class Knob:
    """One thing that is tried: a number between two ends on a logarithmic scale, or one of several."""

    name: str
    default: float
    low: float = 0.0
    high: float = 0.0
    choices: tuple[int, ...] = ()


@dataclass(frozen=True)
class Space:
    """All that is tried."""

    base: Config  # of a trial with the defaults; nothing in it is "auto"
    knobs: tuple[Knob, ...]
    crop_end: float = 1.0  # larger end of the crop's scale, which is not tried
    notes: tuple[str, ...] = ()  # what is not tried, and why

    def defaults(self) -> dict[str, float]:
        """What to ask for to have the defaults."""
        return {k.name: k.default for k in self.knobs}

    def settle(self, asked: Mapping[str, float]) -> dict[str, float]:
        """The values of a trial: those asked for in three digits, the learning rate in proportion to the batch.

        The rate is asked for at the default batch size: a batch of twice the rows then has twice the rate, as where
        nearfar chooses both, so that the two can be searched by themselves.
        """
        if dict(asked) == self.defaults():
            return dict(asked)
        values = dict(asked)
        if "batch" in asked:
            rate = asked.get("lr", self.base.optim.lr)
            values["lr"] = rate * asked["batch"] / self.base.train.batch_size
        return {name: v if name == "batch" else float(f"{v:.3g}") for name, v in values.items()}

    def changes(self, values: Mapping[str, float]) -> dict[str, Any]:
        """The knobs of a config that a trial's values stand for, by path."""
        path = {"lr": "optim.lr", "temperature": "method.temperature", "batch": "train.batch_size"}
        crop = {"views.overrides.crop.scale": [values["crop"], self.crop_end]} if "crop" in values else {}
        return {path[name]: value for name, value in values.items() if name != "crop"} | crop

    def config(self, values: Mapping[str, float]) -> Config:
        """The defaults with a trial's values."""
        config = self.base
        if dict(values) != self.defaults():
            for path, value in self.changes(values).items():
                config = config.set(path, value)
        return config

    def describe(self, values: Mapping[str, float]) -> str:
        """In words: ``lr 0.002, temperature 0.3, crop 0.2–1, batch 128``."""
        return ", ".join(f"{name} {self.shown(name, values)}" for name in NAMES if name in values)

    def shown(self, name: str, values: Mapping[str, float]) -> str:
        """One value as people read it."""
        text = f"{values[name]:.3g}"
        return str(int(values[name])) if name == "batch" else f"{text}–{self.crop_end:g}" if name == "crop" else text


def of(plan: Plan, config: Config, rows: int, only: Sequence[str] = ()) -> Space:
    """What can be tried for a plan with the defaults, `config` of a trial and the `rows` that it trains on.

    Raises where `only`, what alone is to be tried, has what there is not, or what the method or the recipe lacks.
    """
    for name in only:
        if name not in NAMES:
            raise UnknownName("knob to try", name, NAMES, where="--vary")
    lr, crops = config.optim.lr, _crops(plan)
    tried: dict[str, Knob | str] = {
        "lr": Knob("lr", lr, lr / RATE, lr * RATE) if lr else "it is 0", "temperature": _temperature(plan.record),
        "crop": _crop(plan, crops), "batch": _batch(plan, rows),
    }  # fmt: skip
    for name in only:
        if isinstance(why := tried[name], str):
            raise ConfigError(f"{name} cannot be tried: {why}.", where="--vary")
    knobs = tuple(k for name, k in tried.items() if isinstance(k, Knob) and (not only or name in only))
    if not knobs:
        raise ConfigError("there is nothing to try.", where="--vary")
    notes = tuple(f"{name} ({why})" for name, why in tried.items() if isinstance(why, str) and not only)
    return Space(config, knobs, max(crops[0].scale) if crops else 1.0, notes)


# Each gives what is tried, or in words why there is nothing to try.


def _temperature(record: Method) -> Knob | str:
    t = record.temperature
    if not isinstance(t, float | int) or isinstance(t, bool):
        return f"{record.name} has none that is a plain number"
    if isinstance(record.objective, Loss) and "temperature" not in record.objective.accepts:
        return f"{record.objective_name} has none"
    return Knob("temperature", float(t), min(float(t), max(t / WARM, COLDEST)), max(float(t), min(t * WARM, HOTTEST)))


def _crops(plan: Plan) -> list[Crop]:
    return [t for recipes in plan.recipes.values() for recipe in recipes for t in recipe if isinstance(t, Crop)]


def _crop(plan: Plan, crops: list[Crop]) -> Knob | str:
    scales, name = {tuple(t.scale) for t in crops}, plan.config.views.recipe
    if len(scales) != 1:
        return f"the recipe {name!r} has {'several of different sizes' if scales else 'none'}"
    low, high = scales.pop()
    if low >= high:
        return f"in the recipe {name!r} it has one size"
    return Knob("crop", float(low), min(low, SMALLEST_CROP * high), max(low, LARGEST_CROP * high))


def _batch(plan: Plan, rows: int) -> Knob | str:
    train, unit = plan.config.train, max(1, plan.record.bn_groups)
    if train.balance or train.chunk:
        return "train.balance or train.chunk holds it"

    def fits(batch: int) -> bool:
        try:
            return batch_size_of(plan.config.set("train.batch_size", batch), plan.record, rows) == batch
        except UserError:
            return False

    half = train.batch_size // 2
    sizes = [half - half % unit, train.batch_size, 2 * train.batch_size]
    fit = [b for b in sizes if b == train.batch_size or (FEWEST <= b <= rows // 2 and fits(b))]
    if len(fit) == 1:
        return f"no other fits the method and {rows:,} rows"
    return Knob("batch", train.batch_size, choices=tuple(int(b) for b in np.unique(fit)))
