"""Sun et al. 2020, equations 4, 6 and 8, anchor by anchor."""

import torch

from tests.helpers.inputs import similarity

CASES = {"default": {}, "faces": {"margin": 0.25, "gamma": 256.0}, "soft": {"margin": 0.1, "gamma": 2.0}}
HELD = tuple(CASES)  # the weights get no gradient


def reference(views, relation, margin=0.4, gamma=80.0):
    z, g = torch.cat(views), relation.group.repeat(len(views))
    losses = []
    for i in range(len(z)):
        near, far = [], []
        for j in range(len(z)):
            s = similarity(z[i], z[j])
            held = float(s.detach())
            if j != i and g[j] == g[i]:
                near.append(-gamma * max(0.0, 1 + margin - held) * (s - (1 - margin)))
            elif g[j] != g[i]:
                far.append(gamma * max(0.0, held + margin) * (s - margin))
        if near:
            both = [n + f for n in near for f in far]
            losses.append(torch.stack([torch.zeros(()).to(z), *both]).logsumexp(0) + 0 * near[0])
    return torch.stack(losses).mean()
