"""CoSENT: pairs of texts in the order of their scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.methods.record import Loss, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

# The temperature is the paper's factor 20. `--set method.objective=angular_margin` is another loss of scored pairs.
RECORD = Method(
    name="cosent",
    idea="a pair with a higher score gets a higher cosine than one with a lower",
    paper=Paper("Su", 2022, "–"),
    objective=Loss("cosent"),
    takes="scored pairs",
    projector=None,
    temperature=0.05,
    lr=2e-3,
    weight_decay=0.0,
)


def compare(e: Embeddings, record: Method) -> Compared:
    """The two sides of each pair, and the scores; a batch whose scores are all equal says nothing."""
    left, right = e.sides
    scores = e.world.gather_int(e.relation.score)
    if bool((scores == scores[0]).all()):
        nothing = 0.0 * (left.float().sum() + right.float().sum())
        return nothing, {"anchors": nothing.new_tensor(len(scores)), "comparisons": nothing.new_tensor(0)}
    return record.loss(left, right, e.relation, e=e)
