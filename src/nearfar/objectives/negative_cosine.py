"""Negative cosine of a prediction and its target: BYOL, SimSiam."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nearfar.objectives.kernel import checks
from nearfar.objectives.kernel import similarity as similar
from nearfar.objectives.kernel.info import Objective
from nearfar.objectives.kernel.relation import Relation
from nearfar.objectives.kernel.world import ONE, World, average, mean

INFO = Objective(
    function="negative_cosine",
    formula="L_i = 2 − 2·cos(p_i, t_i)",
    paper="Grill et al. 2020",
    arxiv="2006.07733",
    takes="two sides",
    symmetries=("rows", "views"),
    data=("one column",),
    neighbours="The positives' term of alignment_uniformity; without a predictor and a lagging target it collapses.",
    no_learning=None,
)


def negative_cosine(
    predicted: Sequence[torch.Tensor], targets: Sequence[torch.Tensor], *, relation: Relation | None = None,
    world: World = ONE,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:  # fmt: skip
    """Squared distance of unit vectors, averaged over rows and pairs (Grill et al. 2020, arXiv 2006.07733)::

        L = mean_i  2 − 2·cos(p_i, t_i)

    Parameters
    ----------
    predicted : sequence of tensors (N, D)
        What the predictor says of one view …
    targets : sequence of tensors (N, D)
        … and the target of the other; gets no gradient.
    relation : Relation, optional
        Only its length is checked: the loss has no negatives.
    world : World

    Returns
    -------
    loss : Tensor ()
        In [0, 4]; SimSiam's D = loss/2 − 1.
    numbers : dict

    Raises
    ------
    ValueError
        An argument is not of the kind described.

    Notes
    -----
    Needs one column and views of it. Without learning it has no level of its own: its minimum is reached by
    collapse too. What prevents that is the predictor and the target's lag, not this loss.
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
        loss, count = mean(2 - 2 * cosine, None, world)
    return loss, {"anchors": count, "positive": average(cosine, None, count, world)}
