"""Whether a model is better than before its first step, by the held-out rows that its training watched."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

# what tells how good a model is, the first that a training has; each is a key of `metrics.jsonl`
WATCHED = {
    "retrieval": ("Recall at 1 of held-out pairs", "retrieval_rows"),
    "spearman": ("Spearman correlation with the scores of held-out pairs", "spearman_rows"),
    "knn": ("kNN accuracy on held-out training rows", "knn_rows"),
}
ERRORS = 2  # standard errors that a difference must exceed
WHAT_TO_DO = "Try fewer epochs, a lower --lr, milder views, or another method (nearfar methods)."


@dataclass(frozen=True)
class Verdict:
    """The figure that was watched, before the first step and after the last.

    Attributes
    ----------
    figure : str
        Its key in ``metrics.jsonl``.
    before, after : float
    rows : int
        Held-out rows that it is measured on.
    outcome : str
        "better", "worse", or "no different" where the difference may be chance.
    """

    figure: str
    before: float
    after: float
    rows: int

    @property
    def outcome(self) -> str:
        """Whether the difference is more than chance."""
        if abs(self.after - self.before) <= noise(self.figure, self.before, self.after, self.rows):
            return "no different"
        return "better" if self.after > self.before else "worse"

    def sentence(self, last: str = "after training") -> str:
        """What to tell a person: both figures, and what to do where training did not help."""
        said = f"{WATCHED[self.figure][0]}: {self.after:.3f} {last}, {self.before:.3f} before"
        if self.outcome == "worse":
            return f"{said}: training made this model worse. {WHAT_TO_DO}"
        if self.outcome == "better":
            return f"{said}."
        chance = f"on {self.rows:,} rows a difference this small may be chance"
        return f"{said}; {chance}. {WHAT_TO_DO}" if self.after < self.before else f"{said}; {chance}."

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self) | {"outcome": self.outcome}


def noise(figure: str, before: float, after: float, rows: int) -> float:
    """Two standard errors of the difference of a figure between two looks at the same rows.

    They are those of independent rows; the looks are at the same ones, whose difference scatters less. A share has one
    more row of either kind, so that one of 0 or 1 is not taken for certain.
    """
    if rows < 2:
        return math.inf
    if figure == "spearman":
        variances = [(1 - r * r) ** 2 / (rows - 1) for r in (before, after)]
    else:
        shares = [(p * rows + 1) / (rows + 2) for p in (before, after)]
        variances = [p * (1 - p) / (rows + 2) for p in shares]
    return ERRORS * math.sqrt(sum(variances))


def of(metrics: Sequence[Mapping[str, Any]]) -> Verdict | None:
    """The verdict on a training by its lines of metrics; None where nothing tells how good its model is."""
    start = next((m for m in metrics if m["step"] == 0), {})
    for key, (_, rows) in WATCHED.items():
        looks = [m for m in metrics if m["step"] > 0 and m.get(key) is not None]
        if start.get(key) is not None and looks:
            return Verdict(key, start[key], looks[-1][key], int(start.get(rows) or 0))
    return None


def sentence(metrics: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> str:
    """What a run's card and report say first; empty where nothing was watched.

    Parameters
    ----------
    metrics : sequence of mapping
        Lines of ``metrics.jsonl``.
    config : mapping
        ``train`` of the run's configuration: weights that were averaged are others than those that were looked at.
    """
    found = of(metrics)
    changed = config.get("average") or config.get("interpolate")
    last = "after the last step, before weights were averaged" if changed else "after training"
    return "" if found is None else found.sentence(last)
