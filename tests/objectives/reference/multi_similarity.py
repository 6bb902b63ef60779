"""Wang et al. 2019, equations 11, 12 (mining) and 15, anchor by anchor."""

import torch

from tests.helpers.inputs import similarity as similar

CASES = {
    "default": {},
    "no mining": {"epsilon": None, "base": 0.5, "beta": 40.0},
    "euclidean": {"similarity": "euclidean", "alpha": 1.0, "beta": 3.0, "base": -1.0, "epsilon": 0.2},
}


def soft(values, sharpness):
    return torch.stack([torch.zeros(()).to(values[0]), *values]).logsumexp(0) / sharpness


def reference(views, relation, alpha=2.0, beta=50.0, base=1.0, epsilon=0.1, similarity="cosine"):
    z, g = torch.cat(views), relation.group.repeat(len(views))
    losses = []
    for i in range(len(z)):
        positives = [similar(z[i], z[j], similarity) for j in range(len(z)) if j != i and g[j] == g[i]]
        negatives = [similar(z[i], z[j], similarity) for j in range(len(z)) if g[j] != g[i]]
        if not positives:
            continue
        loss = 0 * z.sum()
        if epsilon is not None:
            lowest, highest = min(positives), max(negatives, default=-torch.inf)
            positives = [s for s in positives if s < highest + epsilon]
            negatives = [s for s in negatives if s > lowest - epsilon]
        if positives:
            loss = loss + soft([-alpha * (s - base) for s in positives], alpha)
        if negatives:
            loss = loss + soft([beta * (s - base) for s in negatives], beta)
        losses.append(loss)
    return torch.stack(losses).mean()
