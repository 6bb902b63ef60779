"""Mult-DAE: the items that were left out of a history are found among all items, all of a user's in one softmax."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nearfar.methods.parts import Items
from nearfar.methods.record import Loss, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

# The paper drops half of the input and has a multilayer network that finds the whole history; here it finds what was
# dropped. The numbers were chosen on validation interactions of MovieLens (docs/recommend.md).
RECORD = Method(
    name="mult_dae",
    idea="the items that were left out of a history are found among all items",
    paper=Paper("Liang et al.", 2018, "1802.05814"),
    objective=Loss("multinomial"),
    takes="histories",
    views="items",
    own_views=True,
    count=3,
    projector=None,
    parts={"candidates": Items()},
    temperature=0.33,
    lr=1e-4,
    weight_decay=0.0,
)


def compare(e: Embeddings, record: Method) -> Compared:
    """One view goes through the encoder; of the two that are answers the first is to be found, the second was seen."""
    from nearfar.methods.parts.items import items_of

    left_out, kept = map(items_of, e.answers)
    table, answers, seen, log_q = e.parts["candidates"].against(left_out, kept, e.step)
    return record.loss([e.online[0]], replace(e.relation, answers=answers, seen=seen), table, e=e, log_q=log_q)
