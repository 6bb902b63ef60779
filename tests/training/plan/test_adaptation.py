"""Encoders that begin with pretrained weights: what their files declare stands for "auto", and nothing else."""

import json

import numpy as np
import pytest

import nearfar
from nearfar.core.config import Config
from nearfar.core.console import QUIET
from nearfar.core.registry import ENCODERS
from nearfar.encoders.adaptation import Adaptation
from nearfar.evaluation import verdict
from nearfar.training import train
from nearfar.training.job import with_knobs
from nearfar.training.plan.prepare import prepare

WORDS = {0: ["red", "green", "blue"], 1: ["one", "two", "three"]}


def texts(rows, seed=0):
    """Texts of two classes, and their labels."""
    draw = np.random.default_rng(seed)
    y = np.arange(rows) % 2
    return [" ".join(draw.choice(WORDS[c], 4)) + f" {i}" for i, c in enumerate(y)], y


def planned(data, **knobs):
    return prepare(with_knobs(Config(), data, knobs), data, console=QUIET)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run of texts to begin with."""
    out = tmp_path_factory.mktemp("begun") / "run"
    train.train(
        texts(64)[0], out=out, epochs=1, batch_size=16, encoder="text_cnn", fixed="none", threads=1, precision="fp32"
    )
    return str(out)


@pytest.fixture
def declared(monkeypatch):
    """What the file of the encoder declares for labels."""
    adaptation = Adaptation(
        method="supcon", numbers={"projector": None, "count": 1, "temperature": 0.2}, holdout=100,
        knobs={"optim.lr": 3e-5, "views.recipe": "none", "train.batch_size": 24}, steps=(30, 60), epochs=5, why="it is so",
    )  # fmt: skip
    monkeypatch.setattr(ENCODERS.get("text_cnn"), "ADAPTED", {"labels": adaptation}, raising=False)
    return adaptation


def test_what_is_declared_stands_for_auto_and_is_said(begun, declared):
    plan = planned(texts(48), init_from=begun)
    config = plan.config
    assert (plan.record.name, plan.record.projector, plan.record.count, plan.record.temperature) == (
        "supcon",
        None,
        1,
        0.2,
    )
    assert (config.optim.lr, config.train.batch_size, config.views.recipe, config.data.holdout) == (
        3e-5,
        24,
        "none",
        0.0,
    )
    assert plan.steps == 30 and config.train.epochs == 15 and len(plan.train) == 48
    assert "Adapting: it is so." in plan.notes
    assert any("not measured whether the model becomes better" in note for note in plan.notes)
    assert any("supcon learns from those" in note for note in plan.notes)
    few, more, many = (planned(texts(n), init_from=begun) for n in (20, 160, 1800))
    assert few.config.train.batch_size == 20 and few.steps == 30  # no batch of more rows than there are
    assert more.config.train.epochs == 5
    assert many.config.train.epochs == 1 and many.steps > 60


def test_what_is_asked_for_stays(begun, declared):
    plan = planned(texts(48), init_from=begun, method="simclr")
    assert plan.record.name == "simclr" and plan.config.optim.lr != 3e-5  # nothing is declared for views
    asked = {"lr": 0.01, "epochs": 3, "batch_size": 16, "recipe": "words", "holdout": 0.25, "temperature": 0.5}
    plan = planned(texts(48), init_from=begun, method="supcon", **asked)
    config = plan.config
    assert (config.optim.lr, config.train.epochs, config.train.batch_size) == (0.01, 3, 16)
    assert (config.views.recipe, plan.record.temperature, plan.record.projector) == ("words", 0.5, None)
    assert 0 < len(plan.heldout) < 48
    balanced = planned(texts(48), init_from=begun, balance="2x6").config.train
    assert balanced.batch_size == 12 and balanced.epochs == 8  # 4 steps an epoch
    assert planned(texts(21), init_from=begun, processes=2, threads=1).config.train.batch_size == 20
    other = planned(texts(48), init_from=begun, method="supervised").record
    assert other.name == "supervised" and other.temperature is None  # numbers are those of the method that is declared


def test_only_what_begins_with_pretrained_weights_is_adapted(begun, declared):
    plan = planned(texts(48), encoder="text_cnn")
    assert plan.record.name == "simcse" and plan.config.data.holdout == 0.1
    assert not any(note.startswith("Adapting") for note in plan.notes)
    unlabelled = planned(texts(48)[0], init_from=begun)
    assert unlabelled.record.name == "simcse"


def test_labels_that_are_names_of_rows_teach_nothing(begun, declared):
    names = np.array([f"row {i}" for i in range(48)])
    plan = planned({"text": texts(48)[0], "label": names}, init_from=begun)
    assert plan.record.name == "simcse"


def test_held_out_rows_choose_by_a_probe_and_the_start_is_a_candidate(begun, declared, tmp_path):
    """A rate that destroys the encoder leaves the weights that were there."""
    x, y = texts(300)
    y = np.where(np.random.default_rng(1).random(300) < 0.3, 1 - y, y)  # some labels are wrong
    data = x, y
    out = tmp_path / "run"
    with pytest.warns(nearfar.NearfarWarning, match="No state of this training was better than its start"):
        trained = train.train(data, init_from=begun, out=out, lr=100.0, threads=1, precision="fp32", temperature=1.0)
    start = trained.metrics[0]
    assert start["probe_rows"] == start["knn_rows"] == len(trained.plan.heldout) > 10
    assert trained.kept == 0 and trained.verdict.figure == "probe"
    ours, theirs = trained.model, nearfar.load(begun)
    new = texts(10, seed=5)[0]
    np.testing.assert_array_equal(ours.encode(new), theirs.encode(new))
    assert json.loads((out / "config.json").read_text())["kept"] == 0


def test_a_probe_of_too_few_rows_tells_nothing():
    start = {"step": 0, "probe": 1.0, "knn_rows": 4, "knn_chance": 0.5}
    assert verdict.worth("probe", start, start) is None
    start |= {"knn_rows": 400, "probe": 0.9}
    assert verdict.worth("probe", {"step": 9, "probe": 0.8}, start) == 0.8


# --- a model of transformers -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The folder of a tiny random model of transformers."""
    transformers = pytest.importorskip("transformers", reason="the library transformers is not installed")
    import torch

    from tests.helpers.tiny_transformers import config_of, tokenizer_of

    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(3)
    transformers.AutoModel.from_config(config_of("bert")).save_pretrained(folder)
    tokenizer_of("bert").save_pretrained(folder)
    return str(folder)


