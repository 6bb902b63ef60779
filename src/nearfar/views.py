"""From rows of a table to a batch of views, on the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nearfar.data.sampler import Sampler
from nearfar.data.table import Column
from nearfar.learner import View, ViewBatch
from nearfar.objectives.relation import Relation
from nearfar.randomness import generator
from nearfar.registry import MODALITIES
from nearfar.transforms.draws import Draws
from nearfar.transforms.frame import role

if TYPE_CHECKING:
    from nearfar.distributed import World


@dataclass(frozen=True)
class Viewer:
    """Makes the views of a batch; what it draws is a formula of (seed, epoch, step, column, view, row).

    Parameters
    ----------
    columns : mapping of str to Column
        One column gives `count` views of each row; several give one view each.
    recipes : mapping of str to tuple of recipes
        By column; the v-th view uses recipe v, cycled.
    count : int
        Views per row of a single column.
    groups : ndarray of int64 (N_table,)
        Group of every row of the table.
    seed : int
    device : str or torch.device
    world : World
        Each process views its own contiguous share of the global batch.
    """

    columns: Mapping[str, Column]
    recipes: Mapping[str, tuple[Any, ...]]
    count: int
    groups: np.ndarray
    seed: int
    device: str | torch.device
    world: World

    @contextmanager
    def expecting(self, sampler: Sampler, step: int, total: int) -> Iterator[None]:
        """Within this context, columns that are decoded while training make the batches from `step` on ready ahead."""
        with ExitStack() as stack:
            for column in self.columns.values():
                stack.enter_context(
                    column.expecting(
                        lambda: (rows[self.world.share(len(rows))] for rows in sampler.upcoming(step, total))
                    )
                )
            yield

    def batch(self, rows: np.ndarray, epoch: int, step: int) -> ViewBatch:
        """The views of the given rows of the table: the global batch, of which this process takes its share."""
        share = self.world.share(len(rows))
        views = []
        for name, column in self.columns.items():
            modality = MODALITIES.get(column.modality)
            values, geometry = column.take(rows[share], self.device)
            recipes = self.recipes[name]
            batch = cache(lambda c=column: c.take(rows, self.device)[0])  # for views that mix rows
            for v in range(self.count if len(self.columns) == 1 else 1):
                drawn = generator(self.seed, "views", epoch, step, name, v)
                draws = Draws(drawn, len(rows), share, self.device, batch)
                recipe = recipes[v % len(recipes)]
                seen = modality.views(values, geometry, recipe, draws, column.spec)
                views.append(View(seen, name, role(recipe)))
        group = torch.from_numpy(self.groups[rows[share]]).to(self.device, non_blocking=True)
        return ViewBatch(tuple(views), Relation(group))
