"""One machine changes configs, methods and recipes; what a method does not look at is refused."""

from dataclasses import replace

import pytest

from nearfar.core.config import Config, locate
from nearfar.core.errors import ConfigError, UnknownName
from nearfar.core.registry import METHODS
from nearfar.methods import distil, record
from nearfar.training import train


def test_words_of_the_methods_record_are_knobs_too():
    assert locate("temperature") == ("method", "temperature")
    assert locate("projector.out") == ("method", "projector.out")
    assert locate("lr") == ("optim", "lr") and locate("positives") == ("model", "positives")
    assert Config().set("projector.out", 64).set("projector.hidden", 8).method == {"projector": {"out": 64, "hidden": 8}}
    with pytest.raises(UnknownName, match="Did you mean 'temperature'"):
        locate("temprature")
    for cited in ("idea", "paper", "views.recipes"):
        with pytest.raises(UnknownName):
            locate(cited)


def test_a_config_is_changed_once_for_many_values():
    steps = [("model.encoder_options.dim", 4), ("lr", "0.1"), ("model.encoder_options.depth", 2), ("temperature", 1)]
    found = Config().changed(steps)
    assert found.model.encoder_options == {"dim": 4, "depth": 2}
    assert (found.optim.lr, found.method) == (0.1, {"temperature": 1})
    assert Config.from_dict(found.as_dict()) == found


@pytest.mark.parametrize("name", list(METHODS))
def test_a_method_reads_its_own_temperature(name):
    r = record.resolve(name)
    assert r.temperature is None or r.reads_temperature


@pytest.mark.parametrize(
    ("name", "changes", "missing"),
    [
        ("byol", {"temperature": 0.3}, "byol has no temperature"),
        ("vicreg", {"temperature": 0.3}, "vicreg has no temperature"),
        ("simclr", {"temperature": 0.3, "objective": "vicreg"}, "the loss vicreg has no temperature"),
        ("simclr", {"twin": {"momentum": 0.9}}, "simclr has no twin"),
        ("simclr", {"predictor": {"out": 16}}, "simclr has no predictor"),
    ],
)
def test_what_a_method_would_not_look_at_is_refused(name, changes, missing, digits, tiny):
    record.resolve(name, changes)  # a run of before opens
    with pytest.raises(ConfigError, match=missing):
        record.check_used(name, changes)
    given = {k: v for k, v in tiny.items() if k not in ("temperature", "projector")} | {"method": name} | changes
    with pytest.raises(ConfigError, match=missing):
        train.train(digits, **given)


def test_a_learnt_temperature_starts_where_it_is_said():
    clip = record.resolve("clip", {"temperature": 0.2})
    assert (clip.temperature, clip.parts["temperature"].start) == (None, 0.2)
    stored = record.as_dict(clip)
    assert record.resolve(stored.pop("name"), stored) == clip
    fixed = record.resolve("clip", {"temperature": 0.2, "parts": {"temperature": None}})
    assert (fixed.temperature, fixed.parts) == (0.2, {})
    record.check_used("clip", {"temperature": 0.2})


def test_temperature_is_one_word_where_its_inverse_is_learnt():
    siglip = record.resolve("siglip", {"temperature": 0.05})
    assert (siglip.temperature, siglip.parts["scale"].start) == (None, 20.0)
    assert record.resolve("siglip", {"temperature": 0.1}) == record.resolve("siglip")  # the default, to the bit
    stored = {"temperature": None, "parts": {"scale": {"start": 30.0, "low": None, "high": 100.0, "logarithmic": True}}}
    assert record.resolve("siglip", stored).parts["scale"].start == 30  # a run of 0.1.0
    record.check_used("siglip", {"temperature": 0.05})


def test_a_run_with_the_objective_that_nested_took_the_place_of_opens():
    former = {"objective": {"name": "matryoshka", "parameters": {"dims": [8, 16]}}}
    assert record.resolve("simclr", former).objective.name == "info_nce"
    with pytest.raises(ConfigError, match="nested"):
        record.check_used("simclr", former)
    with pytest.raises(ConfigError, match="nested"):
        record.check_used("simclr", {"objective": "matryoshka"})


def test_a_rate_of_the_method_that_is_given_stands_above_the_encoders(digits, tiny):
    given = {k: v for k, v in tiny.items() if k != "lr"} | {"method": "simclr", "epochs": 0}
    usual = train.train(digits, **given).plan.config.optim.lr
    asked = train.train(digits, **given, **{"method.lr": 0.5})
    assert asked.plan.config.optim.lr == 0.5 * asked.plan.config.train.batch_size / 256 != usual


@pytest.mark.parametrize("contrast", [-1.0, float("nan"), float("inf")])
def test_distil_takes_no_contrast_that_would_undo_it(contrast):
    made = replace(distil.RECORD, options={**distil.RECORD.options, "contrast": contrast})
    with pytest.raises(ValueError, match=r"contrast: expected a number of at least 0"):
        distil.compare(None, made)
