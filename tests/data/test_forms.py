"""A column decoded for one model, given to another: its vectors are those of the data read for that model."""

from dataclasses import replace

import numpy as np
import pytest

import nearfar
from nearfar.core.errors import ConfigError

SMALL = {"epochs": 1, "batch_size": 16, "threads": 1, "precision": "fp32", "holdout": 0.0}
ROWS = {**SMALL, "encoder_options": {"width": 8, "layers": 1, "out": 4}, "projector": {"hidden": 8, "out": 4}}


def test_rows_of_numbers_are_standardised_again():
    x = np.random.default_rng(0).normal(size=(40, 3))
    one, other = (nearfar.train(data, **ROWS).model for data in (x, 10 * x + 50))
    assert np.allclose(other.encode(one.read(x)), other.encode(x), atol=1e-6)
    assert not np.allclose(other.encode(x), one.encode(x), atol=0.1)


def test_named_columns_find_their_places():
    x = np.random.default_rng(0).normal(size=(3, 40))
    one = nearfar.train(dict(zip("abc", x, strict=True)), **ROWS).model
    other = nearfar.train(dict(zip("cab", x[[2, 0, 1]], strict=True)), **ROWS).model
    data = dict(zip("abc", x, strict=True))
    assert np.allclose(other.encode(one.read(data)), other.encode(data), atol=1e-6)
    third = nearfar.train(dict(zip("abd", x, strict=True)), **ROWS).model
    with pytest.raises(ConfigError, match="decoded for another one. Let the model read the data"):
        third.encode(one.read(data))


def test_texts_are_tokenised_again():
    texts = [f"the cat number {i} sat on mat {i % 7}" for i in range(40)]
    one, other = (nearfar.train(texts, tokens=t, encoder_options={"dim": 8}, **SMALL).model
                  for t in ("hashed:5000", "word_pairs"))  # fmt: skip
    assert np.array_equal(other.encode(one.read(texts)), other.encode(texts))


def test_pictures_are_decoded_again_and_refused_without_their_cells():
    pictures = np.random.default_rng(0).integers(0, 255, (40, 24, 24, 3), np.uint8)
    small = {**SMALL, "encoder_options": {"widths": [8, 8]}, "projector": {"hidden": 8, "out": 4}}
    one, other = (nearfar.train(pictures, size=size, **small).model for size in (16, 24))
    read = one.read(pictures)
    assert np.array_equal(other.encode(read), other.encode(pictures))
    with pytest.raises(ConfigError, match="stored at 24 × 24, the column 'x' holds .* 16 × 16 that were decoded"):
        other.features(replace(read.first, cells=None), np.arange(40))
