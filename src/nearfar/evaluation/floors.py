"""What must be beaten before a figure means anything."""

from __future__ import annotations

from typing import Any

import numpy as np

from nearfar.data.table import Column
from nearfar.registry import MODALITIES

STATISTICS_ROWS = 2000


class RawInput:
    """The input itself as numbers: pixels, or the row."""

    name = "raw input"

    def features(self, column: Column, rows: np.ndarray, **_: Any) -> np.ndarray:
        """Float32 (len(rows), F)."""
        parts = [
            MODALITIES.get(column.modality).raw_features(np.asarray(column.values[part]), column.spec)
            for part in np.array_split(rows, max(1, len(rows) // 5000))
        ]
        return np.concatenate(parts).astype(np.float32)


def untrained(model: Any, column: Column, rows: np.ndarray) -> Any:
    """The model's architecture with fresh weights, its batch norms' statistics taken from training rows.

    Without them an untrained batch norm passes numbers on as they come, which would make the floor lower than what
    the architecture alone is worth.
    """
    import torch

    fresh = model.untrained()
    norms = [m for m in fresh.branches.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.train()
    fresh.features(column, rows[:STATISTICS_ROWS], batch_size=500)
    for norm in norms:
        norm.eval()
    if hasattr(fresh, "align"):  # an ensemble, whose members have to meet in one space as the trained ones do
        fresh.align(column, rows[:STATISTICS_ROWS])
    return fresh


def majority(train: np.ndarray, test: np.ndarray) -> float:
    """Accuracy of always saying the most frequent training class."""
    return float((test == np.bincount(train).argmax()).mean())
