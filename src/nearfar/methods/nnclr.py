"""NNCLR: the nearest neighbour of a view, among earlier rows, is the positive of the other view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.methods.no_learning import one_of_the_batch
from nearfar.methods.parts import Memory, Mlp
from nearfar.methods.record import Figure, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

# Temperature and 256 dimensions as in solo-learn's CIFAR setting; a queue of 4096 instead of 65536, which a short run
# never fills.
RECORD = Method(
    name="nnclr",
    idea="the nearest of the earlier rows stands in for a view and agrees with the other one, against the batch",
    paper=Paper("Dwibedi et al.", 2021, "2104.14548"),
    published=(
        Figure(0.919, "online linear", "CIFAR-10, ResNet-18, 1000 epochs (solo-learn)"),
        Figure(0.834, "kNN, maximum over epochs", "CIFAR-10, ResNet-18, 200 epochs (lightly)"),
    ),
    objective="info_nce",
    views="byol",
    projector=Mlp(hidden=1024, out=256, layers=3, norm_last=True),
    predictor=Mlp(hidden=1024, out=256),
    parts={"memory": Memory(4096, side="online")},
    bn="per view",
    temperature=0.2,
    wants=("negatives from the batch",),
)


def compare(e: Embeddings, record: Method) -> Compared:
    from nearfar.objectives.info_nce import info_nce_against

    memory = e.parts["memory"]
    return e.over_pairs(
        lambda i, j: info_nce_against(
            memory.nearest(e.online[j]), e.predicted[i], e.relation, temperature=record.temperature, world=e.world
        )
    )


no_learning = one_of_the_batch
