"""Scores of windows against their definitions, written out, and against scikit-learn and stumpy."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from nearfar.vectors import streams

DRAW = np.random.default_rng(0)
OWNER = np.asarray([0, 0, 0, 0, 1, 1])
START = np.asarray([0, 2, 4, 6, 0, 2])
STOP = START + 4


def test_unusual_is_the_distance_to_the_nearest_that_are_known(monkeypatch):
    x, known = DRAW.normal(size=(40, 5)), DRAW.normal(size=(30, 5))
    monkeypatch.setattr(streams, "CELLS", 100)  # a few rows at once
    for k in (1, 3):
        near = NearestNeighbors(n_neighbors=k).fit(known).kneighbors(x)[0]
        np.testing.assert_allclose(streams.unusual(x, known, k), near.mean(1), rtol=1e-6)


def test_whitened_vectors_have_the_distances_of_mahalanobis_and_no_directions_without_deviation():
    known = DRAW.normal(size=(200, 3)) @ np.diag([1.0, 5.0, 0.3])
    known = np.column_stack([known, known[:, 0] - known[:, 1]])  # a fourth that the others decide
    other = known[:7] + 1.0
    z, w = streams.whitened(known, other)
    assert z.shape == (200, 3) and w.shape == (7, 3)
    inverse = np.linalg.pinv(np.cov(known.T, bias=True))
    d = known[:7] - known[7:14]
    np.testing.assert_allclose(np.square(z[:7] - z[7:14]).sum(1), np.einsum("nd,de,ne->n", d, inverse, d), rtol=1e-4)


def test_only_windows_that_end_before_are_known_without_a_recording():
    x = np.asarray([[0.0], [9.0], [1.0], [9.5], [0.0], [5.0]])
    found = streams.unusual_so_far(x, OWNER, START, STOP)
    # The third knows the first alone; the fourth the first two; those of the other recording know none.
    np.testing.assert_array_equal(np.isnan(found), [True, True, False, False, True, True])
    np.testing.assert_allclose(found[2:4], [1.0, 0.5])


def test_a_change_is_the_distance_of_what_is_before_and_after():
    start = np.arange(0, 40, 2)
    x = np.where(start < 20, 0.0, 3.0)[:, None]
    found = streams.changes(x, np.zeros(20, int), start, start + 4)
    assert np.isnan(found[:2]).all()  # nothing lies before
    assert found[start == 20] == 3.0 and found[start == 8] == 0.0 and np.nanmax(found) == 3.0


def test_a_step_has_the_mean_score_of_the_windows_that_hold_it():
    scores = np.asarray([1.0, 3.0, np.nan])
    found = streams.by_step(scores, np.asarray([0, 2, 4]), np.asarray([4, 6, 8]), 9)
    np.testing.assert_array_equal(found, [1, 1, 2, 2, 3, 3, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(
        streams.between(np.asarray([np.nan, 2.0, 4.0]), np.asarray([0, 1, 3]), 5), [np.nan, 2, 3, 4, np.nan]
    )


def test_the_best_windows_share_no_step_within_a_recording():
    scores = np.asarray([1.0, 5.0, 4.0, 3.0, 4.5, np.nan])
    assert streams.best(scores, OWNER, START, STOP, 10).tolist() == [1, 4, 3]
    assert streams.best(scores, OWNER, START, STOP, 1).tolist() == [1]


def test_the_profile_is_the_least_distance_of_standardised_windows():
    line, queries = DRAW.normal(size=60), DRAW.normal(size=(5, 8)) * 3 + 2
    line[30:45] = 4.0  # flat
    queries[4] = 7.0
    found = streams.profile(queries, line)

    def standard(x):
        return (x - x.mean()) / x.std()

    parts = [line[i : i + 8] for i in range(53)]
    for q, value in zip(queries[:4], found, strict=False):
        each = [np.linalg.norm(standard(q) - standard(p)) if np.ptp(p) else np.sqrt(8) for p in parts]
        assert value == pytest.approx(min(each))
    assert found[4] == 0.0
    early = streams.profile(queries, line, np.asarray([8, 8, 4, 20, 8]))
    assert early[0] == pytest.approx(np.linalg.norm(standard(queries[0]) - standard(parts[0])))
    assert np.isinf(early[2])  # no window ends before
    assert np.isinf(streams.profile(queries, line[:5])).all()
