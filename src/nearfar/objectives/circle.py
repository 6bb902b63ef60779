"""Circle loss: each pair is pushed as hard as it is far from where it should be."""

from __future__ import annotations

import math

import torch

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Views, World, checks, mean_of_anchors
from nearfar.objectives.kernel.pairs import Tile, among, positives, reduce

MARGIN, GAMMA = 0.4, 80.0


def _level(rows: int, views: int, _: int) -> float:
    """log(1 + K·L·exp(γ(1 − 2m²))) for K positives and L negatives of similarity 1."""
    x = GAMMA * (1 - 2 * MARGIN**2) + math.log(max(views - 1, 1) * max(views * (rows - 1), 1))
    return x + math.log1p(math.exp(-x))


INFO = Objective(
    function="circle",
    formula="L_i = log(1 + Σ_n e^{γ[s_in + m]₊(s_in − m)} Σ_p e^{−γ[1 + m − s_ip]₊(s_ip − 1 + m)})",
    paper="Sun et al. 2020",
    arxiv="2002.10857",
    takes="views",
    data=("labels", "one column"),
    neighbours="With equal weights and one positive it is info_nce with a margin; multi_similarity adds the two kinds.",
    no_learning=_level,
)


def circle(
    views: Views, relation: Relation, *, margin: float = MARGIN, gamma: float = GAMMA, world: World = ONE
) -> Compared:
    """Circle loss of pairs (Sun et al. 2020, arXiv 2002.10857).

    With anchors i over all V·N embeddings, positives p, negatives n and cosines s::

        L = mean_i  log( 1 + Σ_n exp(γ α_in (s_in − m)) · Σ_p exp(−γ α_ip (s_ip − (1 − m))) )
        α_in = max(0, s_in + m),   α_ip = max(0, 1 + m − s_ip)

    The weights α are constants in the backward pass.

    Needs labels, or views. Without learning (all cosines 1) it is ln(1 + K·L·e^(γ(1 − 2m²))) for K positives and L
    negatives. The similarity is the cosine, whose largest value 1 the weights rest on. The sum is over each anchor's
    own pairs as in the paper; some code sums over all pairs of the batch at once.

    Parameters
    ----------
    margin : float
        m, in units of the cosine, from 0: similarities ought to be above 1 − m and below m. The paper has 0.4 for
        fine-grained retrieval, 0.25 for faces.
    gamma : float
        γ > 0, per squared unit of the cosine; 80 for fine-grained retrieval, 256 for faces.
    """
    xs = checks.same_shapes("views", views, len(relation))
    margin, gamma = checks.at_least("margin", margin), checks.above("gamma", gamma)

    def near(tile: Tile) -> torch.Tensor:
        s = tile.similarity
        return tile.only("positives", -gamma * (1 + margin - s.detach()).clamp(min=0) * (s - 1 + margin), -torch.inf)

    def far(tile: Tile) -> torch.Tensor:
        s = tile.similarity
        return tile.only("negatives", gamma * (s.detach() + margin).clamp(min=0) * (s - margin), -torch.inf)

    with torch.autocast(xs[0].device.type, enabled=False):
        pairs = among(xs, relation, world)
        positive, count = positives(pairs)
        has = count > 0
        both = torch.where(has, reduce(pairs, near, over="positives"), 0.0) + reduce(pairs, far)
        return mean_of_anchors(torch.logaddexp(torch.zeros_like(both), both), positive, has, world)
