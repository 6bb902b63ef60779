"""Protocols for pairs, and the newer ones for labels, against plain loops, scipy and scikit-learn."""

import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, v_measure_score

from nearfar.errors import DataError
from nearfar.evaluation import bitext, clustering, pair_classification, resampling, retrieval, shots, sts, ways
from nearfar.evaluation.features import Features, unit, wilson
from nearfar.evaluation.sides import Sides

WAYS = ("left_to_right", "right_to_left")


def sides_of(left, right, l=None, r=None, **more):
    n = len(left)
    l, r = np.arange(n) if l is None else np.asarray(l), np.arange(n) if r is None else np.asarray(r)
    return Sides(np.asarray(left, np.float32), np.asarray(right, np.float32), l, r, ("picture", "caption"), **more)


def related(n=40, d=8, noise=1.5, seed=0, pictures=None, captions=None, **more):
    """Pairs whose sides are alike; with numbers of distinct items, rows repeat them at random."""
    draw = np.random.default_rng(seed)
    l = np.arange(n) if pictures is None else draw.integers(0, pictures, n)
    r = np.arange(n) if captions is None else draw.integers(0, captions, n)
    x = draw.normal(size=(n, d))
    y = draw.normal(size=(n, d))
    return sides_of(x[l], x[r] + noise * y[r], l, r, **more)


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
    flat = sides_of(np.ones_like(sides.left), np.ones_like(sides.right), sides.left_id, sides.right_id)
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
    monkeypatch.setattr(ways, "CELLS", 70)
    assert max(t.scores.size for way in ways.both(sides).values() for t in way.tiles()) <= 70
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
    one = related(1, score=np.ones(1), label=np.ones(1, int))
    with pytest.raises(DataError, match="all scores are equal"):
        sts.measure(one)
    with pytest.raises(DataError, match="both kinds"):
        pair_classification.measure(one)


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
    with pytest.raises(DataError, match="labelled 1"):
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


def test_the_margin_sees_through_a_hub():
    draw = np.random.default_rng(0)
    n, d = 200, 40
    x = draw.normal(size=(n, d)) + 1.5
    y = x + 1.2 * draw.normal(size=(n, d))
    y[:2] = 1.5 + 0.1 * draw.normal(size=(2, d))  # near to everything
    found = bitext.measure(sides_of(x, y))["left_to_right"]
    assert found["margin"]["accuracy"] > found["accuracy"] + 0.1


def test_means_of_neighbours_below_zero_do_not_turn_the_order_round():
    away = sides_of([[1, 0], [1, 0.1], [1, 0.2]], [[-1, 0.5], [-1, -0.7], [-1, 1]])
    cosines, _ = questions(away, "left_to_right")
    assert (cosines < 0).all()
    chosen = cosines.argmax(1)
    found = bitext.measure(away)["left_to_right"]
    assert found["accuracy"] == pytest.approx((chosen == np.arange(3)).mean())
    assert found["margin"]["accuracy"] == found["accuracy"]


# STS


def scored(n=120, seed=0, digits=None):
    draw = np.random.default_rng(seed)
    left = draw.normal(size=(n, 6))
    noise = draw.random(n)
    right = (1 - noise[:, None]) * left + noise[:, None] * draw.normal(size=(n, 6))
    score = -noise + 0.2 * draw.normal(size=n)
    return sides_of(left, right, score=score if digits is None else score.round(digits))


@pytest.mark.parametrize("digits", [None, 1, 0])
def test_sts_equals_scipy(digits):
    sides = scored(digits=digits)
    cosine = np.array([np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b) for a, b in
                       zip(sides.left.astype(float), sides.right.astype(float), strict=True)])  # fmt: skip
    found = sts.measure(sides)
    assert found["spearman"] == pytest.approx(stats.spearmanr(cosine, sides.score).statistic, abs=1e-9)
    assert found["pearson"]["value"] == pytest.approx(stats.pearsonr(cosine, sides.score).statistic, abs=1e-5)
    low, high = found["interval"]
    assert low < found["spearman"] < high
    assert found == sts.measure(sides)
    assert found["interval"] != sts.measure(sides, seed=1)["interval"]


