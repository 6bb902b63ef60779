"""Hermans et al. 2017, equations 3 to 6, and FaceNet's semi-hard negatives, triplet by triplet."""

import torch

from tests.helpers.inputs import similarity as similar

CASES = {
    "hard": {},
    "hard, margin, active": {"margin": 0.5, "average": "active", "similarity": "squared_euclidean"},
    "semi-hard": {"mining": "semi-hard", "margin": 0.5},
    "all, active": {"mining": "all", "margin": 1.0, "average": "active"},
    "all, soft, cosine": {"mining": "all", "similarity": "cosine"},
}


def reference(views, relation, mining="hard", margin=None, average="all", similarity="euclidean"):
    z, g = torch.cat(views), relation.group.repeat(len(views))
    losses = []
    for i in range(len(z)):
        d = [-similar(z[i], other, similarity) for other in z]
        positives = [d[j] for j in range(len(z)) if j != i and g[j] == g[i]]
        negatives = [d[j] for j in range(len(z)) if g[j] != g[i]]
        if not positives or not negatives:
            continue
        if mining == "hard":
            chosen = [(max(positives), min(negatives))]
        elif mining == "all":
            chosen = [(p, n) for p in positives for n in negatives]
        else:
            farther = [[n for n in negatives if n > p] for p in positives]
            chosen = [(p, min(f) if f else max(negatives)) for p, f in zip(positives, farther, strict=True)]
        for p, n in chosen:
            losses.append(torch.logaddexp(p - n, torch.zeros_like(p)) if margin is None else torch.relu(p - n + margin))
    if not losses:
        raise ValueError("no triplet")
    if average == "active":
        return sum(losses) / max(1, sum(1 for x in losses if x > 0))
    return sum(losses) / len(losses)
