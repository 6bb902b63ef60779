"""One vector of a text from the states of its tokens."""

from __future__ import annotations

import torch

POOLINGS = ("mean", "max", "cls", "last")


def pooled(states: torch.Tensor, there: torch.Tensor, how: str) -> torch.Tensor:
    """The mean, maximum, first ("cls") or last state of each row.

    Parameters
    ----------
    states : (N, L, D)
        What stands where nothing is never counts, not even as NaN.
    there : bool (N, L)
        Where a token is: from the beginning of a row to its end, without gaps.
    how : {"mean", "max", "cls", "last"}

    Returns
    -------
    (N, D)
        Zeros for a row without tokens.

    Raises
    ------
    ValueError
        `how` is something else.
    """
    if how == "cls":
        return torch.where(there[:, :1], states[:, 0], 0)
    if how == "last":
        end = (there.sum(1, keepdim=True) - 1).clamp(min=0)[:, :, None].expand(-1, -1, states.shape[2])
        return torch.where(there[:, :1], states.gather(1, end)[:, 0], 0)
    if how == "mean":
        total = torch.where(there[:, :, None], states, 0).sum(1, dtype=torch.promote_types(states.dtype, torch.float32))
        return total / there.sum(1, keepdim=True).clamp(min=1)
    if how == "max":
        return torch.where(there[:, :1], states.masked_fill(~there[:, :, None], -torch.inf).amax(1), 0)
    raise ValueError(f"pooling: expected {', '.join(map(repr, POOLINGS))}, got {how!r}")


def checked(how: str, known: tuple[str, ...] = POOLINGS) -> str:
    """The name of a pooling, if it is known; raises `ValueError` where not."""
    if how not in known:
        raise ValueError(f"pooling: expected {', '.join(map(repr, known))}, got {how!r}")
    return how
