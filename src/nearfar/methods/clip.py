"""CLIP: the two sides of a row find each other among those of the batch, at a temperature that is learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.methods.no_learning import one_of_the_batch
from nearfar.methods.parts import Learnt, Meeting
from nearfar.methods.record import Figure, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

# The learnt temperature and its bound are the paper's, and the linear projection, where columns have encoders of their
# own; its weight decay of 0.2 is for larger networks.
RECORD = Method(
    name="clip",
    idea="the two sides of a row find each other among those of the batch, at a learnt temperature",
    paper=Paper("Radford et al.", 2021, "2103.00020"),
    published=(
        Figure(0.234, "recall@1, picture to caption", "Flickr8k, pretrained ResNet-18, 13.9 M parameters (Mini-CLIP)"),
    ),
    objective="info_nce",
    takes="pairs",
    projector=Meeting(),
    parts={"temperature": Learnt(0.07, low=0.01)},
    wants=("a big batch",),
    hard_negatives=True,
    keep="projection",
    lr=2e-3,
)


def compare(e: Embeddings, record: Method) -> Compared:
    """All pairs of columns, both ways; hard negatives stand beside the right sides."""
    from nearfar.objectives.info_nce import info_nce_between

    temperature = e.parts["temperature"]() if "temperature" in e.parts else record.temperature
    return e.over_sides(
        lambda left, right, relation, hard: info_nce_between(
            left, right, relation, temperature=temperature, world=e.world, **hard
        )
    )


no_learning = one_of_the_batch
