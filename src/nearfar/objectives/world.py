"""The other processes, as an objective sees them; here: none."""

from __future__ import annotations

import torch


class World:
    """A world of one process. `nearfar.distributed` has the one of many, with the same methods.

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
