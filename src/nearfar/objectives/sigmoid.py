"""Sigmoid loss: every pair by itself is a match or none."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Scalar, World, average, checks, mean
from nearfar.objectives.kernel.pairs import Tile, between, positives, reduce

SCALE, BIAS = 10.0, -10.0  # where the paper begins; both are learnt there
LINEAR = 40  # ln(1 + eˣ) is x to the last digit from there on, also in float64

INFO = Objective(
    function="sigmoid",
    formula="L_i = −Σ_j log σ( y_ij (t·s_ij + b) ),  y_ij = 1 for positives and −1 for others",
    paper="Zhai et al. 2023 (SigLIP)",
    arxiv="2303.15343",
    takes="sides",
    symmetries=("rows", "groups", "sides"),
    data=("pairs",),
    neighbours="info_nce_between asks which of all columns is the match; here each pair is asked alone.",
    no_learning=lambda rows, views, _: (
        math.log1p(math.exp(-(SCALE + BIAS))) + (rows - 1) * math.log1p(math.exp(SCALE + BIAS))
    ),
)


def sigmoid(
    left: torch.Tensor, right: torch.Tensor, relation: Relation, *, scale: Scalar = SCALE, bias: Scalar = BIAS,
    similarity: str = "cosine", world: World = ONE,
) -> Compared:  # fmt: skip
    """Sigmoid loss of two columns (Zhai et al. 2023, arXiv 2303.15343); a sum over the columns, a mean over the rows.

    ::

        L = −1/N Σ_i Σ_j log σ( y_ij (t·s_ij + b) ),   y_ij = 1 if i and j are of one group, else −1

    Needs pairs. Without learning (all similarities 1) it is ln(1 + e^−(t+b)) + (N − 1)·ln(1 + e^(t+b)), which at the
    paper's beginning is N·ln 2.

    Parameters
    ----------
    scale, bias : Scalar
        t, the inverse of a temperature, and b. The paper learns t as an exponential and begins at 10 and −10.
    """
    x, y = checks.sides(relation, left=left, right=right)

    def term(tile: Tile, t: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        logits = t * tile.similarity + b
        # softplus(−x) = softplus(x) − x: one pass for both kinds of pairs
        return tile.only("others", F.softplus(logits, threshold=LINEAR) - torch.where(tile.positive, logits, 0.0), 0.0)

    with torch.autocast(x.device.type, enabled=False):
        pairs = between(x, y, relation, world, similarity)
        loss, anchors = mean(reduce(pairs, term, scale, bias, how="sum"), None, world)
    with torch.no_grad():
        positive, count = positives(pairs)
    return loss, {"anchors": anchors, "positive": average(positive, count > 0, anchors, world)}
