"""What must be beaten before a figure means anything."""

from __future__ import annotations

from typing import Any

import numpy as np

from nearfar.core.registry import MODALITIES
from nearfar.data.table import Column, Table
from nearfar.models import setup
from nearfar.models.pretrained import begins_pretrained

STATISTICS_ROWS, STATISTICS_BATCH = 2000, 500  # training rows that batch norms take their statistics from


class RawInput:
    """The input itself as numbers: pixels, the row, or the words and their parts, whatever a model's tokens are."""

    name = "raw input"

    def features(self, column: Column, rows: np.ndarray, **_: Any) -> np.ndarray:
        """Float32 (len(rows), F)."""
        modality, values, spec = MODALITIES.get(column.modality), column.values, column.spec
        usual = None if column.texts is None else modality.plan(column.texts, {})
        if own := usual is not None and usual["tokeniser"] != spec["tokeniser"]:
            spec = usual
        parts = []
        for part in np.array_split(rows, max(1, len(rows) // 5000)):
            read = modality.decode_many([column.texts[i] for i in part], spec)[0] if own else np.asarray(values[part])
            parts.append(modality.raw_features(read, spec))
        return np.concatenate(parts).astype(np.float32)


def untrained(model: Any, table: Table, rows: np.ndarray) -> Any:
    """The model's architecture with fresh weights, and from training rows what it takes without learning.

    That is the statistics of its batch norms, without which they would pass numbers on as they come and the floor
    would be lower than what the architecture alone is worth, and what an encoder's ``setup`` counts.
    """
    import torch

    fresh = model.untrained()
    for name, column in table.columns.items():
        for member in fresh.members if name in fresh.columns or len(table.columns) == 1 else ():
            branch = member.branches[member.own_column(column)]
            for module in (branch.encoder, branch.fixed):
                setup.set_up({name: module}, {name: column}, rows)
    layer = "projection" if len(fresh.members) == 1 else "features"  # members need not agree in theirs
    norms = [m for m in fresh.branches.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    with setup.new_statistics(norms):
        for column in table.columns.values():
            fresh.features(column, rows[:STATISTICS_ROWS], layer, batch_size=STATISTICS_BATCH)
    for member in fresh.members:
        columns = {name: table.columns.get(name, table.first) for name in member.branches}
        setup.scale(member.branches, columns, rows, member.config.train.precision)
    fresh.align(table.first, rows[:STATISTICS_ROWS])  # members have to meet in one space as the trained ones do
    return fresh


def is_untouched(model: Any) -> bool:
    """Whether nothing was learnt here, and an encoder has the weights of a library: it stands for itself."""
    return all(m.config.model.method == "random" for m in model.members) and begins_pretrained(model)


def majority(train: np.ndarray, test: np.ndarray) -> float:
    """Accuracy of always saying the most frequent training class, or any of several that are equally frequent."""
    counts = np.bincount(train)
    return float(np.isin(test, np.flatnonzero(counts == counts.max())).mean() / (counts == counts.max()).sum())
