"""Numbers that change with the steps: as records, through JSON, on the command line, and in the step."""

import json
import math

import numpy as np
import pytest

from nearfar.core.config import Config
from nearfar.core.errors import ConfigError
from nearfar.core.registry import METHODS
from nearfar.methods import record
from nearfar.methods.schedule import Schedule, at
from nearfar.training import train
from nearfar.training.trainer import Trainer
from tests.helpers.methods import small


def test_shapes():
    cosine, linear = Schedule(0.0, 2.0), Schedule(0.04, 0.07, "linear", until=0.3)
    assert [cosine.at(p) for p in (0, 0.5, 1)] == pytest.approx([0, 1, 2])
    assert cosine.at(0.25) == pytest.approx(1 - math.cos(math.pi / 4))
    assert [linear.at(p) for p in (0, 0.15, 0.3, 1)] == pytest.approx([0.04, 0.055, 0.07, 0.07])
    assert Schedule(1.0, 3.0, until=0.0).at(0) == 3
    assert (at(0.2, 0.7), at(None, 0.7), at(linear, 1)) == (0.2, None, pytest.approx(0.07))
    with pytest.raises(ValueError, match="shape"):
        Schedule(0, 1, "square").at(0.5)


def test_a_number_becomes_a_schedule_and_back():
    warm = record.resolve("simclr", {"temperature": {"end": 0.5, "shape": "linear"}})
    assert warm.temperature == Schedule(0.2, 0.5, "linear")
    assert warm.at(0.5).temperature == pytest.approx(0.35)
    assert record.resolve("simclr", json.loads(json.dumps(record.as_dict(warm))) | {"name": "simclr"}) == warm
    assert record.override(warm, {"temperature": 0.3}).temperature == 0.3
    assert (
        record.resolve("simclr").at(0.5) is METHODS.get("simclr").RECORD
        or record.resolve("simclr").at(0.5).temperature == 0.2
    )
    dino = record.resolve("dino", {"options": {"target_temperature": 0.05}})
    assert dino.options["target_temperature"] == 0.05
    for wrong in (True, "warm", [1]):
        with pytest.raises(ConfigError):
            record.resolve("simclr", {"temperature": wrong})


def test_the_step_sees_the_value_of_its_progress(digits, tiny, monkeypatch):
    from nearfar.methods import simclr

    seen = []
    real = simclr.compare
    monkeypatch.setattr(simclr, "compare", lambda e, r: (seen.append((e.step, r.temperature)), real(e, r))[1])
    trained = train.train(
        digits, **tiny | {"method": "simclr", "temperature": {"start": 0.1, "end": 0.4, "shape": "linear"}}
    )
    steps = trained.plan.steps
    assert [s for s, _ in seen] == [0, 0, *range(steps)]  # the rehearsal comes first, with both ends of the schedule
    np.testing.assert_allclose([t for _, t in seen[:2]], [0.1, 0.4])
    np.testing.assert_allclose([t for _, t in seen[2:]], [0.1 + 0.3 * s / steps for s in range(steps)])
    assert Config.from_dict(trained.plan.config.as_dict()).method["temperature"]["end"] == 0.4


def test_weight_decay_follows_the_methods_schedule(digits, tiny, monkeypatch):
    seen, step = [], Trainer.step

    def noted(self, *args):
        out = step(self, *args)
        seen.append([g["weight_decay"] for g in self.optimizer.param_groups])
        return out

    monkeypatch.setattr(Trainer, "step", noted)
    knobs = {k: v for k, v in tiny.items() if k != "projector"} | small("dino") | {"method": "dino"}
    trained = train.train(digits, **knobs)
    o = trained.plan.config.optim
    assert (o.weight_decay, o.final_decay) == (0.04, 0.4)
    wanted = [Schedule(0.04, 0.4).at(s / trained.plan.steps) for s in range(trained.plan.steps)]
    np.testing.assert_allclose([d[0] for d in seen], wanted)
    assert {d[1] for d in seen} == {0.0}  # norms and biases
    fixed = train.plan(
        Config.from_dict(trained.plan.config.as_dict()).set("optim.weight_decay", 0.1).set("optim.final_decay", None),
        source=digits,
    )
    assert (fixed.config.optim.weight_decay, fixed.config.optim.final_decay) == (0.1, None)
