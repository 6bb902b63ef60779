"""Chuang et al. 2020, equation 8, with the importance weights of Robinson et al. 2020, equation 4; anchor by anchor."""

import math

import torch

from tests.helpers.inputs import similarity

CASES = {
    "debiased": {},
    "hard": {"temperature": 0.5, "tau_plus": 0.1, "beta": 1.0},
    "often at the bound": {"temperature": 0.7, "tau_plus": 0.4},
    "hard only": {"temperature": 0.2, "tau_plus": 0.0, "beta": 2.0},
}


def reference(views, relation, temperature=0.5, tau_plus=0.1, beta=0.0):
    z, g = torch.cat(views), relation.group.repeat(len(views))
    ignore = None if relation.ignore is None else relation.ignore.repeat(len(views))
    losses = []
    for i in range(len(z)):
        s = {j: similarity(z[i], z[j]) / temperature for j in range(len(z)) if j != i}
        positives = [s[j] for j in s if g[j] == g[i]]
        negatives = [s[j] for j in s if g[j] != g[i] and (ignore is None or ignore[j] != ignore[i])]
        if not positives:
            continue
        if not negatives:
            losses.append(0 * positives[0])
            continue
        x, n = torch.stack(negatives), len(negatives)
        importance = (beta * x).exp() / (beta * x).exp().mean()
        rest = (importance * x.exp()).sum() - n * tau_plus * torch.stack(positives).exp().mean()
        log_g = torch.clamp(rest / (1 - tau_plus), min=n * math.exp(-1 / temperature)).log()
        losses.append(-torch.stack([s - torch.stack([s, log_g]).logsumexp(0) for s in positives]).mean())
    return torch.stack(losses).mean()
