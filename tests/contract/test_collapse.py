"""Every safeguard is needed: without it the method collapses, and the warning says so."""

import numpy as np
import pytest
import torch.nn.functional as F

from nearfar.core.errors import CollapseWarning
from nearfar.methods import simsiam
from nearfar.training import train

COMMON = {
    "epochs": 12, "batch_size": 32, "encoder_options": {"widths": [8, 16]}, "holdout": 0.0, "threads": 1,
    "recipe": "digits", "lr": 0.01, "precision": "fp32",
}  # fmt: skip
HEAD = {"hidden": 64, "out": 32}
WITH = {
    # a projector's last norm spreads even equal rows over the batch, which hides a collapse for long
    "byol": {"projector": HEAD | {"norm_last": False}, "predictor": HEAD, "twin": {"momentum": 0.9}, "epochs": 20},
    "simsiam": {"projector": HEAD | {"norm_last": False}, "predictor": {"hidden": 16, "out": 32}},
    "dino": {"projector": {"hidden": 64, "bottleneck": 16, "out": 64}, "count": 2, "twin": {"momentum": 0.9}},
    "vicreg": {"projector": HEAD, "epochs": 28},
}
WITHOUT = {
    "byol": {"predictor": None},
    "simsiam": {},
    "dino": {"parts": {"centre": None}},
    "vicreg": {"objective": {"variance": 0.0}},
}
ADVICE = {"byol": "restore method.predictor"}


def with_gradient_to_the_target(e, record):
    cosines = [F.cosine_similarity(e.predicted[i], e.online[j]).mean() for i, j in e.pairs]
    return 2 - 2 * sum(cosines) / len(cosines), {}


def spread(trained, digits):
    """Mean distance of the projections, at unit length, from their mean: 0 for one point, 1 for all over the sphere."""
    z = trained.model.encode(digits["test"][0], layer="projection")
    return float(np.linalg.norm(z - z.mean(0), axis=1).mean())


@pytest.mark.parametrize("name", WITH)
def test_without_its_safeguard_it_collapses_and_says_so(name, digits, monkeypatch):
    given = COMMON | WITH[name] | {"method": name}
    data = {"train": tuple(a[:192] for a in digits["train"]), "test": digits["test"]}
    kept = spread(train.train(data, **given), digits)
    if name == "simsiam":
        monkeypatch.setattr(simsiam, "compare", with_gradient_to_the_target)
    with pytest.warns(CollapseWarning, match=f"collapse.*{ADVICE.get(name, '')}"):
        lost = spread(train.train(data, **given | WITHOUT[name]), digits)
    assert lost < 0.5 * kept
