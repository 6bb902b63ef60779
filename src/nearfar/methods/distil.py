"""Distillation: the encoder learns to give the vectors that another model gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.methods.record import Loss, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

# The teacher sees a row as it is, once, before the first step; the encoder sees a mild view of it.
RECORD = Method(
    name="distil",
    idea="the encoder learns to give the vectors that a teacher, any other model, gives",
    paper=Paper("Reimers, Gurevych", 2020, "2004.09813"),
    objective=Loss("negative_cosine"),
    positives="teacher",
    views="mild",
    count=1,
    projector=None,
    weight_decay=0.0,
)


def compare(e: Embeddings, record: Method) -> Compared:
    """Every view of a row, whatever its column, and the teacher's vector of the row."""
    return record.loss(e.sides, [e.taught] * len(e.sides), e=e)
