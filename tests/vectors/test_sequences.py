"""Alignment by embeddings: costs from the paper, whole and in a band, counting as Vecalign does."""

import itertools

import numpy as np
import pytest

from nearfar.core.errors import ConfigError, DataError
from nearfar.vectors import sequences
from nearfar.vectors.monotone import Corridor
from nearfar.vectors.sequences import Match, align, evaluate


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def segments(rows, most):
    """All neighbouring rows, by where they end and how many they are."""
    return {(i, n): unit(unit(rows)[i - n : i].sum(0)) for n in range(1, most + 1) for i in range(n, len(rows) + 1)}


def plain(left, right, most, skip):
    """Cost of the best alignment: the formula of the paper with the means written out, and three loops."""
    x, y = segments(left, most), segments(right, most)

    def mean_distance(v, others):
        sizes = sorted({n for _, n in others})
        return np.mean([np.mean([1 - v @ w for (_, k), w in others.items() if k == n]) for n in sizes])

    dx, dy = {k: mean_distance(v, y) for k, v in x.items()}, {k: mean_distance(v, x) for k, v in y.items()}
    least = {(0, 0): 0.0}
    for i, j in itertools.product(range(len(left) + 1), range(len(right) + 1)):
        ways = [least[i, j]] if (i, j) in least else []
        ways += [least[i - 1, j] + skip] if i else []
        ways += [least[i, j - 1] + skip] if j else []
        for a, b in itertools.product(range(1, most + 1), repeat=2):
            if 1 in (a, b) and a <= i and b <= j:
                distance = (1 - x[i, a] @ y[j, b]) / ((dx[i, a] + dy[j, b]) / 2)
                ways.append(least[i - a, j - b] + a * b * distance)
        least[i, j] = min(ways)
    return least[len(left), len(right)]


def cost(found, skip):
    return sum(skip if not (m.left and m.right) else (1 - m.score) * len(m.left) * len(m.right) for m in found)


def story(n, dimensions=24, noise=0.3, seed=0):
    """Two tellings of n scenes, some told together, some left out, and what belongs together."""
    draw = np.random.default_rng(seed)
    scenes, sides, told = draw.normal(size=(n, dimensions)), [], []
    for _ in range(2):
        rows, own, k = [], [], 0
        while k < n:
            size = 1 + (draw.random() < 0.1 and k + 1 < n)
            if draw.random() > 0.06:
                own.append(range(k, k + size))
                rows.append(scenes[k : k + size].sum(0) + noise * draw.normal(size=dimensions))
            k += size
        sides.append(np.array(rows))
        told.append(own)
    return *sides, told


@pytest.mark.parametrize(
    ("m", "n", "most"), [(6, 5, 1), (12, 9, 3), (7, 15, 4), (1, 5, 3), (5, 1, 2), (2, 2, 3), (1, 1, 1)]
)
@pytest.mark.parametrize("skip", [0.2, 0.5, 3.0])
def test_as_the_formula_and_three_loops(m, n, most, skip):
    draw = np.random.default_rng(m * n)
    left, right = draw.normal(size=(m, 8)), draw.normal(size=(n, 8))
    left[: min(m, n)] += right[: min(m, n)]
    found = align(left, right, most=most, skip=skip)
    assert cost(found, skip) == pytest.approx(plain(left, right, most, skip), rel=1e-4)
    assert [i for k in found for i in k.left] == list(range(m))
    assert [j for k in found for j in k.right] == list(range(n))
    assert all(1 in (len(k.left), len(k.right)) and max(len(k.left), len(k.right)) <= most for k in found)


def test_finds_what_was_told_together_and_left_out():
    left, right, (a, b) = story(60, noise=0.2)
    found = align(left, right, most=3)
    joined = [m for m in found if m.left and m.right]
    share = [not {s for i in m.left for s in a[i]}.isdisjoint(s for j in m.right for s in b[j]) for m in joined]
    assert np.mean(share) == 1
    assert min(m.score for m in joined if len(m.left) == len(m.right) == 1) > 0.5
    assert {(len(m.left), len(m.right)) for m in found} >= {(1, 1), (1, 2), (2, 1), (1, 0), (0, 1)}
    assert all(m.score == 0 for m in found if not (m.left and m.right))


def test_equal_rows_score_one_and_lengths_do_not_matter():
    x = np.random.default_rng(0).normal(size=(20, 16))
    found = align(x, 7 * x)
    assert [(m.left, m.right) for m in found] == [((i,), (i,)) for i in range(20)]
    assert [m.score for m in found] == pytest.approx([1] * 20, abs=1e-5)


