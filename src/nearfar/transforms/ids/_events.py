"""What transforms of histories share: events (N, L, 2), an item's number and one, 0 where there is none, and weight."""

import torch


def closed(events: torch.Tensor) -> torch.Tensor:
    """Rows without gaps: what is there moves to the front, in its order."""
    order = (events[:, :, 0] == 0).to(torch.uint8).argsort(dim=1, stable=True)
    return events.gather(1, order[:, :, None].expand_as(events))


def width(events: torch.Tensor) -> int:
    """Events up to the last that is there in any row; on a GPU all, since it would have to be waited for."""
    if events.device.type != "cpu":
        return events.shape[1]
    used = (events[:, :, 0] != 0).any(0).nonzero()
    return int(used[-1]) + 1 if len(used) else 1
