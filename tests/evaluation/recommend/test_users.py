"""Users and items from a table to figures and recommendations, by the functions of the verbs."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nearfar
from nearfar.core.errors import DataError, UnknownName

TINY = {"epochs": 2, "threads": 1, "quiet": True}


def interactions(path, users, first=0.0):
    """Every user likes one of two halves of twelve items."""
    draw = np.random.default_rng(int(first))
    lines = ["user_id,item_id,when"]
    for user in range(users):
        for place, item in enumerate(draw.permutation(6)[:5]):
            lines.append(f"u{user},i{item + 6 * (user % 2)},{first + place}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("users")
    data = interactions(folder / "before.csv", 40)
    (folder / "items.csv").write_text("item_id,half\n" + "".join(f"i{i},{'ab'[i // 6]}\n" for i in range(12)))
    made = nearfar.train(data, pair=("user_id", "item_id"), time="when", items=str(folder / "items.csv"), out=folder / "run", **TINY)
    assert repr(made).endswith(f"Next: nearfar eval {made.path}\nThen: nearfar recommend {made.path} --user USER")
    return folder / "run"


def test_measured_beside_floors_by_order(run):
    found = nearfar.evaluate(run, quiet=True)
    (result,) = found.results
    assert found.data["test_rows"] == found.data["users"] == 40
    assert {"popularity", "EASE", "EASE with content", "Markov chain", "EASE with recency"} <= set(result["floors"])
    assert result["ranking"]["above"]["EASE"]["ndcg"]["rows"] == 40
    assert "nDCG@10" in repr(found) and "Markov chain" in repr(found)
    json.dumps(found.as_dict(), allow_nan=False)


def test_later_interactions_come_after_what_the_run_keeps(run, tmp_path):
    later = interactions(tmp_path / "later.csv", 41, first=100.0)
    found = nearfar.evaluate(run, later, quiet=True, floors=False)
    assert found.data["users"] <= 41  # of whom one is new, and some may have taken all of it before
    assert 0 < found.data["test_rows"] < 41 * 5
    with pytest.raises(DataError, match="no interaction to measure on"):
        nearfar.evaluate(run, run.parent / "before.csv", quiet=True, floors=False)


def test_recommended_and_searched_from_the_folder_alone(run):
    (user, items), = nearfar.recommend(run, user="u0", k=3, explain=True, quiet=True).results
    assert user == "u0" and items[0].item in {f"i{i}" for i in range(6)}  # the one that is left of its half
    assert items[0].title == "a" and items[0].reasons
    (_, hits), = nearfar.search(run, "i1", k=3, quiet=True).results
    assert len(hits) == 3 and "i1" not in [h.name for h in hits]
    with pytest.raises(UnknownName, match="no user named 'u99'"):
        nearfar.recommend(run, user="u99", quiet=True)


def test_the_split_follows_the_seed_and_is_the_same_again(run, tmp_path):
    data = run.parent / "before.csv"
    parts = []
    for seed in (0, 0, 1):
        trained = nearfar.train(data, pair=("user_id", "item_id"), seed=seed, **TINY)
        assert trained.plan.config.data.leave_out == "random"
        parts.append(nearfar.evaluate(trained.model, quiet=True, floors=False).results[0]["ranking"]["ndcg"]["10"])
    assert parts[0] == parts[1] != parts[2]
