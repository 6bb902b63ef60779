"""States of steps: what `encode(per="step")` gives is what the vectors are pooled from."""

import numpy as np
import pytest

from nearfar.core.errors import ConfigError, UnknownName
from nearfar.training import train

SMALL = {"epochs": 1, "batch_size": 8, "holdout": 0.0, "threads": 1, "precision": "fp32"}


def test_states_of_steps_are_what_vectors_are_made_of(tmp_path):
    x = np.random.default_rng(0).normal(size=(16, 2, 30)).astype(np.float32)
    x[3, :, 20:] = np.nan
    model = train.train(x, encoder_options={"width": 8, "out": 8, "layers": 1}, method="ts2vec", **SMALL).model
    states, vectors = model.encode(x, per="step", normalize=False), model.encode(x, normalize=False)
    assert states.shape == (16, 30, 8) and vectors.shape == (16, 16)
    assert np.isnan(states[3, 20:]).all() and np.isfinite(states[3, :20]).all()
    np.testing.assert_allclose(np.nanmean(states, 1), vectors[:, :8], atol=1e-5)
    np.testing.assert_allclose(np.nanmax(states, 1), vectors[:, 8:], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(model.encode(x, per="step")[0], axis=1), 1, atol=1e-5)
    with pytest.raises(UnknownName):
        model.encode(x, per="hour")


def test_an_encoder_without_time_says_so():
    rows = np.random.default_rng(0).normal(size=(16, 5))
    model = train.train(rows, method="simclr", encoder_options={"width": 8, "out": 8}, **SMALL).model
    with pytest.raises(ConfigError, match="no axis of time"):
        model.encode(rows, per="step")
