"""Triplet loss: a positive nearer than a negative, by a margin."""

from __future__ import annotations

import math

import torch

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Views, World, checks, similar
from nearfar.objectives.kernel.pairs import among, reduce_count
from nearfar.objectives.kernel.triplet_mining import counted, every, hard, loss_of, semi_hard

INFO = Objective(
    function="triplet",
    formula="L_apn = max(0, d_ap − d_an + margin), or log(1 + exp(d_ap − d_an))",
    paper="Schroff et al. 2015 (FaceNet); Hermans et al. 2017 (batch-hard, soft margin)",
    arxiv="1503.03832, 1703.07737",
    takes="views",
    data=("labels", "one column", "triplets"),
    neighbours="Of dot products with a soft margin, triplet_given is bpr; contrastive holds pairs to a fixed distance.",
    min_rows=2,
    degenerate=lambda rows, views: math.log(2),
    no_learning=lambda rows, views, _: math.log(2),
)


def triplet(
    views: Views, relation: Relation, *, mining: str = "hard", margin: float | None = None, average: str = "all",
    similarity: str = "euclidean", world: World = ONE,
) -> Compared:  # fmt: skip
    """Triplet loss over a batch (Schroff et al. 2015, arXiv 1503.03832; Hermans et al. 2017, arXiv 1703.07737).

    With anchors a over all V·N embeddings, p of a's group, n of another and d the distance (−cos for the cosine)::

        L = mean_apn  max(0, d_ap − d_an + margin),   or with a soft margin   mean_apn  log(1 + exp(d_ap − d_an))

    Needs labels, or views; for given triplets see `triplet_given`. Without learning (all distances equal) it is the
    margin, or ln 2. Memory is O(N·D) always. Time is that of the distances for ``hard``, O(N² log N) for ``semi-hard``
    and for ``all`` with a margin (a row's distances are sorted, and the loss is a sum of distances times counts), and
    O(N³) for ``all`` with a soft margin, which is refused for more than 10⁹ triplets (ten equal classes: 2,200
    embeddings; two views of every row: 31,000).

    FaceNet takes squared distances of unit vectors. It does not say what a positive without a farther negative gets:
    the farthest is TensorFlow Addons' answer, while pytorch-metric-learning calls *every* farther negative within the
    margin semi-hard and leaves such a positive out. That library also averages over active triplets by default.

    Numbers: ``anchors``, embeddings with a positive and a negative; ``triplets``; ``active``, the share of them with a
    loss above 0.

    Parameters
    ----------
    mining : {"hard", "semi-hard", "all"}
        Which triplets: ``hard`` is each anchor's farthest positive with its nearest negative; ``semi-hard`` each
        positive with the nearest negative that is farther than it, or with the farthest of all where none is; ``all``
        every one.
    margin : float, optional
        At least 0, in units of the distance; None is the soft margin.
    average : {"all", "active"}
        Mean over all those triplets, or over those whose loss is above 0, which with a soft margin all are.
    """
    xs = checks.same_shapes("views", views, len(relation))
    _check(mining, margin, average)
    with torch.autocast(xs[0].device.type, enabled=False):
        pairs = among(xs, relation, world, similarity)
        positives, negatives = (reduce_count(pairs, kind) for kind in ("positives", "negatives"))
        if mining == "hard":
            triplets = (positives * negatives).clamp(max=1)
            total, active = hard(pairs, triplets > 0, margin)
        elif mining == "semi-hard":
            triplets = positives * negatives.clamp(max=1)
            total, active = semi_hard(pairs, margin)
        else:
            triplets = positives * negatives
            total, active = every(pairs, margin, int(world.all_reduce(triplets.sum())))
        return _mean(total, active, triplets, average, world)


def triplet_given(
    anchor: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor, *, margin: float | None = None,
    average: str = "all", similarity: str = "euclidean", world: World = ONE,
) -> Compared:  # fmt: skip
    """Triplet loss of given triplets (Schroff et al. 2015, arXiv 1503.03832).

    ::

        L = mean_ik  max(0, d(a_i, p_i) − d(a_i, n_ik) + margin),   or   log(1 + exp(d(a_i, p_i) − d(a_i, n_ik)))

    Needs triplets. Without learning it is the margin, or ln 2. With one negative, Euclidean distance and a margin it
    is ``torch.nn.TripletMarginLoss``.

    Parameters
    ----------
    margin, average
        As in `triplet`, whose numbers it gives.
    """
    a, p, n = checks.triplets(anchor, positive, negative)
    _check("all", margin, average)
    with torch.autocast(a.device.type, enabled=False):
        a, p, n = (similar.prepared(x, similarity) for x in (a, p, n))
        excess = similar.of_rows(a[:, None], n, similarity) - similar.of_rows(a, p, similarity)[:, None]
        losses, _ = loss_of(excess, margin)
        triplets = losses.new_full((len(a),), n.shape[1], dtype=torch.long)
        active = counted(losses, torch.ones_like(losses, dtype=torch.bool), margin).sum()
        return _mean(losses.sum(), active, triplets, average, world)


def _check(mining: str, margin: float | None, average: str) -> None:
    checks.choice("mining", mining, ("hard", "semi-hard", "all"))
    checks.choice("average", average, ("all", "active"))
    if margin is not None and not margin >= 0:
        raise ValueError(f"margin: expected a number of at least 0, or None for a soft one, got {margin}")


def _mean(total: torch.Tensor, active: torch.Tensor, triplets: torch.Tensor, average: str, world: World) -> Compared:
    """Mean over the triplets of all processes, of which this one has so many for each row."""
    anchors, every_one, above = world.all_reduce(torch.stack(((triplets > 0).sum(), triplets.sum(), active)))
    if int(every_one) == 0:
        raise ValueError("relation.group: expected a row with a positive and a negative, there is no triplet")
    count = every_one if average == "all" else above.clamp(min=1)
    return total * world.size / count, {"anchors": anchors, "triplets": every_one, "active": above / every_one}
