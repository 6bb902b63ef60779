"""Which states of a training are better, by the held-out rows that it watched, and whether it helped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

# what tells how good a model is, the first that a training has; each is a key of `metrics.jsonl`
WATCHED = {
    "retrieval": ("Recall at 1 of held-out pairs", "retrieval_rows"),
    "spearman": ("Spearman correlation with the scores of held-out pairs", "spearman_rows"),
    "taught": ("Share of the nearest among held-out rows that are the teacher's nearest too", "taught_rows"),
    "probe": ("Linear probe accuracy on held-out training rows", "probe_rows"),
    "knn": ("kNN accuracy on held-out training rows", "knn_rows"),
}
LABEL_FREE = "label-free"  # stands for `label_free`
# Of pretrained weights: their rank is what a training spends where it helps and gains where it harms.
AGREED = "agreement of views"
BY_LABELS = ("probe", "knn")  # of these, what is measured by labels
FEWEST = 20  # held-out rows with labels, below which they tell no states apart
EQUAL = {LABEL_FREE: 0.005}  # share of the best state's worth by which another may be lower and is as good
FOUND = 0.8  # share of the first recall between views below which a state is not a candidate
ERRORS = 2  # standard errors that a difference must exceed
WHAT_TO_DO = "Try fewer epochs, a lower --lr, milder views, or another method (nearfar methods)."


def worth(by: str, row: Mapping[str, Any], start: Mapping[str, Any]) -> float | None:
    """How good a state is by a figure, more being better; None where the look at it does not tell.

    `row` and `start` are lines of metrics, of the state and of the one before the first step.
    """
    if by in (LABEL_FREE, AGREED):
        if "heldout_agreement" not in row:
            return None
        if row["step"] > 0 and (not tells_apart(row, start) or known_worse(row, start)):
            return -math.inf
        return label_free(row) if by == LABEL_FREE else row["heldout_agreement"]
    value, rows, chance = row.get(by), start.get("knn_rows") or 0, start.get("knn_chance")
    if by in BY_LABELS and rows < FEWEST:
        return None
    if value is None or by not in BY_LABELS or row["step"] > 0 or chance is None:
        return value
    # labels of which the start tells nothing may be labels of nothing: what a training finds of these is chance
    scatter = noise(by, chance, chance, rows)
    return value if value > chance + scatter / math.sqrt(2) else max(value, chance) + scatter


def enough(by: str, best: float, start: float | None) -> float:
    """What a state has to be worth to be the model: what the start is, and as much as the best but for a little."""
    return max(best * (1 - EQUAL.get(by, 0.0)), -math.inf if start is None else start)


def label_free(row: Mapping[str, Any]) -> float:
    """How much nearer the views of a row are than those of different rows, times the root of the effective rank.

    Either by itself is best for something that is worth nothing: agreement for few dimensions that no view changes, the
    rank for noise. A training gains agreement and pays with rank; the product ends to rise where it pays too much. Of
    what docs/results/stopping.md compares it chose the states with the best figures.
    """
    return max(0.0, row["heldout_agreement"]) * math.sqrt(row["heldout_rank"])


def tells_apart(row: Mapping[str, Any], start: Mapping[str, Any]) -> bool:
    """Whether one view of a row finds the other among those of all: nearly as often as at the start, and not by chance.

    A training that is far too fast gains agreement at once by giving up what tells rows apart; one whose views share
    nothing has nothing to gain.
    """
    found, rows = row.get("heldout_views") or 0.0, start.get("heldout_rows") or 2
    chance = 1 / rows
    likely = chance + noise("heldout_views", chance, chance, int(rows))
    return found > likely and found >= FOUND * (start.get("heldout_views") or 0.0)


def known_worse(row: Mapping[str, Any], start: Mapping[str, Any]) -> bool:
    """Whether held-out rows have labels, and a kNN tells these worse than at the start by more than a standard error.

    That is the error of independent rows. These are the same, which makes it two or more of their difference.
    """
    before, after, rows = start.get("knn"), row.get("knn"), start.get("knn_rows") or 0
    if before is None or after is None or rows < FEWEST:
        return False
    return after < before - noise("knn", before, after, int(rows)) / ERRORS


@dataclass(frozen=True)
class Verdict:
    """The figure that was watched, before the first step and of the state that is the model."""

    figure: str  # its key in metrics.jsonl
    before: float
    after: float
    rows: int  # held-out ones that it is measured on

    @property
    def outcome(self) -> str:
        """Better, worse, or "no different" where the difference may be chance."""
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


def of(metrics: Sequence[Mapping[str, Any]], kept: int | None = None) -> Verdict | None:
    """The verdict on a training by its lines of metrics; None where nothing tells how good its model is.

    `kept` is the step of the state that is the model, by default the last.
    """
    start = next((m for m in metrics if m["step"] == 0), {})
    for key, (_, rows) in WATCHED.items():
        looks = [m for m in metrics if m["step"] > 0 and m.get(key) is not None]
        if start.get(key) is not None and looks:
            model = next((m for m in (start, *looks) if m["step"] == kept), looks[-1])
            return Verdict(key, start[key], model[key], int(start.get(rows) or 0))
    return None


def sentence(metrics: Sequence[Mapping[str, Any]], config: Mapping[str, Any], kept: int | None = None) -> str:
    """What a run's card and report say first, by the lines of ``metrics.jsonl``; empty where nothing was watched.

    `config` is ``train`` of the run's configuration: averaged weights are others than those that were looked at.
    `kept` is the step of the state that is the model, where that was chosen.
    """
    found, end = of(metrics, kept), of(metrics)
    if kept == 0:
        last = f" {WATCHED[end.figure][0]}: {end.before:.3f} at the start, {end.after:.3f} in the end" if end else ""
        last += ", which may be chance." if end and end.after > end.before else "." * bool(end)
        return f"No state of this training was better than its start, which is kept as the model.{last} {WHAT_TO_DO}"
    steps = max((m["step"] for m in metrics), default=0)
    chosen = kept is not None and kept < steps
    last = f"after {kept:,} of {steps:,} steps, which is kept as the model" if chosen else "after training"
    if config.get("average") or config.get("interpolate"):
        last = f"after {f'{kept:,} of {steps:,} steps' if chosen else 'the last step'}, before weights were averaged"
    if found is not None:
        return found.sentence(last)
    return "" if kept is None else f"Held-out rows were best {last}."
