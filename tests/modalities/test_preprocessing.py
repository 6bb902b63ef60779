"""A model's own preprocessing of pictures: what is planned, stored, seen by the encoder and shown to people."""

import numpy as np
import pytest
import torch
from PIL import Image

from nearfar.core.errors import RunError
from nearfar.core.schema import fits
from nearfar.data.read import read
from nearfar.modalities.image import image
from nearfar.transforms.draws import Draws

WANTED = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3], "interpolation": "bicubic", "crop": 0.875, "mode": "center"}
SPEC = {"size": 32, "channels": 3, "preprocessing": WANTED}


def ramp(height, width):
    """Red grows to the right, green downwards, both by one level a pixel."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x, y, 0 * x], -1).astype(np.uint8))


def test_a_plan_looks_at_no_data():
    class Unread:
        def __len__(self):
            raise AssertionError

    assert image.plan(Unread(), {"size": 32, "preprocessing": WANTED, "depth": "auto"}) == SPEC
    fits(SPEC, image.Spec, "spec")
    grey = {"mean": [0.5], "std": [0.5], "interpolation": "nearest", "crop": 1.0, "mode": "squash"}
    fits(image.plan((), {"size": 8, "preprocessing": grey}), image.Spec, "spec")


@pytest.mark.parametrize("change", [
    {"channels": 1}, {"dtype": "uint8"}, {"preprocessing": WANTED | {"crop": 0}},
    {"preprocessing": WANTED | {"std": [0.1, 0.0, 0.1]}}, {"preprocessing": WANTED | {"mode": "centre"}},
    {"preprocessing": WANTED | {"size": 3}},
])  # fmt: skip
def test_specs_that_do_not_fit_are_refused(change):
    with pytest.raises(RunError):
        fits(SPEC | change, image.Spec, "config.json")


def test_a_centre_crop_keeps_proportions_and_is_not_stretched_by_views():
    """The ramps keep their slopes, and views take the square as it is."""
    values, geometry = image.decode(ramp(36, 72), SPEC)  # the short side is 36 before the crop to 32
    assert geometry == (32, 32)
    assert np.array_equal(values[:2], np.stack([np.tile(np.arange(20, 52), (32, 1)), np.tile(np.arange(2, 34), (32, 1)).T]))
    squeezed, shape = image.decode(ramp(36, 72), SPEC | {"preprocessing": WANTED | {"mode": "squash"}})
    assert shape == (36, 72)
    assert abs(float(np.diff(squeezed[0, 0].astype(int)).mean()) - 2) < 0.1  # two pixels became one


def test_a_border_has_the_mean_colour():
    values, geometry = image.decode(ramp(36, 18), SPEC | {"preprocessing": WANTED | {"mode": "border"}})
    assert geometry == (32, 32)
    assert (values[:, :, :7] == np.array([128, 102, 76])[:, None, None]).all()


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
def test_views_and_the_neutral_input_have_the_models_mean_and_deviation(mode):
    spec = SPEC | {"preprocessing": WANTED | {"mode": mode}}
    decoded = [image.decode(ramp(40 + i, 60), spec) for i in range(4)]
    values = torch.from_numpy(np.stack([v for v, _ in decoded]))
    geometry = torch.tensor([g for _, g in decoded])
    mean, std = (torch.tensor(WANTED[k]).view(1, 3, 1, 1) for k in ("mean", "std"))
    expected = (values / 255 - mean) / std
    assert torch.allclose(image.neutral(values, geometry, spec), expected, atol=1e-6)
    unchanged = image.views(values, geometry, image.recipes("none", spec)[0], Draws(torch.Generator().manual_seed(0), 4), spec)
    assert torch.allclose(unchanged, expected, atol=1e-6)


def test_the_floor_and_thumbnails_are_of_the_pixels_that_are_stored():
    table = read([ramp(40, 60), ramp(60, 40)] * 4, size=32, preprocessing=WANTED)
    values = np.asarray(table.first.values)
    plain = {"size": 32, "channels": 3}
    assert np.array_equal(image.raw_features(values, table.first.spec), image.raw_features(values, plain))
    assert image.thumbnail(values[0], table.first.geometry[0], table.first.spec).size == (32, 32)
    assert "as the model wants them" in image.describe(table.first.spec)


def test_grey_pictures_become_colours_and_colours_grey():
    grey = image.decode(ramp(40, 60).convert("L"), SPEC)[0]
    assert (grey == grey[:1]).all()
    one = WANTED | {"mean": [0.5], "std": [0.5]}
    assert image.decode(ramp(40, 60), {"size": 32, "channels": 1, "preprocessing": one})[0].shape == (1, 32, 32)
