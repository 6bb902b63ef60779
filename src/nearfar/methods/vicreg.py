"""VICReg: views agree, every dimension varies, no two dimensions vary together."""

from __future__ import annotations

from nearfar.methods.parts import Mlp
from nearfar.methods.record import Figure, Loss, Method, Paper, compare_views

# Weights 25, 25 and 1 as in the paper, head as in solo-learn's CIFAR setting.
RECORD = Method(
    name="vicreg",
    idea="views agree, dimensions vary and do not vary together; no negatives, no twin",
    paper=Paper("Bardes, Ponce, LeCun", 2021, "2105.04906"),
    published=(
        Figure(0.921, "online linear", "CIFAR-10, ResNet-18, 1000 epochs (solo-learn)"),
        Figure(0.697, "linear probe", "CIFAR-10, ResNet-18, 10 epochs (EMP-SSL's table)"),
    ),
    objective=Loss("vicreg"),
    projector=Mlp(hidden=2048, out=2048),
    views="byol",
    bn="per view",
)

compare = compare_views
