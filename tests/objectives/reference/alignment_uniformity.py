"""Wang and Isola 2020, equations of L_align and L_uniform, pair by pair."""

import torch

from tests.helpers.inputs import unit

CASES = {
    "default": {},
    "plain distance": {"alpha": 1, "t": 3.0, "weight": 0.5},
    "all pairs": {"pairs": "all", "t": 1.0},
}


def reference(views, relation, alpha=2, t=2.0, weight=1.0, pairs="within"):
    z, g = unit(torch.cat(views)), relation.group.repeat(len(views))
    aligned = []
    for i in range(len(z)):
        near = [distance(z[i], z[j]) ** alpha for j in range(len(z)) if j != i and g[j] == g[i]]
        if near:
            aligned.append(torch.stack(near).mean())
    if not aligned:
        raise ValueError
    sets = [z] if pairs == "all" else [unit(x) for x in views]
    uniform = [potential(x, t).log() for x in sets]
    return torch.stack(aligned).mean() + weight * torch.stack(uniform).mean()


def distance(x, y):
    squared = ((x - y) ** 2).sum()
    return squared.sqrt() if float(squared.detach()) > 0 else squared


def potential(x, t):
    n = range(len(x))
    return torch.stack([torch.exp(-t * ((x[i] - x[j]) ** 2).sum()) for i in n for j in n if i < j]).mean()
