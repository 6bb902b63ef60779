"""N-pair loss: softmax of dot products, with a penalty on the embeddings' length."""

from __future__ import annotations

import torch

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, World, checks, mean
from nearfar.objectives.kernel.pairs import between
from nearfar.objectives.supcon import softmax_loss

INFO = Objective(
    function="n_pair",
    formula="L_i = log(1 + Σ_{j≠i} exp(x_i·y_j − x_i·y_i)) + λ/4 (|x_i|² + |y_i|²)",
    paper="Sohn 2016",
    arxiv="–",
    takes="sides",
    symmetries=("rows", "groups"),
    data=("pairs", "labels"),
    neighbours="info_nce_between from left to right, with dot products instead of cosines and a penalty instead of τ.",
)


def n_pair(
    left: torch.Tensor, right: torch.Tensor, relation: Relation, *, penalty: float = 0.002, world: World = ONE
) -> Compared:
    """Multi-class N-pair loss (Sohn 2016, Advances in Neural Information Processing Systems 29).

    One pair (x, y) of each class; everybody else's y is a negative of x::

        L = mean_i  log( 1 + Σ_{j≠i} exp(x_i·y_j − x_i·y_i) )  +  λ/2 · mean of |z|² over all x and y

    Needs pairs, or labels of which two rows each are drawn. Without learning it is ln(N) plus the penalty. It is
    `info_nce_between` with dot products and one direction; of several positives the mean is taken outside of the
    logarithm. The paper penalises the length in words only; λ is that of TensorFlow's and Paddle's ``npairs_loss``,
    other code has ten times as much. Numbers: ``anchors``, ``positive`` and ``length`` (mean squared length).

    Parameters
    ----------
    penalty : float
        λ ≥ 0, per squared unit of the embeddings' length.
    """
    x, y = checks.sides(relation, left=left, right=right)
    penalty = checks.at_least("penalty", penalty)
    with torch.autocast(x.device.type, enabled=False):
        loss, numbers = softmax_loss(between(x, y, relation, world, "dot"), 1.0, "out", world)
        length, _ = mean((x.square().sum(1) + y.square().sum(1)) / 2, None, world)
        shown = world.all_reduce(length.detach()) / world.size
    return loss + penalty / 2 * length, numbers | {"length": shown}
