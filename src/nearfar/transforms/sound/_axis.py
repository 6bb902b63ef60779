"""Reading spectrograms at other places than their own mels and frames."""

import torch


def read_at(x: torch.Tensor, places: torch.Tensor, axis: int) -> torch.Tensor:
    """Spectrograms (N, mels, frames) read at `places` (N, P) along an axis (1 or 2), linear in between.

    Places are shares of the axis, 0 … 1; beyond the ends the outermost values stand.
    """
    rows = x if axis == 2 else x.mT
    last = rows.shape[2] - 1
    at = (places * last).clamp(0, last)
    low = at.floor().clamp(max=max(0, last - 1))
    index = low.long()[:, None].expand(-1, rows.shape[1], -1)
    read = torch.lerp(rows.gather(2, index), rows.gather(2, (index + 1).clamp(max=last)), (at - low)[:, None])
    return read if axis == 2 else read.mT


def even(count: int, device: torch.device) -> torch.Tensor:
    """So many places evenly over an axis, its ends among them."""
    return torch.linspace(0, 1, count, device=device)
