"""What networks over tokens share: rows of like length go through together, and one vector comes of their states."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch

PADDING = 0.1  # share of what is processed that may be padding
MOST = 12  # buckets
AT_ONCE = 2048  # tokens, padding included: MiniLM was quickest with 1,024 to 4,096 of them
POOLINGS = ("mean", "max", "cls", "last")
exporting = torch.compiler.is_exporting  # then nothing may be decided by numbers


def in_buckets(encode: Callable[[torch.Tensor], torch.Tensor], ids: torch.Tensor, least: int = 1) -> torch.Tensor:
    """``encode(ids)``, in a few calls on rows of like length, each as wide as its longest row: (N, D) in their order.

    `encode` maps ids (n, l) to (n, D), a row's features depending on nothing but its own tokens. `ids` are ≥ 0, with 0
    only at the end of a row. `least` is the padding, in tokens, that one more call is worth. Without gradients a call
    gets few enough tokens for the processor's caches, which then hold all of a layer. On a GPU it is one call: there
    padding is cheaper than several calls, and lengths would have to be waited for.
    """
    if ids.device.type != "cpu" or exporting() or not len(ids):
        return encode(ids)
    lengths, order = (ids > 0).sum(1).sort(stable=True)
    edges = split(lengths.numpy(), least=least)
    if not torch.is_grad_enabled():
        edges = cut(edges, lengths.numpy(), AT_ONCE)
    parts = [encode(ids[order[a:b], : max(1, int(lengths[b - 1]))]) for a, b in pairwise(edges)]
    return torch.cat(parts)[order.argsort()]


def split(lengths: np.ndarray, padding: float = PADDING, most: int = MOST, least: int = 1) -> list[int]:
    """Where to cut rows in ascending order of length, so that little is padding: ``[0, …, N]``.

    The piece with most padding is cut where that saves most, until at most a share `padding` of all is left, there
    are `most` pieces, or less than `least` is saved.
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
        if saved.max() < least:
            break
        edges.insert(i + 1, a + 1 + int(np.argmax(saved)))
    return edges


def cut(edges: Sequence[int], lengths: np.ndarray, tokens: int) -> list[int]:
    """`edges`, as `split` gives them, with further ones between, so that no piece has more than so many tokens."""
    found = [0]
    for a, b in pairwise(edges):
        rows = max(1, tokens // max(1, int(lengths[b - 1])))
        found += [*range(a + rows, b, rows), b]
    return found


def framed(
    ids: torch.Tensor, prefix: Sequence[int], suffix: Sequence[int], pad: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """A model's own ids with its prefix and suffix, int64 (N, P + L + S), and where they are no padding.

    `ids` (N, L) are those plus one, with 0 only at the end of a row.
    """
    ids, start, width = ids.long(), len(prefix), ids.shape[1]
    end = start + (ids > 0).sum(1, keepdim=True)
    inputs = ids.new_full((len(ids), start + width + len(suffix)), pad)
    for i, token in enumerate(prefix):
        inputs[:, i] = token
    inputs[:, start : start + width] = torch.where(ids > 0, ids - 1, pad)
    for i, token in enumerate(suffix):
        inputs.scatter_(1, end + i, token)
    return inputs, torch.arange(inputs.shape[1], device=ids.device) < end + len(suffix)


def pooled(states: torch.Tensor, there: torch.Tensor, how: str) -> torch.Tensor:
    """The mean, maximum, first ("cls") or last state of each row, (N, D); zeros for a row without tokens.

    `states` (N, L, D) may hold anything, even NaN, where `there` (N, L) is false; `there` has no gaps.
    """
    if how == "cls":
        return torch.where(there[:, :1], states[:, 0], 0)
    if how == "last":
        end = (there.sum(1, keepdim=True) - 1).clamp(min=0)[:, :, None].expand(-1, -1, states.shape[2])
        return torch.where(there[:, :1], states.gather(1, end)[:, 0], 0)
    if how == "max":
        return torch.where(there[:, :1], states.masked_fill(~there[:, :, None], -torch.inf).amax(1), 0)
    # Half precision would lose the sum of a long text.
    total = torch.where(there[:, :, None], states, 0).sum(1, dtype=torch.promote_types(states.dtype, torch.float32))
    return total / there.sum(1, keepdim=True).clamp(min=1)


def check_pooling(how: str, known: tuple[str, ...] = POOLINGS) -> str:
    """The name of a pooling, if it is known; raises `ValueError` where not."""
    if how not in known:
        raise ValueError(f"pooling: expected {', '.join(map(repr, known))}, got {how!r}")
    return how
