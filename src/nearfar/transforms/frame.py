"""What a view is as a whole: its side and its role."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

STEP = 8  # sides are multiples of it, so that networks that halve three times divide them evenly


@dataclass(frozen=True)
class Frame:
    """A view of its own side and role, as the small crops of multi-crop (Caron et al. 2020, arXiv 2006.09882).

    A recipe without it gives views of the full side and role "global".

    Parameters
    ----------
    share : float
        Side of the view as a share of the full one, rounded to a multiple of 8, and at least 8 pixels; SwAV and
        DINO take 96 of 224 pixels.
    role : {"global", "local", "answer"}
        A local view is compared with global ones and never the target of another. An answer goes through no network: it
        is handed to the comparison as it is.
    """

    share: float = 3 / 7
    role: str = "local"
    kind = "frame"

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"frame.share: a view has a share in (0, 1] of the full side, not {self.share}")
        if self.role not in ("global", "local", "answer"):
            raise ValueError(f"frame.role: a view is global, local or an answer, not {self.role!r}")


def side(recipe: Sequence[Any], full: int) -> int:
    """Side in pixels of a recipe's views where `full` is the full one."""
    share = next((t.share for t in recipe if isinstance(t, Frame)), 1.0)
    return full if share == 1 else max(STEP, round(full * share / STEP) * STEP)


def role(recipe: Sequence[Any]) -> str:
    """Role of a recipe's views."""
    return next((t.role for t in recipe if isinstance(t, Frame)), "global")