def test_equal_pairs_are_tied():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(30, 50)).astype(np.float32)
    assert len(np.unique(sides_of(x, 3.7 * x).cosines())) == 1
    y = np.where(np.arange(30)[:, None] < 15, x, draw.normal(size=(30, 50)))
    score = draw.permutation(30).astype(float)
    found = sts.measure(sides_of(x, y, score=score))
    cosine = np.where(np.arange(30) < 15, 1, sides_of(x, y).cosines())
    assert found["spearman"] == pytest.approx(stats.spearmanr(cosine, score).statistic, abs=1e-9)


def test_figures_of_resamples_equal_those_of_repeated_rows():
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=25).round(1), draw.normal(size=25).round(1)
    label = (draw.random(25) < 0.4).astype(int)
    rows = draw.integers(0, 25, (6, 25))
    counts = np.stack([np.bincount(r, minlength=25) for r in rows]).astype(float)
    spearman = sts.correlation(sts.ranks(a, counts), sts.ranks(b, counts), counts)
    pearson = sts.correlation(a, b, counts)
    precision = pair_classification.average_precision(a, label, counts)
    for i, r in enumerate(rows):
        assert spearman[i] == pytest.approx(stats.spearmanr(a[r], b[r]).statistic)
        assert pearson[i] == pytest.approx(stats.pearsonr(a[r], b[r]).statistic)
        assert precision[i] == pytest.approx(average_precision_score(label[r], a[r]))


def test_cosines_that_are_all_equal_order_nothing():
    found = sts.measure(sides_of(np.ones((20, 3)), np.ones((20, 3)), score=np.arange(20.0)))
    assert found["spearman"] == found["pearson"]["value"] == 0
    assert found["interval"] == [0, 0]
    constant = np.full(20, 0.1)  # 0.1 · 20 / 20 is not 0.1 in binary
    assert sts.correlation(constant, np.arange(20.0), np.ones((1, 20))) == 0


def test_bootstrap_intervals_hold_the_truth_about_as_often_as_they_say():
    draw, n, held = np.random.default_rng(0), 50, 0
    for trial in range(60):
        x = draw.normal(size=n)
        low, high = resampling.interval(lambda counts, x=x: counts @ x / n, n, trial)
        assert high - low == pytest.approx(2 * 1.96 * x.std() / np.sqrt(n), rel=0.2)
        held += low < 0 < high
    assert 50 <= held < 60


# pair classification


def judged(n=100, seed=0, noise=2.0):
    draw = np.random.default_rng(seed)
    left = draw.normal(size=(n, 6))
    label = (draw.random(n) < 0.3).astype(int)
    right = np.where(label[:, None] == 1, left + noise * draw.normal(size=(n, 6)), draw.normal(size=(n, 6)))
    return sides_of(left, right, label=label)


def test_average_precision_equals_scikit_learn():
    sides = judged()
    found = pair_classification.measure(sides)
    assert found["average_precision"] == pytest.approx(average_precision_score(sides.label, sides.cosines()))
    assert found["interval"][0] < found["average_precision"] < found["interval"][1]
    assert found["chance"] == pytest.approx(sides.label.mean())
    assert "at_threshold" not in found
    signs = sides_of(np.sign(sides.left), np.sign(sides.right), label=sides.label)
    assert len(np.unique(signs.cosines())) < 10
    expected = average_precision_score(signs.label, signs.cosines())
    assert pair_classification.measure(signs)["average_precision"] == pytest.approx(expected)
    flat = pair_classification.measure(sides_of(np.ones((9, 2)), np.ones((9, 2)), label=np.arange(9) % 3 // 2))
    assert flat["average_precision"] == pytest.approx(flat["chance"])


@pytest.mark.parametrize("noise", [0.3, 2.0])
def test_the_threshold_is_chosen_on_the_development_pairs(noise):
    dev, test = judged(60, 1, noise), judged(100, 2, noise)
    values = sorted(set(dev.cosines()))
    cuts = [-2.0, *[(a + b) / 2 for a, b in itertools.pairwise(values)], 2.0]
    accuracy = [((dev.cosines() >= c) == dev.label).mean() for c in cuts]
    threshold = cuts[max(range(len(cuts)), key=lambda i: (accuracy[i], i))]
    found = pair_classification.measure(test, dev=dev)["at_threshold"]
    assert found["settings"]["threshold"] == pytest.approx(threshold)
    assert found["accuracy"] == pytest.approx(((test.cosines() >= threshold) == test.label).mean())
    assert found["majority"] == pytest.approx((test.label == 0).mean())
    other = sides_of(test.left, test.right, label=1 - test.label)
    swapped = pair_classification.measure(other, dev=dev)["at_threshold"]
    assert swapped["settings"]["threshold"] == found["settings"]["threshold"]
    assert swapped["accuracy"] == pytest.approx(1 - found["accuracy"])


def test_a_threshold_may_lie_beyond_all_pairs():
    cosine = np.array([0.9, 0.5, 0.1])
    assert pair_classification.choose(cosine, np.array([0, 0, 1])) > 1
    assert pair_classification.choose(np.array([0.5, 0.5]), np.array([1, 1])) < -1


# clustering and shots


def blobs(n=200, d=10, classes=4, seed=0, spread=1.0):
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, d)) * 2
    y = draw.integers(0, classes, n)
    return Features((centres[y] + spread * draw.normal(size=(n, d))).astype(np.float32), y, classes)


