"""Transforms of series: what they keep, and what they change, by formulas."""

import pytest
import torch

from nearfar.transforms.draws import Draws
from nearfar.transforms.recipe import kinds
from nearfar.transforms.series.change_spectrum import ChangeSpectrum
from nearfar.transforms.series.common_crop import CommonCrop
from nearfar.transforms.series.crop_steps import CropSteps, span
from nearfar.transforms.series.drop_channels import DropChannels
from nearfar.transforms.series.mask_steps import MaskSteps
from nearfar.transforms.series.noise_steps import NoiseSteps
from nearfar.transforms.series.scale_steps import ScaleSteps
from nearfar.transforms.series.warp_size import WarpSize
from nearfar.transforms.series.warp_steps import WarpSteps

SERIES = sorted(name for name, t in kinds().items() if t.kind == "series")
NAN = float("nan")


def draws(n, seed=0):
    return Draws(torch.Generator().manual_seed(seed), n, common=torch.Generator().manual_seed(7))


def some(n=64, steps=40):
    """Series that begin and end anywhere, the first with a gap."""
    x = torch.randn(n, 2, steps, generator=torch.Generator().manual_seed(1))
    for i in range(n):
        x[i, :, : i % 5] = NAN
        x[i, :, steps - i % 7 :] = NAN
    x[0, 0, 10:12] = NAN
    return x


@pytest.mark.parametrize("name", SERIES)
def test_nothing_appears_where_nothing_is(name):
    """Outside of a series all stays missing; but for a crop nothing within it becomes missing."""
    x = some()
    out = kinds()[name]().apply(x, draws(64))
    there = ~x.isnan().all(1)
    assert out.shape == x.shape
    assert out.isnan().all(1)[~there].all()
    if "crop" not in name:
        assert torch.equal(~out.isnan().all(1), there)


def test_a_crop_keeps_one_run_of_the_share_and_moves_nothing():
    x = some(256)
    first, length = span(x)
    out = CropSteps((0.25, 0.5)).apply(x, draws(256))
    new_first, new_length = span(out)
    assert ((new_length >= (0.25 * length).round().clamp(min=2)) & (new_length <= (0.5 * length).round())).all()
    assert ((new_first >= first) & (new_first + new_length <= first + length)).all()
    here = torch.arange(40)
    inside = (here >= new_first[:, None]) & (here < (new_first + new_length)[:, None])
    assert torch.equal(out.nan_to_num(9)[inside[:, None].expand_as(x)], x.nan_to_num(9)[inside[:, None].expand_as(x)])
    assert len(set(new_first.tolist())) > 5


def test_a_part_of_a_part():
    x = some()
    whole = CommonCrop((0.5, 0.7)).apply(x, draws(64, 1))
    again = CommonCrop((0.5, 0.7)).apply(x, draws(64, 2))
    assert torch.equal(whole.nan_to_num(9), again.nan_to_num(9))
    part = CropSteps((0.1, 0.9)).apply(again, draws(64, 3))
    assert not (whole.isnan() & ~part.isnan()).any()


def test_the_numbers_are_those_that_are_said():
    x = torch.ones(4000, 3, 8)
    noise = NoiseSteps(0.3).apply(x, draws(4000)) - 1
    assert noise.mean().abs() < 0.01 and (noise.std() - 0.3).abs() < 0.01
    factor = ScaleSteps(0.2).apply(x, draws(4000))
    assert (factor == factor[..., :1]).all() and (factor[..., 0].std() - 0.2).abs() < 0.01
    hidden = MaskSteps(0.25).apply(x, draws(4000)) == 0
    assert (hidden == hidden[:, :1]).all() and (hidden.float().mean() - 0.25).abs() < 0.01
    dropped = (DropChannels(0.5).apply(x, draws(4000)) == 0).all(2)
    assert not dropped.all(1).any() and (dropped.float().mean() - (0.5 - 0.125 / 3)).abs() < 0.01
    curve = WarpSize(0.2, knots=8).apply(x, draws(4000))
    assert (curve.mean() - 1).abs() < 0.01 and (curve[..., 0].std() - 0.2).abs() < 0.01


def test_time_that_runs_evenly_changes_nothing_and_a_warp_keeps_order_and_ends():
    x = some()
    assert torch.allclose(WarpSteps(0.0).apply(x, draws(64))[1:], x[1:], atol=1e-4, equal_nan=True)
    ramp = torch.arange(40.0).expand(64, 1, 40)
    out = WarpSteps(0.5).apply(ramp, draws(64))[:, 0]
    assert (out.diff(dim=1) >= 0).all()
    assert torch.allclose(out[:, [0, -1]], torch.tensor([0.0, 39.0]).expand(64, 2), atol=1e-3)
    assert (out - ramp[:, 0]).abs().amax(1).min() > 0.05


def test_a_spectrum_without_change_is_the_series_and_a_removed_one_is_nothing():
    x = torch.randn(8, 2, 21)
    assert torch.allclose(ChangeSpectrum(0.0, 0.0).apply(x, draws(8)), x, atol=1e-5)
    assert ChangeSpectrum(1.0, 0.0).apply(x, draws(8)).abs().max() < 1e-6
