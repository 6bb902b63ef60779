"""Distillation: the encoder learns to give the vectors that another model gives, and to tell the rows apart."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from nearfar.methods.record import Loss, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

# The teacher sees a row as it is, once, before the first step; the encoder sees two views of it. What these two tell
# is added (InfoNCE), since a small encoder of one's own rows knows what the teacher does not: it raised the accuracy
# with few labels on all of five sets of texts (held-out training rows; weights of 1 and 3 are alike).
RECORD = Method(
    name="distil",
    idea="the encoder learns to give the vectors that a teacher, any other model, gives, and to tell rows apart",
    paper=Paper("Reimers, Gurevych", 2020, "2004.09813"),
    objective=Loss("negative_cosine"),
    positives="teacher",
    projector=None,
    options={"contrast": 1.0, "contrast_temperature": 0.8},
    weight_decay=0.0,
)


def compare(e: Embeddings, record: Method) -> Compared:
    """Every view of a row, whatever its column, and the teacher's vector of the row; and the views among themselves."""
    from nearfar.objectives.info_nce import info_nce

    if not 0 <= (weight := record.options["contrast"]) < inf:  # a negative one would make all rows alike
        raise ValueError(f"contrast: expected a number of at least 0, got {weight}")
    loss, numbers = record.loss(e.sides, [e.taught] * len(e.sides), e=e)
    if not weight or len(e.sides) < 2:
        return loss, numbers
    more, _ = info_nce(e.sides, e.relation, temperature=record.options["contrast_temperature"], world=e.world)
    return loss + weight * more, numbers | {"contrast": more.detach()}
