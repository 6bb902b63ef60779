"""Rows of ids for the tests of text encoders."""

import torch


def drawn(lengths, vocabulary=50, width=None, seed=0):
    """Random ids (N, L), some of them negative (they continue a word), 0 behind each row's length."""
    lengths = torch.as_tensor(lengths)
    width = width or max(1, int(lengths.max()))
    random = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, vocabulary + 1, (len(lengths), width), generator=random)
    ids = torch.where(torch.rand(ids.shape, generator=random) < 0.3, -ids, ids)
    return ids * (torch.arange(width) < lengths[:, None])
