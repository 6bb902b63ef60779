"""W-MSE: views agree after the batch has been given the identity as covariance."""

from __future__ import annotations

from nearfar.methods.parts import Mlp
from nearfar.methods.record import Figure, Loss, Method, Paper, compare_views

# 64 dimensions whitened in groups of 128 rows, as in the paper's CIFAR runs.
RECORD = Method(
    name="w_mse",
    idea="views agree once the batch is whitened; no negatives, no twin",
    paper=Paper("Ermolov, Siarohin, Sangineto, Sebe", 2020, "2007.06346"),
    published=(
        Figure(0.887, "online linear", "CIFAR-10, ResNet-18, 1000 epochs (solo-learn)"),
        Figure(0.916, "linear probe", "CIFAR-10, ResNet-18, 1000 epochs, 4 views (the paper)"),
    ),
    objective=Loss("whitening", {"size": 128}),
    projector=Mlp(hidden=1024, out=64),
    wants=("a batch above 65 rows",),
)

compare = compare_views
