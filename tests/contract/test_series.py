"""Every method that learns from rows, and every encoder of series, on series of several lengths with gaps."""

import numpy as np
import pytest

from nearfar.core.registry import ENCODERS, METHODS
from nearfar.models import loading
from nearfar.training import train
from tests.helpers.methods import TRAINED, small

KINDS = np.arange(32) % 2
SMALL = {"width": 8, "out": 8, "layers": 1}
KNOBS = {"epochs": 1, "batch_size": 24, "holdout": 0.0, "threads": 1, "precision": "fp32", "window": None}
LEARNT = [m for m in TRAINED if METHODS.get(m).RECORD.positives != "teacher"]


def series():
    """Two kinds of waves, some with a gap, some shorter."""
    x = np.sin(np.arange(24) * np.where(KINDS, 0.4, 1.2)[:, None, None]) + np.random.default_rng(0).normal(0, 0.2, (32, 2, 24))
    x[::5, :, 20:] = np.nan
    x[1::4, 0, 8:10] = np.nan
    return x.astype(np.float32)


@pytest.mark.parametrize("method", LEARNT)
def test_every_method_trains_on_series(method):
    given = KNOBS | small(method) | {"encoder_options": SMALL}
    trained = train.train((series(), KINDS), method=method, modality="series", **given)
    z = trained.model.encode(series())
    assert z.shape == (32, 16) and np.isfinite(z).all()
    assert np.isfinite([m["loss"] for m in trained.metrics]).all()


@pytest.mark.parametrize("encoder", [e for e in ENCODERS if "series" in ENCODERS.get(e).MODALITIES])
def test_every_encoder_trains_and_is_loaded_again(encoder, tmp_path):
    trained = train.train(series(), encoder=encoder, encoder_options={"out": 8, "layers": 1}, out=tmp_path / "run", **KNOBS)
    z = trained.model.encode(series())
    np.testing.assert_array_equal(loading.load(tmp_path / "run", device="cpu").encode(series()), z)
    assert trained.plan.table.first.spec["missing"]
