"""Tong et al. 2023, equations 1 to 3, with the determinant as such."""

import torch

from tests.helpers.inputs import unit

CASES = {"default": {}, "coarse": {"weight": 1.0, "squared_eps": 2.0}}


def reference(views, relation, weight=200.0, squared_eps=0.2):
    zs = [unit(x) for x in views]
    n, d = zs[0].shape
    rates = []
    for z in zs:
        outer = sum(torch.outer(row, row) for row in z)
        rates.append(torch.logdet(torch.eye(d, dtype=z.dtype) + d / (n * squared_eps) * outer) / 2)
    near = []
    for i in range(n):
        mean = torch.stack([z[i] for z in zs]).mean(0)
        near += [z[i] @ unit(mean) for z in zs]
    return -torch.stack(rates).mean() - weight * torch.stack(near).mean()
