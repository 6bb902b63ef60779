"""Barlow Twins: each dimension agrees between views, and no two dimensions carry the same."""

from __future__ import annotations

from nearfar.methods.parts import Mlp
from nearfar.methods.record import Figure, Loss, Method, Paper, compare_views

# Head as in solo-learn's CIFAR setting, weight as in the paper.
RECORD = Method(
    name="barlow_twins",
    idea="dimensions agree between views and are not correlated with each other; no negatives, no twin",
    paper=Paper("Zbontar, Jing, Misra, LeCun, Deny", 2021, "2103.03230"),
    published=(
        Figure(0.921, "online linear", "CIFAR-10, ResNet-18, 1000 epochs (solo-learn)"),
        Figure(0.842, "kNN, maximum over epochs", "CIFAR-10, ResNet-18, 200 epochs (lightly)"),
    ),
    objective=Loss("barlow_twins"),
    projector=Mlp(hidden=2048, out=2048),
    views="byol",
    bn="per view",
)

compare = compare_views
