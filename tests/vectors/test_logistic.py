"""Logistic regression against scikit-learn where its 200 steps of before did not suffice, and what it says of itself."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from nearfar.evaluation.protocols import Features, linear_probe
from nearfar.vectors import logistic
from nearfar.vectors.basics import standardised
from nearfar.vectors.logistic import UNSOLVED, Problem, unsolved


def pixels(n, d, classes=4, seed=0):
    """Rows whose dimensions are as alike as neighbouring pixels: variances fall as 1/i², mixed."""
    mix = np.linalg.qr(np.random.default_rng(7).normal(size=(d, d)))[0] / np.arange(1, d + 1)
    draw = np.random.default_rng(seed)
    centres, y = np.random.default_rng(8).normal(size=(classes, d)), draw.integers(0, classes, n)
    return ((0.3 * centres[y] + draw.normal(size=(n, d))) @ mix.T).astype(np.float32), y


def gradient(x, y, weights, c):
    """Of C · Σ cross entropy + ½‖w‖², divided by C and the rows, by hand."""
    w = weights.double().numpy()
    z = x.astype(float) @ w[:-1] + w[-1]
    p = np.exp(z - z.max(1, keepdims=True))
    p = p / p.sum(1, keepdims=True) - np.eye(w.shape[1])[y]
    return np.concatenate([x.T.astype(float) @ p / len(x) + w[:-1] / (c * len(x)), p.mean(0)[None]])


@pytest.mark.parametrize(("n", "d"), [(300, 60), (40, 200)])
@pytest.mark.parametrize("c", [1e-3, 10.0])
def test_equals_scikit_learn_where_pixels_are_alike(n, d, c):
    x, y = pixels(n, d)
    (x,) = standardised(x)
    found = Problem(x, y, 4).solve(c)
    exact = LogisticRegression(C=c, tol=1e-10, max_iter=100_000).fit(x.astype(float), y)
    expected = np.concatenate([exact.coef_.T, exact.intercept_[None]])
    expected[-1] -= expected[-1].mean()
    assert found.converged
    assert found.evaluations < 300
    ours = found.weights.numpy() - np.eye(d + 1)[-1:].T * found.weights[-1].numpy().mean()
    assert np.linalg.norm(ours - expected) <= 0.01 * np.linalg.norm(expected)
    assert np.abs(gradient(x, y, found.weights, c)).max() < 1e-3


def test_a_start_and_parts_of_the_rows_change_nothing(monkeypatch):
    x, y = pixels(200, 30)
    problem = Problem(x, y, 4)
    first = problem.solve(1.0)
    again = problem.solve(1.0, problem.solve(0.1).weights)
    assert torch.allclose(first.weights, again.weights, atol=1e-3)
    monkeypatch.setattr(logistic, "KEPT", 30 * 64)
    apart = Problem(x, y, 4)
    assert [len(p) for p in apart.parts] == [64, 64, 64, 8]
    assert torch.allclose(first.weights, apart.solve(1.0).weights, atol=1e-4)


def test_what_has_not_converged_says_so(monkeypatch):
    train, test = (Features(*pixels(200, 40, seed=s), 4) for s in (0, 1))
    found = linear_probe.measure(train, test)
    assert found["settings"]["converged"] is True
    assert unsolved([{"linear_probe": found}]) == []
    monkeypatch.setattr(logistic, "ITERATIONS", 2)
    short = linear_probe.measure(train, test)
    assert short["settings"]["converged"] is False
    assert unsolved([{"linear_probe": short, "floors": {"raw_input": {"linear_probe": short}}}]) == [UNSOLVED]


def test_degenerate_inputs():
    flat = Problem(np.zeros((6, 3), np.float32), np.array([0, 0, 0, 0, 1, 1]), 3).solve(1.0)
    assert flat.converged
    assert (flat.weights[:-1] == 0).all()
    assert flat.weights[-1].softmax(0)[:2].tolist() == pytest.approx([2 / 3, 1 / 3], abs=1e-3)  # the third has no row
    one = Problem(np.ones((1, 5), np.float32), np.array([0]), 1).solve(1.0)
    assert one.converged
    assert torch.isfinite(one.weights).all()
