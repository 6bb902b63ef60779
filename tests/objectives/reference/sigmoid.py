"""Zhai et al. 2023, equation 1, pair by pair."""

import torch
import torch.nn.functional as F

from tests.helpers.inputs import similarity as similar

CASES = {
    "default": {},
    "warm": {"scale": 3.0, "bias": -1.0},
    "euclidean": {"similarity": "euclidean", "scale": 1.0, "bias": 0.5},
}


def reference(left, right, relation, scale=10.0, bias=-10.0, similarity="cosine"):
    total = 0
    for i in range(len(left)):
        for j in range(len(right)):
            y = 1 if relation.group[i] == relation.group[j] else -1
            total = total - F.logsigmoid(y * (scale * similar(left[i], right[j], similarity) + bias))
    return torch.as_tensor(total) / len(left)
