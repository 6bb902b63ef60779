"""Pair contrastive loss: positives near, negatives at least a margin apart."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Views, World, checks, mean, similar
from nearfar.objectives.kernel.pairs import Tile, among, reduce, reduce_count

MARGIN = 1.0

INFO = Objective(
    function="contrastive",
    formula="½ d_ij² for positives, ½ max(0, margin − d_ij)² for negatives",
    paper="Hadsell et al. 2006",
    arxiv="–",
    takes="views",
    data=("labels", "one column", "pairs with scores"),
    neighbours="triplet asks only for the order of two distances; cosine_embedding is this of cosines, not squared.",
    degenerate=lambda rows, views: 0.5 * MARGIN**2,
    no_learning=lambda rows, views, _: 0.5 * MARGIN**2,
)


def contrastive(
    views: Views, relation: Relation, *, margin: float = MARGIN, average: str = "kinds", similarity: str = "euclidean",
    world: World = ONE,
) -> Compared:  # fmt: skip
    """Contrastive loss over all pairs of a batch (Hadsell, Chopra and LeCun 2006, CVPR).

    With d_ij the distance of two of the V·N embeddings::

        L = mean over positive pairs  ½ d_ij²   +   mean over negative pairs  ½ max(0, margin − d_ij)²

    Needs labels, or views; for pairs with a label each see `contrastive_pairs`. Without learning (all distances 0) it
    is ½ margin². In a batch nearly all pairs are negatives, so in the paper's sum positives would hardly count: hence
    a mean of each kind. pytorch-metric-learning adds them so too, but takes d and max(0, margin − d) without square and
    half, and means over the pairs whose loss is above 0. Numbers: ``anchors``, embeddings with a positive;
    ``positives`` and ``negatives``, how many pairs of each kind.

    Parameters
    ----------
    margin : float
        Above 0, in units of the distance: how far negatives must be from each other.
    average : {"kinds", "pairs"}
        A mean of each kind, added; or one mean over all pairs: the paper's sum, divided by how many there are.
    similarity : {"euclidean", "cosine"}
        The distance is |x − y|, or 1 − cos.
    """
    xs = checks.same_shapes("views", views, len(relation))
    checks.choice("average", average, ("kinds", "pairs"))
    _check(margin, similarity)
    with torch.autocast(xs[0].device.type, enabled=False):
        pairs = among(xs, relation, world, similarity)
        kinds = [reduce_count(pairs, kind) for kind in ("positives", "negatives")]
        anchors, near, far = world.all_reduce(torch.stack(((kinds[0] > 0).sum(), kinds[0].sum(), kinds[1].sum())))
        if int(near) == 0:
            raise ValueError("relation.group: expected two rows of one group, every row is alone in its group")
        shares = (near, far.clamp(min=1)) if average == "kinds" else (near + far, near + far)
        weights = [1 / share.to(xs[0].dtype) for share in shares]

        def term(tile: Tile) -> torch.Tensor:
            positive, negative = _losses(tile.similarity, similarity, margin)
            return torch.where(tile.positive, weights[0] * positive, tile.only("negatives", weights[1] * negative, 0.0))

        loss = reduce(pairs, term, how="sum").sum() * world.size
    return loss, {"anchors": anchors, "positives": near, "negatives": far}


def contrastive_pairs(
    left: torch.Tensor, right: torch.Tensor, relation: Relation, *, margin: float = MARGIN,
    similarity: str = "euclidean", world: World = ONE,
) -> Compared:  # fmt: skip
    """Contrastive loss of labelled pairs (Hadsell, Chopra and LeCun 2006, CVPR).

    ::

        L = mean_i  ½ d_i²  if i's score is above 0, else  ½ max(0, margin − d_i)²

    Needs pairs with a label. Without learning (all distances 0) it is ½ margin² times the share of negatives. The
    paper's sum is divided by how many pairs there are. With similarity ``cosine`` it is sentence-transformers'
    ContrastiveLoss, whose margin is 0.5.

    Parameters
    ----------
    relation : Relation
        ``score`` (N,): above 0 (such as 1) for a positive pair, else (such as 0 or −1) a negative one. The paper's
        label is the other way round: 0 for similar.
    margin, similarity
        As in `contrastive`.
    """
    x, y = checks.sides(relation, left=left, right=right)
    score = checks.score(relation, x)
    _check(margin, similarity)
    with torch.autocast(x.device.type, enabled=False):
        x, y = (similar.prepared(side, similarity) for side in (x, y))
        positive, negative = _losses(similar.of_rows(x, y, similarity), similarity, margin)
        loss, count = mean(torch.where(score > 0, positive, negative), None, world)
    return loss, {"anchors": count}


def _check(margin: float, similarity: str) -> None:
    checks.choice("similarity", similarity, ("euclidean", "cosine"))
    checks.above("margin", margin)


def _losses(s: torch.Tensor, similarity: str, margin: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Of similarities: the loss as positives, and as negatives."""
    d = 1 - s if similarity == "cosine" else -s
    return d.square() / 2, F.relu(margin - d).square() / 2
