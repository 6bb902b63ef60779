"""Ermolov et al. 2020, equations 3 to 6: whiten each view group by group, then compare row by row."""

from itertools import combinations

import torch

from tests.helpers.inputs import similarity as similar

CASES = {
    "default": {},
    "groups": {"size": 10, "eps": 0.01},
    "not normalised": {"similarity": "squared_euclidean", "eps": 0.1},
}


def reference(views, relation, size=None, eps=1e-4, similarity="cosine"):
    n = len(views[0])
    number = 1 if size is None else max(1, n // size)
    groups = [slice(g * (size or n), n if g == number - 1 else (g + 1) * size) for g in range(number)]
    white = [torch.cat([whiten(x[g], eps) for g in groups]) for x in views]
    losses = []
    for x, y in combinations(white, 2):
        for a, b in zip(x, y, strict=True):
            s = similar(a, b, similarity)
            losses.append(2 - 2 * s if similarity == "cosine" else -s)
    return torch.stack(losses).mean()


def whiten(x, eps):
    covariance = (1 - eps) * torch.cov(x.T) + eps * torch.eye(x.shape[1], dtype=x.dtype)
    return (x - x.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(covariance)).T
