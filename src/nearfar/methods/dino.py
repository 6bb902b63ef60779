"""DINO: the student predicts the twin's softmax over prototypes, which is centred and sharpened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearfar.core.values import knob
from nearfar.methods.parts import WIDEST, Twin
from nearfar.methods.record import Figure, Method, Paper
from nearfar.methods.schedule import Schedule

if TYPE_CHECKING:
    from torch import nn

    from nearfar.methods.embeddings import Compared, Embeddings


@dataclass(frozen=True)
class Head:
    """Two layers to a bottleneck, then cosines with `out` directions, which the twin has its own slow copy of."""

    hidden: int = knob(1024, low=1, high=WIDEST)
    bottleneck: int = knob(256, low=1, high=WIDEST)
    out: int = knob(1024, low=2, high=WIDEST)

    @property
    def prototypes(self) -> int:
        """How many directions."""
        return self.out

    def build(self, features: int) -> nn.Module:
        from torch import nn

        from nearfar.methods.parts.heads import Directions, mlp

        return nn.Sequential(mlp(features, self.hidden, self.bottleneck), Directions(self.bottleneck, self.out))


@dataclass(frozen=True)
class Centre:
    """The running mean of the twin's scores."""

    momentum: float = knob(0.9, low=0, high=1)

    def build(self, dim: int) -> nn.Module:
        from nearfar.methods.parts.queue import RunningMean

        return RunningMean(dim, self.momentum)


# Temperatures, centre and weight decay are the paper's; momentum 0.99 to 1 instead of 0.996, as the other twins of
# this table, since runs are short; fewer prototypes (solo-learn's CIFAR setting has 4096). Two views, as there: the
# paper's small crops show too little of a small picture. `views.recipe=dino` with `method.count=10 method.local=8` has
# them.
RECORD = Method(
    name="dino",
    idea="the student predicts the twin's softmax over prototypes, which is centred and sharpened",
    paper=Paper("Caron et al.", 2021, "2104.14294"),
    published=(
        Figure(0.895, "online linear", "CIFAR-10, ResNet-18, 1000 epochs (solo-learn)"),
        Figure(0.840, "kNN, maximum over epochs", "CIFAR-10, ResNet-18, 200 epochs (lightly)"),
    ),
    objective="dino",
    views="byol",
    projector=Head(),
    twin=Twin(momentum=0.99, final=1.0),
    parts={"centre": Centre()},
    temperature=0.1,
    options={"target_temperature": Schedule(0.04, 0.07, "linear", 0.3)},
    weight_decay=Schedule(0.04, 0.4),
)


def compare(e: Embeddings, record: Method) -> Compared:
    from nearfar.objectives.dino import dino

    order, targets = e.global_first
    return dino(
        [e.online[i] for i in order], [e.target[i] for i in order[:targets]],
        centre=e.parts["centre"].mean if "centre" in e.parts else None, temperature=record.temperature,
        target_temperature=record.options["target_temperature"], world=e.world,
    )  # fmt: skip
