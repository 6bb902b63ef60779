"""The default network takes every side that pictures may be stored at, odd ones too."""

import pytest
import torch

from nearfar.encoders.image.small_cnn import build


@pytest.mark.parametrize("size", [8, 9, 15, 28, 33, 63, 100])
def test_small_cnn_takes_any_side(size):
    encoder = build(channels=1, size=size, widths=(4, 8, 16, 24)).eval()
    assert encoder(torch.zeros(2, 1, size, size)).shape == (2, 24)
