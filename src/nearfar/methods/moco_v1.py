"""MoCo v1: momentum contrast with a linear projection, against a long queue of earlier keys."""

from __future__ import annotations

from dataclasses import replace

from nearfar.methods import moco_v2
from nearfar.methods.parts import Mlp
from nearfar.methods.record import Figure, Paper

# Temperature and the linear head are the paper's; momentum and queue are moco_v2's, since the paper's 0.999 follows too
# slowly for runs of a few thousand steps.
RECORD = replace(
    moco_v2.RECORD,
    name="moco_v1",
    idea="as moco_v2, with a linear projection and a lower temperature",
    paper=Paper("He, Fan, Wu, Xie, Girshick", 2020, "1911.05722"),
    published=(Figure(0.606, "linear probe", "ImageNet, ResNet-50, 200 epochs (the paper)"),),
    projector=Mlp(out=128, layers=1),
    temperature=0.07,
)

compare = moco_v2.compare
