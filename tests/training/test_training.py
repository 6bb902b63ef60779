"""What the loop offers besides learning: a start from another run, further places for metrics, time, compile."""

import copy
import io
import sys
import time

import numpy as np
import pytest
import torch

from nearfar.core.console import QUIET, Console
from nearfar.core.errors import ConfigError, RunError, UnknownName
from nearfar.models import loading
from nearfar.training import rehearsal, train
from nearfar.training.learner import Learner
from nearfar.training.trainer import Trainer


def test_init_from_starts_where_another_run_ended(digits, tiny, tmp_path):
    first = train.train(digits, out=tmp_path / "first", **tiny)
    images = digits["test"][0][:20]
    again = train.train(digits, init_from=str(tmp_path / "first"), **tiny | {"epochs": 0, "seed": 5, "method": "supcon"})
    np.testing.assert_array_equal(first.encode(images), again.encode(images))
    fresh = train.train(digits, **tiny | {"epochs": 0, "seed": 5, "method": "supcon"})
    assert np.abs(first.encode(images) - fresh.encode(images)).max() > 0.01
    with pytest.raises(RunError, match="encoder"):
        train.train(digits, init_from=str(tmp_path / "first"), **tiny | {"encoder_options": {"widths": [8, 24]}})


def test_metrics_go_to_tensorboard_too(digits, tiny, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trained = train.train(digits, out=tmp_path / "run", log=("tensorboard",), **tiny)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    points = [(e.step, round(e.value, 4)) for e in events.Scalars("loss")]
    assert points == [(m["step"], round(m["loss"], 4)) for m in trained.metrics]


def test_places_for_metrics_are_checked(digits, tiny, tmp_path):
    with pytest.raises(UnknownName, match="tensorboard"):
        train.train(digits, out=tmp_path / "run", log=("tensorbord",), **tiny)
    with pytest.raises(ConfigError, match="--out"):
        train.train(digits, log=("tensorboard",), **tiny)


def test_time_is_told_before_training(digits, tiny, monkeypatch):
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    trained = train.train(digits, console=Console(), **tiny | {"epochs": 10})
    assert "Time: about" in said.getvalue()
    silent = train.train(digits, **tiny | {"epochs": 10})
    images = digits["test"][0][:20]
    np.testing.assert_array_equal(trained.encode(images), silent.encode(images))


def test_the_time_has_the_whole_step_in_it_and_changes_nothing(digits, tiny, monkeypatch):
    plan = train.rehearse(digits, method="moco_v2", **tiny, **{"optim.clip": 1.0})
    trainer = Trainer(plan, None, QUIET)
    before = copy.deepcopy((trainer.learner.state_dict(), trainer.optimizer.state_dict(), trainer.position))
    assert 0 < rehearsal.expected_seconds(trainer) < 60
    for owner, name in ((type(trainer.optimizer), "step"), (Learner, "after_step")):
        whole = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given, f=whole: (time.sleep(0.2), f(*given))[1])
    assert rehearsal.expected_seconds(trainer) > 0.4 * plan.steps
    torch.testing.assert_close((trainer.learner.state_dict(), trainer.optimizer.state_dict()), before[:2], rtol=0, atol=0)
    assert trainer.position == before[2]


def test_metrics_without_a_run_folder(digits, tiny):
    trained = train.train(digits, **tiny)
    assert trained.path is None
    assert trained.metrics[-1]["step"] == trained.plan.steps


def test_a_run_on_rows_of_numbers_opens_again_and_goes_on(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    given = {"epochs": 1, "batch_size": 16, "holdout": 0.0, "threads": 1, "out": tmp_path / "run"}
    trained = train.train(x, **given)
    np.testing.assert_array_equal(trained.encode(x), loading.load(tmp_path / "run").encode(x))
    assert train.train(x, resume=True, out=tmp_path / "run").metrics[-1]["step"] == trained.plan.steps
