"""Khosla et al. 2020, equations 2 and 3, row by row."""

import math

import torch

from tests.helpers.inputs import similarity

CASES = {
    "out": {},
    "in": {"variant": "in"},
    "warm": {"temperature": 0.5},
    "dot": {"similarity": "dot", "temperature": 2.0},
    "euclidean": {"similarity": "euclidean", "temperature": 0.7},
    "squared euclidean, in": {"similarity": "squared_euclidean", "temperature": 1.5, "variant": "in"},
}


def reference(views, relation, temperature=0.1, variant="out", **options):
    z, g = torch.cat(views), relation.group.repeat(len(views))
    ignore = None if relation.ignore is None else relation.ignore.repeat(len(views))
    kind = options.get("similarity", "cosine")
    losses = []
    for i in range(len(z)):
        s = {j: similarity(z[i], z[j], kind) / temperature for j in range(len(z)) if j != i}
        positives = [j for j in s if g[j] == g[i]]
        seen = [j for j in s if g[j] == g[i] or ignore is None or ignore[j] != ignore[i]]
        if not positives:
            continue
        denominator = torch.logsumexp(torch.stack([s[j] for j in seen]), 0)
        logs = torch.stack([s[j] - denominator for j in positives])
        losses.append(-logs.mean() if variant == "out" else -(logs.logsumexp(0) - math.log(len(positives))))
    return torch.stack(losses).mean()
