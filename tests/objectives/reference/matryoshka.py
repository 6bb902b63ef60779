"""Kusupati et al. 2022, equation 1, around InfoNCE and around the coding rate."""

import torch

from nearfar.objectives.coding_rate import coding_rate
from tests.objectives.reference.coding_rate import reference as slow_coding_rate
from tests.objectives.reference.info_nce import reference as slow_info_nce

CASES = {
    "default": {},
    "two sizes": {"dims": (2, 1), "weights": (1.0, 0.5)},
    "of the coding rate": {"dims": (1, 2), "loss": coding_rate},
}


def reference(views, relation, loss=None, dims=None, weights=None):
    slow = slow_info_nce if loss is None else slow_coding_rate
    dims = (views[0].shape[1],) if dims is None else dims  # the tests have fewer than 16 dimensions
    weights = (1.0,) * len(dims) if weights is None else weights
    losses = [w * slow([x[:, :m] for x in views], relation) for m, w in zip(dims, weights, strict=True)]
    return torch.stack(losses).sum()
