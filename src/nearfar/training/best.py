"""The best state of a training by the held-out rows that it watches; its start is one of them, and may be the best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, NotRequired, TypedDict

import torch

from nearfar.core.errors import RunError
from nearfar.core.schema import within
from nearfar.encoders.text.tables import INSIDE
from nearfar.evaluation import verdict
from nearfar.models.branches import Branches
from nearfar.training import narrowing
from nearfar.training.distributed import World
from nearfar.training.plan.prepare import Plan
from nearfar.training.watch import watches

TIMES, LOOKS = 3, 3  # steps without a gain, as a multiple of those up to the best state; and looks among them


class Summary(TypedDict):
    """What a checkpoint says of the best state in JSON, besides its weights."""

    step: NotRequired[Annotated[int, within(0)]]
    worth: NotRequired[float]
    looked: NotRequired[Annotated[int, within(0)]]
    since: NotRequired[Annotated[int, within(0)]]
    start: NotRequired[dict[str, float | None]]


class Best:
    """The best state so far, and its weights."""

    def __init__(self, plan: Plan) -> None:
        train = plan.config.train
        self.on = watches(plan) and train.select == "best" and not train.average
        self.patience = train.patience * plan.steps if self.on else 0.0
        # What a training learns is what its states are compared by, on rows held out.
        if len(plan.columns) > 1:
            self.key = "retrieval" if plan.scores is None else "spearman"
        elif "targets" in plan.positives.changing:
            self.key = "taught"
        else:
            begun = any(c.pretrained for c in plan.by_column.values())
            by_labels, without = ("probe", verdict.AGREED) if begun else ("knn", verdict.LABEL_FREE)
            self.key = by_labels if plan.record.positives == "labels" else without
        self.step: int | None = None  # of the best state; None before the first look, and where none is better
        self.worth = 0.0  # the most that a look found
        self.looked, self.since = 0, 0  # step of the last look, and how many looks it is after the best one
        self.start: dict[str, Any] = {}
        self.weights: dict[str, torch.Tensor] = {}

    def look(self, row: Mapping[str, Any], branches: Branches) -> None:
        """Keep the weights if a look at held-out rows, a line of metrics, is as good as the best before it."""
        # Without a look before the first step nothing is kept: there would be nothing to compare with.
        step = row["step"]
        if step == 0:
            self.start = dict(row)
        worth = verdict.worth(self.key, row, self.start) if self.on and self.start else None
        if worth is None:
            return
        self.looked, self.since = step, self.since + 1
        if self.step is None:
            better = worth > -math.inf
        else:
            start = verdict.worth(self.key, self.start, self.start)
            better = worth > -math.inf and worth >= verdict.enough(self.key, self.worth, start)
        if better:
            # The worth of the best look stays the measure: states a little below each other must not lead downhill.
            self.worth = worth if self.step is None else max(worth, self.worth)
            self.step, self.since = step, 0
            self.weights = {n: t.detach().clone() for n, t in _tensors(branches).items()}

    def spent(self) -> bool:
        """Whether nothing was gained for as long as patience lasts, or for `TIMES` as long as the best state took."""
        if not self.patience or self.step is None:
            return False
        long = self.looked - self.step
        return long >= self.patience or (self.since >= LOOKS and 0 < TIMES * self.step <= long)

    def summary(self) -> Summary:
        """What a checkpoint says of it in JSON."""
        names = ("start",) if self.step is None else ("step", "worth", "looked", "since", "start")
        return {name: getattr(self, name) for name in names}

    def state(self, branches: Branches) -> dict[str, torch.Tensor]:
        """What a checkpoint keeps of its weights, whole tensors; `branches` are those that are trained."""
        return narrowing.whole(branches, self.weights)

    def restore(
        self, summary: Summary, tensors: Mapping[str, torch.Tensor], branches: Branches, at: int, where: str
    ) -> None:
        """The inverse of `summary` and `state`, after `at` steps; raises a `RunError` where they do not go together."""
        self.start = dict(summary.get("start", {}))
        # Where the states up to here were not compared, those to come are not either: the start would be missing.
        if not self.on or "step" not in summary:
            self.on, self.patience = False, 0.0
            return
        self.step, self.worth = summary["step"], summary.get("worth", 0.0)
        self.looked, self.since = summary.get("looked", 0), summary.get("since", 0)
        self.weights = narrowing.rows(branches, tensors)
        missing = sorted(_tensors(branches).keys() - self.weights.keys())
        if self.step > at or missing:
            why = f"of step {self.step:,}, and {at:,} are done" if self.step > at else f"without {missing[0]}"
            raise RunError(f"its best state is {why}.", where=where)

    def agree(self, world: World) -> None:
        """Take over which step was best from process 0, which alone looks (all processes take part)."""
        step = int(world.from_main(torch.tensor(-1 if self.step is None else self.step)))
        self.step = None if step < 0 else step

    @torch.no_grad()
    def give(self, branches: Branches, world: World) -> None:
        """Make its weights those of whole branches, in all processes."""
        for name, tensor in _tensors(branches).items():
            tensor.copy_(world.from_main(self.weights.get(name, tensor)))


def _tensors(branches: Branches) -> dict[str, torch.Tensor]:
    """What training changes: weights, and what layers keep beside them, such as the statistics of batch norms."""
    weights = {name: p for name, p in branches.named_parameters() if p.requires_grad}
    kept = branches.state_dict().keys()  # which lacks what a layer makes anew, such as the numbers of positions
    beside = {name: b for name, b in branches.named_buffers() if name in kept and ".fixed." not in name}
    return weights | {name: b for name, b in beside.items() if name.rpartition(".")[2] != INSIDE}
