"""Features that are computed and not trained, beside those that are trained."""

import json

import numpy as np
import pytest
import torch

import nearfar
from nearfar.core import files
from nearfar.core.errors import ConfigError, NearfarWarning, UnknownName
from nearfar.encoders.fixed import lsa, pca
from nearfar.encoders.fixed._svd import leading
from nearfar.encoders.text.static import token_weights
from nearfar.evaluation import evaluate
from nearfar.models.run import Run
from nearfar.training import train
from nearfar.vectors.knn import online_knn
from tests.conftest import TINY

TEXTS = [
    f"{a} {b} {c}" for a in ("red", "green", "blue", "old", "new") for b in ("car runs", "house stands", "tree grows")
    for c in ("fast today", "in the town", "near me", "at night")
]  # fmt: skip
BAG = {"dim": 24, "ngram_weight": 0.25}
FEW = {"epochs": 2, "batch_size": 16, "encoder_options": BAG, "fixed_options": {"dim": 8}}


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_leading_vectors_are_those_of_the_whole_decomposition():
    rng = np.random.default_rng(0)
    matrix = (rng.normal(size=(60, 40)) @ np.diag(0.7 ** np.arange(40))).astype(np.float32)
    found, whole = leading(matrix, 5), np.linalg.svd(matrix)[2][:5].T
    assert np.abs((found * whole).sum(0)) == pytest.approx(1, abs=1e-4)
    assert (found[np.abs(found).argmax(0), np.arange(5)] > 0).all()
    assert (leading(matrix[:4], 5)[:, 4:] == 0).all() and (leading(matrix[:1], 5)[:, 1:] == 0).all()
    assert leading(matrix[:4], 5)[:, :4].any(0).all() and (leading(0 * matrix, 5) == 0).all()
    centred = matrix[:4] - matrix[:4].mean(0)
    assert leading(centred, 5)[:, :3].any(0).all() and (leading(centred, 5)[:, 3:] == 0).all()


def test_lsa_is_the_decomposition_of_tfidf():
    """Against a dense one, by the formulas of scikit-learn's TfidfVectorizer and TruncatedSVD."""
    rng = np.random.default_rng(1)
    topic = np.repeat([0, 1, 2], [40, 25, 12])[:, None]  # of different sizes, so that no two directions are alike
    ids = np.where(rng.random((77, 12)) < 0.9, 10 * topic + rng.integers(1, 11, (77, 12)), 0).astype(np.int32)
    new = np.asarray([[1, 1, -2, 3, 0, 0], [31, 0, 0, 0, 0, 0], [5, 31, 5, 0, 0, 0]], np.int32)  # 31 was never seen
    net = lsa.build(vocabulary=31, length=12, dim=3)
    net.setup(torch.from_numpy(ids))
    counts, asked = (np.stack([np.bincount(np.abs(r), minlength=32)[1:] for r in x]) for x in (ids, new))
    idf = np.log((1 + len(ids)) / (1 + (counts > 0).sum(0))) + 1
    _, _, right = np.linalg.svd(unit(counts * idf), full_matrices=False)
    weights = np.sqrt((asked * (idf * (counts.sum(0) > 0)) ** 2).sum(1) + asked[:, 30])  # 1 of what was never seen
    want = (asked * idf * (counts.sum(0) > 0)) @ right[:3].T / weights[:, None]
    found = net(torch.from_numpy(new)).numpy()
    assert np.abs(found) == pytest.approx(np.abs(want), abs=1e-3)
    assert (found[1] == 0).all() and not list(net.parameters())


