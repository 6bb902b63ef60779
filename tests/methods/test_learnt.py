"""Numbers that are learnt, and losses that a method names."""

import math

import pytest
import torch

from nearfar.core.config import assemble
from nearfar.core.errors import ConfigError, UnknownName
from nearfar.methods import record
from nearfar.methods.parts import Learnt
from nearfar.methods.record import Loss
from nearfar.models.run import Run
from nearfar.objectives.info_nce import info_nce
from nearfar.objectives.kernel.relation import Relation


def test_a_learnt_temperature_moves_and_keeps_its_bounds():
    tau = Learnt(0.07, low=0.05).build(8)
    assert float(tau().detach()) == pytest.approx(0.07)
    x = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    views = [x, x + 0.01]
    step = torch.optim.SGD(tau.parameters(), lr=1.0)
    for _ in range(50):  # the views agree, so a smaller temperature is better
        step.zero_grad()
        info_nce(views, Relation(torch.arange(16)), temperature=tau())[0].backward()
        step.step()
    assert float(tau().detach()) == pytest.approx(0.05)
    raw = float(tau.raw.detach())
    step.zero_grad()
    (-tau()).backward()  # it would rise: the bound does not hold it
    step.step()
    assert float(tau.raw.detach()) > raw


def test_a_learnt_number_may_be_negative_unless_logarithmic():
    assert float(Learnt(-10.0, low=None, logarithmic=False).build(1)().detach()) == -10
    with pytest.raises(ValueError, match="start"):
        Learnt(-10.0, low=None).build(1)


def test_a_loss_is_called_by_name_with_its_parameters():
    views = [torch.randn(6, 4, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    relation = Relation(torch.arange(6))
    assert torch.equal(
        Loss("info_nce", {"temperature": 0.3})(views, relation)[0], info_nce(views, relation, temperature=0.3)[0]
    )


def test_a_methods_objective_can_be_exchanged():
    changed = record.resolve("simclr", {"objective": "supcon"})
    assert changed.objective == Loss("supcon")
    stored = record.as_dict(changed)
    assert record.resolve(stored.pop("name"), stored) == changed
    given = {"objective": {"name": "supcon", "parameters": {"variant": "in"}}}
    assert record.resolve("simclr", given).objective.parameters == {"variant": "in"}
    assert record.resolve("supcon", {"objective": {"variant": "in"}}).objective == Loss("supcon", {"variant": "in"})
    config, _ = assemble(None, ("method.objective=triplet", "method.objective.margin=0.3"))
    assert record.resolve("simclr", config.method).objective == Loss("triplet", {"margin": 0.3})


def test_what_does_not_fit_is_refused_with_what_does():
    with pytest.raises(ConfigError, match="takes sides") as said:
        record.resolve("simclr", {"objective": "sigmoid"})
    assert "info_nce" in said.value.hint
    with pytest.raises(UnknownName, match="variant"):
        record.resolve("supcon", {"objective": {"parameters": {"varient": "in"}}})
    with pytest.raises(UnknownName):
        record.resolve("byol", {"objective": "info_nce"})


def test_training_with_another_objective(digits, tiny, tmp_path):
    from nearfar.training import train

    objective = {"name": "supcon", "parameters": {"variant": "in"}}
    trained = train.train(digits, out=tmp_path / "run", **tiny | {"method": "simclr", "objective": objective})
    assert math.isfinite(trained.metrics[-1]["loss"])
    assert Run.open(tmp_path / "run").config["config"]["method"]["objective"] == objective
