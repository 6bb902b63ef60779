"""From Python: one vector a row whatever the row is brought as, pairs as tuples, and what is said on stderr."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import nearfar
from nearfar.core.errors import DataError, NearfarWarning, UnknownName

DRAW = np.random.default_rng(0)
COLOUR = DRAW.integers(0, 256, (24, 20, 16, 3), dtype=np.uint8)
GREY = DRAW.integers(0, 256, (24, 20, 16), dtype=np.uint8)
ROWS = DRAW.normal(size=(24, 3))
TEXTS = [f"the film number {i} was {word}" for i in range(12) for word in ("good", "bad")]
SMALL = {"epochs": 1, "batch_size": 8, "holdout": 0.0, "precision": "fp32", "threads": 1, "quiet": True}
NETWORK = {"encoder_options": {"widths": [4, 8]}, "projector": {"hidden": 8, "out": 4}}


@pytest.fixture(scope="module")
def colour():
    return nearfar.train(COLOUR, **SMALL, **NETWORK).model


@pytest.fixture(scope="module")
def grey():
    return nearfar.train(GREY, **SMALL, **NETWORK).model


@pytest.fixture(scope="module")
def vectors():
    return nearfar.train(ROWS, **SMALL).model


@pytest.fixture(scope="module")
def texts():
    return nearfar.train(TEXTS, **SMALL).model


# --- one row ------------------------------------------------------------------------------------------------------


def test_one_picture_is_one_row(colour, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture = Image.fromarray(COLOUR[3])
    picture.save("one.png")
    np.save("one.npy", COLOUR[3])
    right = colour.encode(COLOUR)[3:4]
    for one in (
        picture, [picture], (picture,), COLOUR[3], COLOUR[3:4], [COLOUR[3]], torch.tensor(COLOUR[3]),
        torch.tensor(COLOUR[3]).permute(2, 0, 1), COLOUR[3:4].transpose(0, 3, 1, 2), iter([picture]), "one.png",
        tmp_path / "one.png", (tmp_path / "one.png").read_bytes(), memoryview((tmp_path / "one.png").read_bytes()),
        "one.npy",
    ):  # fmt: skip
        np.testing.assert_allclose(colour.encode(one), right, atol=1e-6)


def test_pictures_in_a_tuple_are_rows(colour):
    right = colour.encode(COLOUR)[:2]
    for two in (tuple(COLOUR[:2]), tuple(map(Image.fromarray, COLOUR[:2]))):
        np.testing.assert_allclose(colour.encode(two), right, atol=1e-6)


def test_grey_pictures_of_a_grey_model(grey):
    right = grey.encode(GREY)
    for one in (GREY[0], GREY[:1], GREY[0][..., None], Image.fromarray(GREY[0]), torch.tensor(GREY[0])):
        np.testing.assert_allclose(grey.encode(one), right[:1], atol=1e-6)
    for count in (2, 3, 4):  # three of them are no picture of three channels
        np.testing.assert_allclose(grey.encode(GREY[:count]), right[:count], atol=1e-6)
    assert len(grey.encode(COLOUR[0])) == 1


def test_an_array_that_is_one_picture_or_three_is_refused(colour):
    with pytest.raises(DataError, match=r"x\[None\]"):
        colour.encode(GREY[:3])
    assert [len(colour.encode(x)) for x in (GREY[:3][..., None], GREY[:3].transpose(1, 2, 0)[None], GREY[:4])] == [
        3,
        1,
        4,
    ]


def test_one_picture_of_many_channels():
    bands = DRAW.integers(0, 256, (24, 5, 16, 20), dtype=np.uint8)
    model = nearfar.train(bands, **SMALL, **NETWORK).model
    right = model.encode(bands)
    for one in (bands[2], bands[2].transpose(1, 2, 0), torch.tensor(bands[2])):
        np.testing.assert_allclose(model.encode(one), right[2:3], atol=1e-6)


def test_one_row_of_numbers(vectors):
    right = vectors.encode(ROWS)
    for one in (ROWS[0], ROWS[0].tolist(), tuple(ROWS[0]), torch.tensor(ROWS[0]), ROWS[:1]):
        np.testing.assert_allclose(vectors.encode(one), right[:1], atol=1e-6)
    np.testing.assert_allclose(vectors.encode((ROWS[0], ROWS[1])), right[:2], atol=1e-6)
    with pytest.raises(DataError, match="not a row of 3 numbers"):
        vectors.encode(ROWS[:4, 0])


def test_one_text_is_one_row(texts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    right = texts.encode(["a film, good or bad"])
    np.testing.assert_array_equal(texts.encode("a film, good or bad"), right)
    for one in ("good", "he and/or she", "is it {good} or [bad]? *", "two\nlines"):
        np.testing.assert_array_equal(texts.encode(one), texts.encode([one]))
    with pytest.warns(NearfarWarning):  # longer than names of files, and than what the model reads
        assert len(texts.encode("word " * 2000)) == 1
    assert len(texts.encode(("good", "bad"))) == 2
    assert len(texts.encode(["a.jpg", "b.jpg"])) == 2  # texts, whatever they look like
    (tmp_path / "films.txt").write_text("good\nbad\nlong\n")
    assert len(texts.encode("films.txt")) == len(texts.encode(tmp_path / "films.txt")) == 3


@pytest.mark.parametrize("name", ["film.txt", "./films", "owner/name"])
def test_a_string_that_may_be_a_name_is_asked_about(texts, name):
    with pytest.raises(DataError, match=r"pass \['"):
        texts.encode(name)


def test_an_iterator_serves_a_model_that_reads_twice(texts):
    both = nearfar.ensemble([texts, texts], quiet=True)
    np.testing.assert_allclose(both.encode(iter(TEXTS)), both.encode(TEXTS))
    assert both.encode("one text").shape == both.encode(["one text"]).shape


# --- pairs --------------------------------------------------------------------------------------------------------


def test_tuples_train_a_model_of_pairs():
    pairs = [(t, t.upper()) for t in TEXTS]
    trained = nearfar.train(pairs, **SMALL)
    model = trained.model
    assert (list(model.columns), trained.plan.record.takes) == (["a", "b"], "pairs")
    for name, own in (("a", 0), ("b", 1)):
        by_name = model.encode(pairs, column=name)
        np.testing.assert_array_equal(by_name, model.encode([p[own] for p in pairs], column=name))
    with pytest.raises(DataError, match="several columns"):
        model.encode(pairs)
    assert model.encode(TEXTS[:3]).shape[0] == model.encode(tuple(TEXTS[:3])).shape[0] == 3
    with pytest.raises(UnknownName, match="c"):
        model.encode(pairs, column="c")
    with pytest.warns(NearfarWarning, match="trained on"):
        found = nearfar.evaluate(model, pairs, quiet=True, floors=False)
    assert "retrieval" in found.results[0]
    assert list(nearfar.train(zip(TEXTS, TEXTS, strict=True), column="b", **SMALL).model.columns) == ["b"]


def test_a_model_of_one_text_refuses_pairs(texts):
    for pairs in ([("a text", "another")], [("a text", "another text")]):
        with pytest.raises(DataError, match=r"several columns \(a, b\)"):
            texts.encode(pairs)
    beside = [(Image.fromarray(COLOUR[0]), "a text"), (Image.fromarray(COLOUR[1]), "another text")]
    with pytest.warns(NearfarWarning, match="Left out: a"):
        found = texts.encode(beside)
    np.testing.assert_array_equal(found, texts.encode(["a text", "another text"]))


# --- what is said -------------------------------------------------------------------------------------------------


def test_notes_are_shown_unless_quiet(capfd):
    loud = SMALL | {"quiet": False}
    nearfar.train(ROWS, **loud)
    assert "Rows: 24" in capfd.readouterr().err
    trained = nearfar.train(ROWS, **SMALL)
    assert capfd.readouterr() == ("", "")
    with pytest.warns(NearfarWarning, match="trained on"):
        nearfar.evaluate(trained.model, (ROWS, np.arange(24) % 2), protocols=["knn"], floors=False)
    assert "Measuring" in capfd.readouterr().err
    nearfar.train(ROWS, seeds=2, **loud)
    assert "Rows: 24" in capfd.readouterr().err
    nearfar.ContrastiveEmbedding(epochs=1).fit(ROWS)
    assert capfd.readouterr() == ("", "")


def test_quiet_leaves_warnings():
    rows = [(t, "good" if i % 2 else "bad") for i, t in enumerate(TEXTS)]
    with pytest.warns(NearfarWarning, match="label of the first"):
        nearfar.train(rows, **SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nearfar.train(TEXTS, **SMALL)


# --- the estimator ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [None, float("nan"), "", "pandas"])
def test_rows_without_a_label_are_of_no_class(missing):
    if missing == "pandas":
        missing = pytest.importorskip("pandas").NA
    y = np.array(["u", "v"] * 12, object)
    y[:4] = missing
    y = list(y)
    model = nearfar.ContrastiveEmbedding("supcon", epochs=1, n_components=4).fit(ROWS, y)
    classes = [v if isinstance(v, str) else None for v in y]
    other = nearfar.ContrastiveEmbedding("supcon", epochs=1, n_components=4).fit(ROWS, [c or None for c in classes])
    np.testing.assert_array_equal(model.transform(ROWS), other.transform(ROWS))
    as_a_class = ["w"] * 4 + classes[4:]
    different = nearfar.ContrastiveEmbedding("supcon", epochs=1, n_components=4).fit(ROWS, as_a_class)
    assert not np.array_equal(model.transform(ROWS), different.transform(ROWS))
