"""Rows of one cluster of the encoder's own features belong together; clusters are found again as the encoder learns."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from nearfar.core.errors import ConfigError, DataError
from nearfar.core.randomness import derive
from nearfar.training.positives import Context, Encode, Positives, own, whole
from nearfar.vectors.basics import unit
from nearfar.vectors.kmeans import kmeans, library


def build(context: Context, argument: str, warmup: int = 1, every: int | None = None) -> Positives:
    """Clusters of the encoder's features, as in DeepCluster (Caron et al. 2018, arXiv 1807.05520).

    Parameters
    ----------
    argument : str
        How many clusters. DeepCluster found ten times as many as there are classes to be best.
    warmup : int
        Epochs in which only the views of a row belong together: clusters of an untrained network are noise.
    every : int, optional
        Steps from one refresh to the next; by default an epoch.
    """
    if not argument:
        hint = "For example --positives clusters:200."
        raise ConfigError("the number of clusters is missing.", where="model.positives", hint=hint)
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

    changing: ClassVar = {"groups": np.int64, "centres": np.float32}

    def __init__(self, context: Context, count: int, start: int, period: int) -> None:
        when = "every epoch" if period == context.steps_per_epoch else f"every {period} steps"
        begin = f" from step {start} on; until then only views of one row" if start else ""
        note = f"Positives: {count} clusters of the encoder's features, found again {when} by {library()}{begin}."
        super().__init__(own(len(context.table)), note)
        self.rows, self.seed = context.rows, context.config.train.seed
        self.count, self.start, self.period = count, start, period
        self.centres: np.ndarray | None = None

    def due(self, step: int) -> bool:
        return step >= self.start and (step - self.start) % self.period == 0

    def refresh(self, step: int, encode: Encode) -> dict[str, float]:
        first, seed = self.centres is None, derive(self.seed, "clusters", step)
        self.centres, nearest = kmeans(unit(encode(self.rows)), self.count, seed=seed, centres=self.centres)
        groups = self.count + own(len(self.groups))  # what is not trained on keeps a group of its own
        groups[self.rows] = nearest
        moved = float((groups[self.rows] != self.groups[self.rows]).mean())
        self.groups = groups
        return {} if first else {"clusters_moved": moved}
