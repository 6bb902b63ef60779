"""Recommendations: from the run's folder alone, seen items left out, reasons, files, and names that do not exist."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
from pyarrow import parquet

from nearfar import cli
from nearfar.core.errors import ConfigError, RunError, UnknownName
from nearfar.data.histories import HistoryCells, histories_of, of_lists
from nearfar.data.table import Column, Table
from nearfar.downstream import recommend as module
from nearfar.downstream.recommend import recommend
from nearfar.models import kept_histories

ITEMS = ["a", "b", "c", "d"]
LIKENESS = np.asarray([[0, 3, 1, 0], [3, 0, 2, 0], [1, 2, 0, -1], [0, 0, -1, 0]], np.float32)  # of items


class Linear:
    """A model in which an item's score is the sum of its likeness to those of the history."""

    name, config = "films", SimpleNamespace(data=SimpleNamespace(user="user"))

    def __init__(self, path):
        self.path = path

    def scores(self, histories):
        return histories.matrix().toarray() @ LIKENESS

    def contributions(self, histories, items):
        own = items[histories.owner]
        return np.split(LIKENESS[histories.indices, own], histories.indptr[1:-1])

    def item_vectors(self):
        return ITEMS, np.asarray([[1, 0], [0.6, 0.8], [0, 1], [-1, 0]], np.float32)


class Deep(Linear):
    """One whose scores are no sums."""

    def contributions(self, histories, items):
        return None


@pytest.fixture
def run(tmp_path):
    histories = of_lists([["a"], ["b", "c"], ["a", "b", "c", "d"]], ITEMS, ["u", "v", "all"])
    histories = type(histories)(**{**vars(histories), "content": {"year": [1, 2, 3, 4], "title": ["A", "B", None, "D"]}})
    column = Column("item", "ids", {}, np.zeros(3), cells=HistoryCells(histories))
    kept_histories.save(Table({"item": column}, histories.users, np.zeros(3, np.uint64)), tmp_path)
    return Linear(tmp_path)


def test_the_best_items_that_were_not_taken(run):
    found = recommend(run, user=["u", "all"], k=2)
    assert [(i.item, i.score, i.title) for i in found.results[0][1]] == [("b", 3.0, "B"), ("c", 1.0, None)]
    assert found.results[1] == ("all", [])  # who took everything
    again = recommend(run, user="u", k=2, seen=True)
    assert [i.item for i in again.results[0][1]] == ["b", "c"]
    assert [i.item for i in recommend(run, user="all", k=1, seen=True).results[0][1]] == ["b"]
    assert [u for u, _ in recommend(run, all=True).results] == ["u", "v", "all"]


def test_reasons_are_shares_of_what_raises_the_score(run):
    (_, (best, *_)), = recommend(run, user="v", k=1, explain=True).results
    assert best.item == "a"
    assert [(r.item, r.share) for r in best.reasons] == [("b", pytest.approx(0.75)), ("c", pytest.approx(0.25))]
    assert "because of B 75%, c 25%" in repr(recommend(run, user="v", explain=True))
    found = recommend(Deep(run.path), user="v", k=1, explain=True)
    assert found.reasons == "similarity" and "by the similarity of items" in repr(found)
    assert [(r.item, r.share) for r in found.results[0][1][0].reasons] == [("b", 1.0)]  # c is at a right angle to a


def test_a_history_that_is_given(run):
    found = recommend(run, history=["c", "b"], k=1)
    assert [(u, [i.item for i in items]) for u, items in found.results] == [("the history", ["a"])]


def test_names_that_do_not_exist_are_refused_with_the_nearest(run):
    with pytest.raises(UnknownName, match="there is no user named 'uu'.*Did you mean 'u'"):
        recommend(run, user="uu")
    with pytest.raises(UnknownName, match="there is no item named 'z'"):
        recommend(run, history=["z"])
    with pytest.raises(ConfigError, match="nobody is named"):
        recommend(run)
    with pytest.raises(ConfigError, match="keeps no users"):
        recommend(Linear(None), user="u")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_files(run, tmp_path, ending):
    out = tmp_path / f"recs.{ending}"
    recommend(run, all=True, k=1, explain=True, out=out)
    rows = list(csv.DictReader(out.open())) if ending == "csv" else parquet.read_table(out).to_pylist()
    assert [(r["user"], int(r["rank"]), r["item"]) for r in rows] == [("u", 1, "b"), ("v", 1, "a")]
    assert rows[1]["reasons"] == "b 0.750; c 0.250"
    with pytest.raises(ConfigError, match=r"cannot write \.txt"):
        recommend(run, all=True, out=tmp_path / "recs.txt")


def test_parts_of_any_size_give_the_same(run, monkeypatch):
    whole = recommend(run, all=True, explain=True)
    monkeypatch.setattr(module, "CELLS", 1)
    assert recommend(run, all=True, explain=True) == whole


def test_the_verb_and_its_json(run, monkeypatch, capfd):
    monkeypatch.setattr(module.loading, "opened", lambda given, **_: (run, given))
    assert cli.run(["recommend", "runs/films", "--user", "v", "-k", "1", "--explain", "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["results"] == [{"user": "v", "items": [
        {"item": "a", "score": 4.0, "title": "A", "reasons": [{"item": "b", "share": 0.75, "title": "B"},
                                                               {"item": "c", "share": 0.25, "title": None}]}]}]  # fmt: skip


def test_search_on_an_item_gives_similar_ones(run):
    from nearfar.downstream.search import search

    (query, hits), = search(run, "a", k=2).results
    assert query == "a"
    assert [(h.name, h.score, h.text) for h in hits] == [("b", pytest.approx(0.6), "B"), ("c", 0.0, None)]
    with pytest.raises(UnknownName, match="there is no item named 'e'"):
        search(run, "e")


def test_histories_that_were_changed_are_refused(run):
    from nearfar.core import files

    file = run.path / kept_histories.FILE
    kept = kept_histories.load(run.path)
    assert kept.history(1) == [("b", 1.0, None), ("c", 1.0, None)]
    tensors, _ = files.load_tensors(file)
    for name, wrong in {"indices": tensors["indices"] + 9, "indptr": tensors["indptr"] * 2, "weight": tensors["weight"][:0],
                        "users": tensors["items"][:0]}.items():  # fmt: skip
        files.save_tensors(file, tensors | {name: wrong}, {})
        with pytest.raises(RunError):
            kept_histories.load(run.path)
    assert histories_of([1]) is None
