"""The protocol ranking against its definitions, over all orders of what is tied."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest

from nearfar.core.errors import DataError
from nearfar.data.histories import of_lists
from nearfar.evaluation.protocols import Ranked, ranking

ITEMS = ["a", "b", "c", "d", "e"]


def by_hand(scores, known, right, k):
    """Means over all orders of the items in which scores do not rise, of a user: nDCG, recall, hit, reciprocal rank."""
    free = [i for i in range(len(ITEMS)) if i not in known]
    found = []
    for order in permutations(free):
        if all(scores[a] >= scores[b] for a, b in pairwise(order)):
            hits = [i in right for i in order]
            gain = sum(h / np.log2(place + 2) for place, h in enumerate(hits[:k]))
            best = sum(1 / np.log2(place + 2) for place in range(min(k, len(right))))
            found.append((gain / best, sum(hits[:k]) / len(right), any(hits[:k]), 1 / (hits.index(True) + 1)))
    return np.mean(np.asarray(found, float), 0)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(ranking, "AT", (1, 2))
    monkeypatch.setattr(ranking, "HEADLINE_AT", 2)


@pytest.mark.parametrize("scores", [[5, 4, 3, 2, 1], [1, 1, 1, 1, 1], [2, 1, 1, 2, 1], [0, -np.inf, 1, -np.inf, 1]])
def test_figures_are_means_over_all_orders(small, scores):
    known, held = of_lists([["a"], [], ["c", "d"]], ITEMS), of_lists([["b", "d"], ["e"], ["a"]], ITEMS)
    ranked = Ranked(known, held, np.asarray([3, 2, 0, 1, 1]), lambda h: np.tile(np.float32(scores), (len(h), 1)))
    found = ranking.measure(ranked)
    users = [({0}, {1, 3}), (set(), {4}), ({2, 3}, {0})]
    for k in (1, 2):
        wanted = np.mean([by_hand(scores, *user, k) for user in users], 0)
        assert [found[f][str(k)] for f in ("ndcg", "recall", "hit")] == pytest.approx(wanted[:3])
    assert found["mrr"] == pytest.approx(wanted[3])


def test_what_a_user_took_is_never_recommended_nor_what_the_model_does_not_know(small):
    known, held = of_lists([["a"]], ITEMS), of_lists([["c"]], ITEMS)
    line = np.float32([[9, -np.inf, 1, 2, -np.inf]])
    found = ranking.measure(Ranked(known, held, np.asarray([5, 4, 3, 2, 0]), lambda h: line))
    assert found["popularity"] == {"recommended": 2.5, "taken": 3.0}  # c and d
    assert found["coverage"] == 0.4
    assert found["groups"] == {"warm": {"recall": 1.0, "number": 1}, "tail": {"recall": 1.0, "number": 1}}


def test_users_without_a_right_answer_do_not_count(small):
    known, held = of_lists([["a"], ["b"]], ITEMS), of_lists([["c"], []], ITEMS)
    found = ranking.measure(Ranked(known, held, np.ones(5), lambda h: np.float32([[0, 0, 1, 0, 0]] * len(h))))
    assert (found["users"], found["hit"]["1"]) == (1, 1.0)


def test_tiles_of_any_size_give_the_same(small, monkeypatch):
    draw = np.random.default_rng(0)
    lists = [[ITEMS[i] for i in draw.permutation(5)] for _ in range(9)]
    known, held = of_lists([u[:2] for u in lists], ITEMS), of_lists([u[2:4] for u in lists], ITEMS)
    scores = dict(zip(known.users, draw.normal(size=(9, 5)).astype(np.float32), strict=True))
    ranked = Ranked(known, held, np.ones(5), lambda h: np.stack([scores[u] for u in h.users]))
    whole = ranking.measure(ranked)
    monkeypatch.setattr(ranking, "CELLS", 10)
    assert ranking.measure(ranked) == whole


def test_scores_that_are_no_numbers_and_nothing_held_out_are_sentences(small):
    known, held = of_lists([["a"]], ITEMS), of_lists([["c"]], ITEMS)
    with pytest.raises(DataError, match="not finite"):
        ranking.measure(Ranked(known, held, np.ones(5), lambda h: np.full((1, 5), np.nan)))
    with pytest.raises(DataError, match="no interaction to measure on"):
        Ranked(known, of_lists([[]], ITEMS), np.ones(5), lambda h: h)
