"""No learning: the encoder with the weights that it begins with, which every method has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.methods.record import Method

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

RECORD = Method(
    name="random",
    idea="the encoder with the weights that it begins with, without any training",
    projector=None,
    trains=False,
)


def compare(e: Embeddings, record: Method) -> Compared:
    """Nothing; a training of it has no steps."""
    raise ValueError("the method 'random' has nothing to learn")
