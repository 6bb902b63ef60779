"""The table of items that an encoder knows, as a method compares users with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from nearfar.core.errors import ConfigError
from nearfar.objectives.kernel.relation import NOBODY

AGAIN = 10  # times that negatives are drawn, at most, until none of them was taken
SEEDS = 2**32  # between the seeds of these, so that no step has another's


class ItemTable(nn.Module):
    """The vectors of all items, or of some that are drawn in each step where there are more than `drawn`.

    What is drawn are items by the power `power` of how often they were taken (Mikolov et al. 2013, arXiv 1310.4546),
    and all those that the batch has for answers, which are negatives of the other rows. `log_q` says how likely each
    was to come (Yi et al. 2019).
    """

    def __init__(self, drawn: int, power: float) -> None:
        super().__init__()
        self.drawn, self.power = drawn, power
        self.of: list[nn.Module] = []  # the encoder, in a list since it is no part of this one
        self.shares: tuple[torch.Tensor, ...] = ()

    def attach(self, encoders: Mapping[str, nn.Module]) -> None:
        """Take the encoder whose items these are."""
        self.of = [e for e in encoders.values() if hasattr(e, "candidates")][:1]
        if not self.of:
            raise ConfigError("this method compares users with items, and the encoder knows none.",
                              where="model.encoder", hint="Take one of histories, such as history.")  # fmt: skip

    @property
    def encoder(self) -> nn.Module:
        return self.of[0]

    def _shares(self) -> tuple[torch.Tensor, ...]:
        """How likely each item is by the power and by itself, float64 (I,), and the cumulated first."""
        if not self.shares:
            taken = self.encoder.taken.double() + 1
            by_power = taken**self.power / (taken**self.power).sum()
            self.shares = by_power, taken / taken.sum(), by_power.cumsum(0)
        return self.shares

    def sample(self, count: int, seed: int) -> torch.Tensor:
        """Numbers of items, each drawn by its share, some perhaps several times: int64 (count,)."""
        _, _, ends = self._shares()
        drawn = torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        return torch.searchsorted(ends, drawn.to(ends.device)).clamp(max=len(ends) - 1)

    def vectors(self, ids: torch.Tensor) -> torch.Tensor:
        """Vectors of items of any shape, (..., D); those of nobody are of any item."""
        unique, place = ids.clamp(min=0).unique(return_inverse=True)
        return self.encoder.candidates(unique)[place]

    def pairs(self, answers: Sequence[torch.Tensor], most: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """At most so many pairs of a row and an item that it is to find, drawn evenly: rows (P,) and items (P,)."""
        ids = items_of(answers[0])
        rows, place = (ids != NOBODY).nonzero(as_tuple=True)
        drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:most].to(rows.device)
        return rows[drawn], ids[rows[drawn], place[drawn]]

    def not_taken(self, answers: Sequence[torch.Tensor], rows: torch.Tensor, count: int, seed: int) -> torch.Tensor:
        """So many drawn items for each of these rows that are none of its own, (P, count)."""
        own = torch.cat([items_of(a) for a in answers], 1)
        items = len(self.encoder.taken)
        keys = (torch.arange(len(own), device=own.device)[:, None] * items + own)[own != NOBODY]
        drawn = self.sample(len(rows) * count, seed).view(-1, count)
        for again in range(1, AGAIN):
            taken = torch.isin(rows[:, None] * items + drawn, keys)
            if not taken.any():
                break
            drawn = torch.where(taken, self.sample(drawn.numel(), seed + again * SEEDS).view_as(drawn), drawn)
        return drawn

    def against(
        self, answers: torch.Tensor, seen: torch.Tensor | None, seed: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """The table to compare with (C, D), answers and seen items as places in it, and log q (C,) where it is drawn.

        What was seen and is not in the table is nobody.
        """
        items = len(self.encoder.taken)
        if items <= self.drawn:
            return self.encoder.candidates(), answers, seen, None
        own = answers[answers != NOBODY]
        numbers = torch.cat([own, self.sample(self.drawn, seed)]).unique()
        by_power, plain, _ = self._shares()
        expected = self.drawn * by_power[numbers] + len(own) * plain[numbers]
        log_q = (-torch.expm1(-expected)).log().float()
        placed = [None if ids is None else _places(ids, numbers) for ids in (answers, seen)]
        return self.encoder.candidates(numbers), placed[0], placed[1], log_q


def _places(ids: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Where each id is among sorted numbers; nobody where it is not."""
    place = torch.searchsorted(numbers, ids).clamp(max=len(numbers) - 1)
    return torch.where(numbers[place] == ids, place, NOBODY)


def items_of(events: torch.Tensor) -> torch.Tensor:
    """Numbers of the items of events (N, L, 2), nobody where there is none: int64 (N, L)."""
    return events[:, :, 0].long() - 1
