"""Yeh et al. 2021, equations 5 and 6, anchor by anchor."""

import torch

from tests.helpers.inputs import similarity as similar

CASES = {
    "default": {},
    "weighted": {"weighted": True, "temperature": 0.5, "sigma": 0.3},
    "weighted euclidean": {"weighted": True, "similarity": "euclidean", "temperature": 1.5, "sigma": 2.0},
    "dot": {"similarity": "dot", "temperature": 2.0},
}
HELD = ("weighted", "weighted euclidean")  # the weights get no gradient


def reference(views, relation, temperature=0.1, weighted=False, sigma=0.5, similarity="cosine"):
    z, g = torch.cat(views), relation.group.repeat(len(views))
    near, far = [], []
    for i in range(len(z)):
        positives = [similar(z[i], z[j], similarity) for j in range(len(z)) if j != i and g[j] == g[i]]
        negatives = [similar(z[i], z[j], similarity) for j in range(len(z)) if g[j] != g[i]]
        if positives and negatives:
            near.append(torch.stack(positives).mean())
            far.append(torch.stack(negatives))
    if not near:
        raise ValueError("no anchor has a positive and a negative")
    losses = []
    for s, negatives in zip(near, far, strict=True):
        w = 1.0
        if weighted:
            w = 2 - (s / sigma).exp() / torch.stack([(t / sigma).exp() for t in near]).mean()
            w = w.detach()
        losses.append(-w * s / temperature + (negatives / temperature).logsumexp(0))
    return torch.stack(losses).mean()
