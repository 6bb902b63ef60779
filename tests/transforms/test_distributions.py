"""What is drawn has the distribution that the docstring says (Kolmogorov and Smirnov, fixed seeds)."""

import math

import pytest
import torch
from scipy import stats

from nearfar.transforms.draws import Draws
from nearfar.transforms.image.affine import Affine
from nearfar.transforms.image.blur import Blur
from nearfar.transforms.image.crop import Crop
from nearfar.transforms.image.cutmix import Cutmix
from nearfar.transforms.image.erase import Erase
from nearfar.transforms.image.flip import Flip
from nearfar.transforms.image.greyscale import Greyscale
from nearfar.transforms.image.jitter import Jitter
from nearfar.transforms.image.mixup import Mixup
from nearfar.transforms.image.perspective import Perspective, homography
from nearfar.transforms.image.posterise import Posterise
from nearfar.transforms.image.rotate import Rotate
from nearfar.transforms.image.sharpness import Sharpness
from nearfar.transforms.image.shift import Shift
from nearfar.transforms.image.solarise import Solarise
from nearfar.transforms.image.turn import Turn
from nearfar.transforms.recipe import apply

N = 20_000
SIGNIFICANT = 1e-3


def draws(seed=0, n=N, **options):
    return Draws(torch.Generator().manual_seed(seed), n, **options)


def is_uniform(sample, low, high):
    assert stats.kstest(sample.double().numpy(), stats.uniform(low, high - low).cdf).pvalue > SIGNIFICANT


def happens(events, p):
    """The number of rows for which something happened is binomial."""
    assert stats.binomtest(int(events.sum()), events.numel(), p).pvalue > SIGNIFICANT


# --- geometry -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.2, 0.5), (0.05, 0.14), (0.25, 0.25)])
def test_crops(scale):
    crop = Crop(scale, ratio=(3 / 4, 4 / 3))
    matrix = crop.matrix(draws(1), None)
    w, h = matrix[:, 0, 0], matrix[:, 1, 1]
    if scale[0] < scale[1] <= 0.5:  # larger ones do not always fit, as in torchvision
        is_uniform(w * h, *scale)
    if scale[1] <= 0.5:
        is_uniform((w / h).log(), math.log(3 / 4), math.log(4 / 3))
    assert (w * h).min() >= scale[0] - 1e-3
    assert (w * h).max() <= scale[1] + 1e-3
    for axis, size in ((0, w), (1, h)):
        room = size < 0.99
        is_uniform(matrix[room, axis, 2] / (1 - size[room]), -1, 1)


def test_crops_have_the_distribution_of_torchvisions():
    """Also where many do not fit: from 8 to 100 % of a square."""
    from torchvision.transforms import v2

    torch.manual_seed(0)
    peer, picture = v2.RandomResizedCrop(200, scale=(0.08, 1.0)), torch.empty(3, 200, 200)
    theirs = [peer.make_params([picture]) for _ in range(3000)]
    matrix = Crop((0.08, 1.0)).matrix(draws(2, n=3000), None)
    area = torch.tensor([p["height"] * p["width"] / 200**2 for p in theirs])
    ratio = torch.tensor([p["width"] / p["height"] for p in theirs])
    assert stats.ks_2samp(area, matrix[:, 0, 0] * matrix[:, 1, 1]).pvalue > SIGNIFICANT
    assert stats.ks_2samp(ratio.log(), (matrix[:, 0, 0] / matrix[:, 1, 1]).log()).pvalue > SIGNIFICANT


@pytest.mark.parametrize(("height", "width"), [(100, 300), (300, 100)])
def test_crops_of_oblong_pictures_are_meant_in_the_original(height, width):
    geometry = torch.tensor([[height, width]]).repeat(N, 1)
    matrix = Crop((0.1, 0.2)).matrix(draws(3), geometry)
    ratio = matrix[:, 0, 0] * width / (matrix[:, 1, 1] * height)
    is_uniform(ratio.log(), math.log(3 / 4), math.log(4 / 3))
    is_uniform(matrix[:, 0, 0] * matrix[:, 1, 1], 0.1, 0.2)


def test_rotation_scale_and_shift():
    matrix = Affine(degrees=30, shift=0.1).matrix(draws(4), None)
    is_uniform(torch.rad2deg(torch.atan2(matrix[:, 0, 1], matrix[:, 0, 0])), -30, 30)
    is_uniform(Affine(shift=0.1).matrix(draws(5), None)[:, 0, 2], -0.2, 0.2)
    is_uniform(1 / Affine(scale=(0.6, 1.3)).matrix(draws(6), None)[:, 0, 0], 0.6, 1.3)
    turned = Rotate(degrees=180).matrix(draws(7), None)
    is_uniform(torch.rad2deg(torch.atan2(turned[:, 0, 1], turned[:, 0, 0])), -180, 180)
    happens(Rotate(p=0.3).matrix(draws(8), None)[:, 0, 1] != 0, 0.3)


