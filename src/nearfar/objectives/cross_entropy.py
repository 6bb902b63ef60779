"""Cross entropy of class scores."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Views, World, average, checks, mean

INFO = Objective(
    function="cross_entropy",
    formula="L_i = log Σ_c exp(x_ic) − x_i,y(i)",
    paper="–",
    arxiv="–",
    takes="scores",
    symmetries=("rows", "views"),
    data=("labels",),
    neighbours="No contrast: the reference that the others are held against.",
    no_learning=lambda rows, views, memory: math.log(memory) if memory else math.inf,
)


def cross_entropy(scores: Views, relation: Relation, *, world: World = ONE) -> Compared:
    """Mean cross entropy over rows and views, of scores x (N, C) and class y(i)::

        L = mean_i  log Σ_c exp(x_ic) − x_i,y(i)

    Needs labels. Without learning it is ln(C). Numbers: ``anchors`` (labelled rows times views) and ``accuracy`` on the
    batch's views.

    Parameters
    ----------
    relation : Relation
        Group of each row is its class; groups from C on are unlabelled rows, which are left out.
    """
    xs = checks.same_shapes("scores", scores, len(relation))
    x, y = torch.cat(xs), relation.group.repeat(len(xs))
    labelled = y < x.shape[1]
    nobody = f"relation.group: expected a class below {x.shape[1]}, no row of the batch has one"
    with torch.autocast(x.device.type, enabled=False):
        losses = F.cross_entropy(x, y.masked_fill(~labelled, -100), reduction="none")
        loss, count = mean(losses, labelled, world, nobody)
    accuracy = average((x.argmax(1) == y).to(x.dtype), labelled, count, world)
    return loss, {"anchors": count.detach(), "accuracy": accuracy}
