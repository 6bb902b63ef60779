"""A stretch of a history, and what follows each of its events."""

from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class NextItems:
    """A stretch of consecutive events, without its last one (Kang & McAuley 2018, arXiv 1808.09781).

    Parameters
    ----------
    most : int
        Events of the stretch, and one; a shorter history is taken whole.
    answer : bool
        The stretch without its first event: at each place what follows the event that another view, which shares the
        draw, has there.
    """

    most: int = knob(200, low=1, high=2**20)
    answer: bool = False
    kind = "ids"

    def apply(self, events: torch.Tensor, draws: Draws) -> torch.Tensor:
        count = (events[:, :, 0] != 0).sum(1)
        size = count.clamp(max=self.most + 1)
        first = (draws.common.uniform(0.0, 1.0) * (count - size + 1)).floor().long()
        place = torch.arange(min(self.most, events.shape[1]), device=events.device)
        taken = (first + self.answer)[:, None] + place
        moved = events.gather(1, taken.clamp(max=events.shape[1] - 1)[:, :, None].expand(-1, -1, 2))
        return moved * (place < (size - 1)[:, None])[:, :, None]
