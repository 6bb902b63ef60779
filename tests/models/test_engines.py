"""Models run by ONNX Runtime, and written as folders for it: the vectors of torch."""

import json

import numpy as np
import pytest

import nearfar
from nearfar.core.errors import ConfigError, UnknownName

pytest.importorskip("onnxruntime", reason="the library onnxruntime is not installed")
pytest.importorskip("onnxscript", reason="the library onnxscript is not installed")

from nearfar.encoders import onnx_graph
from nearfar.evaluation.floors import is_untouched

DRAW = np.random.default_rng(0)
ROWS = DRAW.normal(size=(40, 5)) * [1, 2, 3, 4, 5]
NEW = DRAW.normal(size=(9, 5))
SMALL = {"encoder": "mlp", "fixed": "none", "epochs": 1, "batch_size": 8, "precision": "fp32", "encoder_options": {"width": 16, "out": 8}}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose method keeps the projection."""
    path = tmp_path_factory.mktemp("runs") / "rows"
    nearfar.train(ROWS, method="simclr", out=path, **SMALL, set=["method.keep=projection"])
    return path


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NEARFAR_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "engines"


def test_vectors_are_those_of_torch_and_what_is_written_is_kept(run, home, monkeypatch):
    torch, onnx = nearfar.load(run), nearfar.load(run, engine="onnx")
    for layer in ("features", "projection"):
        assert np.abs(onnx.encode(NEW, layer=layer) - torch.encode(NEW, layer=layer)).max() < 1e-4
    assert onnx.keeps == "projection" and onnx.path == torch.path
    assert onnx.identity not in (None, torch.identity)
    (kept,) = home.iterdir()
    monkeypatch.setattr(onnx_graph, "made", None)  # so that writing again would fail
    again = nearfar.load(run, engine="onnx")
    assert np.array_equal(again.encode(NEW), onnx.encode(NEW))
    monkeypatch.undo()
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    monkeypatch.setenv("NEARFAR_HOME", str(home.parent))
    assert np.array_equal(nearfar.load(run, engine="onnx").encode(NEW), onnx.encode(NEW))
    assert len(kept.read_bytes()) == len(whole)  # a damaged one is written anew


def test_int8_is_near(run, home):
    a, b = nearfar.load(run).encode(NEW), nearfar.load(run, engine="onnx-int8").encode(NEW)
    assert (a * b).sum(1).min() > 0.9 and np.abs(a - b).max() > 1e-5


def test_unknown_engines(run):
    with pytest.raises(UnknownName, match="there is no engine named 'onx'"):
        nearfar.load(run, engine="onx")


def test_a_layer_that_cannot_be_written(tmp_path, home):
    nearfar.train(["the cat sat", "a dog ran"] * 8, out=tmp_path / "run", encoder="text_rnn", fixed="none", epochs=0)
    with pytest.raises(ConfigError, match="TextRnn cannot be written as ONNX .* Use it with torch"):
        nearfar.load(tmp_path / "run", engine="onnx")


def test_an_exported_folder_is_a_model(run, home, tmp_path, command):
    out = tmp_path / "exported"
    code, _, err = command("export", run, "--to", "onnx", "--out", out)
    assert code == 0 and "1 ONNX model of the column" in err
    assert {f.name for f in out.iterdir()} == {"model.onnx", "preprocessing.json", "README.md", "nearfar-export.json"}
    model, wanted = nearfar.load(out), nearfar.load(run).encode(NEW)
    assert np.abs(model.encode(NEW) - wanted).max() < 1e-4  # of the layer that is kept
    assert is_untouched(model)  # nothing was trained of it here, and its random weights would be none
    about = json.loads((out / "preprocessing.json").read_text())
    for name, column in json.loads((run / "config.json").read_text())["columns"].items():
        assert about["columns"][name]["spec"] == column["spec"]
    code, _, err = command("export", run, "--to", "onnx", "--out", out)
    assert code == 2 and "pass --overwrite" in err
    code, _, err = command("export", run, "--to", "sentence-transformers", "--int8", "--out", tmp_path / "other")
    assert code == 2 and "sentence-transformers has no weights of 8 bits here" in err


def test_texts_of_an_exported_folder(tmp_path, home):
    """Their tokeniser lies in it for other programs, with what stands around a text."""
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    from tokenizers import Tokenizer

    from tests.models.test_pretrained import TEXTS, folder_of

    folder = folder_of(tmp_path, prompts={"query": "the home "}, default=None, most=24)
    made = nearfar.export(folder, to="onnx", out=tmp_path / "out")
    assert "onnx:" in made.opens and str(tmp_path) not in (tmp_path / "out" / "README.md").read_text()
    torch, onnx = nearfar.load(folder), nearfar.load(tmp_path / "out")
    assert np.abs(torch.encode(TEXTS) - onnx.encode(TEXTS)).max() < 1e-4
    query = onnx.prompted("query").encode(TEXTS)
    assert np.abs(torch.prompted("query").encode(TEXTS) - query).max() < 1e-4 < np.abs(query - onnx.encode(TEXTS)).max()
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / "out" / "model.onnx"))
    ids = np.array([Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json")).encode(TEXTS[0]).ids])
    (alone,) = session.run(["vectors"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    assert np.abs(alone - torch.encode(TEXTS[:1])).max() < 1e-4
