"""MoCo v3: queries of a predictor agree with the twin's keys, against the other keys of the batch; no queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.methods.no_learning import one_of_the_batch
from nearfar.methods.parts import Mlp, Twin
from nearfar.methods.record import Figure, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

# As solo-learn's CIFAR setting (temperature 0.2, momentum 0.99 to 1, 256 dimensions) with a narrower hidden layer. The
# paper's code multiplies the loss by twice the temperature, which Adam cancels; here it is not.
RECORD = Method(
    name="moco_v3",
    idea="a predictor's query agrees with the twin's key of another view, against the batch's other keys",
    paper=Paper("Chen, Xie, He", 2021, "2104.02057"),
    published=(Figure(0.931, "online linear", "CIFAR-10, ResNet-18, 1000 epochs (solo-learn)"),),
    objective="info_nce",
    views="byol",
    projector=Mlp(hidden=1024, out=256, norm_last=True),
    predictor=Mlp(hidden=1024, out=256, norm_last=True),
    twin=Twin(momentum=0.99, final=1.0),
    bn="per view",
    temperature=0.2,
    wants=("negatives from the batch",),
)


def compare(e: Embeddings, record: Method) -> Compared:
    from nearfar.objectives.info_nce import info_nce_against

    return e.over_pairs(
        lambda i, j: info_nce_against(
            e.predicted[i], e.target[j], e.relation, temperature=record.temperature, world=e.world
        )
    )


no_learning = one_of_the_batch
