"""Balestriero and LeCun 2025, algorithms 1 and 2: the integral over both halves, direction by direction."""

import torch

CASES = {
    "default": {"slices": 20},
    "paper's code": {"slices": 7, "knots": 33, "reach": 3.0, "weight": 0.3, "seed": 4},
}


def reference(views, relation, seed=0, weight=0.05, slices=256, knots=17, reach=5.0):
    n, d = views[0].shape
    a = torch.randn(d, slices, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    t = torch.linspace(-reach, reach, knots, dtype=torch.float64)
    gaussian = torch.exp(-(t**2) / 2)
    statistics = []
    for z in views:
        for k in range(slices):
            projected = z.double() @ (a[:, k] / a[:, k].norm())
            empirical = torch.stack([torch.exp(1j * x * projected).mean() for x in t])
            error = (empirical - gaussian).abs() ** 2 * gaussian
            statistics.append(n * torch.trapezoid(error, t))
    mean = torch.stack(list(views)).mean(0)
    invariance = torch.stack([((z - mean) ** 2).mean() for z in views]).mean()
    return (1 - weight) * invariance + weight * torch.stack(statistics).mean()
