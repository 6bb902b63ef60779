"""DCL: SimCLR without the positive in the denominator, which small batches gain from."""

from __future__ import annotations

from nearfar.methods.parts import Mlp
from nearfar.methods.record import Figure, Loss, Method, Paper, compare_views

# Temperature as in the paper's CIFAR runs; the weighted form is --set method.objective.weighted=true.
RECORD = Method(
    name="dcl",
    idea="as simclr, without the positive in the denominator: small batches learn faster",
    paper=Paper("Yeh et al.", 2021, "2110.06848"),
    published=(Figure(0.844, "kNN, maximum over epochs", "CIFAR-10, ResNet-18, 200 epochs, batch 128 (lightly)"),),
    objective=Loss("dcl"),
    projector=Mlp(hidden=512, out=128),
    temperature=0.1,
    wants=("negatives from the batch",),
)

compare = compare_views
