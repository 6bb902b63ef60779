"""Bardes et al. 2021, equations 1 to 6, with the means of the authors' code, entry by entry."""

from itertools import combinations

import torch

CASES = {"default": {}, "other weights": {"invariance": 1.0, "variance": 0.5, "covariance": 3.0, "eps": 0.1}}


def reference(views, relation, invariance=25.0, variance=25.0, covariance=1.0, eps=1e-4):
    losses = []
    for x, y in combinations(views, 2):
        s = ((x - y) ** 2).mean()
        v = (spread(x, eps) + spread(y, eps)) / 2
        losses.append(invariance * s + variance * v + covariance * (shared(x) + shared(y)))
    return torch.stack(losses).mean()


def spread(x, eps):
    return torch.stack([torch.clamp(1 - torch.sqrt(x[:, d].var() + eps), min=0) for d in range(x.shape[1])]).mean()


def shared(x):
    x, total = x - x.mean(0), 0
    for d in range(x.shape[1]):
        for e in range(x.shape[1]):
            if d != e:
                total = total + ((x[:, d] * x[:, e]).sum() / (len(x) - 1)) ** 2
    return total / x.shape[1]
