"""Rendle et al. 2009, section 4.1, comparison by comparison."""

import torch

from tests.helpers.inputs import similarity as similar

CASES = {"default": {}, "cosine": {"similarity": "cosine"}, "euclidean": {"similarity": "euclidean"}}


def reference(anchor, positive, negative, similarity="dot"):
    losses = []
    for user, item, others in zip(anchor, positive, negative, strict=True):
        for other in others:
            ahead = similar(user, item, similarity) - similar(user, other, similarity)
            losses.append(torch.logaddexp(-ahead, torch.zeros_like(ahead)))
    return sum(losses) / len(losses)