def test_nothing_on_a_side():
    x = np.ones((3, 4))
    assert align(x, np.zeros((0, 4))) == [Match((i,), (), 0.0) for i in range(3)]
    assert align(np.zeros((0, 7)), x) == [Match((), (j,), 0.0) for j in range(3)]
    assert align(x[:0], x[:0]) == []


def test_what_is_dear_is_skipped():
    x, y = np.eye(6)[:3], np.eye(6)[3:]
    assert align(x, y, skip=0.1) == [Match((i,), (), 0.0) for i in range(3)] + [Match((), (j,), 0.0) for j in range(3)]
    assert [(m.left, m.right) for m in align(x, y, skip=2)] == [((i,), (i,)) for i in range(3)]


def test_a_percentage_is_taken_of_random_pairs():
    left, right, _ = story(40)
    pair = sequences.Segments(unit(left).astype(np.float32), unit(right).astype(np.float32), 2)
    every = pair.costs(slice(1, None), slice(1, None))[0]
    assert pair.percentile(0.3) == pytest.approx(np.quantile(every, 0.3), rel=1e-5)
    assert every.mean() == pytest.approx(1, abs=0.05)
    assert align(left, right, most=2, skip="30%") == align(left, right, most=2, skip=pair.percentile(0.3))
    assert align(left, right, skip="auto") == align(left, right, skip=0.5)


def test_rows_all_the_same_and_rows_of_zeros():
    same = align(np.ones((4, 3)), np.ones((4, 3)))
    assert [(m.left, m.right) for m in same] == [((i,), (i,)) for i in range(4)]
    zeros = align(np.zeros((2, 3)), np.ones((2, 3)))
    assert np.isfinite([m.score for m in zeros]).all()


def test_joined_vectors_from_outside():
    left, right, _ = story(30)
    sides = [unit(left), unit(right)]
    sums = tuple(lambda n, s=s: np.array([s[i : i + n].sum(0) for i in range(len(s) - n + 1)]) for s in sides)
    assert [(m.left, m.right) for m in align(left, right, joined=sums)] == [
        (m.left, m.right) for m in align(left, right)
    ]
    asked = []
    far = tuple(
        lambda n, s=s: asked.append(n) or np.tile(np.eye(24)[0 if s is sides[0] else 1], (len(s) - n + 1, 1))
        for s in sides
    )
    found = align(left, right, joined=far, most=4)
    assert sorted(asked) == [2, 2, 3, 3, 4, 4]
    assert {(len(m.left), len(m.right)) for m in found} == {(1, 1), (1, 0), (0, 1)}  # joined rows are like nothing
    with pytest.raises(DataError, match=r"2 joined rows have shape \(1, 24\), expected \d+ vectors"):
        align(left, right, joined=(lambda n: np.ones((1, 24)),) * 2)


@pytest.mark.parametrize(("size", "whole", "levels"), [(150, 140, 0), (150, 70, 1), (151, 40, 2), (400, 60, 3)])
def test_coarse_to_fine_finds_the_same_path(size, whole, levels, monkeypatch):
    left, right, _ = story(size, noise=0.5, seed=size)
    full, widths, around = align(left, right), [], Corridor.around
    monkeypatch.setattr(sequences, "WHOLE", whole)
    monkeypatch.setattr(Corridor, "around", lambda nodes, width: widths.append(width) or around(nodes, width))
    assert align(left, right) == full
    assert widths == [sequences.BAND] * levels
    assert align(left, right, band=12) == full
    assert widths[levels:] == [12] * max(levels, 1)


def test_coarse_to_fine_crosses_a_large_gap(monkeypatch):
    left, right, _ = story(300, noise=0.4)
    right = np.concatenate([right[:90], right[190:]])
    left = np.concatenate([left[:20], np.random.default_rng(1).normal(size=(70, 24)), left[20:]])
    full = align(left, right)
    monkeypatch.setattr(sequences, "WHOLE", 90)
    assert align(left, right, band=20) == full


@pytest.mark.parametrize(("m", "n"), [(1, 300), (2, 301), (300, 3)])
def test_very_uneven_sides_in_a_band(m, n, monkeypatch):
    draw = np.random.default_rng(0)
    left, right = draw.normal(size=(m, 8)), draw.normal(size=(n, 8))
    monkeypatch.setattr(sequences, "WHOLE", 10)
    found = align(left, right, band=5)
    assert [i for k in found for i in k.left] == list(range(m))
    assert [j for k in found for j in k.right] == list(range(n))


