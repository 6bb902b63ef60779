"""A teacher's vectors as what the encoder is to give: what they are, who gets them, and that a training learns them."""

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from nearfar.core.config import Config
from nearfar.core.console import QUIET
from nearfar.core.errors import ConfigError
from nearfar.evaluation.verdict import WATCHED
from nearfar.models import loading
from nearfar.training import train
from nearfar.training.job import with_knobs
from nearfar.training.plan.prepare import prepare
from nearfar.training.positives import teacher
from nearfar.training.trainer import Trainer
from nearfar.vectors.basics import unit
from tests.helpers.methods import teacher as run_of_digits
from tests.training.positives.test_kinds import Killed, dies_at, same_files
from tests.training.test_text_runs import sentences

KNOBS = {"method": "distil", "batch_size": 32, "epochs": 2, "holdout": 0.2, "threads": 1, "precision": "fp32"}
CNN = {"encoder": "small_cnn", "encoder_options": {"widths": [8, 16]}}


def plan_of(data, **knobs):
    return prepare(with_knobs(Config(), data, KNOBS | knobs), data, console=QUIET)


def targets_of(data, **knobs):
    trainer = Trainer(plan_of(data, **knobs), None, QUIET)
    assert trainer._look_for_positives()
    return trainer


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """Sentences, and a run that reads them with a tokeniser of its own."""
    texts = {"en": sentences(160)[0]}
    folder = tmp_path_factory.mktemp("words") / "run"
    given = {"method": "random", "tokens": "word_pairs", "encoder_options": {"dim": 24}, "threads": 1, "fixed": "none"}
    train.train(texts, out=folder, **given)
    return texts, folder


@pytest.mark.parametrize("dim", [12, 24, 40])
def test_the_targets_are_the_principal_components_of_the_teachers_vectors(words, dim):
    texts, folder = words
    trainer = targets_of(texts, positives=f"teacher:{folder}", encoder_options={"dim": dim})
    plan, found = trainer.plan, trainer.positives.targets
    asked = np.concatenate([plan.train, plan.heldout])
    assert len(plan.heldout) > 20
    z = unit(loading.load(folder, "cpu").encode([texts["en"][i] for i in asked]))
    z -= z[: len(plan.train)].mean(0)
    assert found.shape == (len(plan.table), dim)
    assert not found[np.setdiff1d(np.arange(len(found)), asked)].any()
    spectrum = np.linalg.svd(z[: len(plan.train)], compute_uv=False) ** 2
    along = (found[plan.train] ** 2).sum(0)
    np.testing.assert_allclose(along[:24], spectrum[:dim], rtol=1e-3, atol=1e-5)
    if dim >= 24:
        np.testing.assert_allclose(found[asked] @ found[asked].T, z @ z.T, atol=1e-5)
        assert not found[:, 24:].any()


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_a_step_compares_each_row_with_its_own_target_and_its_views_with_each_other(words, weight):
    texts, folder = words
    given = {"encoder_options": {"dim": 24}, "method.options": {"contrast": weight, "contrast_temperature": 0.3}}
    trainer = targets_of(texts, positives=f"teacher:{folder}", **given)
    rows = trainer.plan.train[[5, 3, 8, 40, 2, 7]]
    batch = trainer.viewer.batch(rows, 0, 0)
    loss, _, e = trainer.learner(batch)
    views = [unit(z.detach().double().numpy()) for z in e.online]
    taught = np.mean([2 - 2 * (z * unit(trainer.positives.targets[rows])).sum(1) for z in views])
    every = np.concatenate(views)
    scores = every @ every.T / 0.3
    np.fill_diagonal(scores, -np.inf)  # no view is compared with itself
    partner = np.roll(np.arange(12), 6)
    contrast = np.mean(np.log(np.exp(scores).sum(1)) - scores[np.arange(12), partner])
    assert len(views) == 2
    assert float(loss.detach()) == pytest.approx(taught + weight * contrast, abs=1e-5)


