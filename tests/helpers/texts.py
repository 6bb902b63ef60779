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


def depend_on_nothing_else(encoder, lengths, within):
    """A row's features: not on padding, the other rows, their order, or what begins a word."""
    encoder.eval()
    x = drawn(lengths)
    z = encoder(x)
    assert z.abs().sum() > 0
    order = torch.randperm(len(x))
    for other in (encoder(torch.nn.functional.pad(x, (0, 9))), encoder(x[order])[order.argsort()], encoder(x.abs())):
        assert torch.allclose(other, z, rtol=0, atol=within)
    assert torch.equal(encoder(x.int()), z)
    for row, length, features in zip(x, lengths, z, strict=True):
        assert torch.allclose(encoder(row[None, : max(1, length)])[0], features, rtol=0, atol=within)
