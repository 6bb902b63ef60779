"""With the same parameters the transforms do what torchvision's do, or the docstring says where they differ."""

import math
from dataclasses import replace

import pytest
import torch
import torchvision.transforms.v2.functional as tv
from torchvision.transforms import InterpolationMode

from nearfar.transforms.image.affine import Affine
from nearfar.transforms.image.blur import gaussian
from nearfar.transforms.image.crop import Crop
from nearfar.transforms.image.cutout import Cutout
from nearfar.transforms.image.equalise import equalised
from nearfar.transforms.image.flip import Flip
from nearfar.transforms.image.greyscale import Greyscale
from nearfar.transforms.image.jitter import jitter_matrix
from nearfar.transforms.image.perspective import CORNERS, homography
from nearfar.transforms.image.posterise import posterised
from nearfar.transforms.image.rand_augment import CHANGES, RandAugment
from nearfar.transforms.image.resample import sample, sample_aligned
from nearfar.transforms.image.rotate import Rotate
from nearfar.transforms.image.sharpness import sharpened
from nearfar.transforms.image.shift import Shift
from nearfar.transforms.image.solarise import Solarise
from nearfar.transforms.image.turn import Turn
from nearfar.transforms.recipe import apply

from .test_transforms import CLOSE, draws, images

BILINEAR = InterpolationMode.BILINEAR


def floats(n=6, side=24, seed=0):
    return images(n, side=side, seed=seed).float() / 255


def noise(n=4, side=48):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(7))


class Script:
    """Draws that give what is written down, a value for every call."""

    def __init__(self, n, *values):
        self.n, self.values = n, list(values)

    def __len__(self):
        return self.n

    def _next(self, *shape):
        return torch.as_tensor(self.values.pop(0)).expand(self.n, *shape).clone()

    def uniform(self, low, high, *shape):
        return self._next(*shape).float()

    def integers(self, low, high, *shape):
        return self._next(*shape)

    def bernoulli(self, p, *shape):
        return torch.ones(self.n, *shape, dtype=torch.bool)


# --- geometry -----------------------------------------------------------------------------------------------------


def test_flips():
    x = images()
    assert torch.allclose(apply((Flip(1.0),), x, draws(6)), tv.horizontal_flip(x) / 255, atol=1e-5)
    assert torch.allclose(apply((Flip(1.0, vertical=True),), x, draws(6)), tv.vertical_flip(x) / 255, atol=1e-5)


