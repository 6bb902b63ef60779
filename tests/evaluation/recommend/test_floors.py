"""The floors of recommenders against their formulas, written out densely."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nearfar.data.histories import TEST, TRAIN, VALIDATION, at_random, of_lists
from nearfar.evaluation.recommend import chosen, floors, measured

ITEMS = [f"i{i}" for i in range(8)]


@pytest.fixture
def histories():
    draw = np.random.default_rng(0)
    lists = [[ITEMS[i] for i in draw.permutation(8)[: draw.integers(2, 7)]] for _ in range(14)]
    return of_lists(lists, ITEMS)


def test_popularity_counts_users(histories):
    assert np.array_equal(floors.Popularity(histories).scores(histories)[3], histories.matrix().toarray().sum(0))


def test_nearest_items_are_those_of_the_item_that_is_scored(histories):
    x = histories.matrix().toarray()
    cosines = x.T @ x / (np.outer(*[np.linalg.norm(x, axis=0)] * 2) + 2.0)
    np.fill_diagonal(cosines, 0)
    for item in range(8):
        cosines[np.argsort(-cosines[:, item])[3:], item] = 0
    found = floors.ItemNeighbours(histories, neighbours=3, shrink=2.0).scores(histories)
    assert found == pytest.approx(x @ cosines, abs=1e-5)


@pytest.mark.parametrize("users", [5, 14])  # fewer than items, and more
def test_ease_is_its_formula(histories, users):
    some = histories.rows(np.arange(users))
    x, others = some.matrix().toarray(), histories.matrix().toarray()
    p = np.linalg.inv(x.T @ x + 3.0 * np.eye(8))
    b = np.eye(8) - p / np.diag(p)
    assert floors.Ease(some, 3.0).scores(histories) == pytest.approx(others @ b, abs=1e-4)
    newest = others.copy()
    for u in range(14):
        own = histories.indices[histories.indptr[u] : histories.indptr[u + 1]]
        newest[u, own] = np.exp(-0.5 * np.arange(len(own))[::-1])
    assert floors.Ease(some, 3.0).recent(0.5).scores(histories) == pytest.approx(newest @ b, abs=1e-4)


def test_ease_of_too_many_items_knows_the_popular_ones(histories, monkeypatch):
    monkeypatch.setattr(floors, "MOST", 4)
    found = floors.Ease(histories, 3.0)
    kept = np.sort(np.argsort(-histories.matrix().toarray().sum(0), kind="stable")[:4])
    x = histories.matrix().toarray()[:, kept]
    p = np.linalg.inv(x.T @ x + 3.0 * np.eye(4))
    scores = found.scores(histories)
    assert scores[:, kept] == pytest.approx(x @ (np.eye(4) - p / np.diag(p)), abs=1e-4)
    assert (np.delete(scores, kept, 1) == 0).all() and found.name == "EASE of 4 items"


def test_transitions_count_what_came_after():
    h = of_lists([["i0", "i1", "i2"], ["i0", "i1", "i3"]], ITEMS)
    one = floors.Transitions(h, steps=1, last=2).scores(of_lists([["i0", "i1"], ["i1", "i0"]], ITEMS))
    assert one[0, :4].tolist() == [0, 1, 1, 1]  # after i1: i2 and i3; after i0, one before: i1 twice, by a half
    assert one[1, :4].tolist() == [0, 2, 0.5, 0.5]
    two = floors.Transitions(h, steps=2, last=1).scores(of_lists([["i0"]], ITEMS))
    assert two[0, :4].tolist() == [0, 2, 0.5, 0.5]


def test_content_is_what_several_items_share(histories):
    content = {"genre": ["x|y", "x", None, "y", "x", "x", ["y"], "x"] + ["x"] * 12,
               "title": [f"t{i}" for i in range(20)]}  # fmt: skip
    many = replace(histories, items=[f"i{i}" for i in range(20)], content=content)
    rows = floors.content_rows(many).toarray()
    assert rows[:, :7].tolist() == [[1, 1, 0, 0, 1, 1, 0], [1, 0, 0, 1, 0, 0, 1]]
    assert floors.content_rows(histories) is None


def test_numbers_are_chosen_on_the_validation_part(histories):
    part = np.zeros(len(histories.indices), np.int8)
    part[histories.indptr[1:] - 1], part[histories.indptr[1:] - 2] = 2, 1
    parted = replace(histories, part=part, time=np.arange(len(part)) * 1.0)
    found = {floor.name: numbers for floor, numbers in chosen.floors(parted)}
    assert list(found) == ["popularity", "item-kNN", "EASE", "Markov chain", "transitions within 10 steps",
                           "EASE with recency"]  # fmt: skip
    tried, train = {}, parted.of(TRAIN)
    for p in chosen.PENALTIES:  # as at the test, some of what goes in was not learnt from
        learnt = floors.Ease(train.only(at_random(train, 0) != TEST), p)
        ranked = chosen.ranked(parted, learnt, VALIDATION)
        tried[p] = chosen.ranking.measure(ranked)["ndcg"]["10"]
    assert tried[found["EASE"]["penalty"]] == max(tried.values())


def test_a_model_stands_beside_the_floors_with_paired_differences(histories):
    from nearfar.core.console import QUIET

    part = np.zeros(len(histories.indices), np.int8)
    part[histories.indptr[1:] - 1] = 2
    parted = replace(histories, part=part)

    class Right:
        name = "knows all"

        def scores(self, some):
            return parted.of(2).rows([parted.users.index(u) for u in some.users]).matrix().toarray()

    (result,) = measured.results([Right()], [parted], ["ranking"], with_floors=True, seed=0, console=QUIET)
    assert result["ranking"]["ndcg"]["10"] == 1.0 and result["ranking"]["interval"] == [1.0, 1.0]
    above = result["ranking"]["above"]["EASE"]["ndcg"]
    floor = result["floors"]["EASE"]["ranking"]["ndcg"]["10"]
    assert above["mean"] == pytest.approx(1 - floor) and above["interval"][0] > 0


def test_new_data_are_what_comes_after_the_training():
    before = of_lists([["i0", "i1"], ["i1"]], ITEMS[:3], ["u", "v"])
    after = of_lists([["i1", "new"], ["i0"]], ["new", "i0", "i1"], ["u", "stranger"])
    both = measured.joined(before, after)
    assert (both.users, both.items) == (["u", "v", "stranger"], ["i0", "i1", "i2", "new"])
    assert [[e[0] for e in both.of(0).history(u)] for u in range(3)] == [["i0", "i1"], ["i1"], []]
    assert [[e[0] for e in both.of(2).history(u)] for u in range(3)] == [["new"], [], ["i0"]]  # i1 was known


def test_regression_on_content_is_its_formula(histories):
    content = {"genre": ["a|b", "a", "b", "b|c", "c", "a|c", "a", "b|c"]}
    some = replace(histories.only(histories.indices < 6), content=content)  # nobody took the last two
    x, genres = some.matrix().toarray(), "abc"
    f = np.asarray([[g in cell.split("|") for g in genres] for cell in content["genre"]], float)
    w = x[:, :6] @ f[:6] @ np.linalg.inv(f[:6].T @ f[:6] + 2.0 * np.eye(3)) @ f.T
    assert floors.ContentRidge(some, 2.0).scores(some) == pytest.approx(w, abs=1e-5)