def animals(rows=32):
    draw = np.random.default_rng(0)
    y = np.arange(rows) % 2
    said = [
        ["the cat sat on the mat", "a dog ran far away"][c].split() + list(draw.choice(["and", "home", "from"], 3))
        for c in y
    ]
    return [" ".join(s) for s in said], y


def test_few_labels_teach_the_layers_and_leave_the_table_of_tokens(tiny, tmp_path, capsys):
    out = tmp_path / "run"
    trained = train.train(animals(), encoder=f"transformers:{tiny}", out=out, threads=1)
    plan, began = trained.plan, nearfar.load(f"transformers:{tiny}").branches
    assert (plan.record.name, plan.record.projector, len(plan.train), trained.kept) == ("supcon", None, 32, None)
    assert plan.steps == ENCODERS.get("transformers").ADAPTED["labels"].steps[0]
    before, after = (dict(next(iter(b.values())).encoder.named_parameters()) for b in (began, trained.model.branches))
    same = {name for name in before if np.array_equal(before[name].detach(), after[name].detach())}
    assert "model.embeddings.word_embeddings.weight" in same
    assert not [name for name in same if ".layer." in name and name.endswith("query.weight")]
    assert "Time: about" in capsys.readouterr().err
    found = nearfar.classify(nearfar.load(out), animals(), animals(8)[0])
    assert found.classifier.out_of_fold["accuracy"] is None and found.classifier.threshold is None
    said = " ".join(found.classifier.notes)
    assert "has learnt 32 of these rows with their labels" in said and "no others to measure on" in said
    assert "none of the 32 rows is new to the model, so its accuracy is not known" in said


