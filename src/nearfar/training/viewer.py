"""From rows of a table to a batch of views, on the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from nearfar.core.randomness import generator
from nearfar.core.registry import MODALITIES
from nearfar.data.batches.sampler import Sampler
from nearfar.data.table import Column
from nearfar.methods.embeddings import View, ViewBatch
from nearfar.objectives.kernel.relation import Relation
from nearfar.training.distributed import World
from nearfar.training.positives import Positives, hard_negatives
from nearfar.training.positives.hard_negatives import Hard
from nearfar.transforms.draws import Draws
from nearfar.transforms.frame import role


@dataclass(frozen=True)
class Viewer:
    """Makes the views of a batch; what it draws is a formula of (seed, epoch, step, column, view, row)."""

    columns: Mapping[str, Column]  # one column gives `count` views of each row; several give one view each
    recipes: Mapping[str, tuple[Any, ...]]  # by column; the v-th view uses recipe v, cycled
    count: int
    positives: Positives  # who belongs together, as it is when a batch is made
    seed: int
    device: str | torch.device
    world: World  # each process views its own contiguous share of the global batch
    # int64 (N_table,) or (N_table, columns): rows of equal number, in a column, are not negatives of each other
    ignore: np.ndarray | None = None
    scores: np.ndarray | None = None  # float (N_table,): how alike the two sides of each row are
    hard: Sequence[Hard] = ()  # hard negatives that the data hold; those that the positives find come to them
    within: np.ndarray | None = None  # int64 (N_table,): rows of different numbers are no negatives of each other

    @contextmanager
    def expecting(self, sampler: Sampler, step: int, total: int) -> Iterator[None]:
        """Within this context, columns that are decoded while training make the batches from `step` on ready ahead."""

        def upcoming() -> Iterator[np.ndarray]:
            return (rows[self.world.share(len(rows))] for rows in sampler.upcoming(step, total))

        with ExitStack() as stack:
            for column in self.columns.values():
                stack.enter_context(column.expecting(upcoming))
            yield

    def batch(self, rows: np.ndarray, epoch: int, step: int) -> ViewBatch:
        """The views of the given rows of the table: the global batch, of which this process takes its share."""
        share, sources, asked = self.world.share(len(rows)), [], []
        for name, column in self.columns.items():
            for v in range(self.count if len(self.columns) == 1 else 1):
                sources.append(self._source(rows, epoch, step, len(sources)))
                recipe = self.recipes[name][v % len(self.recipes[name])]
                asked.append((column, name, sources[-1], ("views", epoch, step, name, v), recipe, role(recipe), None))
        hard = list(self.hard)
        if self.positives.negatives is not None:
            hard += hard_negatives.of_rows(list(self.columns.values())[-1], self.positives.negatives, self.ignore)
        for k, h in enumerate(hard):  # seen as the other views of the column whose encoder they go through
            key = "negatives", epoch, step, k
            asked.append((h.column, h.side, h.rows[rows], key, self.recipes[h.side][0], "negative", h.ignore))
        views, taken = [], (None, None)
        for column, name, source, key, recipe, kind, ignore in asked:
            if column is not taken[0] or source is not taken[1]:  # views of the same rows share what is read
                values, geometry = column.take(source[share], self.device)
                batch = cache(lambda c=column, r=source: c.take(r, self.device)[0])  # for views that mix rows
                taken = column, source
            common = generator(self.seed, "views", epoch, step, name, "common")
            draws = Draws(generator(self.seed, *key), len(rows), share, self.device, batch, common)
            seen = MODALITIES.get(column.modality).views(values, geometry, recipe, draws, column.spec)
            views.append(View(seen, name, kind, self._placed(ignore, rows[share])))
        known = self.positives.groups, self.scores, self.within
        group, score, within = (self._placed(of_table, rows[share]) for of_table in known)
        ignore, shown = (self._placed(of_batch, share) for of_batch in self._same(sources))
        guide = self._placed(self.positives.guide, rows[share])
        guide = None if guide is None else guide.float().unflatten(1, (len(self.columns), -1))
        index = torch.from_numpy(rows[share]).to(self.device, non_blocking=True)
        taught = self._placed(self.positives.targets, rows[share])
        relation = Relation(group, ignore, score, shown=shown, guide=guide, within=within)
        return ViewBatch(tuple(views), relation, index, taught)

    def _same(self, sources: Sequence[np.ndarray]) -> tuple[np.ndarray | None, np.ndarray | None]:
        """`Relation.ignore` and `Relation.shown` of a batch whose views show these rows, each (rows of the batch,)."""
        ignore, shown = self.ignore, None if self.positives.partners is None else np.stack(sources, 1)
        if ignore is None:
            return None, shown
        if shown is None or ignore.ndim == 1:
            return ignore[sources[0]], None if shown is None else ignore[shown]
        return ignore[shown, np.arange(shown.shape[1])], shown

    def _source(self, rows: np.ndarray, epoch: int, step: int, view: int) -> np.ndarray:
        """The rows that these views come from: from the second view on partners, where the positives have some."""
        partners = self.positives.partners
        if partners is None or view == 0:
            return rows
        drawn = generator(self.seed, "partners", epoch, step, view)
        return partners[rows, torch.randint(partners.shape[1], (len(rows),), generator=drawn).numpy()]

    def _placed(self, of_table: np.ndarray | None, rows: np.ndarray | slice) -> torch.Tensor | None:
        return None if of_table is None else torch.from_numpy(of_table[rows]).to(self.device, non_blocking=True)
