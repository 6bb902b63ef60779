"""Collapse is told: by every method when it is made to collapse, and not by healthy runs."""

import warnings
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from nearfar.core.errors import CollapseWarning
from nearfar.core.registry import METHODS
from nearfar.methods.schedule import Schedule
from nearfar.training import health, train
from nearfar.vectors import geometry
from tests.helpers.methods import small

FAMILIES = ["simclr", "supcon", "moco_v2", "byol"]  # tests/contract has a healthy run of every method


def told(data, **knobs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CollapseWarning)
        trained = train.train(data, **knobs)
    return [str(w.message) for w in caught if issubclass(w.category, CollapseWarning)], trained


def given(name, tiny, **more):
    changes = small(name) | {"method": name, "epochs": 12, "log_every": 2, "bn_groups": 1, "shuffle": False}
    return tiny | changes | more


@pytest.mark.parametrize("name", FAMILIES)
def test_healthy_runs_are_left_alone(name, digits, tiny):
    found, _ = told(digits, **given(name, tiny, lr=0.002))
    assert found == []


@pytest.mark.parametrize("name", ["simclr", "supcon", "moco_v2"])
def test_collapse_on_purpose(name, digits, tiny):
    """By a temperature at which no pair matters; see contract/test_collapse.py for a safeguard taken out."""
    found, trained = told(digits, **given(name, tiny, temperature=1000.0))
    assert found, [(m["step"], m["loss"], m["rank"], m["cosine"]) for m in trained.metrics[::6]]
    assert "temperature" in found[0]


@pytest.mark.parametrize("name", FAMILIES)
def test_rows_that_are_nearly_alike(name, digits, tiny):
    images, labels = digits["train"]
    same = np.repeat(images[:1], len(images), 0)
    same[0] = images[1]  # rows that are all equal are refused before training
    found, _ = told({"train": (same, labels)}, **given(name, tiny, recipe="none"))
    assert "alike" in found[0] or "nearly the same embedding" in found[0]


def test_effective_rank_alignment_uniformity():
    torch.manual_seed(0)
    x = torch.randn(600, 10)
    assert float(geometry.effective_rank(x)) > 9.5
    assert float(geometry.effective_rank(x[:, :1] @ torch.randn(1, 10))) == pytest.approx(1, abs=0.02)
    assert float(geometry.effective_rank(torch.ones(20, 4))) == pytest.approx(1, abs=0.02)
    assert float(geometry.alignment(x, x)) == pytest.approx(0, abs=1e-6)
    assert float(geometry.alignment(x, -x)) == pytest.approx(4, abs=1e-4)
    assert float(geometry.uniformity(torch.ones(20, 4))) == pytest.approx(0, abs=1e-5)
    assert float(geometry.uniformity(x)) < -3
    assert float(geometry.mean_cosine(torch.ones(20, 4))) == pytest.approx(1, abs=1e-5)


def test_each_warning_is_told_once_and_survives_a_stop():
    monitor = health.Monitor(METHODS.get("simclr").RECORD, rows=64)
    row = {"loss": 1.0, "cosine": 0.9999, "rank": 9.0, "room": 16}
    assert len(monitor.update(50, 100, row)) == 1
    assert monitor.update(52, 100, row) == []
    other = health.Monitor(METHODS.get("simclr").RECORD, rows=64)
    other.seen = health.Seen(**asdict(monitor.seen))
    assert other.update(54, 100, row) == []


def test_a_temperature_on_a_schedule_is_advised_on_as_it_is_at_the_step():
    record = replace(METHODS.get("simclr").RECORD, temperature=Schedule(0.2, 1.0, "linear"))
    row = {"loss": 1.0, "cosine": 0.9999, "rank": 9.0, "room": 16}
    early, late = (health.Monitor(record, rows=64).update(step, 100, row)[0] for step in (10, 90))
    assert "Lower --lr, add warm-up" in early and "Lower the temperature" in late and "it is 0.92" in late
