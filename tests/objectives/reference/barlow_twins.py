"""Zbontar et al. 2021, equations 1 and 2, entry by entry."""

from itertools import combinations

import torch

CASES = {"default": {}, "strong, no small variances": {"weight": 0.5, "eps": 0.1}}


def reference(views, relation, weight=5e-3, eps=1e-5):
    return torch.stack([two(x, y, weight, eps) for x, y in combinations(views, 2)]).mean()


def two(x, y, weight, eps):
    x, y = (v - v.mean(0) for v in (x, y))
    loss = 0
    for i in range(x.shape[1]):
        for j in range(x.shape[1]):
            sizes = ((x[:, i] ** 2).mean() + eps) * ((y[:, j] ** 2).mean() + eps)
            c = (x[:, i] * y[:, j]).mean() / sizes.sqrt()
            loss = loss + ((1 - c) ** 2 if i == j else weight * c**2)
    return loss
