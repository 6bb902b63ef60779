"""Rows against a table of classes or items: what the objectives with a weight (C, D) share."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nearfar.objectives.kernel import checks
from nearfar.objectives.kernel import similarity as similar
from nearfar.objectives.kernel.info import Compared, Scalar, Views
from nearfar.objectives.kernel.pairs import Pairs, logsumexp
from nearfar.objectives.kernel.relation import Relation
from nearfar.objectives.kernel.world import ONE, World, mean_of_anchors

UNLABELLED = "relation.group: expected a class number below the rows of weight, no row of the batch has one"


@dataclass(frozen=True)
class Classes:
    """M = V·N rows of this process against S of C classes, which all processes share."""

    pairs: Pairs  # the rows (M, D) against the classes (S, D) of the denominator; a row's own class is its positive
    mine: torch.Tensor  # (M, D), each row's own class, whether or not the denominator has it
    own: torch.Tensor  # (M,), similarity of each row with its own class
    labelled: torch.Tensor  # (M,), which rows have a class

    def softmax_loss(
        self, target: torch.Tensor, scale: Scalar, world: World, bias: torch.Tensor | None = None
    ) -> Compared:
        """Cross entropy of each row's own class, of logit `target` (M,), beside all others of logit scale·s + bias."""
        others = logsumexp(self.pairs, scale, "negatives", bias)
        losses = torch.logaddexp(others, target) - target
        return mean_of_anchors(losses, self.own, self.labelled, world, UNLABELLED)


def against(
    views: Views, relation: Relation, weight: torch.Tensor, sampled: torch.Tensor | None, similarity: str
) -> Classes:
    """The embeddings of all views against the classes, or those of them that are `sampled`; checks all arguments."""
    x = torch.cat(checks.same_shapes("views", views, len(relation)))
    table = checks.embeddings("weight", weight).to(x.dtype)
    if table.shape[1] != x.shape[1]:
        raise ValueError(f"weight: expected {x.shape[1]} dimensions as the views have, got {table.shape[1]}")
    y = relation.group.repeat(len(views))
    labelled = y < len(table)
    numbers = torch.arange(len(table), device=x.device) if sampled is None else _checked(sampled, len(table), x.device)
    rows = similar.prepared(x, similarity)
    mine = similar.prepared(table[torch.where(labelled, y, 0)], similarity)
    columns = similar.prepared(table if sampled is None else table[numbers], similarity)
    pairs = Pairs(rows, columns, y, numbers, similarity)
    return Classes(pairs, mine, similar.of_rows(rows, mine, similarity), labelled)


def _checked(sampled: torch.Tensor, classes: int, device: torch.device) -> torch.Tensor:
    what = f"expected different whole numbers from 0 to {classes - 1} of shape (S,)"
    if sampled.dim() != 1 or sampled.is_floating_point() or sampled.dtype == torch.bool or len(sampled) == 0:
        raise ValueError(f"sampled: {what}, got {sampled.dtype} {tuple(sampled.shape)}")
    if int(sampled.min()) < 0 or int(sampled.max()) >= classes or len(sampled.unique()) < len(sampled):
        raise ValueError(f"sampled: {what}, got numbers outside of that or twice")
    return sampled.to(device)


def sample_classes(group: torch.Tensor, classes: int, count: int, seed: int, world: World = ONE) -> torch.Tensor:
    """``sampled`` of `angular_margin` and `item_softmax`: the classes of the batch and a random part of the others.

    Parameters
    ----------
    group : LongTensor (N,)
        Class of each row of this process; from `classes` on: none.
    classes : int
    count : int
        How many to draw in all; those of the batch are taken even if they are more.
    seed : int
        Of this step; the same on all processes.
    world : World

    Returns
    -------
    LongTensor (S,)
        In order, the same on every process.
    """
    known = world.gather_int(group)
    present = known[known < classes].unique().cpu()
    order = torch.randperm(classes, generator=torch.Generator().manual_seed(seed))
    others = order[~torch.isin(order, present)][: max(count - len(present), 0)]
    return torch.cat((present, others)).sort().values.to(group.device)