def test_clustering_is_k_means_of_the_test_rows():
    train, test = blobs(), blobs(seed=1, spread=2.5)
    found = clustering.measure(train, test, seed=2)
    for start, value in enumerate(found["draws"]):
        own = KMeans(4, n_init=1, random_state=20 + start).fit_predict(unit(test.x))
        assert value == pytest.approx(v_measure_score(test.y, own))
    assert found["mean"] == pytest.approx(np.mean(found["draws"]))
    assert found["std"] == pytest.approx(np.std(found["draws"], ddof=1))
    assert found == clustering.measure(blobs(30, seed=7), test, seed=2)
    assert found["mean"] > found["chance"] + 0.1
    noise = Features(np.random.default_rng(0).normal(size=(400, 10)).astype(np.float32), np.arange(400) % 4, 4)
    lost = clustering.measure(train, noise)
    assert lost["mean"] == pytest.approx(lost["chance"], abs=0.02)


def test_clustering_of_apart_equal_and_many_rows(monkeypatch, recwarn):
    apart = Features(np.repeat(np.eye(4, dtype=np.float32), 20, 0), np.repeat(np.arange(4), 20), 6)
    found = clustering.measure(apart, apart)
    assert found["mean"] == pytest.approx(1)
    assert found["settings"]["clusters"] == 4  # of the six, those that the rows have
    collapsed = Features(np.ones((40, 3), np.float32), np.arange(40) % 4, 4)
    assert clustering.measure(apart, collapsed)["mean"] == pytest.approx(0)
    assert not recwarn.list
    monkeypatch.setattr(clustering, "EXACT", 50)
    assert "MiniBatch" in clustering.measure(apart, apart)["settings"]["algorithm"]
    assert clustering.measure(apart, blobs(spread=0.3))["mean"] > 0.8


def test_shots_equal_scikit_learn_on_the_same_draws():
    train, test = (blobs(300, d=5, classes=3, seed=s, spread=3) for s in (0, 1))
    found = shots.measure(train, test, seed=1)
    assert set(found) == {"8", "16"}
    for count, value in found.items():
        assert len(value["draws"]) == 10
        assert value["settings"]["labelled_rows"] == 3 * int(count)
        for accuracy, rows in zip(value["draws"], shots_rows(train, int(count), 1), strict=True):
            model = LogisticRegression(tol=1e-6, max_iter=500).fit(unit(train.x[rows].astype(float)), train.y[rows])
            assert accuracy == pytest.approx(model.score(unit(test.x), test.y), abs=0.01)
    assert found["16"]["mean"] > found["8"]["mean"]


def shots_rows(train, count, seed):
    from nearfar.evaluation.few_labels import draws

    chosen = draws(train.y, train.classes, count, seed, 10)
    assert all(np.bincount(train.y[rows]).tolist() == [count] * train.classes for rows in chosen)
    return chosen


def test_a_rare_class_gives_the_shots_it_has():
    train = blobs(100)
    rare = Features(train.x, np.where(np.arange(100) < 3, 3, train.y % 3), 5)  # three rows of class 3, none of class 4
    found = shots.measure(rare, rare)
    assert found["8"]["settings"]["labelled_rows"] == 3 * 8 + 3
    assert np.isfinite(found["16"]["mean"])


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


def test_protocols_say_what_they_miss():
    plain = related()
    with pytest.raises(DataError, match="no scores"):
        sts.measure(plain)
    with pytest.raises(DataError, match="labels of both kinds"):
        pair_classification.measure(plain)
    with pytest.raises(DataError, match="development pairs"):
        pair_classification.measure(judged(), dev=plain)
