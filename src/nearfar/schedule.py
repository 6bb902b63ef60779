"""Numbers that change as training goes: formulas of the step, so there is nothing to save."""

from __future__ import annotations

import math
from dataclasses import dataclass


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
