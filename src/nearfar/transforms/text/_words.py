"""What transforms of text share: rows of ids (N, L), of which a positive one begins a word and 0 is nothing."""

import torch

from nearfar.transforms.draws import Draws


def word(ids: torch.Tensor) -> torch.Tensor:
    """Of each id the number of its word in the row: (N, L); −1 before the first."""
    return (ids > 0).cumsum(1).sub_(1)


def of_words(ids: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """What was drawn for each word (N, W ≥ words), at each of its ids: (N, L)."""
    return drawn.gather(1, word(ids).clamp_(0))


def run(ids: torch.Tensor, share: tuple[float, float], draws: Draws) -> torch.Tensor:
    """True for the ids of a run of words, of which a share of all is drawn for each row: (N, L); at least one word."""
    words = (ids > 0).sum(1, keepdim=True).clamp_(1)
    length = (draws.uniform(*share)[:, None] * words).round().clamp(min=1)
    first = (draws.uniform(0.0, 1.0)[:, None] * (words - length + 1)).floor()
    place = word(ids)
    return (place >= first) & (place < first + length)


def kept(ids: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """The ids that are kept, 0 at the others; a row of which nothing would be left stays whole."""
    left = ids * keep
    return torch.where((left != 0).any(1, keepdim=True), left, ids)


def closed(ids: torch.Tensor) -> torch.Tensor:
    """Rows without gaps."""
    return ids.gather(1, (ids == 0).to(torch.uint8).argsort(dim=1, stable=True))


def width(ids: torch.Tensor) -> int:
    """Columns up to the last that is not 0 in all rows; on a GPU all of them, since it would have to be waited for."""
    if ids.device.type != "cpu":
        return ids.shape[1]
    used = (ids != 0).any(0).nonzero()
    return int(used[-1]) + 1 if len(used) else 1
