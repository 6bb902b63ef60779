"""SupCon: rows of one label are positives of each other, and every view of a row is."""

from __future__ import annotations

from nearfar.methods.parts import Mlp
from nearfar.methods.record import Figure, Loss, Method, Paper, compare_views

RECORD = Method(
    name="supcon",
    idea="rows of one label agree, against rows of other labels; unlabelled rows only with themselves",
    paper=Paper("Khosla et al.", 2020, "2004.11362"),
    published=(
        Figure(0.960, "linear probe", "CIFAR-10, ResNet-50, 1000 epochs (the paper)"),
        Figure(0.938, "online linear", "CIFAR-10, ResNet-18, 1000 epochs (solo-learn)"),
    ),
    expected="CIFAR-10, pooled_cnn, 10 epochs: linear probe 0.857, kNN 0.852, 36 minutes on two busy cores",
    objective=Loss("supcon"),
    positives="labels",
    projector=Mlp(hidden=512, out=128),
    temperature=0.1,
    wants=("negatives from the batch",),
)

compare = compare_views
