"""The part of contrastive predictive coding that looks ahead (van den Oord et al. 2018, arXiv 1807.03748)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class Foresight(nn.Module):
    """A GRU with a state of `hidden` numbers reads a grid of `rows` by `columns` embeddings of `dim` row by row.

    Linear maps predict from row i the rows i + `ahead` and further ones.
    """

    def __init__(self, dim: int, rows: int, columns: int, hidden: int, ahead: int) -> None:
        super().__init__()
        if not 1 <= ahead < rows:
            raise ValueError(f"ahead: expected a number from 1 to {rows - 1}, got {ahead}")
        self.rows, self.columns, self.ahead = rows, columns, ahead
        self.reader = nn.GRU(columns * dim, hidden, batch_first=True)
        self.maps = nn.ModuleList(nn.Linear(hidden, columns * dim) for _ in range(ahead, rows))

    def forward(self, views: Sequence[torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """What is predicted, and what is there: both (N, C, D), for each row that is predicted from each earlier one.

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
