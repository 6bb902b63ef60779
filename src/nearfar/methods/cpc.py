"""CPC: the rows of patches above predict the patches below, among all patches of the batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearfar.core.values import knob
from nearfar.methods.parts import WIDEST, Mlp
from nearfar.methods.record import Figure, Method, Paper

if TYPE_CHECKING:
    from torch import nn

    from nearfar.methods.embeddings import Compared, Embeddings


@dataclass(frozen=True)
class Context:
    """A recurrent network over the rows of a grid of views, and a linear map for each number of rows ahead.

    Rows nearer than `ahead` overlap what the context has seen and are not predicted. One column is CPC of a sequence.
    """

    rows: int = knob(3, low=2, high=64)
    columns: int = knob(3, low=1, high=64)
    hidden: int = knob(256, low=1, high=WIDEST)
    ahead: int = knob(2, low=1, high=63)

    def build(self, dim: int) -> nn.Module:
        from nearfar.methods.parts.predictive import Foresight

        return Foresight(dim, self.rows, self.columns, self.hidden, self.ahead)


# Patches are half as wide as the image and overlap by half, as in the papers; the papers' grid is 7 × 7 of 256 pixels.
RECORD = Method(
    name="cpc",
    idea="the patches above predict those below, against all other patches of the batch",
    paper=Paper("van den Oord, Li, Vinyals; Henaff et al.", 2018, "1807.03748"),
    published=(Figure(0.487, "linear probe", "ImageNet, ResNet-101 (the paper)"),),
    objective="info_nce",
    views="cpc",
    own_views=True,
    count=9,
    local=9,
    projector=Mlp(out=128, layers=1),
    parts={"context": Context()},
    temperature=0.1,
    wants=("views that form a grid or a sequence",),
)


def compare(e: Embeddings, record: Method) -> Compared:
    """Cosines at a temperature stand for the paper's bilinear scores."""
    import torch

    from nearfar.objectives.info_nce import info_nce_against
    from nearfar.objectives.kernel.relation import Relation

    predicted = e.parts["context"](e.online)
    places = torch.arange(predicted[0][0].shape[1], device=e.relation.group.device)
    patches = Relation((e.relation.group[:, None] * len(places) + places).flatten())
    pairs = [(a.flatten(0, 1), b.flatten(0, 1)) for a, b in predicted]
    compared = [info_nce_against(a, b, patches, temperature=record.temperature, world=e.world) for a, b in pairs]
    return torch.stack([loss for loss, _ in compared]).mean(), compared[0][1]


def no_learning(record: Method, rows: int) -> float:
    """Loss where all similarities are equal: one of the patches of a row of all grids is right."""
    return math.log(rows * record.parts["context"].columns)
