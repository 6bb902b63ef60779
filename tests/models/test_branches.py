"""Networks that cannot be are refused when they are built."""

import numpy as np
import pytest

import nearfar
from nearfar.core.errors import ConfigError


@pytest.mark.parametrize("options", [{"grid": 0}, {"widths": [0]}])
def test_features_of_no_width_are_refused(options):
    pictures = np.random.default_rng(0).integers(0, 255, (24, 32, 32, 3), dtype=np.uint8)
    with pytest.raises(ConfigError, match="a layer of width 0"):
        nearfar.train(pictures, encoder="pooled_cnn", encoder_options=options, epochs=1, batch_size=8, quiet=True)


def test_features_without_end_are_refused():
    pictures = np.random.default_rng(0).integers(0, 255, (24, 32, 32, 3), dtype=np.uint8)
    given = {"encoder": "small_cnn", "encoder_options": {"grid": 2**30}, "epochs": 1, "batch_size": 8, "quiet": True}
    with pytest.raises(ConfigError, match="encoder_options.*numbers for a row, and 1,048,576 are the most"):
        nearfar.train(pictures, **given)
