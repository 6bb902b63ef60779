"""Transforms: every one of the folder keeps the contract; those that torchvision has agree with it."""

import math
from dataclasses import replace

import pytest
import torch
import torchvision.transforms.v2.functional as tv
from torchvision.transforms import InterpolationMode

from nearfar.transforms.affine import Affine
from nearfar.transforms.blur import gaussian
from nearfar.transforms.crop import Crop
from nearfar.transforms.draws import Draws
from nearfar.transforms.flip import Flip
from nearfar.transforms.greyscale import Greyscale
from nearfar.transforms.jitter import Jitter, jitter_matrix
from nearfar.transforms.recipe import apply, describe, from_dicts, kinds, override, to_dicts
from nearfar.transforms.recipes import RECIPES, named
from nearfar.transforms.solarise import Solarise

KINDS = sorted(k for k, t in kinds().items() if t.kind != "frame")
CLOSE = 2 / 255


def draws(n, seed=0, share=None, device="cpu"):
    return Draws(torch.Generator().manual_seed(seed), n, share, device)


def images(n=6, c=3, side=24, seed=0):
    g = torch.Generator().manual_seed(seed)
    rough = torch.rand(n, c, side // 4, side // 4, generator=g)
    smooth = torch.nn.functional.interpolate(rough, (side, side), mode="bicubic").clamp(0, 1)
    return (smooth * 255).round().to(torch.uint8)


def strong(name):
    """The transform with every probability at 1, so that each row is changed."""
    t = kinds()[name]()
    if name == "affine":
        t = Affine(degrees=30, scale=(0.7, 1.3), shear=10, shift=0.1)
    if name == "blur":
        t = replace(t, sigma=(5.0, 40.0))  # the test's pictures are small
    return replace(t, p=1.0) if hasattr(t, "p") and name != "flip" else t


def run(name, values, d):
    t = strong(name)
    return t.apply(values.float(), d) if t.kind == "rows" else apply((t,), values, d)


def values_for(name, n=16):
    return torch.randn(n, 10) if kinds()[name].kind == "rows" else images(n)


@pytest.mark.parametrize("name", KINDS)
def test_same_generator_same_views(name):
    x = values_for(name)
    assert torch.equal(run(name, x, draws(16)), run(name, x, draws(16)))


@pytest.mark.parametrize("name", [k for k in KINDS if k not in ("flip", "greyscale", "solarise")])
def test_rows_never_share_parameters(name):
    x = values_for(name)
    if kinds()[name].kind == "rows":
        changed = run(name, x, draws(16)) != x
        assert len({tuple(row.tolist()) for row in changed}) == 16
        return
    same = x[:1].repeat(16, 1, 1, 1)
    out = run(name, same, draws(16))
    assert len({tuple(row.flatten().tolist()) for row in out}) == 16


@pytest.mark.parametrize("name", KINDS)
def test_a_share_of_the_rows_draws_what_the_whole_draws(name):
    x = values_for(name)
    whole = run(name, x, Draws(torch.Generator().manual_seed(3), 16, None, "cpu", lambda: x.float()))
    for share in (slice(0, 5), slice(5, 16)):
        part = run(name, x[share], Draws(torch.Generator().manual_seed(3), 16, share, "cpu", lambda: x.float()))
        assert torch.allclose(part, whole[share], atol=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_round_trip_through_json(name):
    recipe = (strong(name),)
    assert from_dicts(to_dicts(recipe)) == recipe
    assert name in describe(recipe)[0]


@pytest.mark.parametrize("name", [k for k in KINDS if kinds()[k].kind != "rows"])
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_range(name, channels):
    out = apply((strong(name),), images(4, channels), draws(4), size=16)
    assert out.shape == (4, channels, 16, 16)
    assert out.dtype == torch.float32
    assert torch.isfinite(out).all()
    if name != "noise":
        assert out.min() >= -1e-5
        assert out.max() <= 1 + 1e-5


def test_identity_at_strength_zero():
    x = images()
    nothing = (Affine(), Flip(0.0), Jitter(0, 0, 0, 0, p=1.0), Greyscale(0.0), Solarise(p=0.0))
    assert (apply(nothing, x, draws(6)) - x / 255).abs().max() < 1e-5
    assert (apply((), x, draws(6)) - x / 255).abs().max() < 1e-7


# --- against torchvision ------------------------------------------------------------------------------------------


def test_flips():
    x = images()
    assert torch.allclose(apply((Flip(1.0),), x, draws(6)), tv.horizontal_flip(x) / 255, atol=1e-5)
    assert torch.allclose(apply((Flip(1.0, vertical=True),), x, draws(6)), tv.vertical_flip(x) / 255, atol=1e-5)


@pytest.mark.parametrize("degrees", [90, 30, -12.5])
def test_rotation(degrees):
    x = images().float() / 255

    class Fixed(Draws):
        def uniform(self, low, high, *shape):
            return torch.full((6, *shape), float(high)) if high == abs(degrees) else super().uniform(low, high, *shape)

    t = Affine(degrees=abs(degrees), fill="zeros")
    ours = apply((t,), x, Fixed(torch.Generator(), 6))
    theirs = [tv.rotate(x, sign * abs(degrees), InterpolationMode.BILINEAR) for sign in (1, -1)]
    assert min((ours - t).abs().max() for t in theirs) <= CLOSE


def test_crop_takes_the_rectangle_that_torchvision_takes():
    """Inside of the crop's border: there torchvision repeats the crop's edge and we go on reading the image."""
    x = images(4, side=48).float() / 255
    matrix = Crop((0.3, 0.6)).matrix(draws(4), None)
    ours = apply((Crop((0.3, 0.6)),), x, draws(4), size=48)
    for i in range(4):
        w, h = (float(matrix[i, k, k]) * 48 for k in (0, 1))
        left, top = (24 * (1 + float(matrix[i, k, 2])) - s / 2 for k, s in ((0, w), (1, h)))
        grid_y = torch.linspace(top + h / 96, top + h - h / 96, 48) - 0.5
        grid_x = torch.linspace(left + w / 96, left + w - w / 96, 48) - 0.5
        y0, x0 = grid_y.floor().clamp(0, 46).long(), grid_x.floor().clamp(0, 46).long()
        fy, fx = (grid_y - y0)[:, None], (grid_x - x0)[None]
        a, b = x[i][:, y0][:, :, x0], x[i][:, y0][:, :, x0 + 1]
        c, d = x[i][:, y0 + 1][:, :, x0], x[i][:, y0 + 1][:, :, x0 + 1]
        want = (a * (1 - fx) + b * fx) * (1 - fy) + (c * (1 - fx) + d * fx) * fy
        inside = slice(2, -2)
        assert (ours[i] - want)[:, inside, inside].abs().max() <= CLOSE


def test_shrinking_does_not_alias():
    """A fine checkerboard becomes grey, as with torchvision's antialiased resize, not a coarse checkerboard."""
    board = (torch.arange(96)[:, None] + torch.arange(96)) % 2 * 255
    x = board.to(torch.uint8).expand(2, 3, 96, 96)
    whole = Crop((1.0, 1.0), ratio=(1.0, 1.0))
    ours = apply((whole,), x, draws(2), size=24)
    theirs = tv.resize(x, [24, 24], antialias=True) / 255
    assert ours.std() < 0.05
    assert theirs.std() < 0.05


def colour(x, **factors):
    n = len(x)
    given = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "turn": 0.0} | factors
    matrix = jitter_matrix(
        x.mean((2, 3)), *(torch.full((n,), given[k]) for k in ("brightness", "contrast", "saturation", "turn")),
        torch.zeros(n, dtype=torch.bool), torch.ones(n, dtype=torch.bool),
    )  # fmt: skip
    return torch.baddbmm(matrix[:, :, 3:], matrix[:, :, :3], x.flatten(2)).clamp(0, 1).view_as(x)


@pytest.mark.parametrize("factor", [0.4, 0.8, 1.3])
@pytest.mark.parametrize("kind", ["brightness", "contrast", "saturation"])
def test_colour_factors(kind, factor):
    x = images().float() / 255
    theirs = getattr(tv, f"adjust_{kind}")(x, factor)
    assert (colour(x, **{kind: factor}) - theirs).abs().max() <= CLOSE


def test_hue_turns_the_circle_and_keeps_the_luma():
    x = images().float() / 255 * 0.4 + 0.3  # away from the edges of the cube, so nothing is cut
    luma = torch.tensor([0.299, 0.587, 0.114])
    turned = colour(x, turn=0.1)
    assert ((turned - x).permute(0, 2, 3, 1) @ luma).abs().max() < 1e-2
    back = colour(turned, turn=-0.1)
    assert (back - x).abs().max() < 1e-4
    assert (colour(x, turn=1.0) - x).abs().max() < 1e-4


def test_contrast_before_and_after_other_factors_is_linear_in_one_matrix():
    x = images().float() / 255 * 0.2 + 0.4
    n = len(x)
    one = torch.ones(n)
    early = jitter_matrix(x.mean((2, 3)), one * 1.1, one * 0.7, one * 1.2, one * 0, one < 0, one > 0)
    late = jitter_matrix(x.mean((2, 3)), one * 1.1, one * 0.7, one * 1.2, one * 0, one > 0, one > 0)
    bright = x * 1.1
    step = tv.adjust_saturation(tv.adjust_contrast(bright, 0.7), 1.2)
    other = tv.adjust_contrast(tv.adjust_saturation(bright, 1.2), 0.7)
    for matrix, want in ((early, step), (late, other)):
        got = torch.baddbmm(matrix[:, :, 3:], matrix[:, :, :3], x.flatten(2)).view_as(x)
        assert (got - want).abs().max() <= CLOSE


def test_greyscale_blur_and_solarise():
    x = images().float() / 255
    assert (apply((Greyscale(1.0),), x, draws(6)) - tv.rgb_to_grayscale(x, 3)).abs().max() <= CLOSE
    ours = gaussian(x, torch.full((6,), 1.3), 4)
    assert (ours - tv.gaussian_blur(x, [9, 9], [1.3, 1.3])).abs().max() <= CLOSE
    assert torch.allclose(Solarise(0.5, 1.0).apply(x, draws(6)), tv.solarize(x, 0.5))


# --- distributions ------------------------------------------------------------------------------------------------


def ks(sample, cdf):
    """Kolmogorov and Smirnov's distance of a sample from a distribution, times √n; below 1.36 at 5 %."""
    s = sample.double().sort().values
    n = len(s)
    f = cdf(s)
    above = (torch.arange(1, n + 1) / n - f).max()
    return float(torch.maximum(above, (f - torch.arange(n) / n).max()) * math.sqrt(n))


def test_crop_areas_and_ratios_are_uniform():
    crop = Crop((0.2, 0.5))
    matrix = crop.matrix(draws(20_000, seed=1), None)
    w, h = matrix[:, 0, 0], matrix[:, 1, 1]
    assert ks(w * h, lambda a: (a - 0.2) / 0.3) < 1.7
    assert ks((w / h).log(), lambda r: (r - math.log(3 / 4)) / math.log(16 / 9)) < 1.7
    x = matrix[:, 0, 2] / (1 - w)
    assert ks(x, lambda v: (v + 1) / 2) < 1.7


def test_crops_of_wide_pictures_are_meant_in_the_original():
    geometry = torch.tensor([[100, 300]]).repeat(5000, 1)
    matrix = Crop((0.1, 0.2)).matrix(draws(5000), geometry)
    ratio = matrix[:, 0, 0] * 300 / (matrix[:, 1, 1] * 100)
    assert float(ratio.min()) >= 3 / 4 - 1e-3
    assert float(ratio.max()) <= 4 / 3 + 1e-3


def test_rates():
    flipped = (Flip(0.3).matrix(draws(20_000), None)[:, 0, 0] < 0).float().mean()
    assert abs(float(flipped) - 0.3) < 0.015
    mean = torch.full((20_000, 3), 0.5)
    grey = (Greyscale(0.2).matrix(draws(20_000), mean)[:, 0, 1] > 0).float().mean()
    assert abs(float(grey) - 0.2) < 0.015


# --- recipes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_data(name):
    for recipe in named(name, 224, 3):
        assert from_dicts(to_dicts(recipe)) == recipe


def test_recipes_fit_the_images():
    small, large = named("simclr", 32, 3)[0], named("simclr", 224, 3)[0]
    assert "blur" not in {d["transform"] for d in to_dicts(small)}
    assert "blur" in {d["transform"] for d in to_dicts(large)}
    assert "greyscale" not in {d["transform"] for d in to_dicts(named("simclr", 32, 1)[0])}
    assert len(named("byol", 224, 3)) == 2


def test_nearest_names_are_proposed():
    with pytest.raises(ValueError, match="did you mean 'simclr'"):
        named("simclrr", 32, 3)
    with pytest.raises(ValueError, match="did you mean 'crop'"):
        override(named("simclr", 32, 3), {"crob": {}})
    with pytest.raises(ValueError, match="did you mean 'scale'"):
        override(named("simclr", 32, 3), {"crop": {"scal": [0.1, 1]}})
    changed = override(named("simclr", 32, 3), {"crop": {"scale": [0.5, 1]}, "flip": None})
    assert to_dicts(changed[0])[0]["scale"] == (0.5, 1)
    assert "flip" not in {d["transform"] for d in to_dicts(changed[0])}
