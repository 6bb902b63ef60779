"""Cross entropy with labels: no contrast, the reference that the others are held against."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nearfar.core.errors import DataError
from nearfar.core.values import knob
from nearfar.methods.parts import Facts
from nearfar.methods.record import Method

if TYPE_CHECKING:
    from torch import nn

    from nearfar.methods.embeddings import Compared, Embeddings


@dataclass(frozen=True)
class Classifier:
    """A linear layer to so many classes; None: as many as the data have."""

    classes: int | None = knob(None, low=2, high=2**20)

    def resolved(self, facts: Facts) -> Classifier:
        if facts.classes == 1:
            raise DataError("all labelled rows are of one class; there must be two.")
        return self if self.classes is not None else replace(self, classes=facts.classes)

    def build(self, dim: int) -> nn.Module:
        from torch import nn

        return nn.Linear(dim, self.classes)


RECORD = Method(
    name="supervised",
    idea="a linear layer predicts the label by cross entropy; no contrast, for comparison",
    objective="cross_entropy",
    positives="labels",
    views="light",
    count=1,
    projector=None,
    parts={"classifier": Classifier()},
    lr=2e-3,
    weight_decay=0.05,
)


def compare(e: Embeddings, record: Method) -> Compared:
    from nearfar.objectives.cross_entropy import cross_entropy

    return cross_entropy([e.parts["classifier"](z) for z in e.online], e.relation, world=e.world)
