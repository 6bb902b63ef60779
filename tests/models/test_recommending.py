"""A model of histories scores items by name, says what each event adds, and keeps what was left out apart."""

import numpy as np
import pytest

from nearfar.core.errors import ConfigError
from nearfar.data.histories import TEST, TRAIN, histories_of, of_lists
from nearfar.training import train as training
from tests.helpers import histories

GIVEN = {"user": "user_id", "column": ("item_id",), "batch_size": 30, "threads": 1, "precision": "fp32"}
GIVEN |= {"encoder_options": {"dim": 16, "ridge": 5.0}, "epochs": 5, "leave_out": "random", "rating": "rating"}


@pytest.fixture(scope="module")
def trained():
    return training.train(histories.planted(), **GIVEN)


def test_what_was_left_out_is_found_in_the_own_half(trained):
    held = histories_of(trained.plan.table.first.cells)
    scores = trained.model.scores(held.of(TRAIN))
    assert scores.shape == (60, 40)
    own = np.asarray([int(name) // 20 for name in held.items])[None] == (np.arange(60) % 2)[:, None]
    assert np.mean(scores[own][:, None] > scores[~own][None, ::40]) > 0.8
    assert held.of(TEST).matrix().sum() == 60


def test_scores_are_by_name(trained):
    held = histories_of(trained.plan.table.first.cells).of(TRAIN)
    names = [*held.items[::-1], "new"]
    scores, other = trained.model.scores(held), trained.model.scores(held.with_items(names))
    np.testing.assert_allclose(other[:, :-1], scores[:, ::-1], atol=1e-5)
    assert (other[:, -1] == -np.inf).all()


def test_contributions_add_up_to_the_score(trained):
    held = of_lists([["1", "unknown", "25", "3"], ["7"]], ["1", "unknown", "25", "3", "7", "9"])
    asked = np.asarray([5, 2])
    parts = trained.model.contributions(held, asked)
    assert [len(p) for p in parts] == [4, 1] and parts[0][1] == 0
    scores = trained.model.scores(held)
    np.testing.assert_allclose([p.sum() for p in parts], scores[[0, 1], asked], atol=1e-5)


def test_items_have_names_and_vectors(trained):
    names, vectors = trained.model.item_vectors()
    assert len(names) == len(vectors) == 40
    half = np.asarray([int(n) // 20 for n in names])
    near = vectors @ vectors.T
    assert near[half[:, None] == half].mean() > near[half[:, None] != half].mean()


def test_another_seed_leaves_out_others(tmp_path, monkeypatch):
    """Decoded histories are kept by what was left out of them."""
    monkeypatch.setenv("NEARFAR_HOME", str(tmp_path))
    data = histories.planted()
    lines = zip(*(data[c].tolist() for c in ("user_id", "item_id", "rating")), strict=True)
    file = tmp_path / "ratings.csv"
    file.write_text("user_id,item_id,rating\n" + "\n".join(",".join(map(str, row)) for row in lines))
    for seed in (0, 1, 0):
        table = training.train(str(file), **GIVEN | {"seed": seed, "epochs": 1}).plan.table
        held = histories_of(table.first.cells).of(TRAIN)
        decoded = [sorted(row[row > 0] - 1) for row in np.asarray(table.first.values)[:, :, 0]]
        assert decoded == [sorted(held.indices[a:b]) for a, b in zip(held.indptr, held.indptr[1:], strict=False)]


def test_a_column_may_be_called_items():
    data = histories.planted()
    data["items"] = data.pop("item_id")
    model = training.train(data, **GIVEN | {"column": ("items",), "epochs": 1}).model
    assert model.encode([[("1", 1.0, None)]]).shape == (1, 16)


def test_other_models_know_no_items(digits):
    model = training.train(digits["train"][0][:60], epochs=0, method="random", threads=1).model
    with pytest.raises(ConfigError, match="no items"):
        model.item_vectors()
