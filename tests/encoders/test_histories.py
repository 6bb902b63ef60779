"""Every encoder of histories: what a user is, what items are, and the start that is computed."""

import numpy as np
import pytest
import torch

from nearfar.core.registry import ENCODERS
from nearfar.encoders.ids import _events
from nearfar.encoders.ids._spectrum import spectrum
from nearfar.encoders.ids.history import History
from nearfar.encoders.ids.lightgcn import LightGcn
from nearfar.encoders.ids.towers import Towers
from tests.encoders.test_contract import LENGTHS, built, of
from tests.helpers import histories

ITEMS = 30
CONTENT = np.array([[1, 2, 0]] * 10 + [[1, 0, 0]] * 10 + [[3, 4, 5]] * 10, np.int32)
EACH = of("ids")
WITH_STEPS = [e for e in EACH if hasattr(ENCODERS.get(e).build, "steps")]


def ready(name, **options):
    torch.manual_seed(0)
    encoder = built(name, "ids", **options).eval()
    encoder.setup(histories.drawn([12] * 5, ITEMS, seed=1), content=CONTENT)
    return encoder


@pytest.mark.parametrize("name", EACH)
def test_a_user_is_of_the_history_alone(name):
    """Not of padding, other rows or their order; and an empty history is finite."""
    encoder, x = ready(name), histories.drawn(LENGTHS, ITEMS)
    z = encoder(x)
    assert z.isfinite().all() and z.abs().sum() > 0
    order = torch.randperm(len(x))
    padded = torch.nn.functional.pad(x, (0, 0, 0, 0 if name == "sasrec" else 3))
    for other in (encoder(padded), encoder(x[order])[order.argsort()]):
        assert torch.allclose(other, z, atol=1e-5)
    for row, length, features in zip(x, LENGTHS, z, strict=True):
        assert torch.allclose(encoder(row[None, : max(1, length)])[0], features, atol=1e-5)


@pytest.mark.parametrize("name", EACH)
def test_some_candidates_are_those_of_all(name):
    encoder = ready(name)
    every, some = encoder.candidates(), torch.tensor([3, 29, 3, 0])
    assert every.shape == (ITEMS, encoder.out_features)
    assert torch.allclose(encoder.candidates(some), every[some], atol=1e-6)
    assert int(encoder.taken.sum()) == 60


@pytest.mark.parametrize("name", WITH_STEPS)
def test_a_step_is_the_user_who_stops_there(name):
    encoder, x = ready(name), histories.drawn(LENGTHS, ITEMS)
    states, there = encoder.steps(x)
    assert there.sum(1).tolist() == LENGTHS
    assert torch.allclose(encoder.pooled(states, there), encoder(x), atol=1e-5)
    for length in (1, 4, 9):
        stopped = encoder(x[:, :length])
        reached = there[:, length - 1]
        assert torch.allclose(states[reached, length - 1], stopped[reached], atol=1e-5)


def test_recent_events_count_by_their_factor():
    encoder = ready("history", recent=2, first=8.0, rating=0.0)
    x = histories.drawn([4], ITEMS)
    own = encoder.items[x[0, :, 0].long() - 1]
    weights = torch.tensor([1, 1, 8.0**0.5, 8])  # evenly down to 1 on a logarithmic scale
    assert torch.allclose(encoder(x)[0], (weights[:, None] * own).sum(0), atol=1e-5)


def test_ratings_count_by_standard_deviations():
    encoder = History(items=ITEMS, dim=4, rating=0.2)
    encoder.setup(torch.tensor([[[1, 1000], [2, 3000]], [[3, 5000], [4, 3000]]]).int())
    assert encoder.ratings.tolist() == pytest.approx([3, 2**0.5])
    assert encoder.rated(torch.tensor([3.0, 5.0, -50.0])).tolist() == pytest.approx([1, 1 + 0.2 * 2**0.5, 0])
    encoder.setup(torch.tensor([[[1, 4000], [2, 4000]]]).int())  # all ratings equal
    assert encoder.rated(torch.tensor([4.0])).tolist() == [1]


def test_the_start_is_a_ridge_regression():
    x = histories.drawn([9] * 40, ITEMS)
    encoder = History(items=ITEMS, dim=ITEMS, rating=0.0, even=0.0, content=0.0, ridge=7.0)
    encoder.setup(x)
    taken = _events.matrix(x, ITEMS).toarray().astype(float)
    expected = np.linalg.solve(taken.T @ taken + 7 * np.eye(ITEMS), taken.T @ taken)
    vectors = encoder.candidates().detach().double().numpy()
    np.testing.assert_allclose(vectors @ vectors.T, expected, atol=1e-5)


def test_more_rows_than_fit_exactly_give_nearly_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    from scipy.sparse import csr_array

    taken = csr_array((rng.random((300, 5)) @ rng.random((5, 40)) > 1.6).astype(np.float32))
    exact = spectrum(taken, taken[:0], 5, 10.0)
    monkeypatch.setattr("nearfar.encoders.ids._spectrum.EXACT", 10)
    other = spectrum(taken, taken[:0], 5, 10.0)
    assert np.linalg.norm(exact @ exact.T - other @ other.T) < 0.05 * np.linalg.norm(exact @ exact.T)


def test_an_item_that_nobody_took_is_what_its_content_says():
    """All that an item of the first half is known by are features that others have."""
    x = histories.drawn([8] * 30, ITEMS)
    x = torch.where(x[:, :, :1] == 4, 0, x)  # nobody took item 3, which has the features of the items before 10
    encoder = Towers(items=ITEMS, features=5, each=3, dim=16).eval()
    encoder.setup(x, content=CONTENT)
    vectors = encoder.candidates().detach()
    said = encoder.features[1] + encoder.features[2]
    assert torch.allclose(vectors[3], said, atol=1e-5)
    assert torch.allclose(vectors[5], encoder.items[5], atol=1e-4)  # with its own vector it starts as of `History`
    assert not torch.allclose(vectors[5], said, atol=1e-2)


def test_lightgcn_is_the_normalised_adjacency():
    x = histories.drawn([6] * 10, ITEMS)
    torch.manual_seed(0)
    encoder = LightGcn(items=ITEMS, events=60, dim=4, hops=2)
    encoder.setup(x)
    taken = torch.from_numpy(_events.matrix(x, ITEMS).toarray())
    shares = taken / taken.sum(1, keepdim=True).sqrt() / taken.sum(0).clamp(min=1).sqrt()
    smooth = shares.T @ shares
    expected = (encoder.items + smooth @ encoder.items + smooth @ smooth @ encoder.items) / 3
    assert torch.allclose(encoder.candidates(), expected, atol=1e-5)
    assert torch.allclose(encoder(x), shares @ expected, atol=1e-5)


def test_a_large_table_has_sparse_gradients(monkeypatch):
    monkeypatch.setattr(_events, "SPARSE", 10)
    encoder, x = ready("history", rating=0.0), histories.drawn([3], ITEMS)
    (encoder(x).sum() + encoder.candidates(torch.tensor([7])).sum()).backward()
    gradient = encoder.items.grad
    assert gradient.is_sparse
    rows = set(gradient.coalesce().indices()[0].tolist())
    assert rows == {7, *(x[0, :, 0] - 1).tolist()}
