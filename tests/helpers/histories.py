"""Histories for tests of encoders and methods."""

import torch


def drawn(lengths, items, seed=0):
    """Random events int32 (N, L, 2): different items a row, ratings from a half to five; nothing behind its length."""
    lengths = torch.as_tensor(lengths)
    random = torch.Generator().manual_seed(seed)
    width = max(1, int(lengths.max()))
    numbers = torch.stack([torch.randperm(items, generator=random)[:width] + 1 for _ in lengths])
    weights = torch.randint(1, 11, numbers.shape, generator=random) * 500
    there = torch.arange(width) < lengths[:, None]
    return (torch.stack([numbers, weights], 2) * there[:, :, None]).int()


def planted(users=60, items=40, each=10, seed=0):
    """A table of interactions: the users of either half take items of that half, one after the other in time."""
    random = torch.Generator().manual_seed(seed)
    user = torch.arange(users).repeat_interleave(each)
    half = items // 2
    item = torch.cat([torch.randperm(half, generator=random)[:each] + half * (u % 2) for u in range(users)])
    rating = torch.randint(1, 6, item.shape, generator=random)
    return {"user_id": user.numpy(), "item_id": item.numpy(), "rating": rating.numpy().astype(float),
            "time": torch.arange(len(user)).numpy()}  # fmt: skip
