"""A user is the weighted sum of the items taken, of which the last count most; for what comes next."""

from __future__ import annotations

from nearfar.encoders.ids.history import History

MODALITIES = ("ids",)
STEPS = 80


class Recent(History):
    """A `History` that begins with the last event counting 50 times as much as those twelve or more back.

    Items are compared by other vectors than users are summed from, since what follows an item is not what it follows,
    unless they are `tied`.
    """

    def __init__(
        self, *, items: int, dim: int = 400, ridge: float = 400.0, rating: float = 0.2, even: float = 0.15,
        content: float = 3.0, recent: int = 11, first: float = 50.0, tied: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(items=items, dim=dim, ridge=ridge, rating=rating, even=even, content=content, recent=recent,
                         first=first, tied=tied)  # fmt: skip


build = Recent
