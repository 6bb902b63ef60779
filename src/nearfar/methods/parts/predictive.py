"""The part of contrastive predictive coding that looks ahead (van den Oord et al. 2018, arXiv 1807.03748)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

Maybe = torch.Tensor | None


class Foresight(nn.Module):
    """A GRU reads a grid of embeddings row by row; linear maps tell the rows ahead.

    Parameters
    ----------
    dim : int
        D of an embedding.
    rows, columns : int
        R and C of the grid.
    hidden : int
        Numbers of the GRU's state.
    ahead : int
        The first row told from row i is row i + `ahead`.
    """

    def __init__(self, dim: int, rows: int, columns: int, hidden: int, ahead: int) -> None:
        super().__init__()
        if not 1 <= ahead < rows:
            raise ValueError(f"ahead: expected a number from 1 to {rows - 1}, got {ahead}")
        self.rows, self.columns, self.ahead = rows, columns, ahead
        self.reader = nn.GRU(columns * dim, hidden, batch_first=True)
        self.maps = nn.ModuleList(nn.Linear(hidden, columns * dim) for _ in range(ahead, rows))

    def forward(self, views: Sequence[Maybe]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """What is told, and what is there: both (N, C, D), for every row that is told from every earlier one.

        `views` are the R·C embeddings (N, D) of the grid, row after row.
        """
        if len(views) != self.rows * self.columns:
            raise ValueError(f"a grid of {self.rows} × {self.columns} views is needed, got {len(views)}")
        grid = torch.stack(list(views), 1).to(self.maps[0].weight.dtype).unflatten(1, (self.rows, self.columns))
        with torch.autocast(grid.device.type, enabled=False):
            contexts, _ = self.reader(grid.flatten(2))
            return [
                (self.maps[k - self.ahead](contexts[:, i]).view_as(grid[:, i + k]), grid[:, i + k])
                for k in range(self.ahead, self.rows)
                for i in range(self.rows - k)
            ]