def test_a_training_comes_nearer_to_its_teacher(words, tmp_path):
    texts, folder = words
    trained = train.train(
        texts, out=tmp_path / "run", positives=f"teacher:{folder}", encoder_options={"dim": 24}, lr=0.1,
        **KNOBS | {"epochs": 12, "method.options.contrast": 0},
    )  # fmt: skip
    first, last = trained.metrics[0], trained.metrics[-1]
    assert last["loss"] < 0.5 * trained.metrics[1]["loss"]
    assert last["taught"] > first["taught"]
    assert trained.verdict.figure == "taught"
    assert trained.verdict.rows == first["taught_rows"] == len(trained.plan.heldout)
    card = (tmp_path / "run/README.md").read_text()
    assert WATCHED["taught"][0] in card
    assert f"| learnt from | `{folder}`, a teacher |" in card


def test_pictures_are_read_as_the_teacher_reads_them():
    """It takes 8 × 8, and the encoder 20 × 20 of the same files."""
    images = np.random.default_rng(0).integers(0, 255, (80, 30, 24), dtype=np.uint8)
    trainer = targets_of(images, positives=f"teacher:{run_of_digits()}", size=20, **CNN)
    found = trainer.positives.targets
    z, rows = unit(loading.load(run_of_digits(), "cpu").encode(images)), trainer.plan.train
    z -= z[rows].mean(0)
    np.testing.assert_allclose(found[rows] @ found[rows].T, z[rows] @ z[rows].T, atol=1e-5)


def test_the_teacher_is_asked_once(words, tmp_path, monkeypatch):
    texts, folder = words
    given = KNOBS | {"positives": f"teacher:{folder}", "checkpoint_every": "2steps", "keep_optimizer": True}
    train.train(texts, out=tmp_path / "whole", encoder_options={"dim": 16}, **given)
    alive = dies_at(monkeypatch, 5)
    with pytest.raises(Killed):
        train.train(texts, out=tmp_path / "broken", encoder_options={"dim": 16}, **given)
    alive()
    monkeypatch.setattr(teacher.Vectors, "model", None)
    train.train(texts, out=tmp_path / "broken", resume=True)
    same_files(tmp_path / "whole", tmp_path / "broken")
    kept = load_file(tmp_path / "whole/checkpoint/state.safetensors")["positives/targets"]
    assert kept.shape == (160, 16)


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({}, "teacher is not named"),
        ({"positives": "views"}, "distil learns the vectors of a teacher"),
        ({"method": "simcse", "positives": "teacher:{}:vectors"}, "simcse learns no vectors of a teacher"),
        ({"positives": "teacher:{}:clusters"}, "distil learns the vectors of a teacher"),
    ],
)
def test_what_does_not_go_together_is_a_sentence(words, knobs, said):
    texts, folder = words
    with pytest.raises(ConfigError, match=said):
        plan_of(texts, **{k: v.format(folder) for k, v in knobs.items()})


def test_a_static_encoder_learns_from_a_real_model(data_folder, tmp_path):
    folder = os.environ.get("NEARFAR_MODELS")
    if not folder or not (Path(folder) / "minilm").is_dir():
        pytest.skip("NEARFAR_MODELS does not hold minilm")
    texts = [line.rpartition(",")[0] for line in (data_folder / "trec/train.csv").read_text().splitlines()[1:301]]
    word = f"teacher:st:{folder}/minilm"
    trained = train.train(texts, positives=word, encoder_options={"dim": 64}, lr=0.1,
                          **KNOBS | {"epochs": 6, "method.options.contrast": 0})  # fmt: skip
    first, last = trained.metrics[0], trained.metrics[-1]
    assert last["loss"] < 0.5
    assert last["taught"] > 1.2 * first["taught"]
    assert f"the vectors of st:{folder}/minilm" in " ".join(trained.plan.notes)


def test_a_contrast_of_one_view_is_refused():
    images = np.random.default_rng(0).integers(0, 255, (80, 30, 24), dtype=np.uint8)
    given = {"positives": f"teacher:{run_of_digits()}", "size": 20, **KNOBS, **CNN, "method.options.contrast": 1}
    with pytest.raises(ConfigError, match="nothing to compare it with; set method.count=2"):
        train.train(images, **given, quiet=True)
    trained = train.train(images, **given, quiet=True, **{"method.count": 2})
    assert trained.plan.record.options["contrast"] == 1
