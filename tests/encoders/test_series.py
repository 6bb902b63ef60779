"""Encoders of series: what is missing before, after and in between."""

import pytest
import torch

from nearfar.core.registry import ENCODERS
from tests.encoders.test_contract import of

SERIES = of("series")
NAN = float("nan")


def encoder_of(name, **options):
    torch.manual_seed(0)
    return ENCODERS.get(name).build(channels=2, length=30, **options).eval()


def padded(x, before, after):
    return torch.cat([x.new_full((*x.shape[:2], before), NAN), x, x.new_full((*x.shape[:2], after), NAN)], 2)


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("missing", [False, True])
def test_what_is_missing_around_a_series_changes_nothing(name, missing):
    encoder, x = encoder_of(name, missing=missing), torch.randn(4, 2, 23)
    alone, there = encoder.steps(x)
    states, where = encoder.steps(padded(x, 5, 9))
    assert torch.equal(where, torch.tensor([False] * 5 + [True] * 23 + [False] * 9).expand(4, -1))
    assert there.all()
    assert torch.allclose(states[:, 5:28], alone, atol=1e-5)
    assert torch.allclose(encoder(padded(x, 5, 9)), encoder(x), atol=1e-5)
    rows = torch.cat([padded(x, 0, 14), padded(torch.randn(1, 2, 37), 0, 0)])
    assert torch.allclose(encoder(rows)[:4], encoder(x), atol=1e-5)


@pytest.mark.parametrize("name", SERIES)
def test_features_are_the_mean_and_the_maximum_over_the_steps(name):
    encoder, x = encoder_of(name), padded(torch.randn(3, 2, 20), 4, 3)
    states, _ = encoder.steps(x)
    by_hand = torch.cat([states[:, 4:24].mean(1), states[:, 4:24].amax(1)], 1)
    assert torch.allclose(encoder(x), by_hand, atol=1e-5)
    assert encoder(x).shape == (3, encoder.out_features)


@pytest.mark.parametrize("name", SERIES)
def test_a_gap_is_not_a_zero_where_it_may_be(name):
    x = torch.randn(3, 2, 20)
    zero, gap = x.clone(), x.clone()
    zero[:, 1, 8:12], gap[:, 1, 8:12] = 0.0, NAN
    knows, does_not = encoder_of(name, missing=True), encoder_of(name)
    assert (knows(zero) - knows(gap)).abs().max() > 1e-4
    assert torch.equal(does_not(zero), does_not(gap))


@pytest.mark.parametrize("name", SERIES)
def test_a_series_without_a_number_gives_numbers(name):
    encoder = encoder_of(name)
    x = torch.full((2, 2, 20), NAN)
    x[1] = 1.0
    z = encoder(x)
    assert z.isfinite().all() and (z[0] == 0).all()
    z.sum().backward()
    assert all(p.grad.isfinite().all() for p in encoder.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", SERIES)
def test_series_longer_than_planned_are_read(name):
    assert encoder_of(name)(torch.randn(2, 2, 95)).isfinite().all()
