"""Yue et al. 2022, equations 1 to 3 and algorithm 1, step by step, of the steps that both views have."""

from itertools import combinations

import torch

CASES = {"default": {}, "instances alone": {"instance": 1.0}, "pooled first": {"longest": 3}}


def reference(views, there, instance=0.5, longest=256):
    pairs = list(combinations(range(len(views)), 2))
    return sum(two(views[i], views[j], there[i] & there[j], instance, longest) for i, j in pairs) / len(pairs)


def two(a, b, both, instance, longest):
    if not both.any():
        raise ValueError
    a, b = ([[x[i, t] if both[i, t] else None for t in range(x.shape[1])] for i in range(len(x))] for x in (a, b))
    while len(a[0]) > longest:
        a, b = pooled(a), pooled(b)
    levels = []
    while True:
        columns = range(len(a[0]))
        level = instance * mean([c for t in columns for c in among([r[t] for r in a], [r[t] for r in b])])
        if len(a[0]) > 1:
            level = level + (1 - instance) * mean([c for x, y in zip(a, b, strict=True) for c in among(x, y)])
        levels.append(level)
        if len(a[0]) == 1:
            return sum(levels) / len(levels)
        a, b = pooled(a), pooled(b)


def among(xs, ys):
    """-log of the share of each item's other view, among those that are there; none where one is alone."""
    xs, ys = ([z for z in side if z is not None] for side in (xs, ys))
    if len(xs) < 2:
        return []
    losses = []
    for own, other in ((xs, ys), (ys, xs)):
        for i, z in enumerate(own):
            logits = [z @ o for o in other] + [z @ o for j, o in enumerate(own) if j != i]
            losses.append(torch.stack(logits).logsumexp(0) - logits[i])
    return losses


def mean(losses):
    return sum(losses) / len(losses) if losses else 0.0


def pooled(rows):
    def most(pair):
        there = [z for z in pair if z is not None]
        return torch.stack(there).amax(0) if there else None

    return [[most(row[t : t + 2]) for t in range(0, len(row), 2)] for row in rows]
