"""Sohn 2016, equation 7, anchor by anchor; positives of one class are averaged outside of the logarithm."""

import torch

CASES = {"default": {}, "long embeddings cost": {"penalty": 0.5}}


def reference(left, right, relation, penalty=0.002):
    losses = []
    for i in range(len(left)):
        s = torch.stack([left[i] @ y for y in right])
        own = [j for j in range(len(right)) if relation.group[j] == relation.group[i]]
        losses.append(torch.stack([(s - s[j]).exp().sum().log() for j in own]).mean())
    length = torch.stack([z @ z for z in (*left, *right)]).mean()
    return torch.stack(losses).mean() + penalty / 2 * length
