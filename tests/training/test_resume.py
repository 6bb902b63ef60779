"""A resumed training: what is said beside `resume` takes effect or is refused by name."""

import json
import shutil

import numpy as np
import pytest

import nearfar
from nearfar.core.config import Config, knobs
from nearfar.core.errors import ConfigError, NearfarWarning, RunError, UnknownName
from nearfar.methods.schedule import WarmupCosine
from nearfar.models.run import Run
from nearfar.training import resuming, train
from tests.conftest import TINY, killed, lines_of

GIVEN = TINY | {"batch_size": 32, "lr": 0.003, "log_every": 2, "checkpoint_every": "3steps", "keep_optimizer": True}


@pytest.fixture(scope="module")
def few(digits):
    return {split: tuple(a[:128] for a in found) for split, found in digits.items()}


@pytest.fixture(scope="module")
def finished(few, tmp_path_factory):
    out = tmp_path_factory.mktemp("resume") / "finished"
    train.train(few, out=out, **GIVEN)
    return out


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


def other(f, value):
    """Another value that the knob may have."""
    if f.metadata["choices"]:
        return next(c for c in f.metadata["choices"] if c not in (value, "auto"))
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float) and value:
        return type(value)(value / 2 if value * 2 > (f.metadata["high"] or np.inf) else value * 2)
    if f.type.startswith("bool"):
        return True
    return {"a": 1} if f.type.startswith("dict") else max(3, f.metadata["low"] or 0) if "int" in f.type else 0.25 if "float" in f.type else "other"


@pytest.mark.parametrize(("section", "f"), [(s, f) for s, f, _ in knobs()], ids=lambda x: getattr(x, "name", x))
def test_every_knob_takes_effect_or_is_refused_by_name(section, f, finished):
    stored, path = Run(finished).config, f"{section}.{f.name}"
    value = other(f, getattr(getattr(Config.from_dict(stored["config"]), section), f.name))
    if f.metadata["resumes"]:
        config, changes = resuming.changed(stored, {path: value}, finished)
        assert list(changes) == [path]
        assert resuming.at(config, path) == resuming.at(Config().set(path, value), path) != changes[path][0]
    else:
        with pytest.raises(ConfigError, match=f"{path} is .* and cannot become .*--init-from"):
            resuming.changed(stored, {path: value}, finished)


def test_what_is_as_it_was_is_no_change(finished):
    """The very options that the run was begun with, as they were said then and as they were decided."""
    stored = Run(finished).config
    assert resuming.changed(stored, GIVEN, finished)[1] == {}
    assert resuming.changed(stored, resuming.free(Config.from_dict(stored["config"])), finished)[1] == {}
    assert resuming.changed(stored, {"data.size": "auto", "method": "default", "seed": 0}, finished)[1] == {}
    with pytest.raises(ConfigError, match=r"method\.temperature is 0\.2 .* become 0\.3"):
        resuming.changed(stored, {"temperature": 0.3}, finished)
    with pytest.raises(UnknownName, match="'epochs'"):
        resuming.changed(stored, {"epoch": 3}, finished)


def test_a_finished_run_stays_as_it_is(few, run, capsys):
    before = contents(run)
    again = train.train(few, out=run, resume=True, console=nearfar.core.console.Console())
    assert "is finished, and nothing is left to do" in capsys.readouterr().err
    assert again.metrics[-1]["step"] == 8
    for given in ({"log_every": 5}, {"epochs": 1}, {"device": "meta"}, {"lr": 0.1}):
        with pytest.raises(ConfigError, match=f"{next(iter(given))} would change nothing"):
            train.train(few, out=run, resume=True, **given)
    assert contents(run) == before


