"""Negative cosine of a prediction and its target: BYOL, SimSiam."""

from __future__ import annotations

import torch

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Views, World, checks, mean_of_anchors, similar

INFO = Objective(
    function="negative_cosine",
    formula="L_i = 2 − 2·cos(p_i, t_i)",
    paper="Grill et al. 2020",
    arxiv="2006.07733",
    takes="two sides",
    symmetries=("rows", "views"),
    neighbours="The positives' term of alignment_uniformity; without a predictor and a lagging target it collapses.",
)


def negative_cosine(
    predicted: Views, targets: Views, *, relation: Relation | None = None, world: World = ONE
) -> Compared:
    """Squared distance of unit vectors, averaged over rows and pairs (Grill et al. 2020, arXiv 2006.07733)::

        L = mean_i  2 − 2·cos(p_i, t_i)

    Needs one column and views of it. It is in [0, 4]; SimSiam's D = loss/2 − 1. Without learning it has no level of its
    own: its minimum is reached by collapse too. The predictor and the target's lag prevent that, not this loss.

    Parameters
    ----------
    relation : Relation, optional
        Only its length is checked: the loss has no negatives.
    """
    rows = None if relation is None else len(relation)
    p = checks.same_shapes("predicted", predicted, rows)
    t = checks.same_shapes("targets", targets, rows)
    if len(p) != len(t) or p[0].shape != t[0].shape:
        raise ValueError(
            f"targets: expected {len(p)} of shape {tuple(p[0].shape)}, got {len(t)} of {tuple(t[0].shape)}"
        )
    with torch.autocast(p[0].device.type, enabled=False):
        cosine = torch.stack([(similar.unit(a) * similar.unit(b.detach())).sum(1) for a, b in zip(p, t, strict=True)])
        return mean_of_anchors(2 - 2 * cosine, cosine, None, world)
