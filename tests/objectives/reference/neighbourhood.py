"""Tonekaboni et al. 2021, equation 2, pair by pair, with dot products in place of the discriminator."""

from itertools import combinations

import torch.nn.functional as F

CASES = {"default": {}, "wide and sure": {"near": 0.4, "weight": 0.0}}


def reference(views, there, near=0.1, weight=0.05):
    pairs = list(combinations(range(len(views)), 2))
    radius = max(1, round(near * views[0].shape[1]))
    return sum(two(views[i], views[j], there[i], there[j], radius, weight) for i, j in pairs) / len(pairs)


def two(a, b, of_a, of_b, radius, weight):
    close, far = [], []
    for i in range(len(a)):
        for t in range(a.shape[1]):
            for s in range(a.shape[1]):
                if not (of_a[i, t] and of_b[i, s]):
                    continue
                logit = a[i, t] @ b[i, s] / a.shape[2] ** 0.5
                belongs, does_not = -F.logsigmoid(logit), -F.logsigmoid(-logit)
                if abs(t - s) <= radius:
                    close.append(belongs)
                else:
                    far.append((1 - weight) * does_not + weight * belongs)
    if not close:
        raise ValueError
    return sum(close) / len(close) + (sum(far) / len(far) if far else 0)
