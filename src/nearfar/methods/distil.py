"""Distillation: the encoder learns to give the vectors that another model gives."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from nearfar.methods.record import Loss, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

# The teacher sees a row as it is, once, before the first step; the encoder sees a mild view of it. What two views
# tell may be added (InfoNCE), with the weight `contrast`: an encoder of one's own rows may know what it does not.
RECORD = Method(
    name="distil",
    idea="the encoder learns to give the vectors that a teacher, any other model, gives",
    paper=Paper("Reimers, Gurevych", 2020, "2004.09813"),
    objective=Loss("negative_cosine"),
    positives="teacher",
    views="mild",
    count=1,
    projector=None,
    options={"contrast": 0.0, "contrast_temperature": 0.8},
    weight_decay=0.0,
)


def compare(e: Embeddings, record: Method) -> Compared:
    """Every view of a row, whatever its column, and the teacher's vector of the row; and the views among themselves."""
    from nearfar.objectives.info_nce import info_nce

    if not 0 <= (weight := record.options["contrast"]) < inf:  # a negative one would make all rows alike
        raise ValueError(f"contrast: expected a number of at least 0, got {weight}")
    loss, numbers = record.loss(e.sides, [e.taught] * len(e.sides), e=e)
    if not weight:
        return loss, numbers
    if len(e.sides) < 2:
        raise ValueError("contrast: there is one view of a row, and nothing to compare it with; set method.count=2")
    more, _ = info_nce(e.sides, e.relation, temperature=record.options["contrast_temperature"], world=e.world)
    return loss + weight * more, numbers | {"contrast": more.detach()}
