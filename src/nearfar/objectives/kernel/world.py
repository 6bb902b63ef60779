"""The other processes, as an objective sees them (here: none), and means over the rows of all of them."""

from __future__ import annotations

import torch

from nearfar.objectives.kernel.info import Compared

ALONE = "relation.group: expected a row with a positive, every row is alone in its group"


class World:
    """A world of one process. `nearfar.training.distributed` has the one of many, with the same methods.

    An objective compares this process's rows with everybody's and returns *local sum × size / global count*; the
    average of the gradients over the processes is then the gradient of the whole batch.
    """

    size = 1
    rank = 0

    def gather(self, x: torch.Tensor) -> torch.Tensor:
        """Rows of all processes in global order, with gradient."""
        return x

    def gather_int(self, x: torch.Tensor) -> torch.Tensor:
        """The same without gradient, for any kind of tensor."""
        return x

    def all_reduce(self, x: torch.Tensor) -> torch.Tensor:
        """Sum over the processes, with gradient."""
        return x


ONE = World()


def mean(
    values: torch.Tensor, counted: torch.Tensor | None, world: World, nobody: str = ALONE
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean over the rows of all processes, as each of them returns its loss; and how many rows that were; both ().

    `values` (M,) has a number for each row of this process, of which those that are `counted` (M,) count, or all.
    A ValueError says `nobody` where none counts on any process.
    """
    if counted is None:
        count = world.all_reduce(torch.tensor(values.numel(), device=values.device))
        return values.sum() * world.size / count, count
    count = world.all_reduce(counted.sum())
    if int(count) == 0:
        raise ValueError(nobody)
    return torch.where(counted, values, 0.0).sum() * world.size / count, count


def average(values: torch.Tensor, counted: torch.Tensor | None, count: torch.Tensor, world: World) -> torch.Tensor:
    """Mean over all processes of a number that is only shown, () without gradient; `count` as `mean` gave it."""
    with torch.no_grad():
        kept = values if counted is None else torch.where(counted, values, 0.0)
        return world.all_reduce(kept.sum()) / count.clamp(min=1)


def mean_of_anchors(
    losses: torch.Tensor, positive: torch.Tensor, counted: torch.Tensor | None, world: World, nobody: str = ALONE
) -> Compared:
    """The loss of anchors (M,) that are `counted`, and the numbers that most objectives give."""
    loss, anchors = mean(losses, counted, world, nobody)
    return loss, {"anchors": anchors.detach(), "positive": average(positive, counted, anchors, world)}
