"""The definition of torch.nn.CosineEmbeddingLoss, pair by pair."""

import torch

from tests.helpers.inputs import similarity

CASES = {"default": {}, "margin": {"margin": 0.3}}


def reference(left, right, relation, margin=0.0):
    losses = []
    for x, y, score in zip(left, right, relation.score, strict=True):
        s = similarity(x, y)
        losses.append(1 - s if score > 0 else torch.relu(s - margin))
    return sum(losses) / len(losses)
