"""Retrieval and bitext against plain loops, and the sides that protocols for pairs take."""

import itertools

import numpy as np
import pytest

from nearfar.core.errors import DataError
from nearfar.evaluation import directions
from nearfar.evaluation.protocols import bitext, retrieval
from nearfar.vectors.basics import unit
from nearfar.vectors.intervals import wilson
from tests.helpers.pairs import related, sides_of

WAYS = ("left_to_right", "right_to_left")


def items(x, ids):
    """Distinct ids, and one unit vector of each in double precision."""
    names = sorted(set(ids.tolist()))
    first = [ids.tolist().index(i) for i in names]
    return names, unit(x[first].astype(np.float64))


def questions(sides, way, distractors=None):
    """Cosines (Q, G) and which answers are right (Q, G), by loops over the rows."""
    l, r, x, y = sides.left_id, sides.right_id, sides.left, sides.right
    if way == "right_to_left":
        l, r, x, y = r, l, y, x
    (asks, q), (answers, g) = items(x, l), items(y, r)
    right = np.zeros((len(asks), len(answers)), bool)
    for i in range(len(l)):
        right[asks.index(l[i]), answers.index(r[i])] = True
    if distractors is not None:
        g = np.concatenate([g, unit(np.asarray(distractors, np.float64))])
        right = np.concatenate([right, np.zeros((len(asks), len(distractors)), bool)], 1)
    return q @ g.T, right


def figures_in_order(right):
    """Recall at 1, 5, 10, rank, reciprocal rank and nDCG of one query whose answers stand in this order."""
    first = right.index(True) + 1
    gain = sum(1 / np.log2(p + 2) for p, ok in enumerate(right[:10]) if ok)
    ideal = sum(1 / np.log2(p + 2) for p in range(min(10, sum(right))))
    return [first <= 1, first <= 5, first <= 10, first, 1 / first, gain / ideal]


def same(found, per_query):
    per_query = np.asarray(per_query, float)
    r1, r5, r10, _, mrr, ndcg = per_query.mean(0)
    assert found["recall"] == pytest.approx({"1": r1, "5": r5, "10": r10})
    assert found["median_rank"] == pytest.approx(np.median(per_query[:, 3]))
    assert found["mrr"] == pytest.approx(mrr)
    assert found["ndcg"] == pytest.approx(ndcg)
    assert found["interval"] == pytest.approx(wilson(r1 * len(per_query), len(per_query)))


