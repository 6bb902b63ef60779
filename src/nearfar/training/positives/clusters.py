"""Rows of one cluster of the encoder's own features belong together; the clusters are found anew as it learns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nearfar.core.errors import ConfigError, DataError
from nearfar.core.randomness import derive
from nearfar.training.positives import Context, Encode, Positives, own, whole
from nearfar.vectors.basics import unit
from nearfar.vectors.kmeans import kmeans, library

if TYPE_CHECKING:
    import torch


def build(context: Context, argument: str, warmup: int = 1, every: int | None = None) -> Positives:
    """Clusters of the encoder's features, as in DeepCluster (Caron et al. 2018, arXiv 1807.05520).

    Parameters
    ----------
    context : Context
    argument : str
        How many clusters. DeepCluster found ten times as many as there are classes to be best.
    warmup : int
        Epochs in which only the views of a row belong together: clusters of an untrained network are noise.
    every : int, optional
        Steps from one refresh to the next; by default an epoch.

    Raises
    ------
    ConfigError
        A number is missing or out of range, or training ends before the first clusters.
    DataError
        There are fewer rows than clusters.
    """
    if not argument:
        raise ConfigError(
            "say how many clusters.", where="model.positives", hint="For example --positives clusters:200."
        )
    count = whole(argument, "the number of clusters", 2)
    start = whole(warmup, "warmup", 0) * context.steps_per_epoch
    period = context.steps_per_epoch if every is None else whole(every, "every", 1)
    epochs = context.config.train.epochs
    if 0 < epochs <= warmup:
        raise ConfigError(
            f"training ends after {epochs} epochs, and the clusters would begin after {warmup}.",
            where="model.positives_options.warmup", hint="Train longer, or set it to 0.",
        )  # fmt: skip
    if count > len(context.rows):
        raise DataError(f"{len(context.rows):,} rows to train on cannot form {count:,} clusters.")
    return Clusters(context, count, start, period)


class Clusters(Positives):
    """k-means of unit features; the centres are where the next refresh starts.

    Cluster c is group c; a row that is not trained on keeps a group of its own. Before the first refresh all do.
    """

    changes = True

    def __init__(self, context: Context, count: int, start: int, period: int) -> None:
        when = "every epoch" if period == context.steps_per_epoch else f"every {period} steps"
        begin = f" from step {start} on; until then only views of one row" if start else ""
        note = f"Positives: {count} clusters of the encoder's features, found anew {when} by {library()}{begin}."
        super().__init__(own(len(context.table)), note)
        self.rows, self.seed = context.rows, context.config.train.seed
        self.count, self.start, self.period = count, start, period
        self.centres = np.zeros((0, 0), np.float32)  # none yet

    def due(self, step: int) -> bool:
        return step >= self.start and (step - self.start) % self.period == 0

    def refresh(self, step: int, encode: Encode) -> dict[str, float]:
        before = self.centres if len(self.centres) else None
        seed = derive(self.seed, "clusters", step)
        self.centres, nearest = kmeans(unit(encode(self.rows)), self.count, seed=seed, centres=before)
        groups = self.count + own(len(self.groups))
        groups[self.rows] = nearest
        moved = float((groups[self.rows] != self.groups[self.rows]).mean())
        self.groups = groups
        return {} if before is None else {"clusters_moved": moved}

    def state(self) -> dict[str, torch.Tensor]:
        import torch

        return {"groups": torch.from_numpy(self.groups), "centres": torch.from_numpy(self.centres)}

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        self.groups, self.centres = tensors["groups"].numpy(), tensors["centres"].numpy()