@pytest.mark.parametrize("side", [24, 96])  # below and above the side from which axes are resampled apart
@pytest.mark.parametrize(("dx", "dy"), [(4, -2), (0, 3), (-4, 4)])
def test_padded_shift(side, dx, dy):
    x = floats(side=side)
    steps = side // 8
    moved = Shift().matrix(Script(6, [dx, dy]), None)
    matrix = Shift(steps=steps).matrix(Script(6, [dx, dy]), None)
    assert torch.allclose(moved[:, :2, 2] * 4, matrix[:, :2, 2] * steps)
    padded = tv.pad(x, [side // 8], fill=0)
    want = tv.crop(padded, side // 8 + dy, side // 8 + dx, side, side)
    for ours in (sample(x, matrix, side, "zeros"), sample_aligned(x, matrix, side, "zeros")):
        assert (ours - want).abs().max() < 1e-5


@pytest.mark.parametrize("mode", ["reflection", "border"])
def test_padding_of_both_ways_of_resampling_is_the_same(mode):
    x = noise()
    matrix = Shift(0.3, 7).matrix(draws(4), None) @ Crop((0.5, 1.0)).matrix(draws(4), None)
    assert (sample(x, matrix, 48, mode) - sample_aligned(x, matrix, 48, mode)).abs().max() < 1e-4


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_quarter_turns(quarters):
    x = noise()
    matrix = Turn().matrix(Script(4, quarters), None)
    assert (sample(x, matrix, 48, "reflection") - torch.rot90(x, quarters, (2, 3))).abs().max() < 1e-4


@pytest.mark.parametrize("degrees", [90.0, 30.0, -12.5])
def test_rotation(degrees):
    x = floats()
    for t in (Rotate(fill="zeros"), Affine(fill="zeros")):
        ours = sample(x, t.matrix(Script(6, degrees, 1.0, 0.0, 0.0), None), 24, "zeros")
        theirs = [tv.rotate(x, sign * degrees, BILINEAR) for sign in (1, -1)]
        assert min((ours - w).abs().max() for w in theirs) <= CLOSE


@pytest.mark.parametrize(
    ("degrees", "size", "shear", "shift"), [(0, 1.2, 0, (0, 0)), (0, 1, 0, (3, -2)), (20, 0.9, 0, (1, 4))]
)
def test_affine(degrees, size, shear, shift):
    x = floats()
    given = (float(degrees), size, float(shear), [2 * s / 24 for s in shift])
    ours = sample(x, Affine().matrix(Script(6, *given), None), 24, "zeros")
    theirs = tv.affine(x, -float(degrees), list(shift), size, [float(shear), 0.0], BILINEAR)
    other = tv.affine(x, float(degrees), list(shift), size, [float(shear), 0.0], BILINEAR)
    assert min((ours - w).abs().max() for w in (theirs, other)) <= CLOSE


def test_perspective():
    side = 48
    x = floats(4, side)
    inward = torch.rand(4, 4, 2, generator=torch.Generator().manual_seed(1)) * 0.4
    corners = torch.tensor(CORNERS) * (1 - inward)
    ours = sample(x, homography(corners), side, "zeros", projective=True)
    start = [[0, 0], [side, 0], [side, side], [0, side]]
    for i in range(4):
        end = ((corners[i] + 1) * side / 2).tolist()
        theirs = tv.perspective(x[i], start, end, BILINEAR, fill=0)
        inner = tv.perspective(torch.ones_like(x[i]), start, end, BILINEAR, fill=0) > 0.999
        assert ((ours[i] - theirs).abs() * inner).max() <= CLOSE


def test_crop_takes_the_rectangle_that_torchvision_takes():
    """Inside of the crop's border: there torchvision repeats the crop's edge and we go on reading the image."""
    side = 96
    x = floats(4, side)
    for left, top, width, height, size in (
        (10, 20, 60, 40, 96),
        (0, 0, 96, 96, 40),
        (8, 4, 80, 88, 32),
        (30, 30, 48, 48, 64),
    ):
        matrix = torch.eye(3).repeat(4, 1, 1)
        matrix[:, 0, 0], matrix[:, 1, 1] = width / side, height / side
        matrix[:, 0, 2], matrix[:, 1, 2] = (2 * left + width) / side - 1, (2 * top + height) / side - 1
        ours = sample_aligned(x, matrix, size, None)
        theirs = tv.resized_crop(x, top, left, height, width, [size, size], BILINEAR, antialias=True)
        rim = 3 if width < side else 0
        inside = slice(rim, size - rim)
        assert (ours - theirs)[:, :, inside, inside].abs().max() <= CLOSE


@pytest.mark.parametrize("size", [96, 80, 65, 48, 40, 24])
def test_shrinking_is_torchvisions_antialiased_resize(size):
    """White noise is the hardest: where averaging is left out, or is by powers of two, it is 40/255 off and more."""
    x = noise(4, 96)
    whole = Crop((1.0, 1.0), ratio=(1.0, 1.0))
    assert (apply((whole,), x, draws(4), size=size) - tv.resize(x, [size, size], antialias=True)).abs().max() <= 1e-4


def test_both_ways_of_resampling_agree_where_nothing_shrinks():
    x = noise()
    matrix = Crop((0.2, 1.0)).matrix(draws(4), None) @ Flip().matrix(draws(4), None)
    assert (sample(x, matrix, 64, "reflection") - sample_aligned(x, matrix, 64, None)).abs().max() < 1e-4


# --- colour -------------------------------------------------------------------------------------------------------


def colour(x, **factors):
    n = len(x)
    given = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "turn": 0.0} | factors
    matrix = jitter_matrix(
        x.mean((2, 3)), *(torch.full((n,), given[k]) for k in ("brightness", "contrast", "saturation", "turn")),
        torch.zeros(n, dtype=torch.bool), torch.ones(n, dtype=torch.bool),
    )  # fmt: skip
    return torch.baddbmm(matrix[:, :, -1:], matrix[:, :, :-1], x.flatten(2)).clamp(0, 1).view_as(x)


@pytest.mark.parametrize("factor", [0.4, 0.8, 1.3])
@pytest.mark.parametrize("kind", ["brightness", "contrast", "saturation"])
def test_colour_factors(kind, factor):
    x = floats()
    theirs = getattr(tv, f"adjust_{kind}")(x, factor)
    assert (colour(x, **{kind: factor}) - theirs).abs().max() <= CLOSE


@pytest.mark.parametrize("factor", [0.6, 1.4])
def test_brightness_and_contrast_of_grey_pictures(factor):
    x = floats()[:, :1]
    assert (colour(x, contrast=factor) - tv.adjust_contrast(x, factor)).abs().max() <= CLOSE
    assert (colour(x, brightness=factor) - tv.adjust_brightness(x, factor)).abs().max() <= CLOSE


def test_other_channels_have_their_own_contrast_and_no_saturation_or_hue():
    x = torch.rand(3, 10, 16, 16) * 0.2 + 0.4
    together = colour(x, contrast=1.3, brightness=1.1, saturation=0.1, turn=0.3)
    for c in range(10):
        assert torch.allclose(together[:, c : c + 1], colour(x[:, c : c + 1], contrast=1.3, brightness=1.1), atol=1e-6)


def test_hue_turns_the_circle_and_keeps_the_luma():
    x = floats() * 0.4 + 0.3  # away from the edges of the cube, so nothing is cut
    luma = torch.tensor([0.299, 0.587, 0.114])
    turned = colour(x, turn=0.1)
    assert ((turned - x).permute(0, 2, 3, 1) @ luma).abs().max() < 1e-2
    back = colour(turned, turn=-0.1)
    assert (back - x).abs().max() < 1e-4
    assert (colour(x, turn=1.0) - x).abs().max() < 1e-4


def test_hue_turns_the_way_that_torchvision_turns():
    """The definitions differ (YIQ rotation, HSV), the direction does not: of small turns ours is the nearer one."""
    x = floats() * 0.4 + 0.3
    theirs = tv.adjust_hue(x, 0.05)
    same, opposite = ((colour(x, turn=t) - theirs).abs().mean() for t in (0.05, -0.05))
    assert min(same, opposite) < 0.5 * max(same, opposite)


def test_contrast_before_and_after_other_factors_is_linear_in_one_matrix():
    x = floats() * 0.2 + 0.4
    one = torch.ones(len(x))
    early = jitter_matrix(x.mean((2, 3)), one * 1.1, one * 0.7, one * 1.2, one * 0, one < 0, one > 0)
    late = jitter_matrix(x.mean((2, 3)), one * 1.1, one * 0.7, one * 1.2, one * 0, one > 0, one > 0)
    bright = x * 1.1
    step = tv.adjust_saturation(tv.adjust_contrast(bright, 0.7), 1.2)
    other = tv.adjust_contrast(tv.adjust_saturation(bright, 1.2), 0.7)
    for matrix, want in ((early, step), (late, other)):
        got = torch.baddbmm(matrix[:, :, 3:], matrix[:, :, :3], x.flatten(2)).view_as(x)
        assert (got - want).abs().max() <= CLOSE


def test_greyscale():
    x = floats()
    assert (apply((Greyscale(1.0),), x, draws(6)) - tv.rgb_to_grayscale(x, 3)).abs().max() <= CLOSE


# --- pixels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sigma", "radius"), [(1.3, 4), (0.4, 2), (3.0, 9)])
def test_blur(sigma, radius):
    x = noise()
    theirs = tv.gaussian_blur(x, [2 * radius + 1] * 2, [sigma] * 2)
    ours = gaussian(x, torch.full((4,), sigma), radius)
    assert (ours - theirs).abs().max() < 1e-5
    some = torch.tensor([2, 0])
    assert torch.equal(gaussian(x, torch.full((2,), sigma), radius, some), ours[some])
    across = x.mT.contiguous().mT  # as the crop leaves pictures: column by column
    assert torch.allclose(gaussian(across, torch.full((4,), sigma), radius), ours, atol=1e-6)


def test_solarise():
    x = floats()
    assert torch.allclose(Solarise(0.5, 1.0).apply(x, draws(6)), tv.solarize(x, 0.5))


def test_equalise():
    x = images()
    assert torch.equal((equalised(x.float() / 255) * 255).round().to(torch.uint8), tv.equalize(x))
    flat = torch.full((1, 1, 8, 8), 77, dtype=torch.uint8)
    assert torch.equal((equalised(flat / 255) * 255).round().to(torch.uint8), tv.equalize(flat))


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterise(bits):
    x = images()
    ours = posterised(x.float() / 255, torch.full((6,), bits))
    assert torch.equal((ours * 255).round().to(torch.uint8), tv.posterize(x, bits))


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.9])
def test_sharpness(factor):
    x = noise()
    assert (sharpened(x, torch.full((4,), factor)) - tv.adjust_sharpness(x, factor)).abs().max() < 1e-5