def test_what_repeats_a_word_counts_less():
    """A word's n-grams do, and words of one character, whose n-grams are two, where these are not most of the words."""
    ids = np.asarray([[1, -2, -3, -4, 5, -6, -7, 0], [1, -2, -3, -4, 8, -9, -9, -4]], np.int32)
    idf = np.log(3 / (1 + np.asarray([2, 2, 2, 2, 1, 1, 1, 1, 1]))) + 1
    found = token_weights(torch.from_numpy(ids), 10, 1.0, 0.2)[1:]
    assert found / idf == pytest.approx([1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 1, 0.2])
    assert token_weights(torch.from_numpy(ids), 10, 0.0, 1.0) == pytest.approx(1)
    shared = np.asarray([[1, -2, -3, -4, 4, -2, -3, -2]], np.int32)  # 4 is a word half of the time
    assert token_weights(torch.from_numpy(shared), 5, 0.0, 0.2)[4] == pytest.approx(0.6)
    characters = np.asarray([[1, -2, -3, 4, -5, -6, 7, -8, -9, -9]], np.int32)
    assert token_weights(torch.from_numpy(characters), 8 + 2, 0.0, 0.2)[[1, 2, 4, 7]] == pytest.approx([1, 0.2, 1, 1])


@pytest.mark.parametrize("where", ["encoder_options", "fixed_options"])
@pytest.mark.parametrize("weight", [0.0, -1.0, 1e300])
def test_a_weight_that_is_none(where, weight):
    with pytest.raises(ConfigError, match=r"ngram_weight is .* and has to be above 0 and at most 1\.$"):
        train.train(TEXTS, quiet=True, **FEW | {where: {"ngram_weight": weight}})


def test_who_says_that_tokens_repeat_a_word():
    """The tokeniser, of what begins; a run holds what was decided, and one of an earlier version has none of it."""
    for tokens, weight in (("hashed", 0.25), ("hashed:1000,2-3", 0.25), ("hashed:3-5", None), ("bpe:300", None)):
        model = train.rehearse(TEXTS, quiet=True, epochs=1, tokens=tokens).config.model
        assert model.fixed == "lsa" and model.encoder_options["dim"] == 256
        assert model.encoder_options.get("ngram_weight") == model.fixed_options.get("ngram_weight") == weight
    assert "ngram_weight" not in train.rehearse(TEXTS, quiet=True, epochs=1, fixed="none").config.model.encoder_options
    other = train.rehearse(TEXTS, quiet=True, epochs=1, fixed="lsa", encoder="text_cnn", tokens="hashed").config.model
    assert "ngram_weight" not in other.encoder_options and other.fixed_options == {"ngram_weight": 0.25}


def test_a_training_of_an_earlier_version_goes_on_as_it_began(tmp_path, monkeypatch):
    """Defaults that came later are not for it."""
    from nearfar.modalities.text.tokenisers import hashed

    given = {"encoder_options": {}, "fixed_options": {}, "keep_optimizer": True, "select": "last"}
    with monkeypatch.context() as earlier:
        earlier.setattr(hashed, "beside", lambda spec: {})
        train.train(TEXTS, out=tmp_path / "run", quiet=True, **FEW | given)
        whole = train.train(TEXTS, out=tmp_path / "whole", quiet=True, **FEW | given | {"epochs": 3})
    more = train.train(TEXTS, out=tmp_path / "run", quiet=True, resume=True, epochs=3)
    assert more.plan.config.model == whole.plan.config.model and more.model.config.model.encoder_options == {"dim": 256}


def test_a_training_that_begins_with_a_run_computes_them_again(tmp_path):
    train.train(TEXTS, out=tmp_path / "run", quiet=True, **FEW | {"select": "last"})
    others = TEXTS[:36]
    with_run, alone = (
        train.train(others, quiet=True, fixed="lsa", **FEW | {"select": "last", "init_from": run}).model
        for run in (str(tmp_path / "run"), None)
    )
    a, b = (m.tensors()["text.fixed.vectors"] for m in (with_run, alone))
    assert torch.equal(a, b)


def test_principal_components():
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(80, 7)).astype(np.float32) * np.asarray([5, 4, 3, 2, 1, 0.5, 0.1], np.float32) + 3
    net = pca.build(features=7, dim=3)
    net.setup(torch.from_numpy(rows))
    _, _, right = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    want = (rows - rows.mean(0)) @ right[:3].T
    assert np.abs(net(torch.from_numpy(rows)).numpy()) == pytest.approx(np.abs(want), abs=2e-3)
    assert pca.build(features=7).out_features == 7
    whole = pca.build(features=7)
    whole.setup(torch.from_numpy(rows))
    assert (whole(torch.from_numpy(rows)).std(0) > 0.05).all()


