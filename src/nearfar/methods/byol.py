"""BYOL: a predictor regresses what the momentum twin makes of the other view. No negatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.methods.parts import Mlp, Twin
from nearfar.methods.record import Figure, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

# solo-learn's CIFAR setting, with a batch norm after the projection and a quicker twin (0.97 to 1 instead of 0.99),
# both for short runs: without them the features of small networks kept to a few dozen dimensions.
RECORD = Method(
    name="byol",
    idea="a predictor regresses the twin's embedding of the other view; no negatives",
    paper=Paper("Grill et al.", 2020, "2006.07733"),
    published=(
        Figure(0.926, "online linear", "CIFAR-10, ResNet-18, 1000 epochs (solo-learn)"),
        Figure(0.489, "linear probe", "CIFAR-10, ResNet-18, 10 epochs (EMP-SSL's table)"),
    ),
    objective="negative_cosine",
    views="byol",
    projector=Mlp(hidden=1024, out=256, norm_last=True),
    predictor=Mlp(hidden=1024, out=256),
    twin=Twin(momentum=0.97, final=1.0),
    bn="per view",
)


def compare(e: Embeddings, record: Method) -> Compared:
    from nearfar.objectives.negative_cosine import negative_cosine

    return negative_cosine(
        [e.predicted[i] for i, _ in e.pairs], [e.target[j] for _, j in e.pairs], relation=e.relation, world=e.world
    )
