"""Classes by their names alone: against plain loops, through the command, and as a protocol."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest

from nearfar.core import files
from nearfar.core.errors import ConfigError, DataError, NearfarWarning, UserError
from nearfar.downstream.classify.classify import classify
from nearfar.evaluation import evaluate, measure
from nearfar.evaluation.protocols import Features
from nearfar.evaluation.protocols import zero_shot as protocol
from nearfar.models import loading
from nearfar.training import train as training
from nearfar.vectors.basics import unit
from tests.helpers.colours import COLOURS, QUICK, pictures

TEMPLATES = ("a {} picture", "{}", "picture of {} things")


def train(out, **given):
    x, _, captions = pictures()
    return training.train({"image": x, "caption": captions}, column=("image", "caption"), out=out, **QUICK | given).path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(tmp_path_factory.mktemp("zero") / "clip", epochs=8, keep_optimizer=True)


@pytest.mark.parametrize("method", ["clip", "siglip"])
def test_it_is_the_softmax_over_the_prompts_at_the_learnt_temperature(method, run, tmp_path):
    path = run if method == "clip" else train(tmp_path / "run", epochs=2, method=method, keep_optimizer=True)
    model = loading.load(path)
    stored, _ = files.load_tensors(path / "checkpoint" / "state.safetensors")
    if method == "clip":
        temperature, before = math.exp(stored["parts.temperature.raw"]), 0.07
    else:
        temperature, before = 1 / math.exp(stored["parts.scale.raw"]), 0.1
    assert abs(temperature - before) > 1e-5  # it was learnt
    made = model.zero_shot(COLOURS, TEMPLATES)
    assert made.temperature == pytest.approx(temperature, rel=1e-5)

    x, colour, _ = pictures(30, seed=1)
    z = model.encode(x, column="image")
    expected = []
    for row in z.astype(float):
        weights = []
        for name in COLOURS:
            v = np.mean([model.encode([t.replace("{}", name)], column="caption")[0] for t in TEMPLATES], 0)
            weights.append(math.exp(float(row @ v) / float(np.linalg.norm(v)) / temperature))
        expected.append([w / sum(weights) for w in weights])
    found = made.predict(3 * z)  # of any length
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)
    np.testing.assert_array_equal(found.labels, np.argmax(expected, 1))
    assert method == "siglip" or (found.labels == colour).mean() > 0.8
    lines = found.lines(range(30), made.names, made.rows)
    assert lines[0]["nearest"] in made.rows
    prompts = model.encode(list(made.rows), column="caption")
    assert [line["nearest"] for line in lines] == [made.rows[i] for i in (z @ prompts.T).argmax(1)]


@pytest.mark.parametrize(
    ("args", "given", "said"),
    [
        ((["red"],), {}, "two classes"),
        ((["red", "red "],), {}, "named twice"),
        ((["red", " "],), {}, "no name"),
        (("red",), {}, "list of names"),
        ((COLOURS, "a picture"), {}, "no place for the class"),
        ((COLOURS, ()), {}, "no template"),
        ((COLOURS,), {"column": "image"}, "not a column of text"),
        ((COLOURS,), {"temperature": 0.0}, "not a temperature"),
    ],
)
def test_mistakes_are_sentences(run, args, given, said):
    with pytest.raises(ConfigError, match=said):
        loading.load(run).zero_shot(*args, **given)


def test_a_model_without_text_and_vectors_of_another_space_are_told(digits, tiny, run):
    model = training.train(digits, **tiny).model
    with pytest.raises(ConfigError, match="no column of text"):
        model.zero_shot(COLOURS)
    made = loading.load(run).zero_shot(COLOURS)
    with pytest.raises(DataError, match="dimensions"):
        made.predict(np.zeros((2, 3)))
    with pytest.raises(DataError, match="not finite"):
        made.predict(np.full((2, made.prompts.shape[1]), np.nan))
    assert len(made.predict(np.zeros((0, made.prompts.shape[1])))) == 0


def test_classes_that_the_model_cannot_tell_apart_are_told(run):
    assert any("are the same" in n for n in loading.load(run).zero_shot(["red", "RED", "blue"]).notes)


@pytest.fixture
def new(tmp_path):
    """Labelled pictures, in an array of another name than the model's column, and names in files."""
    x, colour, _ = pictures(40, seed=2)
    np.savez(tmp_path / "new.npz", x=x, y=np.asarray(COLOURS)[colour])
    (tmp_path / "classes.txt").write_text("red\n\ngreen\nblue\n")
    (tmp_path / "templates.txt").write_text("a {} picture\n{}\n")
    return tmp_path


def test_the_command_needs_names_only(command, run, new, monkeypatch):
    monkeypatch.chdir(new)
    code, out, err = command("classify", run, "new.npz", "--classes", "red, green,blue", "--template", "a {} picture",
                             "--template", "{}", "--out", "p.csv", "--json")  # fmt: skip
    assert code == 0, err
    for said in ("3 classes by 2 prompts each in the column 'caption'", "learnt", "Measured on 40"):
        assert said in err
    found = json.loads(out)
    assert (found["kind"], found["templates"], found["classes"]) == ("zero-shot", 2, list(COLOURS))
    assert found["figures"]["accuracy"] > 0.8
    assert not (run / "classifier").exists()
    kept = (new / "p.csv").read_text()
    code, _, err = command("classify", run, "new.npz", "--classes", "classes.txt", "--template", "templates.txt",
                           "--out", "q.csv")  # fmt: skip
    assert code == 0, err
    assert (new / "q.csv").read_text() == kept


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["new.npz", "--classes", "red,blue", "--use", "default"], "exclude each other"),
        (["new.npz", "new.npz", "--classes", "red,blue"], "the only data"),
        (["new.npz", "--classes", "red,blue", "--kind", "knn"], "labelled rows"),
        (["new.npz", "--template", "a {}"], "for --classes"),
        (["new.npz", "--classes", "red,blue", "--template", "a thing"], "no place"),
        (["new.npz", "--classes", ""], "no name"),
        (["missing.npz", "--classes", "red,blue"], "missing.npz"),
    ],
)
def test_mistakes_of_the_command(command, run, new, monkeypatch, args, said):
    monkeypatch.chdir(new)
    code, _, err = command("classify", run, *args)
    assert code == 2, err
    assert said in err