def test_pictures_are_compared_without_their_light():
    """Brightness and contrast of a picture change nothing, nor does its size beyond 32 pixels."""
    rng = np.random.default_rng(3)
    pictures = torch.from_numpy(rng.random((40, 3, 64, 64), np.float32))
    net = pca.build(channels=3, size=64, dim=16)
    net.setup(pictures)
    found = net(pictures)
    assert found.shape == (40, 16) and found.isfinite().all()
    assert torch.allclose(net(0.3 * pictures + 0.2), found, atol=1e-3)
    assert torch.allclose(net(torch.full((1, 3, 64, 64), 0.5)), net(torch.zeros(1, 3, 64, 64)))


def test_components_of_large_inputs_are_computed_from_fewer_rows():
    """5,000 photographs of 1,024 pixels would be 63 GB."""
    assert pca.build(channels=3, size=32).setup_rows == pca.build(features=9).setup_rows == 5000
    assert pca.build(channels=3, size=96).setup_rows == 2**26 // (3 * 96 * 96)
    assert pca.build(channels=3, size=1024, dim=64).setup_rows == 128


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A training with fixed features, as a run, and one without."""
    out = tmp_path_factory.mktemp("fixed") / "run"
    return train.train(TEXTS, out=out, quiet=True, **FEW), train.train(TEXTS, quiet=True, **FEW | {"fixed": "none"})


def test_what_is_trained_does_not_see_them(both):
    beside, alone = (t.model for t in both)
    assert beside.config.model.fixed == "lsa" and beside.config.model.fixed_weight == 1.0
    for name, weight in alone.tensors().items():
        assert torch.equal(weight, beside.tensors()[name]), name
    found, own = beside.encode(TEXTS, normalize=False), alone.encode(TEXTS, normalize=False)
    assert found.shape == (60, 32) and np.array_equal(found[:, :24], own)
    lengths = [np.linalg.norm(part, axis=1).mean() for part in (found[:, :24], found[:, 24:])]
    assert lengths[1] == pytest.approx(lengths[0], rel=0.03)  # rows held out count here too


def test_a_run_holds_them(both):
    trained = both[0]
    again = nearfar.load(trained.path)
    assert np.array_equal(again.encode(TEXTS), trained.model.encode(TEXTS))
    config = json.loads((trained.path / "config.json").read_text())
    config["config"]["model"]["fixed_weight"] = 2.0
    changed = trained.path.parent / "changed"
    changed.mkdir()
    for name in ("model.safetensors", "rows.safetensors"):
        (changed / name).write_bytes((trained.path / name).read_bytes())
    (changed / "config.json").write_text(json.dumps(config))
    with pytest.raises(Exception, match=r"config.model.fixed_weight is not what the weights were made with"):
        nearfar.load(changed)


def test_a_run_of_an_earlier_version_has_none(both, tmp_path):
    old = tmp_path / "old"
    train.train(TEXTS, out=old, quiet=True, **FEW | {"fixed": "none"})
    config = json.loads((old / "config.json").read_text())
    weights, about = files.load_tensors(old / "model.safetensors")
    for name in ("fixed", "fixed_options", "fixed_weight"):
        del config["config"]["model"][name], about["made"][f"config.model.{name}"]
    files.save_tensors(old / "model.safetensors", weights, about)
    (old / "config.json").write_text(json.dumps(config))
    model = nearfar.load(old)
    assert np.array_equal(model.encode(TEXTS), both[1].model.encode(TEXTS))
    assert model.untrained().encode(TEXTS).shape == (60, 24)
    model.save(tmp_path / "again")
    assert files.load_tensors(tmp_path / "again")[1]["made"].items() >= about["made"].items()


def test_the_untrained_encoder_has_them_too(both):
    labels = [t.split()[0] for t in TEXTS]
    with pytest.warns(NearfarWarning, match="too good"):
        found = evaluate.evaluate(both[0].model, {"train": (TEXTS, labels)}, protocols="knn", quiet=True)
    assert found.results[0]["floors"]["untrained_encoder"]["geometry"]["dimensions"] == 32


def test_the_watch_sees_them():
    """A kNN of held-out rows, before the first step and after the last, is that of the model's own vectors."""
    labels = [t.split()[0] for t in TEXTS]
    trained = train.train((TEXTS, labels), quiet=True, holdout=0.4, select="last", **FEW)
    plan, y = trained.plan, trained.plan.table.labels
    x, q = (trained.model.features(plan.table.first, r) for r in (plan.train, plan.heldout))
    own = online_knn(torch.from_numpy(x), y[plan.train], torch.from_numpy(q), y[plan.heldout])
    assert trained.metrics[-1]["knn"] == pytest.approx(own)
    assert trained.metrics[0]["step"] == 0 and "knn" in trained.metrics[0]


