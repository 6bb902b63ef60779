"""A model that is used as it was pretrained has no untrained encoder beneath it, unless that is asked for."""

import numpy as np
import pytest

import nearfar
from nearfar.evaluation.below import sentences
from nearfar.evaluation.protocols import Features, linear_probe

pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")

from tests.helpers.tiny_transformers import WORDS
from tests.models.test_pretrained import folder_of


@pytest.fixture
def labelled(tmp_path):
    draw = np.random.default_rng(0)
    y = np.arange(60) % 2
    rows = [",".join((" ".join(draw.choice(WORDS[k::2], 4)), "ab"[k])) for k in y]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *rows]))
    return tmp_path / "rows.csv"


def test_it_is_left_out_with_a_sentence_and_measured_where_it_is_asked_for(tmp_path, labelled):
    folder = folder_of(tmp_path, "bert")
    found = nearfar.evaluate(folder, labelled, protocols="knn", quiet=True)
    assert set(found.results[0]["floors"]) == {"majority", "raw_input"}
    (said,) = [w for w in found.warnings if "--floors" in w]
    assert said.startswith(f"The untrained encoder of {found.results[0]['run']} is not measured")
    assert said in found.table()
    asked = nearfar.evaluate(folder, labelled, protocols="knn", floors=True, quiet=True)
    assert "untrained_encoder" in asked.results[0]["floors"]
    assert not [w for w in asked.warnings if "--floors" in w]
    none = nearfar.evaluate(folder, labelled, protocols="knn", floors=False, quiet=True)
    assert set(none.results[0]["floors"]) == {"majority"}
    assert not [w for w in none.warnings if "--floors" in w]


@pytest.mark.filterwarnings("ignore:.*was trained on:nearfar.core.errors.NearfarWarning")
def test_its_vectors_are_probed_at_unit_length_and_those_of_a_network_that_begins_at_random_are_not(tmp_path, labelled):
    folder = folder_of(tmp_path, "bert")
    begun = nearfar.train(labelled, encoder=f"st:{folder}", out=tmp_path / "run", epochs=1, batch_size=16, quiet=True)
    ours = nearfar.train(labelled, encoder="static", label="label", epochs=1, batch_size=16, quiet=True)
    for model, form in ((folder, "unit length"), (begun.model, "unit length"), (tmp_path / "run", "unit length"),
                        (ours.model, "unnormalised")):  # fmt: skip
        found = nearfar.evaluate(model, labelled, protocols=["few_labels", "linear_probe"], quiet=True).results[0]
        settings = [found["linear_probe"]["settings"], found["few_labels"]["5"]["settings"]]
        assert all(s["features"].startswith(form) for s in settings), (model, settings)
        raw = found["floors"]["raw_input"]["linear_probe"]["settings"]
        assert raw["features"].startswith("unnormalised")


def test_directions_are_centred_and_have_one_scale():
    draw = np.random.default_rng(0)
    x, t = (draw.normal(size=(n, 6)).astype(np.float32) * 10 ** np.arange(6) for n in (50, 9))
    both = Features(x, np.arange(50) % 2, 2, directions=True).standardised(slice(0, 40), t)
    u, v = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x[:40], t))
    scale = np.sqrt(u.var(0).mean())
    for found, expected in zip(both, (u, v), strict=True):
        np.testing.assert_allclose(found, (expected - u.mean(0)) / scale, atol=1e-4)


def test_what_was_not_trained_is_not_told_to_train_longer(tmp_path, labelled):
    """Random weights are below the words themselves, which tell these classes apart."""
    found = nearfar.evaluate(folder_of(tmp_path, "bert"), labelled, protocols=["knn", "linear_probe"], quiet=True)
    assert found.results[0]["trained"] is False
    below = found.results[0] | {"knn": {"accuracy": 0.2, "interval": [0.1, 0.3]}}
    below["floors"]["raw_input"]["knn"] = {"accuracy": 0.9, "interval": [0.8, 1.0]}
    (said,) = sentences([below])
    assert "--init-from" in said
    assert "--epochs" not in said


@pytest.mark.filterwarnings("ignore:.*was trained on:nearfar.core.errors.NearfarWarning")
def test_the_raw_input_of_texts_is_the_same_whatever_the_model_reads(tmp_path, labelled):
    found = {}
    folder = folder_of(tmp_path, "bert")
    ours = nearfar.train(labelled, epochs=0, method="random", quiet=True).model
    pieces = nearfar.train(labelled, epochs=0, method="random", tokens="bpe:300", quiet=True).model
    for models in ([folder], [ours], [pieces, ours], [folder, ours]):
        results = nearfar.evaluate(models, labelled, protocols=["knn", "few_labels"], quiet=True).results
        found[str(results[0]["floors"]["raw_input"])] = models
    assert len(found) == 1, found


def test_many_labels_choose_whether_a_linear_probe_sees_directions():
    """Where one small dimension tells the classes, and large ones do not, standardising each is better, and is taken."""
    draw = np.random.default_rng(0)
    y = np.arange(2000) % 2
    x = np.concatenate([draw.normal(size=(2000, 20)), 1e-4 * (y + 0.1 * draw.normal(size=2000))[:, None]], axis=1)
    x = x.astype(np.float32)
    train, test = (Features(x[p], y[p], 2, directions=True) for p in (slice(1500), slice(1500, None)))
    found = linear_probe.measure(train, test)
    assert found["settings"]["features"].startswith("unnormalised")
    assert found["accuracy"] > 0.95
