"""SimCLR: two views of an image agree, against all other images of the batch."""

from __future__ import annotations

from nearfar.methods.parts import Mlp
from nearfar.methods.record import Figure, Loss, Method, Paper, compare_views

RECORD = Method(
    name="simclr",
    idea="two views of a row agree, against all other rows of the batch",
    paper=Paper("Chen, Kornblith, Norouzi, Hinton", 2020, "2002.05709"),
    published=(
        Figure(0.910, "linear probe", "CIFAR-10, ResNet-18, 1000 epochs (EMP-SSL's table)"),
        Figure(0.565, "linear probe", "CIFAR-10, ResNet-18, 10 epochs (EMP-SSL's table)"),
    ),
    expected="CIFAR-10, pooled_cnn, 10 epochs: linear probe 0.687, kNN 0.656, 34 minutes on two busy cores",
    objective=Loss("info_nce"),
    projector=Mlp(hidden=512, out=128),
    temperature=0.2,
    wants=("negatives from the batch",),
)

compare = compare_views
