"""SimSiam: a predictor regresses the embedding of the other view, which gets no gradient. No twin, no negatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.methods.parts import Mlp
from nearfar.methods.record import Figure, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

# The projector is the paper's, a quarter as wide: three layers, normed to the last. The paper's predictor has a
# bottleneck of a quarter; behind networks as small as the defaults here it narrows the embedding to a few dimensions,
# so this one is wider than what it predicts. (On the partial collapse of SimSiam in small networks: Li, Efros, Pathak
# 2022, arXiv 2209.15007.)
RECORD = Method(
    name="simsiam",
    idea="a predictor regresses the embedding of the other view, held fixed; neither twin nor negatives",
    paper=Paper("Chen, He", 2020, "2011.10566"),
    published=(
        Figure(0.918, "linear probe", "CIFAR-10, ResNet-18, 800 epochs (the paper)"),
        Figure(0.905, "online linear", "CIFAR-10, ResNet-18, 1000 epochs (solo-learn)"),
    ),
    objective="negative_cosine",
    projector=Mlp(hidden=512, out=512, layers=3, norm_last=True),
    predictor=Mlp(hidden=1024, out=512),
    bn="per view",
)


def compare(e: Embeddings, record: Method) -> Compared:
    from nearfar.objectives.negative_cosine import negative_cosine

    return negative_cosine(
        [e.predicted[i] for i, _ in e.pairs], [e.online[j] for _, j in e.pairs], relation=e.relation, world=e.world
    )
