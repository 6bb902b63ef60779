"""Batches of P classes with K rows of each: still a formula of (seed, epoch, step)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from nearfar.core.errors import ConfigError, DataError
from nearfar.core.randomness import generator
from nearfar.data.batches.sampler import Sampler


def parse(text: str) -> tuple[int, int]:
    """Classes in every batch and rows of each, from ``10x25``; raises `ConfigError` where it is not of that form."""
    match = re.fullmatch(r"\s*(\d+)\s*[x×*]\s*(\d+)\s*", text)
    if not match or int(match[1]) < 2 or int(match[2]) < 1:
        raise ConfigError(
            f"{text!r} is not of the form CLASSESxROWS.", where="train.balance",
            hint="For example 10x25: ten classes in every batch, 25 rows of each.",
        )  # fmt: skip
    return int(match[1]), int(match[2])


def about(text: str, groups: np.ndarray, batch_size: int, *, may_change: bool) -> str:
    """What balanced batches hold, and how long an epoch is, in sentences.

    `groups` is that of every row that is trained on; nothing can be said of those that `may_change`, since they are
    found while training. Raises a `ConfigError` where the batch does not hold so many rows, a `DataError` where there
    are fewer classes of two rows or more.
    """
    classes, each = parse(text)
    rest = batch_size - classes * each
    if rest < 0:
        raise ConfigError(
            f"a batch of {batch_size} rows does not hold {classes} classes of {each}.", where="train.balance",
            hint=f"Pass --batch-size {classes * each}, or more.",
        )  # fmt: skip
    sizes = np.unique(groups, return_counts=True)[1]
    have, alone = int((sizes > 1).sum()), int((sizes == 1).sum())
    if not may_change and have < classes:
        raise DataError(
            f"{classes} classes in every batch are asked for, and {have} have two rows or more.",
            where="train.balance", hint="Ask for fewer, or let classes come from labels: --positives labels.",
        )  # fmt: skip
    said = f"Batches: {classes} classes of {each} rows"
    if rest:
        said += f" and {rest} rows {'without a' if alone else 'of any'} class"
    said += f"; an epoch stays {len(groups) // batch_size} steps, so rows of small classes come more than once in it."
    if alone and not rest and not may_change:
        said += f" The {alone:,} rows without a class are never seen; a larger --batch-size makes room for them."
    return said


@dataclass(frozen=True)
class Balanced(Sampler):
    """Batches of P classes with K rows of each (`classes`, `each`), and the rest of rows that have no class.

    `groups` gives the group of every row of the table, int64 (N_table,), as it is now; a class is a group of two rows
    or more. An epoch is as many batches as without balance. In each batch P classes are drawn again, all alike; a class
    goes through its rows in the epoch's order and begins again at their end, so rows of small classes come more often
    and some of large ones do not come. The rest are rows that are alone in their group, or rows of any class where none
    is. Rows of one class are P places apart. Where fewer than P classes are known (clusters before they are found),
    batches are as without balance.
    """

    classes: int = 2
    each: int = 2
    groups: Callable[[], np.ndarray] | None = None

    def order(self, epoch: int) -> np.ndarray:
        """The row numbers of one epoch in their order, shape (steps_per_epoch · batch_size,)."""
        plain, steps = super().order(epoch), self.steps_per_epoch
        _, member, size = np.unique(self.groups()[plain], return_inverse=True, return_counts=True)
        known = np.flatnonzero(size > 1)
        if len(known) < self.classes:
            return plain
        drawn = generator(self.seed, "classes", epoch)
        chosen = [torch.randperm(len(known), generator=drawn)[: self.classes] for _ in range(steps)]
        of_place = known[torch.cat(chosen).numpy()]  # class of each of the steps · P places
        by_class = plain[np.argsort(member, kind="stable")]
        begin = np.cumsum(size) - size
        turns = np.empty_like(of_place)  # how many earlier places are of the same class
        sort = np.argsort(of_place, kind="stable")
        turns[sort] = np.arange(len(sort)) - np.searchsorted(of_place[sort], of_place[sort])
        at = (turns[:, None] * self.each + np.arange(self.each)) % size[of_place][:, None]
        rows = by_class[begin[of_place][:, None] + at].reshape(steps, self.classes, self.each)
        rows = rows.transpose(0, 2, 1).reshape(steps, -1)
        alone = plain[size[member] == 1]
        rest = np.resize(alone if len(alone) else plain, (steps, self.batch_size - rows.shape[1]))
        return np.concatenate((rows, rest), 1).reshape(-1)
