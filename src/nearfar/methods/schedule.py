"""Numbers that change as training goes: formulas of the step, so there is nothing to save."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nearfar.core.values import knob


@dataclass(frozen=True)
class WarmupCosine:
    """Up in a straight line for a share of the steps, then down to `final` with a cosine.

    Parameters
    ----------
    peak, final : float
    warmup : float
        Share of all steps, 0 … 1.
    """

    peak: float
    warmup: float = 0.1
    final: float = 0.0

    def value(self, step: int, total: int) -> float:
        """At `step` (from 0) of `total`."""
        rising = self.warmup * total
        if step < rising:
            return self.peak * (step + 1) / (rising + 1)
        progress = (step - rising) / max(1.0, total - rising)
        return self.final + (self.peak - self.final) * (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class Schedule:
    """From `start` to `end` within the first `until` of the steps (a share, 0 … 1), and `end` from there on.

    `shape` is ``"cosine"``, which leaves slowly and arrives slowly, or ``"linear"``.
    """

    start: float
    end: float
    shape: str = knob("cosine", choices=("cosine", "linear"))
    until: float = knob(1.0, low=0, high=1)

    @classmethod
    def of(cls, number: float | None) -> Schedule:
        """A number as a schedule that stays at it, of which a part is then changed."""
        return cls(number or 0.0, number or 0.0)

    @property
    def ends(self) -> tuple[float, float]:
        """What it goes from and to; the range of the number that it stands for holds for both."""
        return self.start, self.end

    def at(self, progress: float) -> float:
        """Its value once a share `progress` of all steps is done."""
        share = min(1.0, progress / self.until) if self.until > 0 else 1.0
        if self.shape == "cosine":
            share = (1 - math.cos(math.pi * share)) / 2
        elif self.shape != "linear":
            raise ValueError(f"shape: expected cosine or linear, got {self.shape!r}")
        return self.start + (self.end - self.start) * share


Number = float | Schedule


def at(number: Number | None, progress: float) -> float | None:
    """A number, or a schedule's value at `progress`."""
    return number.at(progress) if isinstance(number, Schedule) else number
