"""Who belongs together, as integers per row. Never a matrix of all pairs."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Relation:
    """Groups of the N rows of a batch.

    Parameters
    ----------
    group : LongTensor (N,)
        Rows of one group are positives of each other; not negative.
    ignore : LongTensor (N,), optional
        Rows of equal `ignore` and different `group` are neither positive nor negative of each other (near
        duplicates, equal captions).

    Raises
    ------
    ValueError
        A vector is not of whole numbers, has the wrong length or negative entries.
    """

    group: torch.Tensor
    ignore: torch.Tensor | None = None

    def __post_init__(self) -> None:
        for name in ("group", "ignore"):
            v = getattr(self, name)
            if v is None:
                continue
            if v.dim() != 1 or v.is_floating_point() or v.dtype == torch.bool:
                raise ValueError(
                    f"relation.{name}: expected whole numbers of shape (N,), got {v.dtype} {tuple(v.shape)}"
                )
            if len(v) != len(self.group):
                raise ValueError(f"relation.{name}: expected {len(self.group)} entries, got {len(v)}")

    def __len__(self) -> int:
        return len(self.group)
