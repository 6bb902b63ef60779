"""Who belongs together, as integers per row. Never a matrix of all pairs."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

NOBODY = -1  # fills the lists of rows that have fewer entries than others
# Axes of what has not one alone.
AXES = {"ignore": (1, 2), "guide": (3,)} | dict.fromkeys(
    ("positive_rows", "negative_rows", "shown", "answers", "seen"), (2,)
)
FLOATING = ("score", "guide")


@dataclass(frozen=True)
class Relation:
    """Who is what to whom among the N rows of a batch.

    Parameters
    ----------
    group : LongTensor (N,)
        Rows of one group are positives of each other; not negative.
    ignore : LongTensor (N,) or (N, K), optional
        Rows of equal `ignore` and different `group` are neither positive nor negative of each other (near
        duplicates). With K numbers a row, those that are equal in one of them (an equal picture, or an equal caption).
    within : LongTensor (N,), optional
        Rows of different `within` and different `group` are neither positive nor negative of each other: negatives are
        of the same speaker, camera or machine, so that nothing is learnt of these.
    shown : LongTensor (N, V), optional
        What the V views of a row show, where that is not the row alone: rows of different `group` that have one of
        these numbers in common, at whatever place, are neither positive nor negative of each other.
    score : Tensor (N,), optional
        How alike the two sides of each pair are, in any unit: higher is more alike. For objectives of graded or
        labelled pairs.
    positive_rows : LongTensor (N, K), optional
        Further positives of each row, as rows of the *global* batch (neighbours); -1 where a row has fewer.
    negative_rows : LongTensor (N, K), optional
        The only negatives of each row, as rows of the *global* batch (mined ones); -1 where a row has fewer.
    guide : Tensor (N, S, D), optional
        Unit vectors of the S sides of each row by another model. What these find more similar to a side than the row's
        own other side is neither positive nor negative of it (a false negative of GISTEmbed, Solatorio 2024, arXiv
        2402.16829).
    answers : LongTensor (N, A), optional
        The items of a table that each row is to find; -1 where it has fewer.
    seen : LongTensor (N, S), optional
        The items that each row is known by, which are neither to be found nor wrong; -1 where it has fewer.

    Raises
    ------
    ValueError
        A vector is not of the kind described, or has the wrong length.
    """

    group: torch.Tensor
    ignore: torch.Tensor | None = None
    score: torch.Tensor | None = None
    positive_rows: torch.Tensor | None = None
    negative_rows: torch.Tensor | None = None
    shown: torch.Tensor | None = None
    guide: torch.Tensor | None = None
    within: torch.Tensor | None = None
    answers: torch.Tensor | None = None
    seen: torch.Tensor | None = None

    def __post_init__(self) -> None:
        for name in (f.name for f in fields(self)):
            if (v := getattr(self, name)) is None:
                continue
            axes = AXES.get(name, (1,))
            if name in FLOATING:
                fits, kind = not v.is_complex() and bool(torch.isfinite(v.float()).all()), "finite"
            else:
                fits, kind = not v.is_floating_point() and v.dtype != torch.bool, "whole"
            if v.dim() not in axes or not fits:
                shape = {1: "(N,)", 2: "(N, K)", 3: "(N, S, D)"}[axes[0]]
                raise ValueError(
                    f"relation.{name}: expected {kind} numbers of shape {shape}, got {v.dtype} {tuple(v.shape)}"
                )
            if len(v) != len(self.group):
                raise ValueError(f"relation.{name}: expected {len(self.group)} entries, got {len(v)}")

    def __len__(self) -> int:
        return len(self.group)

    def rows(self, which: slice | torch.Tensor) -> Relation:
        """The relation of some of the rows; lists of rows keep meaning the global batch."""
        return Relation(*(None if (v := getattr(self, f.name)) is None else v[which] for f in fields(self)))
