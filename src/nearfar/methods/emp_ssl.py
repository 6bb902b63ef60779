"""EMP-SSL: many patches of a row agree with their mean, and the batch fills the space."""

from __future__ import annotations

from nearfar.methods.parts import Mlp
from nearfar.methods.record import Figure, Loss, Method, Paper, compare_views

# Twenty patches, weight 200 and squared distortion 0.2 as in the paper's code, with narrower heads.
RECORD = Method(
    name="emp_ssl",
    idea="many patches of a row agree with their mean, and the batch fills the space; few epochs suffice",
    paper=Paper("Tong, Chen, Ma, LeCun", 2023, "2304.03977"),
    published=(
        Figure(
            0.907,
            "linear probe, features of 128 patches averaged",
            "CIFAR-10, ResNet-18, 10 epochs of 20 patches (the paper)",
        ),
    ),
    objective=Loss("coding_rate"),
    projector=Mlp(hidden=1024, out=512),
    views="emp",
    count=20,
    wants=("many views of each row",),
)

compare = compare_views
