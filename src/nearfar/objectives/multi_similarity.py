"""Multi-similarity loss: pairs weighed by themselves, by the other positives and by the other negatives."""

from __future__ import annotations

import math

import torch

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Views, World, checks, mean_of_anchors, similar
from nearfar.objectives.kernel.pairs import Pairs, Tile, among, hardest, positives, reduce

ALPHA, BETA = 2.0, 50.0

INFO = Objective(
    function="multi_similarity",
    formula="L_i = 1/α log(1 + Σ_{p∈P(i)} e^{−α(s_ip − λ)}) + 1/β log(1 + Σ_{n∈N(i)} e^{β(s_in − λ)})",
    paper="Wang et al. 2019",
    arxiv="1904.06627",
    takes="views",
    data=("labels", "one column"),
    neighbours="circle weighs a pair by how far it is from where it should be; triplet takes one pair of each kind.",
    no_learning=lambda rows, views, _: (
        math.log(max(views, 2)) / ALPHA + math.log1p(views * (rows - 1)) / BETA  # λ = 1: every exponential is 1
    ),
)


def multi_similarity(
    views: Views, relation: Relation, *, alpha: float = ALPHA, beta: float = BETA, base: float = 1.0,
    epsilon: float | None = 0.1, similarity: str = "cosine", world: World = ONE,
) -> Compared:  # fmt: skip
    """Multi-similarity loss with its mining (Wang et al. 2019, arXiv 1904.06627).

    With anchors i over all V·N embeddings and base λ::

        L = mean_i  1/α log( 1 + Σ_{p∈P(i)} exp(−α(s_ip − λ)) ) + 1/β log( 1 + Σ_{n∈N(i)} exp(β(s_in − λ)) )
        P(i) = positives with  s_ip < max_{n negative} s_in + ε
        N(i) = negatives with  s_in > min_{p positive} s_ip − ε

    Needs labels, or views. Without learning (one positive per view) it is ln(V)/α + ln(1 + V·(N − 1))/β at λ = 1. An
    anchor whose pairs are all sorted out counts with 0. The paper has λ = 1, its code 0.5; the code also drops
    positives of similarity above 1 − 1e-5, which are kept here.

    Parameters
    ----------
    alpha, beta : float
        Sharpness for positives and negatives, > 0, per unit of the similarity.
    base : float
        λ, in units of the similarity.
    epsilon : float, optional
        Margin of the mining, in units of the similarity; None: all pairs count.
    """
    xs = checks.same_shapes("views", views, len(relation))
    alpha, beta = checks.above("alpha", alpha), checks.above("beta", beta)
    with torch.autocast(xs[0].device.type, enabled=False):
        pairs = among(xs, relation, world, similarity)
        positive, count = positives(pairs)
        lowest = highest = None
        if epsilon is not None:
            lowest = _extreme(pairs, "positives", torch.inf) - epsilon
            highest = _extreme(pairs, "negatives", -torch.inf) + epsilon

        def near(tile: Tile) -> torch.Tensor:
            s = tile.similarity
            values = tile.only("positives", -alpha * (s - base), -torch.inf)
            return values if highest is None else values.masked_fill(s >= highest[tile.rows, None], -torch.inf)

        def far(tile: Tile) -> torch.Tensor:
            s = tile.similarity
            values = tile.only("negatives", beta * (s - base), -torch.inf)
            return values if lowest is None else values.masked_fill(s <= lowest[tile.rows, None], -torch.inf)

        losses = sum(
            torch.logaddexp(positive.new_zeros(()), reduce(pairs, term, symmetric=epsilon is None, over=over))
            / sharpness
            for term, over, sharpness in ((near, "positives", alpha), (far, "negatives", beta))
        )
        return mean_of_anchors(losses, positive, count > 0, world)


@torch.no_grad()
def _extreme(pairs: Pairs, over: str, nobody: float) -> torch.Tensor:
    """Similarity of each row with its farthest positive or nearest negative; `nobody` without any."""
    place = hardest(pairs, over, nearest=over == "negatives")
    values = similar.of_rows(pairs.rows, pairs.columns[place.clamp(min=0)], pairs.similarity)
    return torch.where(place >= 0, values, nobody)
