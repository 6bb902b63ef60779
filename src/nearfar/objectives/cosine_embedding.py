"""Cosine embedding loss: cosine 1 for positive pairs, at most a margin for negative ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, World, average, checks, mean, similar

INFO = Objective(
    function="cosine_embedding",
    formula="1 − s_i for positive pairs, max(0, s_i − margin) for negative ones",
    paper="as in torch.nn.CosineEmbeddingLoss",
    arxiv="–",
    takes="scored pairs",
    scores="sign",
    symmetries=("rows", "groups", "sides"),
    data=("pairs with scores",),
    neighbours="contrastive_pairs squares distances; cosent takes scores as an order of pairs instead of as labels.",
)


def cosine_embedding(
    left: torch.Tensor, right: torch.Tensor, relation: Relation, *, margin: float = 0.0, world: World = ONE
) -> Compared:
    """Cosine embedding loss of labelled pairs (no paper of its own; equal to torch.nn.CosineEmbeddingLoss).

    With s_i the cosine of the two sides of pair i::

        L = mean_i  1 − s_i  if i's score is above 0, else  max(0, s_i − margin)

    Needs pairs with a label. Without learning (all cosines 1) a positive pair gives 0 and a negative one 1 − margin.
    As 1 − s = ½ |x − y|² for unit vectors, the positive part is that of `contrastive` on the sphere.

    Parameters
    ----------
    relation : Relation
        ``score`` (N,): above 0 (such as 1) for a positive pair, else (such as 0 or −1) a negative one.
    margin : float
        In [−1, 1]: cosine up to which negatives are left alone. 0 to 0.5 is usual.
    """
    x, y = checks.sides(relation, left=left, right=right)
    checks.within("margin", margin, -1, 1)
    same = checks.score(relation, x) > 0
    with torch.autocast(x.device.type, enabled=False):
        x, y = (similar.prepared(side, "cosine") for side in (x, y))
        s = similar.of_rows(x, y, "cosine")
        loss, count = mean(torch.where(same, 1 - s, F.relu(s - margin)), None, world)
        positive = average(s, same, world.all_reduce(same.sum()), world)
    return loss, {"anchors": count, "positive": positive}