def test_cutout_is_a_square_of_the_share():
    x = noise(64)
    out = Cutout(0.5).apply(x, draws(64))
    hidden = (out == 0.5).all(1)
    assert hidden.flatten(1).sum(1).max() <= 24 * 24
    assert hidden.flatten(1).sum(1).min() >= 12 * 12 - 24  # a quarter of it where the centre is in a corner


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("name", CHANGES)
def test_changes_of_rand_augment(name, sign):
    x, a = floats(side=32), 0.3 * sign
    want = {
        "identity": lambda: x,
        "shear_x": lambda: tv.affine(x, 0.0, [0, 0], 1.0, [math.degrees(math.atan(a * 0.3)), 0.0], BILINEAR),
        "shear_y": lambda: tv.affine(x, 0.0, [0, 0], 1.0, [0.0, math.degrees(math.atan(a * 0.3))], BILINEAR),
        "move_x": lambda: None,
        "move_y": lambda: None,
        "rotate": lambda: tv.rotate(x, a * 30, BILINEAR),
        "brightness": lambda: tv.adjust_brightness(x, 1 + 0.9 * a),
        "saturation": lambda: tv.adjust_saturation(x, 1 + 0.9 * a),
        "contrast": lambda: tv.adjust_contrast(x, 1 + 0.9 * a),
        "sharpness": lambda: tv.adjust_sharpness(x, 1 + 0.9 * a),
        "posterise": lambda: tv.posterize((x * 255).round().to(torch.uint8), 8 - round(4 * abs(a))) / 255,
        "solarise": lambda: tv.solarize(x, 1 - abs(a)),
        "autocontrast": lambda: tv.autocontrast(x),
        "equalise": lambda: tv.equalize((x * 255).round().to(torch.uint8)) / 255,
    }[name]()
    ours = CHANGES[name](x, torch.full((6,), a))
    if want is not None:
        assert (ours - want).abs().max() <= CLOSE
    else:  # torchvision moves by whole pixels only
        matrix = torch.eye(3).repeat(6, 1, 1)
        matrix[:, 0 if name == "move_x" else 1, 2] = 2 * 150 / 331 * a
        assert torch.allclose(ours, sample(x, matrix, 32, "zeros"))


def test_rand_augment_gives_each_row_its_own_changes():
    x = floats(1).repeat(64, 1, 1, 1)
    before = x.clone()
    only = RandAugment(count=1, changes=("identity", "solarise"), strength=0.5)
    out = only.apply(x.clone(), draws(64))
    changed = (out != before).flatten(1).any(1)
    assert 16 < changed.sum() < 48
    assert torch.equal(out[changed][0], torch.where(before[0] >= 0.5, 1 - before[0], before[0]))
    with pytest.raises(ValueError, match="there is no 'invert'"):
        replace(only, changes=("invert",))