def alike(a, b):
    """Equal but for rounding."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            alike(a[key], b[key])
    else:
        assert a == (b if isinstance(b, str) else pytest.approx(b))


# retrieval


@pytest.mark.parametrize("shape", [{}, {"pictures": 12, "captions": 30}, {"n": 60, "pictures": 60, "captions": 9}])
def test_retrieval_equals_plain_loops(shape):
    sides = related(**shape)
    found = retrieval.measure(sides)
    for way in WAYS:
        cosines, right = questions(sides, way)
        expected = [figures_in_order(right[q][np.argsort(-cosines[q])].tolist()) for q in range(len(cosines))]
        same(found[way], expected)
        assert (found[way]["settings"]["queries"], found[way]["settings"]["gallery"]) == cosines.shape
        assert found[way]["settings"]["right answers"] == right.sum()


def test_equal_captions_are_hits():
    pictures, captions = [[1, 0], [1, 0.1], [0, 1]], [[1, 0], [1, 0], [0, 1]]
    apart = retrieval.measure(sides_of(pictures, captions))["left_to_right"]
    equal = retrieval.measure(sides_of(pictures, captions, r=[0, 0, 2]))["left_to_right"]
    assert apart["recall"]["1"] == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert equal["recall"]["1"] == 1
    assert equal["settings"]["gallery"] == 2


def test_ties_are_the_mean_over_all_orders():
    corners = np.array([[1, 0], [0, 1], [1, 1], [-1, 0], [0, 1], [1, 0], [0, 1]], float)
    l, r = [0, 0, 1, 2, 3, 3, 3], [0, 1, 2, 3, 4, 5, 6]
    sides = sides_of(corners[[0, 0, 2, 3, 1, 1, 1]], corners[[0, 1, 1, 2, 1, 3, 1]], l, r)
    found = retrieval.measure(sides)
    tied = 0
    for way in WAYS:
        cosines, right = questions(sides, way)
        cosines = cosines.round(5)
        tied += sum(len(set(line)) < len(line) for line in cosines.tolist())
        expected = []
        for line, ok in zip(cosines, right, strict=True):
            orders = []
            for order in itertools.permutations(range(len(line))):
                order = sorted(order, key=lambda i: -line[i])  # stable: what is tied stays as permuted
                orders.append(figures_in_order([bool(ok[i]) for i in order]))
            expected.append(np.mean(orders, 0))
        same(found[way], expected)
    assert tied > 5


def test_a_collapsed_embedding_scores_what_chance_scores():
    sides = related(60, pictures=20, captions=40)
    draw = np.random.default_rng(0)
    one, length = draw.normal(size=8), draw.random((2, 60, 1)) + 0.5  # lengths make the last bits differ
    flat = sides_of(length[0, sides.left_id] * one, length[1, sides.right_id] * one, sides.left_id, sides.right_id)
    for found in retrieval.measure(flat).values():
        assert found["recall"] == pytest.approx(found["chance"])
    for found in bitext.measure(flat).values():
        assert found["accuracy"] == pytest.approx(found["chance"])
        assert found["margin"]["accuracy"] == pytest.approx(found["chance"])


def test_chance_is_what_random_orders_give():
    sides = related(60, pictures=20, captions=25)
    found = retrieval.measure(sides)
    draw = np.random.default_rng(0)
    for way in WAYS:
        _, right = questions(sides, way)
        orders = np.argsort(draw.random((2000, *right.shape)), axis=2)
        for k in (1, 5, 10):
            hit = np.take_along_axis(np.broadcast_to(right, orders.shape), orders[:, :, :k], 2).any(2)
            error = 4 * np.sqrt(hit.var(0).mean() / hit.size)
            assert found[way]["chance"][str(k)] == pytest.approx(hit.mean(), abs=error)


def test_distractors_are_never_right_and_change_their_own_way_only():
    sides = related()
    more = np.random.default_rng(5).normal(size=(200, 8))
    plain, found = retrieval.measure(sides), retrieval.measure(sides, distractors=more)
    cosines, right = questions(sides, "left_to_right", more)
    same(
        found["left_to_right"],
        [figures_in_order(right[q][np.argsort(-cosines[q])].tolist()) for q in range(len(cosines))],
    )
    assert found["right_to_left"] == plain["right_to_left"]
    assert found["left_to_right"]["settings"]["gallery"] == 240
    assert found["left_to_right"]["settings"]["distractors"] == 200
    assert found["left_to_right"]["mrr"] < plain["left_to_right"]["mrr"]
    assert found["left_to_right"]["chance"]["1"] == pytest.approx(1 / 240)
    back = retrieval.measure(sides, left_distractors=more)
    assert back["left_to_right"] == plain["left_to_right"]
    assert back["right_to_left"]["settings"]["gallery"] == 240
    with pytest.raises(DataError, match="distractors"):
        retrieval.measure(sides, distractors=more[:, :5])
    with pytest.raises(DataError, match="not finite"):
        retrieval.measure(sides, left_distractors=np.full((2, 8), np.inf))


def test_the_order_and_the_numbers_of_rows_decide_nothing():
    sides = related(50, pictures=20, captions=30)
    draw = np.random.default_rng(1)
    order, names = draw.permutation(50), draw.permutation(1000)
    other = sides_of(sides.left[order], sides.right[order], names[sides.left_id][order], names[sides.right_id][order])
    for protocol in (retrieval, bitext):
        for way in WAYS:
            a, b = protocol.measure(sides)[way], protocol.measure(other)[way]
            alike(a, b)


def test_tiles_change_nothing_and_stay_small(monkeypatch):
    sides = related(50, pictures=20, captions=30)
    whole = retrieval.measure(sides), bitext.measure(sides)
    monkeypatch.setattr(directions, "CELLS", 70)
    assert max(t.scores.size for way in directions.both(sides).values() for t in way.tiles()) <= 70
    for protocol, before in zip((retrieval, bitext), whole, strict=True):
        after = protocol.measure(sides)
        for way in WAYS:
            alike(after[way], before[way])


def test_one_row():
    sides = related(1)
    for found in retrieval.measure(sides).values():
        assert found["recall"] == found["chance"] == {"1": 1, "5": 1, "10": 1}
        assert found["median_rank"] == found["mrr"] == found["ndcg"] == 1
    for found in bitext.measure(sides).values():
        assert found["accuracy"] == found["margin"]["accuracy"] == 1
        assert found["settings"]["k"] == 1


def test_pairs_labelled_0_make_no_right_answer():
    label = np.arange(40) % 4 != 0
    sides = related(label=label.astype(int))
    cosines, right = questions(sides, "left_to_right")
    right &= label[:, None]
    asked = np.flatnonzero(label)
    found = retrieval.measure(sides)["left_to_right"]
    same(found, [figures_in_order(right[q][np.argsort(-cosines[q])].tolist()) for q in asked])
    assert (found["settings"]["queries"], found["settings"]["gallery"]) == (30, 40)
    best = cosines.argmax(1)
    assert bitext.measure(sides)["left_to_right"]["accuracy"] == pytest.approx((best == np.arange(40))[asked].mean())
    with pytest.raises(DataError, match="no pair that is scored has the label .1."):
        retrieval.measure(related(label=np.zeros(40, int)))


# bitext


def slow_margin(cosines, k=4):
    """Artetxe and Schwenk 2019, section 3.1, among the k nearest of each query; which item is chosen."""
    chosen = []
    for x in range(len(cosines)):
        best, found = -np.inf, None
        for y in np.argsort(-cosines[x])[:k]:
            near_x, near_y = np.sort(cosines[x])[-k:], np.sort(cosines[:, y])[-k:]
            score = cosines[x, y] / (near_x.sum() / (2 * len(near_x)) + near_y.sum() / (2 * len(near_y)))
            if score > best:
                best, found = score, y
        chosen.append(found)
    return chosen


@pytest.mark.parametrize("shape", [{}, {"n": 80, "pictures": 30, "captions": 50}, {"n": 3}])
def test_bitext_equals_plain_loops(shape):
    sides = related(noise=1.0, d=24, **shape)  # wide enough that the means of neighbours are positive
    found, recall = bitext.measure(sides), retrieval.measure(sides)
    for way in WAYS:
        cosines, right = questions(sides, way)
        nearest = right[np.arange(len(right)), cosines.argmax(1)]
        assert found[way]["accuracy"] == pytest.approx(nearest.mean())
        assert found[way]["accuracy"] == pytest.approx(recall[way]["recall"]["1"])
        assert found[way]["interval"] == pytest.approx(wilson(int(nearest.sum()), len(nearest)))
        assert found[way]["chance"] == pytest.approx(recall[way]["chance"]["1"])
        by_margin = right[np.arange(len(right)), slow_margin(cosines)]
        assert found[way]["margin"]["accuracy"] == pytest.approx(by_margin.mean())
        assert found[way]["margin"]["interval"] == pytest.approx(wilson(int(by_margin.sum()), len(by_margin)))


@pytest.mark.parametrize(("hubs", "gain"), [(2, 0.1), (6, 0.0)])  # six fill the four places
def test_the_margin_sees_through_hubs_among_the_k_nearest(hubs, gain):
    draw = np.random.default_rng(0)
    n, d = 200, 40
    x = draw.normal(size=(n, d)) + 1.5
    y = x + 1.2 * draw.normal(size=(n, d))
    y[:hubs] = 1.5 + 0.1 * draw.normal(size=(hubs, d))  # near to everything
    sides = sides_of(x, y)
    found = bitext.measure(sides)["left_to_right"]
    assert found["margin"]["accuracy"] > found["accuracy"] + gain
    chosen = slow_margin(questions(sides, "left_to_right")[0])
    assert found["margin"]["accuracy"] == pytest.approx((np.array(chosen) == np.arange(n)).mean())


def test_means_of_neighbours_below_zero_do_not_turn_the_order_round():
    away = sides_of([[1, 0], [1, 0.1], [1, 0.2]], [[-1, 0.5], [-1, -0.7], [-1, 1]])
    cosines, _ = questions(away, "left_to_right")
    assert (cosines < 0).all()
    chosen = cosines.argmax(1)
    found = bitext.measure(away)["left_to_right"]
    assert found["accuracy"] == pytest.approx((chosen == np.arange(3)).mean())
    assert found["margin"]["accuracy"] == found["accuracy"]


# what is refused


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"left": np.full((3, 2), np.nan)}, DataError, "'picture' hold numbers that are not finite"),
        ({"right": np.full((3, 2), np.inf)}, DataError, "'caption' hold numbers that are not finite"),
        ({"left": np.zeros((0, 2)), "right": np.zeros((0, 2))}, DataError, "no pairs"),
        ({"right": np.ones((3, 4))}, ValueError, "shape of left"),
        ({"r": np.arange(4)}, ValueError, "right_id"),
        ({"score": np.ones(2)}, ValueError, "score"),
        ({"score": np.array([1, 2, np.nan])}, DataError, "scores are not finite"),
        ({"label": np.array([0, 1, 2])}, DataError, "1 .* or 0"),
    ],
)
def test_sides_that_do_not_fit(change, error, words):
    with pytest.raises(error, match=words):
        sides_of(**{"left": np.ones((3, 2)), "right": np.ones((3, 2)), **change})
