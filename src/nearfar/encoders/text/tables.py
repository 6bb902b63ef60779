"""Tables with a row for each id, of which only the rows that occur need to be trained."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

INSIDE = "inside"
LEFT = "_left"  # ends the name of what is left of the rows that are not trained


class Tables(nn.Module):
    """Base of an encoder with tables.

    After `narrow` the parameters hold the rows that are trained. The others stay beside them as they were, times one
    number for all of them, which weight decay shrinks: a parameter whose gradient is zero. What optimisers, a twin and
    means of weights do to a row without gradient is linear in that row, so they do to the number what they would do to
    each of these rows. Only optimisers that look at a whole table (LARS) do something else.

    A state has whole tables in either form. That of a narrow one says beside them which rows are trained and what is
    left of the others, which stand in it as they were.
    """

    TABLES: ClassVar[tuple[str, ...]] = ()  # names of the parameters

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer(INSIDE, None)  # of each id, whether its row is trained
        self.place: torch.Tensor | None = None  # of each id, its row: among those that are trained, or after them
        self.rest: dict[str, torch.Tensor] = {}  # the other rows, as they were

    @torch.no_grad()
    def narrow(self, inside: torch.Tensor) -> None:
        """Train only the rows of the ids that are marked, bool (ids,); others may be looked up in evaluation mode."""
        self.inside = inside.clone()
        self.place = torch.where(inside, inside.cumsum(0), inside.sum() + (~inside).cumsum(0)) - 1
        for name in self.TABLES:
            table = getattr(self, name)
            self.rest[name] = table[~inside]
            setattr(self, name, nn.Parameter(table[inside], table.requires_grad))
            one = nn.Parameter(table.new_ones((1,) * table.dim()), table.requires_grad)
            self.register_parameter(name + LEFT, one)

    @torch.no_grad()
    def widen(self) -> None:
        """Put all rows together again."""
        for name in self.rest:
            setattr(self, name, nn.Parameter(self.table(name), getattr(self, name).requires_grad))
            delattr(self, name + LEFT)
        self.inside, self.place, self.rest = None, None, {}

    def left(self, name: str) -> nn.Parameter:
        return getattr(self, name + LEFT)

    def table(self, name: str) -> torch.Tensor:
        table = getattr(self, name)
        return self.expanded(name, table, self.left(name)) if self.rest else table

    def expanded(self, name: str, rows: torch.Tensor, left: torch.Tensor | float) -> torch.Tensor:
        """A whole table of the rows that are trained, and of the others times `left`."""
        whole = rows.new_empty(len(self.inside), *rows.shape[1:])
        whole[self.inside] = rows
        whole[~self.inside] = self.rest[name] * left
        return whole

    def anchored(self, x: torch.Tensor) -> torch.Tensor:
        """`x`, from which what is left of the other rows gets its gradient of zero."""
        return x + 0 * sum(self.left(name).sum() for name in self.rest)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name in self.rest:
            destination[prefix + name] = self.expanded(name, destination[prefix + name], 1.0)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if self.rest:
            before = state_dict.pop(prefix + INSIDE, self.inside).to(self.inside.device)
            if (before & ~self.inside).any():
                raise ValueError("rows that were trained are not among those that are trained now")
            state_dict[prefix + INSIDE] = self.inside
        for name in self.rest:
            whole = state_dict[prefix + name].to(self.inside.device)
            left = state_dict.setdefault(prefix + name + LEFT, torch.ones_like(self.left(name))).to(whole.device)
            self.rest[name].copy_(whole[~self.inside])
            new = (self.inside & ~before)[self.inside]
            trained = state_dict[prefix + name] = whole[self.inside]
            trained[new] *= left
        super()._load_from_state_dict(state_dict, prefix, *args)
