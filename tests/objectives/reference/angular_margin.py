"""Wang et al. 2018, equation 4, and Deng et al. 2018, equation 3, row by row, by angles."""

import math

import torch

from tests.helpers.inputs import similarity

CASES = {
    "arcface": {},
    "cosface": {"kind": "cosface", "scale": 10.0},
    "often past pi": {"kind": "arcface", "margin": 2.0, "scale": 5.0},
    "sampled": {"kind": "arcface", "scale": 8.0, "sampled": torch.tensor([0, 4, 2])},
}


def reference(views, relation, weight, kind="arcface", margin=None, scale=64.0, sampled=None):
    classes = range(len(weight)) if sampled is None else sampled.tolist()
    losses = []
    for x in views:
        for i, y in enumerate(relation.group.tolist()):
            if y >= len(weight):
                continue
            cosine = similarity(x[i], weight[y])
            if kind == "cosface":
                target = cosine - (0.35 if margin is None else margin)
            else:
                m = 0.5 if margin is None else margin
                angle = torch.acos(cosine.clamp(-1, 1))
                target = torch.cos(angle + m) if angle + m < math.pi else cosine - m * math.sin(m)
            logits = [scale * target] + [scale * similarity(x[i], weight[c]) for c in classes if c != y]
            losses.append(torch.stack(logits).logsumexp(0) - scale * target)
    return torch.stack(losses).mean()
