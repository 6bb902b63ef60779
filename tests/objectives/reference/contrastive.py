"""Hadsell et al. 2006, equation 4, pair by pair."""

import torch

from tests.helpers.inputs import similarity as similar

CASES = {
    "default": {},
    "pairs": {"margin": 3.0, "average": "pairs"},
    "cosine": {"margin": 0.8, "similarity": "cosine"},
}


def reference(views, relation, margin=1.0, average="kinds", similarity="euclidean"):
    z, g = torch.cat(views), relation.group.repeat(len(views))
    positives, negatives = [], []
    for i in range(len(z)):
        for j in range(i):
            s = similar(z[i], z[j], similarity)
            d = 1 - s if similarity == "cosine" else -s
            if g[i] == g[j]:
                positives.append(d**2 / 2)
            else:
                negatives.append(torch.relu(margin - d) ** 2 / 2)
    if average == "pairs":
        return sum(positives + negatives) / len(positives + negatives)
    return sum(positives) / len(positives) + sum(negatives) / max(1, len(negatives))