def test_a_twin_has_no_copy_of_them(tmp_path):
    x = np.random.default_rng(0).random((80, 16, 16), np.float32)
    given = TINY | {"fixed": "pca", "fixed_options": {"dim": 4}, "keep_optimizer": True}
    train.train(x, out=tmp_path / "run", method="moco_v2", quiet=True, **given)
    from safetensors.torch import load_file

    held = load_file(Run(tmp_path / "run").checkpoint_file)
    assert [k for k in held if ".fixed." in k] == ["branches.x.fixed.components", "branches.x.fixed.mean"]


def test_a_bag_without_labels_is_trained_for_some_200_steps():
    """At least 10 epochs; what learns from labels or pairs takes the usual number."""
    many = [f"{t} {i}" for i in range(50) for t in TEXTS]
    labels = [t.split()[0] for t in many]
    epochs = [
        train.rehearse(data, quiet=True, batch_size=b, **k).config.train.epochs for data, b, k in (
            (many, 256, {}), (many, 32, {}), ((many, labels), 256, {"method": "supcon"}),
            ({"a": many, "b": many[::-1]}, 256, {"column": ("a", "b")}),
        )
    ]  # fmt: skip
    assert epochs == [19, 10, 200, 200]


@pytest.mark.parametrize("knobs", [{"method": "supcon", "label": "y"}, {"nested": [8]}])
def test_by_default_only_where_they_are_known_to_help(knobs):
    data = {"x": TEXTS, "y": [t.split()[0] for t in TEXTS]} if "label" in knobs else TEXTS
    assert train.rehearse(data, quiet=True, **FEW | knobs | {"fixed_options": {}}).config.model.fixed == "none"
    pairs = {"a": TEXTS, "b": TEXTS[::-1]}
    assert train.rehearse(pairs, column=("a", "b"), quiet=True, epochs=1).config.model.fixed == "none"


def test_a_run_with_them_begins_one_without(both):
    pairs = {"a": TEXTS, "b": TEXTS[::-1]}
    found = train.train(pairs, column=("a", "b"), init_from=f"a={both[0].path}", epochs=1, lr=1e-12, quiet=True,
                      batch_size=16)  # fmt: skip
    weights = both[0].model.branches["text"].encoder.vectors
    assert torch.allclose(found.model.branches["a"].encoder.vectors, weights, atol=1e-6)


@pytest.mark.parametrize(("knobs", "error", "said"), [
    ({"fixed": "las"}, UnknownName, "lsa"), ({"fixed": "pca"}, ConfigError, "does not take text input"),
    ({"fixed": "lsa", "fixed_options": {"dim": 0}}, ConfigError, "width 0"),
    ({"fixed": "lsa", "fixed_options": {"dims": 3}}, ConfigError, "dims"), ({"fixed_weight": 0}, ConfigError, "above 0"),
])  # fmt: skip
def test_requests_that_make_no_sense(knobs, error, said):
    with pytest.raises(error, match=said):
        train.rehearse(TEXTS, quiet=True, epochs=1, **knobs)
