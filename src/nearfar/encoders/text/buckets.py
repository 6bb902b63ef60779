"""Rows of like length together, so that a processor does not spend its time on padding."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch

PADDING = 0.1  # share of what is processed that may be padding
MOST = 12  # buckets


def in_buckets(encode: Callable[[torch.Tensor], torch.Tensor], ids: torch.Tensor) -> torch.Tensor:
    """``encode(ids)``, in a few calls on rows of like length, each as wide as its longest row.

    On a GPU it is one call: there padding is cheaper than several calls, and lengths would have to be waited for.

    Parameters
    ----------
    encode : callable
        Maps ids (n, l) to features (n, D), row by row: a row's features depend on nothing but its own tokens.
    ids : int (N, L)
        Ids ≥ 0; 0 stands only at the end of a row.

    Returns
    -------
    (N, D)
        In the order of `ids`.
    """
    if ids.device.type != "cpu" or not len(ids):
        return encode(ids)
    lengths, order = (ids > 0).sum(1).sort(stable=True)
    edges = split(lengths.numpy())
    parts = [encode(ids[order[a:b], : max(1, int(lengths[b - 1]))]) for a, b in pairwise(edges)]
    return torch.cat(parts)[order.argsort()]


def split(lengths: np.ndarray, padding: float = PADDING, most: int = MOST) -> list[int]:
    """Where to cut rows in ascending order of length, so that little is padding: ``[0, …, N]``.

    The piece with most padding is cut where that saves most, until at most a share `padding` of all is left or there
    are `most` pieces.
    """
    edges, width = [0, len(lengths)], np.maximum(lengths, 1)
    total = int(width.sum())
    while len(edges) <= most:
        wasted = [int((width[b - 1] - width[a:b]).sum()) for a, b in pairwise(edges)]
        if sum(wasted) <= padding * (total + sum(wasted)):
            break
        i = int(np.argmax(wasted))
        a, b = edges[i], edges[i + 1]
        saved = np.arange(1, b - a) * (width[b - 1] - width[a : b - 1])
        edges.insert(i + 1, a + 1 + int(np.argmax(saved)))
    return edges
