"""Next item: after every event of a history, what follows is found among all items."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nearfar.methods.parts import Items
from nearfar.methods.record import Figure, Loss, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

RECORD = Method(
    name="next_item",
    idea="after each event of a history the next item is found among all items",
    paper=Paper("Klenitskiy and Vasilev", 2023, "2309.07602"),
    published=(
        Figure(0.3152, "hit rate at 10, full ranking", "MovieLens-1M, leave one out, SASRec with this loss"),
        Figure(0.1821, "nDCG at 10, full ranking", "MovieLens-1M, leave one out, SASRec with this loss"),
    ),
    objective=Loss("item_softmax"),
    takes="histories",
    views="next",
    own_views=True,
    count=2,
    projector=None,
    parts={"candidates": Items()},
    steps=True,
    temperature=0.33,
    lr=1e-3,
    weight_decay=0.0,
)


def compare(e: Embeddings, record: Method) -> Compared:
    """The state after each event, and in the other view, which is an answer, the item that came next."""
    from nearfar.methods.parts.items import items_of

    there = e.there[0]
    follows = items_of(e.answers[0])[there][None]
    table, answers, _, log_q = e.parts["candidates"].against(follows, None, e.step)
    relation = replace(e.relation, group=answers[0], ignore=None, shown=None)
    return record.loss([e.steps[0][there]], relation, table, e=e, log_q=log_q)