def test_scored_pairs_and_pairs_have_their_own_numbers(tiny):
    one, two = animals()[0], animals()[0][::-1]
    scored = planned({"a": one, "b": two, "score": [i / 8 for i in range(32)]}, column=("a", "b"), score="score",
                     encoder=f"transformers:{tiny}")  # fmt: skip
    assert (scored.record.name, scored.record.temperature, scored.config.views.recipe) == ("cosent", 0.2, "none")
    declared = ENCODERS.get("transformers").ADAPTED["scores"]
    assert scored.config.optim.lr == declared.knobs["optim.lr"] and scored.config.train.epochs >= declared.epochs
    pairs = planned({"a": one, "b": two}, column=("a", "b"), encoder=f"transformers:{tiny}")
    assert (pairs.record.name, pairs.record.parts["temperature"].start, pairs.config.views.recipe) == (
        "clip",
        0.05,
        "none",
    )


def test_without_labels_the_weights_stay_and_what_the_texts_say_stands_beside(tiny, tmp_path):
    texts = animals()[0]
    trained = train.train({"text": texts}, encoder=f"transformers:{tiny}", out=tmp_path / "run", precision="fp32", threads=1)
    assert (trained.plan.steps, trained.plan.config.model.fixed, trained.plan.config.model.fixed_weight) == (
        0,
        "lsa",
        0.5,
    )
    frozen = nearfar.load(f"transformers:{tiny}").encode(texts)
    whole = nearfar.load(tmp_path / "run").encode(texts)
    width = frozen.shape[1]
    np.testing.assert_allclose(
        whole[:, :width] / np.linalg.norm(whole[:, :width], axis=1, keepdims=True), frozen, atol=1e-4
    )
    beside = np.linalg.norm(whole[:, width:], axis=1) / np.linalg.norm(whole[:, :width], axis=1)
    assert np.sqrt((beside**2).mean()) == pytest.approx(0.5, rel=0.2)
    named = planned({"text": texts}, encoder=f"transformers:{tiny}", method="simcse")
    assert named.steps > 0 and named.config.optim.lr == 1e-5  # a rate for pretrained weights
    as_it_is = planned({"text": texts}, encoder=f"transformers:{tiny}", method="random")
    assert [plan.config.model.fixed for plan in (named, as_it_is)] == ["none", "none"]  # nobody asked for any


def test_a_share_of_the_initial_weights_is_kept(tiny):
    knobs = {"encoder": f"transformers:{tiny}", "threads": 1, "epochs": 2, "lr": 0.01}
    began = nearfar.load(f"transformers:{tiny}").branches
    ends, half = (train.train(animals(), **knobs, **more).model.branches for more in ({}, {"interpolate": 0.5}))
    name = "model.encoder.layer.0.attention.self.query.weight"
    a, b, c = (dict(next(iter(x.values())).encoder.named_parameters())[name].detach() for x in (began, ends, half))
    np.testing.assert_allclose(c, (a + b) / 2, atol=1e-6)


def test_adapters_where_all_weights_do_not_fit(tiny, monkeypatch):
    pytest.importorskip("peft", reason="the library peft is not installed")
    from nearfar.models import room

    plan = planned(animals(), encoder=f"transformers:{tiny}")
    assert "lora" not in next(iter(plan.by_column.values())).options
    monkeypatch.setattr(room, "free", lambda: 150_000)
    plan = planned(animals(), encoder=f"transformers:{tiny}")
    assert any("GiB are free, so lora is taken" in note for note in plan.notes)
    assert plan.config.optim.lr == ENCODERS.get("transformers").ADAPTED["labels"].lighter.knobs["optim.lr"]
    monkeypatch.undo()
    encoder = next(iter(plan.encoders().values()))
    assert {n.split(".")[-3] for n, p in encoder.named_parameters() if p.requires_grad} == {"lora_A", "lora_B"}