def test_quarter_turns_and_shifts_are_equally_frequent():
    matrix = Turn().matrix(draws(9), None)
    quarters = (torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0]) / (math.pi / 2)).round().long() % 4
    assert stats.chisquare(quarters.bincount(minlength=4)).pvalue > SIGNIFICANT
    moved = (Shift(0.125, 4).matrix(draws(10), None)[:, 1, 2] * 16).round().long() + 4
    assert stats.chisquare(moved.bincount(minlength=9)).pvalue > SIGNIFICANT


def test_corners_of_perspective():
    matrix = Perspective(0.4, p=1.0).matrix(draws(11), None)
    inverse = torch.linalg.inv(matrix)
    corner = inverse @ torch.tensor([-1.0, -1.0, 1.0])
    is_uniform((corner[:, 0] / corner[:, 2] + 1), 0, 0.4)
    assert torch.allclose(homography(torch.tensor([[[-1.0, -1], [1, -1], [1, 1], [-1, 1]]])), torch.eye(3), atol=1e-6)


def test_rates_of_geometry():
    happens(Flip(0.3).matrix(draws(12), None)[:, 0, 0] < 0, 0.3)
    happens(Flip(0.7, vertical=True).matrix(draws(13), None)[:, 1, 1] < 0, 0.7)
    happens(Perspective(p=0.2).matrix(draws(14), None)[:, 2, 0] != 0, 0.2)


# --- colour -------------------------------------------------------------------------------------------------------


def test_jitter_ranges():
    mean = torch.full((N, 1), 0.5)
    is_uniform(Jitter(0.4, 0, 0, 0, p=1).matrix(draws(20), mean)[:, 0, 0], 0.6, 1.4)
    is_uniform(Jitter(0, 0.3, 0, 0, p=1).matrix(draws(21), mean)[:, 0, 0], 0.7, 1.3)
    colour = torch.full((N, 3), 0.5)
    saturated = Jitter(0, 0, 0.4, 0, p=1).matrix(draws(22), colour)
    is_uniform(saturated[:, 0, 0] - saturated[:, 1, 0], 0.6, 1.4)  # the luma's part is the same in every line
    turned = Jitter(0, 0, 0, 0.1, p=1).matrix(draws(23), colour)[:, :, :3]
    cosine = (turned.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2  # the trace of a rotation is 1 + 2 cos
    is_uniform(cosine.clamp(-1, 1).acos() / (2 * math.pi), 0, 0.1)
    wide = Jitter(1.5, 0, 0, 0, p=1).matrix(draws(24), mean)[:, 0, 0]
    is_uniform(wide, 0, 2.5)


def test_rates_of_colour():
    mean = torch.rand(N, 3)
    happens(Jitter(p=0.8).matrix(draws(25), mean)[:, 0, 3] != 0, 0.8)
    happens(Greyscale(0.2).matrix(draws(26), mean)[:, 0, 1] > 0, 0.2)


# --- pixels -------------------------------------------------------------------------------------------------------


def test_rates_and_ranges_of_pixels():
    n = 4000
    x = torch.rand(n, 1, 8, 8)

    def changed(t, seed):
        return (apply((t,), x, draws(seed, n)) != x).flatten(1).any(1)

    for seed, t in enumerate(
        (Blur((200.0, 200.0), 0.3), Solarise(0.5, 0.2), Sharpness(0.9, 0.4), Posterise((1, 3), 0.6))
    ):
        happens(changed(t, 30 + seed), t.p)
    bits = apply((Posterise((1, 4), 1.0),), torch.rand(n, 1, 32, 32), draws(40, n)).flatten(1)
    levels = torch.tensor([len(row.unique()) for row in bits])
    assert stats.chisquare(torch.stack([(levels == 2**b).sum() for b in (1, 2, 3, 4)])).pvalue > SIGNIFICANT
    donors = torch.arange(n).float().view(n, 1, 1, 1) / n
    mixed = apply((Mixup((0.0, 0.5)),), torch.zeros(n, 1, 1, 1), draws(41, n, batch=lambda: donors + 1))
    assert mixed.min() >= 0
    assert mixed.max() <= 1
    same = apply((Mixup((0.0, 0.5)),), torch.zeros(n, 1, 1, 1), draws(42, n, batch=lambda: torch.ones(n, 1, 1, 1)))
    is_uniform(same.flatten(), 0, 0.5)


def test_areas():
    n, side = 700, 160  # large, for areas are whole pixels
    x = torch.rand(n, 1, side, side) * 0.5
    hole = (apply((Erase((0.1, 0.2), (1.0, 1.0), 1.0),), x, draws(50, n)) != x).flatten(1).float().mean(1)
    is_uniform(hole, 0.1, 0.2)
    part = apply((Cutmix((0.0, 0.5)),), x, draws(51, n, batch=lambda: torch.ones(n, 1, side, side))) == 1
    is_uniform(part.flatten(1).float().mean(1), 0, 0.5)


def test_mixed_rows_are_others():
    for n in (2, 3, 50):
        other = draws(60, n).others()
        assert (other != torch.arange(n)).all()
        assert ((other >= 0) & (other < n)).all()
    counts = (draws(61, N).others() - torch.arange(N)).remainder(N)
    is_uniform(counts.float(), 0, N)
    assert torch.equal(draws(62, 9, rows=slice(3, 7)).others(), draws(62, 9).others()[3:7])
    assert draws(63, 1).others().tolist() == [0]
