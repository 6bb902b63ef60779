"""Batches of one set each, where a table holds several: still a formula of (seed, epoch, step)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from nearfar.core.errors import DataError
from nearfar.core.randomness import generator
from nearfar.data.batches.sampler import Sampler
from nearfar.data.table import Table


def sets(table: Table) -> tuple[np.ndarray, tuple[str, ...]]:
    """The set of each row, int64 (N,), and what the sets are called: by their column, else by their files."""
    if table.sets is not None:
        return table.sets, table.set_names
    names, number = np.unique([str(n).rpartition(":")[0] for n in table.names], return_inverse=True)
    if len(names) < 2:
        raise DataError(
            "the rows are one set, and train.mix needs several.", where="train.mix",
            hint="Name the column that says which set a row is of with data.sets, or bring several files: '{a,b}.csv'.",
        )  # fmt: skip
    return number.astype(np.int64), tuple(str(n) for n in names)


def about(number: np.ndarray, names: tuple[str, ...], batch_size: int, power: float) -> str:
    """What batches of one set each are, in a sentence; raises `DataError` where a set has fewer rows than a batch.

    `number` is the set of each row that is trained on.
    """
    size = np.bincount(number, minlength=len(names))
    for name, rows in zip(names, size, strict=True):
        if 0 < rows < batch_size:
            raise DataError(
                f"the set {name!r} has {rows:,} rows to train on, fewer than a batch of {batch_size}.",
                where="train.mix", hint="Lower --batch-size, or leave the set out.",
            )  # fmt: skip
    steps = shares(size, len(number) // batch_size, power)
    said = ", ".join(f"{n} {s} steps ({r:,} rows)" for n, s, r in zip(names, steps, size, strict=True) if r)
    return f"Batches: of one set each; in an epoch {said}."


def shares(size: np.ndarray, steps: int, power: float) -> np.ndarray:
    """Steps of each set out of `steps`, in proportion to its size to the power, by largest remainder."""
    weight = np.where(size > 0, size.astype(np.float64) ** power, 0.0)
    exact = steps * weight / weight.sum()
    whole = np.floor(exact).astype(np.int64)
    whole[np.argsort(whole - exact, kind="stable")[: steps - whole.sum()]] += 1
    return whole


@dataclass(frozen=True)
class Mixed(Sampler):
    """Batches whose rows are all of one set, so that nobody can tell a negative by its set.

    `sets` is that of every row of the table, int64 (N_table,). They are drawn in proportion to their size to `power`: 1
    as often as they have rows, 0 all alike. An epoch has as many batches as without sets. Each set goes through its
    rows in the epoch's order and begins again at their end, so rows of small sets come more than once where the power
    is below 1, and some of large ones do not.
    """

    sets: np.ndarray | None = None
    power: float = 1.0

    def order(self, epoch: int) -> np.ndarray:
        """The row numbers of one epoch in their order, shape (steps_per_epoch · batch_size,)."""
        plain = super().order(epoch)
        member = self.sets[plain]
        steps = shares(np.bincount(member), self.steps_per_epoch, self.power)
        rows = [
            np.resize(plain[member == s], (count, self.batch_size)) for s, count in enumerate(steps.tolist()) if count
        ]
        turn = torch.randperm(self.steps_per_epoch, generator=generator(self.seed, "sets", epoch)).numpy()
        return np.concatenate(rows)[turn].reshape(-1)
