"""BPR: an item that a user took before items that the user did not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.methods.parts import Items
from nearfar.methods.record import Figure, Loss, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

RECORD = Method(
    name="bpr",
    idea="an item that a user took comes before items that the user did not take",
    paper=Paper("Rendle et al.", 2009, "1205.2618"),
    published=(Figure(0.2401, "nDCG at 10, full ranking", "MovieLens-1M, ratings from 3, random 8:1:1 (RecBole-GNN)"),),
    objective=Loss("bpr"),
    takes="histories",
    views="items",
    own_views=True,
    count=3,
    projector=None,
    parts={"candidates": Items(power=0.0)},
    options={"negatives": 16.0, "pairs": 4096.0},
    lr=1e-3,
    weight_decay=0.0,
)


def compare(e: Embeddings, record: Method) -> Compared:
    """Pairs of a user and an item that was left out, each with items drawn evenly from what the user did not take."""
    items, options = e.parts["candidates"], record.options
    rows, taken = items.pairs(e.answers, int(options["pairs"]), e.step)
    others = items.not_taken(e.answers, rows, int(options["negatives"]), e.step)
    return record.loss(e.online[0][rows], items.vectors(taken), items.vectors(others), e=e)