def test_more_epochs_make_a_new_schedule(few, run, tmp_path, monkeypatch, capsys):
    (run / "evaluation.json").write_text("{}")
    (run / "classifier" / "of the old weights").mkdir(parents=True)
    (run / "classifier" / "of the old weights" / "classifier.json").write_text("{}")
    before = (run / "model.safetensors").read_bytes()
    copy = shutil.copytree(run, tmp_path / "cut")
    longer = train.train(few, out=run, resume=True, epochs=4, log_every=1, console=nearfar.core.console.Console())
    said = capsys.readouterr().err
    assert "train.epochs 2 → 4" in said and "schedules are made again over all 16 steps" in said
    assert (run / "model.safetensors").read_bytes() != before
    assert not (run / "evaluation.json").exists() and not (run / "classifier").exists()
    optim = longer.plan.config.optim
    schedule = WarmupCosine(optim.lr, optim.warmup, optim.lr * optim.final_lr)
    rates = [(line["step"], line["lr"]) for line in lines_of(run)]
    old, new = (
        [(s, schedule.value(s - 1, total)) for s in steps] for steps, total in (((2, 4, 6, 8), 8), (range(9, 17), 16))
    )
    assert rates == old + new
    config = Run(run).config
    assert config["finished"] and config["config"]["train"]["epochs"] == config["asked"]["train"]["epochs"] == 4
    assert [(r["step"], r["changed"]["train.epochs"]) for r in config["resumed"]] == [(8, [2, 4])]
    # Killed on the way, it goes on to the same without a word about epochs.
    killed(few, copy, 14, monkeypatch, resume=True, epochs=4, log_every=1)
    assert (copy / "model.safetensors").read_bytes() == before and not Run(copy).finished
    train.train(few, out=copy, resume=True)
    assert (copy / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()
    assert lines_of(copy) == lines_of(run)
    with pytest.raises(ConfigError, match="would change nothing"):
        train.train(few, out=run, resume=True, epochs=3)


def test_a_model_keeps_its_precision_until_the_training_that_goes_on_is_done(few, run, monkeypatch):
    before = nearfar.load(run, "cpu").encode(few["test"][0])
    killed(few, run, 10, monkeypatch, resume=True, epochs=4, precision="bf16")
    assert Run(run).config["config"]["train"]["precision"] == "bf16"
    assert (nearfar.load(run, "cpu").encode(few["test"][0]) == before).all()
    train.train(few, out=run, resume=True)
    assert nearfar.load(run, "cpu").config.train.precision == "bf16"


def test_an_interrupted_one_takes_what_it_can(few, tmp_path, monkeypatch):
    out = tmp_path / "cut"
    killed(few, out, 7, monkeypatch, **GIVEN)
    with pytest.raises(ConfigError, match="6 steps are done already, and 1 epochs have 4.* at least 2"):
        train.train(few, out=out, resume=True, epochs=1)
    with pytest.raises(ConfigError, match="either resumed or begun again"):
        train.train(few, out=out, resume=True, overwrite=True)
    with pytest.raises(ConfigError, match="has its own config"):
        train.train(few, out=out, resume=True, config=Config())
    with pytest.raises(ConfigError, match=r"trained on data from Python.*again"):
        train.train(out=out, resume=True)
    given = {"log_every": 1, "lr": 0.01, "weight_decay": 0.5, "clip": 1.0, "checkpoint_every": "1steps", "chunk": 16}
    trained = train.train(few, out=out, resume=True, **given)
    assert [line["step"] for line in lines_of(out)] == [2, 4, 6, 7, 8]
    config = trained.plan.config
    assert {word: getattr(config.optim, word, getattr(config.train, word, None)) for word in given} == given
    assert Run(out).finished


def test_other_data_are_refused(tmp_path):
    rows = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    out, given = tmp_path / "run", {"epochs": 1, "batch_size": 16, "holdout": 0.0, "threads": 1}
    train.train(tmp_path / "rows.npy", out=out, keep_optimizer=True, **given)
    shutil.copy(tmp_path / "rows.npy", tmp_path / "moved.npy")
    assert train.train(tmp_path / "moved.npy", out=out, resume=True, epochs=2).plan.config.train.epochs == 2
    np.save(tmp_path / "others.npy", rows + 1)
    with pytest.raises(RunError, match="these are others.*--init-from"):
        train.train(tmp_path / "others.npy", out=out, resume=True, epochs=3)
    np.save(tmp_path / "moved.npy", rows + 1)
    with pytest.warns(NearfarWarning, match="not what they were"):
        train.train(out=out, resume=True, epochs=3)
    np.save(tmp_path / "moved.npy", rows[:30])
    with pytest.raises(RunError, match="now there are 30"):
        train.train(out=out, resume=True, epochs=4)


def test_seeds_take_what_they_can(few, tmp_path):
    out = tmp_path / "both"
    nearfar.train(few, seeds=2, out=out, **GIVEN)
    before = contents(out)
    for given, said in (
        ({"seeds": 1}, "2 seeds were begun"), ({"batch_size": 16}, "train.batch_size is 32"),
        ({"log_every": 3}, "would change nothing"), ({"seed": 4}, "train.seed"), ({"overwrite": True}, "begun again"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=said):
            nearfar.train(few, out=out, resume=True, **given)
    assert contents(out) == before
    # As if it had been killed between the seeds: the second one is still to have its further epoch.
    train.train(few, out=out / "seed0", resume=True, epochs=3)
    asked = json.loads((out / "seeds.json").read_text())
    asked["config"]["train"]["epochs"] = 3
    (out / "seeds.json").write_text(json.dumps(asked))
    again = nearfar.train(few, seeds=3, out=out, resume=True)
    assert [(t.plan.config.train.epochs, t.metrics[-1]["step"]) for t in again] == [(3, 12)] * 3
    longer = nearfar.train(few, out=out, resume=True, epochs=4)
    assert [(t.plan.config.train.epochs, t.metrics[-1]["step"]) for t in longer] == [(4, 16)] * 3


def test_words_of_the_command_that_are_no_knobs(few, tmp_path):
    """What the command calls pair, set, config, seeds and dry_run is called so in Python."""
    given = GIVEN | {"set": {"optim.warmup": 0.2, "train.patience": 0.5}, "dry_run": True, "quiet": True}
    config = nearfar.train(few, **given).as_dict()["config"]
    assert (config["optim"]["warmup"], config["optim"]["lr"], config["train"]["patience"]) == (0.2, 0.003, 0.5)
    (tmp_path / "run.toml").write_text("[optim]\nlr = 0.002\nfinal_lr = 0.5\n")
    given |= {"config": tmp_path / "run.toml", "set": ["optim.final_lr=0.25"], "lr": 0.001, "seeds": 2}
    planned = nearfar.train(few, out=tmp_path / "run", **given)
    assert (planned.plan.config.optim.lr, planned.plan.config.optim.final_lr) == (0.001, 0.25)
    assert not (tmp_path / "run").exists() and "Nothing was trained" in repr(planned)
    texts = {"a": [f"word {i}" for i in range(20)], "b": [f"wort {i}" for i in range(20)]}
    plans = [nearfar.train(texts, quiet=True, dry_run=True, **g).plan for g in ({"pair": ("a", "b")}, {"column": "a,b"})]
    assert plans[0].config.data.column == plans[1].config.data.column == ("a", "b")
    with pytest.raises(ConfigError, match="paired with itself"):
        nearfar.train(texts, pair=[("a", "b"), ("b", "b")])
