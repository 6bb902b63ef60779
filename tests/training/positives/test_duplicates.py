"""Rows that show the same are found, connected, said, and left out of the negatives."""

import numpy as np
import pytest
import torch

from nearfar.core.config import Config
from nearfar.core.console import QUIET
from nearfar.core.errors import ConfigError, UnknownName
from nearfar.data import duplicates
from nearfar.training import train
from nearfar.training.plan.prepare import prepare
from nearfar.training.trainer import Trainer


@pytest.fixture(scope="module")
def pictures():
    """64 pictures: 60 of noise; row 60 equals row 0, and 61, 62, 63 are ever fainter copies of one another and row 1."""
    draw = np.random.default_rng(0)
    x = draw.integers(0, 256, (64, 16, 16, 3)).astype(np.float32)
    x[60] = x[0]
    for row, before in ((61, 1), (62, 61), (63, 62)):
        x[row] = np.clip(x[before] + draw.normal(0, 8, x[0].shape), 0, 255)
    return x.astype(np.uint8)


def planned(pictures, how):
    return prepare(
        Config().set("ignore_duplicates", how).set("holdout", 0.0).set("batch_size", 32), pictures, console=QUIET
    )


def test_off_by_default(pictures):
    assert planned(pictures, "off").ignore is None
    assert planned(pictures, "auto").ignore is None


def test_exact(pictures):
    plan = planned(pictures, "exact")
    assert plan.ignore[60] == plan.ignore[0]
    assert len(np.unique(plan.ignore)) == 63
    assert any("2 rows in 1 groups" in n for n in plan.notes)


def test_near_ones_are_connected(pictures):
    plan = planned(pictures, "near:0.99")
    assert len(set(plan.ignore[[1, 61, 62, 63]])) == 1
    assert plan.ignore[60] == plan.ignore[0] != plan.ignore[1]
    assert len(np.unique(plan.ignore)) == 60
    assert any("6 rows in 2 groups, the largest of 4" in n for n in plan.notes)


def test_blocks_and_the_sketch_find_what_all_pairs_find(monkeypatch):
    draw = np.random.default_rng(1)
    base = draw.normal(0, 1, (40, 50))
    x = np.concatenate([base, base[:25] + draw.normal(0, 0.15, (25, 50))]).astype(np.float32)
    monkeypatch.setattr(duplicates, "BLOCK", 16)
    plan = planned(x, "near:0.97")
    values = np.asarray(plan.table.first.values)
    centred = values - values.mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    pairs = {(i, j) for i, j in np.argwhere(centred @ centred.T >= 0.97) if i < j}
    found = {(i, j) for i in range(65) for j in range(i + 1, 65) if plan.ignore[i] == plan.ignore[j]}
    assert len(pairs) > 15
    assert found == pairs


def test_rows_that_are_not_trained_on_are_left_alone(pictures):
    data = {"train": pictures[:60], "test": pictures}
    plan = planned(data, "near:0.99")
    assert plan.ignore is None
    assert any("none found" in n for n in plan.notes)


def test_they_are_in_the_relation_and_change_the_loss(pictures, tiny):
    knobs = tiny | {"encoder_options": {"widths": [8]}, "log_every": 1, "epochs": 1}
    plan = planned(pictures, "near:0.99")
    relation = Trainer(plan, None, QUIET).viewer.batch(np.array([1, 2, 61]), 0, 0).relation
    assert torch.equal(relation.ignore, torch.from_numpy(plan.ignore[[1, 2, 61]]))
    with_, without = (
        train.train(pictures, ignore_duplicates=how, **knobs).metrics[0]["loss"] for how in ("near:0.99", "off")
    )
    assert with_ < without  # fewer negatives, and those that were as near as the positive are gone


@pytest.mark.parametrize(
    ("text", "error"),
    [("naer", UnknownName), ("exact:3", UnknownName), ("near:2", ConfigError), ("near:x", ConfigError)],
)
def test_mistakes_are_sentences(text, error):
    with pytest.raises(error, match="near|exact"):
        duplicates.parse(text)
