"""What goes between the views of a batch and the loss: views, projections, and the embeddings that a method compares.

Shapes: N rows of the batch (this process's share), V views of each, D dimensions of an embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING

import torch
from torch import nn

from nearfar.objectives.kernel.info import Compared, mean_of_pairs

if TYPE_CHECKING:
    from nearfar.objectives.kernel.relation import Relation
    from nearfar.objectives.kernel.world import World

Maybe = torch.Tensor | None


@dataclass(frozen=True)
class View:
    """One view of every row of the batch."""

    values: torch.Tensor  # (N, ...), as the column's encoder takes it
    column: str
    # "local": too small a crop to be a target; "negative": belongs to no row; "answer": is not embedded.
    role: str = "global"
    ignore: Maybe = None  # (N,) or (N, columns): in `Relation.ignore` the number of rows that it is no negative of


@dataclass(frozen=True)
class ViewBatch:
    """V views of N rows, and who belongs together."""

    views: tuple[View, ...]
    relation: Relation
    index: Maybe = None  # (N,), the rows' numbers in the table
    taught: Maybe = None  # (N, D), what the embedding of each row is to become
    step: int = 0  # steps done before this one
    progress: float = 0.0  # their share of all steps, 0 … 1

    def __len__(self) -> int:
        return len(self.views[0].values)

    def rows(self, start: int, stop: int) -> tuple[View, ...]:
        """The views of some of the rows only."""
        return tuple(replace(v, values=v.values[start:stop]) for v in self.views)


@dataclass(frozen=True)
class Projections:
    """What the networks made of the views; each tuple is indexed by view, None where a view has no such side."""

    features: tuple[Maybe, ...]  # (N, D_features), before the projector
    online: tuple[Maybe, ...]  # (N, D)
    predicted: tuple[Maybe, ...]  # (N, D); the online ones where the method has no predictor
    target: tuple[Maybe, ...]  # (N, D), from the twin, without gradient
    # The encoder's states along time (N, T, D_steps), where the record asks for them, and which there are, bool (N, T).
    steps: tuple[Maybe, ...] = field(default=(), kw_only=True)
    there: tuple[Maybe, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class Embeddings(Projections):
    """What a method's `compare` gets.

    Attributes
    ----------
    pairs : tuple of (int, int)
        (online view, target view) that belong to each other: targets are global views, never the view itself.
    relation : Relation
        Group of each of the N rows; equal groups are positives.
    parts : mapping of str to module
        The further state that the record declares.
    world : World
        The other processes.
    index, step, taught
        As in `ViewBatch`.
    answers : tuple of Tensor (N, ...)
        Values of the views with the role "answer", which went through no network.
    """

    pairs: tuple[tuple[int, int], ...]
    relation: Relation
    parts: Mapping[str, nn.Module]
    world: World
    index: Maybe = None
    step: int = 0
    roles: tuple[str, ...] = ()
    negative_ignore: Maybe = None  # (N, K) or (N, K, columns), as `View.ignore`
    taught: Maybe = None
    answers: tuple[torch.Tensor, ...] = ()

    @property
    def sides(self) -> list[torch.Tensor]:
        """The online views that belong together, in the order of columns and views: each (N, D)."""
        return [z for z, r in zip(self.online, self.roles, strict=True) if r not in ("negative", "answer")]

    @property
    def negatives(self) -> Maybe:
        """Hard negatives of each row, (N, K, D), or None where the data have none."""
        negatives = [z for z, r in zip(self.online, self.roles, strict=True) if r == "negative"]
        return torch.stack(negatives, 1) if negatives else None

    def cut(self, dimensions: int) -> Embeddings:
        """The first dimensions of every embedding."""
        online, predicted, target = (
            tuple(z if z is None else z[:, :dimensions] for z in side)
            for side in (self.online, self.predicted, self.target)
        )
        taught = None if self.taught is None else self.taught[:, :dimensions]
        return replace(self, online=online, predicted=predicted, target=target, taught=taught)

    def over_sides(self, compare: Callable[..., Compared]) -> Compared:
        """Mean of ``compare(left, right, relation, hard)`` over all pairs of sides; of its numbers likewise.

        Where the relation ignores by column, that of two sides ignores rows that are equal in one of these two, and its
        guide is that of these two. `hard`
        holds ``negatives`` and ``negative_ignore`` where the right side is the last, to which they belong.
        """
        sides, compared = self.sides, []

        def of_two(ignore: Maybe, axes: int) -> Maybe:
            return ignore[..., [i, j]] if ignore is not None and ignore.ndim > axes else ignore

        for i, j in combinations(range(len(sides)), 2):
            hard: dict[str, Maybe] = {}
            if self.negatives is not None and j == len(sides) - 1:
                hard = {"negatives": self.negatives, "negative_ignore": of_two(self.negative_ignore, 2)}
            guide = None if self.relation.guide is None else self.relation.guide[:, [i, j]]
            relation = replace(self.relation, ignore=of_two(self.relation.ignore, 1), guide=guide)
            compared.append(compare(sides[i], sides[j], relation, hard))
        return mean_of_pairs(compared)

    @property
    def global_first(self) -> tuple[list[int], int]:
        """All views in an order that has those that may be targets at its beginning; and how many these are."""
        targets = sorted({j for _, j in self.pairs})
        return targets + [i for i in range(len(self.online)) if i not in targets], len(targets)

    def over_pairs(self, compare: Callable[[int, int], Compared]) -> Compared:
        """Mean of ``compare(i, j)`` over the pairs of online view i and target view j; of its numbers likewise."""
        return mean_of_pairs([compare(i, j) for i, j in self.pairs])
