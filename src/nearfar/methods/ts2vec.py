"""TS2Vec: every step of a series knows its series among others and its time among other times, at every scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.methods.parts import Mlp
from nearfar.methods.record import Figure, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

# The paper compares steps alone. Here whole series are compared as well (SimCLR's loss, behind a projector), which
# makes better features of them: `whole` is its weight, 0 gives the paper's loss.
RECORD = Method(
    name="ts2vec",
    idea="every step is told from those of other series and of other times, at every scale; and whole series likewise",
    paper=Paper("Yue et al.", 2022, "2106.10466"),
    published=(Figure(0.830, "RBF-SVM", "mean of 125 UCR sets (the paper's abstract names the sets)"),),
    expected="GunPoint in half a minute on one core: 0.98 by a classifier on all labels",
    objective="hierarchical",
    projector=Mlp(hidden=128, out=64, norm=False),
    temperature=0.2,
    options={"whole": 1.0, "instance": 0.5, "longest": 64.0},
    steps=True,
    wants=("an encoder that keeps time", "negatives from the batch"),
)


def compare(e: Embeddings, record: Method) -> Compared:
    from nearfar.objectives.hierarchical import hierarchical
    from nearfar.objectives.info_nce import info_nce

    o = record.options
    loss, numbers = hierarchical(e.steps, e.there, instance=o["instance"], longest=int(o["longest"]), world=e.world)
    whole, more = info_nce(e.online, e.relation, temperature=record.temperature, world=e.world)
    return loss + o["whole"] * whole, {**more, "steps": loss.detach(), "positive_step": numbers["positive"]}
