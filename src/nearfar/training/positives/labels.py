"""Rows of one label belong together (Khosla et al. 2020, arXiv 2004.11362); rows without one, only with themselves."""

from __future__ import annotations

import numpy as np

from nearfar.core.errors import DataError
from nearfar.core.registry import METHODS
from nearfar.training.positives import Context, Positives, nothing, own


def build(context: Context, argument: str) -> Positives:
    """Class c is group c, and the unlabelled row r is group C + r, so it is a positive of its own views only."""
    nothing(argument, "labels")
    labels = context.labels
    if labels is None or not (labels >= 0).any():
        with_labels = ", ".join(m for m in METHODS if METHODS.get(m).RECORD.positives != "labels")
        raise DataError(
            "this method learns from labels, and the data have none.",
            hint="Name the column with --label, put each class in a folder of its own, or use a method that needs none "
            f"({with_labels}).",
        )
    classes = max(len(context.table.label_names), int(labels.max()) + 1)
    groups = np.where(labels >= 0, labels, classes + own(len(labels)))
    if len(context.rows) > 1 and (groups[context.rows] == groups[context.rows[0]]).all():
        raise DataError(
            f"all {len(context.rows):,} rows to train on have the label "
            f"{context.table.label_names[labels[context.rows[0]]]!r}, so labels tell nothing apart.",
            hint="Bring rows of other classes, or use a method without labels, such as simclr.",
        )
    rows, counts = len(context.rows), np.unique(groups[context.rows], return_counts=True)[1]
    alone = int((counts == 1).sum())
    if alone == rows > 1:
        raise DataError(
            f"no two of the {rows:,} rows to train on have the same label, so labels bring none together.",
            hint="Name a column whose values repeat with --label, or use a method without labels, such as simclr.",
        )
    doubt = f"Positives: {alone:,} of {rows:,} rows to train on share their label with no other; they are positives of "
    without = int((labels[context.rows] < 0).sum())
    note = f"Positives: {without:,} rows have no label; they are positives of their own views only." if without else ""
    return Positives(groups, note, f"{doubt}their own views only." if alone > rows / 2 else "")
