"""DirectAU: users near the items that they took, users and items each spread evenly over the sphere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.methods.parts import Items
from nearfar.methods.record import Figure, Loss, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

RECORD = Method(
    name="directau",
    idea="users near the items that they took; users, and items, spread evenly over the sphere",
    paper=Paper("Wang et al.", 2022, "2206.12831"),
    published=(Figure(0.0583, "nDCG at 20, full ranking", "Yelp2018, LightGCN of three hops (SELFRec)"),),
    objective=Loss("alignment_uniformity", {"weight": 1.0}),
    takes="histories",
    views="items",
    own_views=True,
    count=3,
    projector=None,
    parts={"candidates": Items()},
    options={"pairs": 2048.0},
    lr=1e-3,
    weight_decay=0.0,
)


def compare(e: Embeddings, record: Method) -> Compared:
    """Pairs of a user and an item that was left out, which are the two views of a row."""
    from nearfar.objectives.kernel.relation import Relation

    items = e.parts["candidates"]
    rows, taken = items.pairs(e.answers, int(record.options["pairs"]), e.step)
    return record.loss([e.online[0][rows], items.vectors(taken)], Relation(e.relation.group[rows]), e=e)
