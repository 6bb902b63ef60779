"""Who belongs together, as integers per row. Never a matrix of all pairs."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

NOBODY = -1  # fills the lists of rows that have fewer entries than others


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

    def __post_init__(self) -> None:
        for name in (f.name for f in fields(self)):
            if (v := getattr(self, name)) is None:
                continue
            dims, shape = (2, "(N, K)") if name.endswith("_rows") or name == "shown" else (1, "(N,)")
            if name == "score":
                if v.dim() != 1 or v.is_complex() or not bool(torch.isfinite(v.float()).all()):
                    raise ValueError(f"relation.score: expected finite numbers of shape (N,), got {_what(v)}")
            elif (
                (v.dim() != dims and not (name == "ignore" and v.dim() == 2))
                or v.is_floating_point()
                or v.dtype == torch.bool
            ):
                raise ValueError(f"relation.{name}: expected whole numbers of shape {shape}, got {_what(v)}")
            if len(v) != len(self.group):
                raise ValueError(f"relation.{name}: expected {len(self.group)} entries, got {len(v)}")

    def __len__(self) -> int:
        return len(self.group)

    def rows(self, which: slice | torch.Tensor) -> Relation:
        """The relation of some of the rows; lists of rows keep meaning the global batch."""
        return Relation(*(None if (v := getattr(self, f.name)) is None else v[which] for f in fields(self)))


def _what(v: torch.Tensor) -> str:
    return f"{v.dtype} {tuple(v.shape)}"