def test_an_ensemble_says_that_it_cannot(tmp_path, digits, tiny):
    import nearfar

    for seed in (0, 1):
        training.train(digits, out=tmp_path / f"r{seed}", **tiny | {"epochs": 1, "seed": seed})
    nearfar.ensemble([tmp_path / "r0", tmp_path / "r1"], out=tmp_path / "both")
    with pytest.raises(ConfigError, match="ensemble"):
        classify(tmp_path / "both", classes=["one", "two"], new=digits["test"][0])


# as a protocol


def test_the_protocol_equals_plain_loops():
    draw = np.random.default_rng(0)
    x, p, y = draw.normal(size=(50, 6)), unit(draw.normal(size=(4, 6))), draw.integers(0, 3, 50)
    score = Features(x.astype(np.float32), y, 4, p.astype(np.float32))
    found = protocol.measure(score, score)
    right = [max(range(4), key=lambda c: x[i] @ p[c]) == y[i] for i in range(50)]
    assert found["accuracy"] == pytest.approx(np.mean(right))
    assert found["chance"] == 0.25
    assert found["majority"] == pytest.approx(max(np.mean(y == c) for c in range(4)))
    by_class = [np.mean([r for r, t in zip(right, y, strict=True) if t == c]) for c in range(3)]
    assert found["by_class"] == pytest.approx(np.mean(by_class))


def test_a_collapsed_embedding_scores_chance():
    y = np.arange(30) % 5
    same = Features(np.ones((30, 3), np.float32), y, 5, unit(np.ones((5, 3), np.float32)))
    assert protocol.measure(same, same)["accuracy"] == pytest.approx(0.2)


def test_labelled_pictures_are_measured_where_the_labels_have_names(run):
    x, colour, _ = pictures(60, seed=3)
    model = loading.load(run)
    names = [f"{COLOURS[c]}_picture" for c in colour]
    found = evaluate.evaluate(model, {"x": x, "label": names}, column="image", templates="a {}",
                         protocols=["knn", "zero_shot"])  # fmt: skip
    r = found.results[0]
    own = r["zero_shot"]["image"]
    assert own["accuracy"] > max(
        0.8, own["majority"], r["floors"]["untrained_encoder"]["zero_shot"]["image"]["accuracy"]
    )
    assert own["settings"]["templates"] == ["a {}"]
    rows = found.rows.test
    classes = sorted(set(names))
    made = model.zero_shot([c.replace("_", " ") for c in classes], "a {}")
    truth = np.asarray([classes.index(names[i]) for i in rows])
    assert own["accuracy"] == pytest.approx(
        (made.predict(model.encode(x[rows], column="image")).labels == truth).mean()
    )
    assert "zero-shot image (chance 0.333" in found.table()
    assert "zero_shot" in measure.chosen([model], found.table_of_rows, ())
    numbers = replace(found.table_of_rows, label_names=("0", "1", "2"))
    assert "zero_shot" not in measure.chosen([model], numbers, ())
    with pytest.raises(DataError, match="no words"):
        evaluate.evaluate(model, {"x": x, "label": colour}, column="image", protocols=["zero_shot"])


def test_of_pairs_each_picture_counts_once(run):
    x, colour, captions = pictures(40, seed=4)
    twice = {"image": np.concatenate([x, x[:20]]), "caption": captions + [f"again {c}" for c in captions[:20]]}
    twice["label"] = [COLOURS[c] for c in [*colour, *colour[:20]]]
    with pytest.warns(NearfarWarning, match="40 of 120 texts of 'caption' are longer than 72 tokens"):
        found = evaluate.evaluate(loading.load(run), {"train": twice, "test": twice}, floors=False)
    r = found.results[0]
    assert set(r["retrieval"]) == {"image->caption", "caption->image"}
    assert r["zero_shot"]["image"]["settings"]["queries"] == 40
    del twice["label"]
    with pytest.raises(UserError, match="no labels"), pytest.warns(NearfarWarning, match="20 of 60 texts"):
        evaluate.evaluate(loading.load(run), twice, protocols=["zero_shot"])


def test_a_run_of_pictures_alone_is_told_so(digits, tiny):
    model = training.train(digits, **tiny).model
    data = {k: (x, [f"digit {i}" for i in y]) for k, (x, y) in digits.items()}
    with pytest.raises(DataError, match="has none"):
        evaluate.evaluate(model, data, protocols=["zero_shot"])


def test_the_temperature_outlives_a_copy(run, tmp_path):
    copied = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(copied / "checkpoint")
    a, b = loading.load(run), loading.load(copied)
    assert a.numbers == b.numbers != {}
