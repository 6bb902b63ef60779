"""``--method auto``: a method by what the data are and where they are trained, with the reason in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nearfar.core.registry import METHODS, MODALITIES
from nearfar.methods.catalogue import figures

if TYPE_CHECKING:
    from nearfar.data.table import Table

LABELLED = 0.5  # share of the rows that must be labelled for the labels to be learnt from
FEW = 512  # rows; below, a batch holds few negatives
LONG = 100  # epochs
COSTLY = 1.5  # times SimCLR's work
OPEN = ("default", "auto")  # words that stand for a method which the data decide


def of(word: str, table: Table, train: np.ndarray, device: str, epochs: int | str) -> tuple[str, str]:
    """The method that "auto" or "default" means for these data, and why where that has to be said."""
    if word == "auto":
        return choose(table, train, device, epochs)
    if len(table.columns) == 1:
        return getattr(MODALITIES.get(table.first.modality), "DEFAULT_METHOD", "simclr"), ""
    if table.scores is not None:
        return "cosent", "the pairs have scores"
    return "clip", "the columns of a row are each other's positives"


def labelled(table: Table, rows: np.ndarray) -> float:
    """The share of these rows that have a label which another of them has too, where there are two classes or more."""
    if table.labels is None or len(table.label_names) < 2:
        return 0.0
    labels = table.labels[rows]
    counts = np.bincount(labels[labels >= 0], minlength=len(table.label_names))
    return float(counts[counts > 1].sum() / max(1, len(rows)))


def choose(table: Table, train: np.ndarray, device: str, epochs: int | str) -> tuple[str, str]:
    """A method for these training rows, and why; `device` is its type, such as cpu or cuda."""
    if (share := labelled(table, train)) >= LABELLED:
        return "supcon", f"{share:.0%} of the rows have a label, and labels teach more than views alone"
    if len(table.columns) > 1 or table.first.modality == "text":
        return of("default", table, train, device, epochs)
    if len(train) < FEW:
        return "dcl", f"{len(train):,} rows make small batches, which gain most without the positive below the line"
    if device == "cuda" and epochs != "auto" and int(epochs) >= LONG:
        return "byol", f"{epochs} epochs on a GPU are enough for a twin, which then does best without many negatives"
    # those that learn from views alone, at a price that nobody has to be asked about
    records = {m: METHODS.get(m).RECORD for m in figures() if m in METHODS}
    fit = [m for m, r in records.items() if r.trains and r.positives == "views" and r.cost <= COSTLY]
    free = {m: figures()[m]["linear"] for m in fit}
    if not free:
        return "simclr", "it needs nothing but views and does well in short runs"
    best = max(free, key=free.__getitem__)
    reached = f"({free[best]:.3f}, docs/results/methods.md)"
    return best, f"of the methods without labels it reached most in a short run {reached}"