def test_a_band_looks_at_few_pairs(monkeypatch):
    rows, nodes, cheapest = np.random.default_rng(0).normal(size=(2_000, 16)), [], sequences.cheapest

    def counting(costs, moves, skips, corridor):
        nodes.append(int((corridor.high - corridor.low + 1).sum()))
        return cheapest(costs, moves, skips, corridor)

    monkeypatch.setattr(sequences, "cheapest", counting)
    monkeypatch.setattr(sequences, "WHOLE", 300)
    found = align(rows, rows, band=20)
    assert all(m.left == m.right for m in found)
    assert nodes[0] == 251**2
    assert all(n < 100 * side for n, side in zip(nodes[1:], (500, 1000, 2000), strict=True))


def test_what_cannot_be_aligned_is_said():
    x, bad = np.ones((4, 3)), np.ones((4, 3))
    bad[2, 1] = np.nan
    with pytest.raises(DataError, match=r"the right sequence has numbers that are not finite, first in row 2\."):
        align(x, bad)
    with pytest.raises(DataError, match="3 and 2 dimensions"):
        align(x, x[:, :2])
    with pytest.raises(DataError, match="shape"):
        align(x[0], x)
    for options in (
        {"most": 0},
        {"most": 1000},
        {"band": 0},
        {"skip": -1},
        {"skip": "120%"},
        {"skip": "dear"},
        {"skip": np.nan},
    ):
        with pytest.raises(ConfigError):
            align(x, x, **options)


# --- counting -----------------------------------------------------------------------------------------------------

TRUTH = [((0,), (0,)), ((1,), (1, 2)), ((2,), ()), ((), (3,)), ((3, 4), (4,)), ((5,), (5,))]


def test_all_right():
    found = evaluate(TRUTH, TRUTH)
    for kind in ("strict", "lax"):
        assert [found[kind][k] for k in ("precision", "recall", "f1", "found", "true")] == [1, 1, 1, 6, 4]


def test_counts_by_hand():
    found = [
        ((0,), (0,)),
        ((1,), (1,)),
        ((), (2,)),
        ((2,), ()),
        ((), (3,)),
        ((3,), ()),
        ((4,), (4,)),
        ((5,), (6,)),
        ((), (5,)),
    ]
    e = evaluate([Match(a, b, 0.5) for a, b in found], TRUTH)
    # exactly there: 0–0, the skips of 2 and of 3; in part: 1–1 and 4–4; 5–6, and the skips of what belongs together: wrong
    assert e["strict"] == pytest.approx({"precision": 3 / 9, "recall": 1 / 4, "f1": 2 / 7, "right": 3, "found": 9,
                                         "recalled": 1, "true": 4})  # fmt: skip
    p, r = 5 / 9, 3 / 4
    assert e["lax"] == pytest.approx({"precision": p, "recall": r, "f1": 2 * p * r / (p + r), "right": 5, "found": 9,
                                      "recalled": 3, "true": 4})  # fmt: skip


def test_shares_of_nothing():
    assert evaluate([], TRUTH)["lax"]["f1"] == 0
    assert evaluate(TRUTH, [])["strict"]["recall"] == 0


def test_lax_by_sets_on_random_alignments():
    """Another way of counting: pairs of rows as sets of links."""

    def links(pair):
        return set(itertools.product(*pair))

    draw = np.random.default_rng(0)
    for _ in range(50):
        lists = []
        for _ in range(2):
            cuts = [np.sort(draw.choice(20, 12)) for _ in range(2)]
            lists.append(
                [
                    tuple(tuple(range(a, b)) for a, b in zip(p, q))
                    for p, q in zip(zip(cuts[0], cuts[1]), zip(cuts[0][1:], cuts[1][1:]))
                ]
            )
        own, true = ({p for p in pairs if p != ((), ())} for pairs in lists)
        e = evaluate(own, true)
        linked = set().union(*map(links, true))
        assert e["lax"]["right"] == sum(p in true or bool(links(p) & linked) for p in own)
        own_linked = set().union(*map(links, own))
        assert e["lax"]["recalled"] == sum(bool(links(p) & own_linked) for p in true if all(p))
        assert e["strict"]["right"] == len(own & true)
