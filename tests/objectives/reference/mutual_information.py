"""Poole et al. 2019, equations 8, 10 and 12; Belghazi et al. 2018, equation 5; Hjelm et al. 2018, equation 4."""

import math

import torch
import torch.nn.functional as F

from tests.helpers.inputs import similarity as similar

CASES = {
    "info_nce": {},
    "nwj, squared euclidean": {"bound": "nwj", "similarity": "squared_euclidean", "temperature": 2.0},
    "mine, dot": {"bound": "mine", "similarity": "dot", "temperature": 3.0},
    "jsd, euclidean": {"bound": "jsd", "similarity": "euclidean", "temperature": 0.5},
}


def reference(left, right, relation, bound="info_nce", temperature=1.0, similarity="cosine"):
    n, g = len(left), relation.group
    f = [[similar(left[i], right[j], similarity) / temperature for j in range(n)] for i in range(n)]
    others = [[f[i][j] for j in range(n) if g[j] != g[i]] for i in range(n)]
    joint, product = torch.stack([f[i][i] for i in range(n)]), [x for row in others for x in row]
    if not product:
        raise ValueError
    product = torch.stack(product)
    if bound == "info_nce":
        rows = [f[i][i] - (torch.stack([f[i][i], *others[i]]).exp().mean()).log() for i in range(n)]
        return torch.stack(rows).mean()
    if bound == "nwj":
        return joint.mean() - torch.exp(product - 1).mean()
    if bound == "mine":
        return joint.mean() - product.exp().mean().log()
    return 2 * math.log(2) - F.softplus(-joint).mean() - F.softplus(product).mean()
