"""Models in ONNX files: made by hand with what other people's have, and by nearfar from its own encoders."""

import copy
import json

import numpy as np
import pytest
import torch

import nearfar
from nearfar.core.errors import ConfigError, NearfarError
from nearfar.core.registry import ENCODERS, FIXED
from nearfar.models.branches import Branch

onnx = pytest.importorskip("onnx", reason="the library onnx is not installed")
pytest.importorskip("onnxruntime", reason="the library onnxruntime is not installed")
pytest.importorskip("onnxscript", reason="the library onnxscript is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

TEXT = {"vocabulary": 50, "length": 12}
WORDS = ["the", "a", "cat", "dog", "[CLS]", "[SEP]", "[PAD]", "[UNK]"]


def saved(path, nodes, inputs, outputs, weights=(), domains=("",)):
    """A model of these nodes; values are (name, type, shape)."""
    values = [[helper.make_tensor_value_info(*v) for v in side] for side in (inputs, outputs)]
    graph = helper.make_graph(nodes, "g", *values, [numpy_helper.from_array(w, n) for n, w in weights])
    imports = [helper.make_opsetid(d, 17 if d == "" else 1) for d in domains]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), str(path))


def preprocessing(folder, **column):
    (folder / "preprocessing.json").write_text(json.dumps({"schema": 1, "columns": {column["modality"]: column}}))


def tokenizer(path):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    made = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    frame = [("[CLS]", 4), ("[SEP]", 5)]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=frame)
    made.enable_padding(pad_id=6, pad_token="[PAD]")
    made.save(str(path))
    return made


@pytest.fixture
def texts(tmp_path):
    """A model whose states are rows of a table, as a library for texts exports them, with an input that says zeros."""
    table = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    nodes = [helper.make_node("Add", ["input_ids", "token_type_ids"], ["ids"]),
             helper.make_node("Gather", ["table", "ids"], ["last_hidden_state"]),
             helper.make_node("Identity", ["attention_mask"], ["mask"])]  # fmt: skip
    inputs = [(n, TensorProto.INT64, ["b", "l"]) for n in ("input_ids", "attention_mask", "token_type_ids")]
    outputs = [("last_hidden_state", TensorProto.FLOAT, ["b", "l", 5]), ("mask", TensorProto.INT64, ["b", "l"])]
    saved(tmp_path / "model.onnx", nodes, inputs, outputs, [("table", table)])
    made = tokenizer(tmp_path / "tokenizer.json")
    said = {"modality": "text", "tokenizer": "tokenizer.json", "length": 10, "output": "last_hidden_state",
            "pooling": "mean"}  # fmt: skip
    preprocessing(tmp_path, **said)
    return tmp_path, table, made, said


def rows(path, shape=("b", 3), kind=TensorProto.FLOAT, op="Identity", domain=""):
    """A model of rows of three numbers."""
    node = helper.make_node(op, ["x"], ["y"], domain=domain)
    saved(path / "model.onnx", [node], [("x", kind, list(shape))], [("y", kind, list(shape))], domains=("", domain))


def test_texts_of_other_peoples_files_are_framed_padded_and_pooled(texts):
    folder, table, made, _ = texts
    said = ["the cat", "a dog the dog a cat", "the"]
    for word in (f"onnx:{folder}", folder, folder / "model.onnx"):
        model = nearfar.load(word)
        z = model.encode(said, normalize=False)
        assert np.allclose(z, [table[made.encode(t).ids].mean(0) for t in said], atol=1e-6)
    assert model.encode(["cat"]).shape == (1, 5)
    assert repr(model).startswith("The model onnx:")


@pytest.mark.parametrize("pooling", ["cls", "max", "last"])
def test_other_poolings_of_states(texts, pooling):
    folder, table, made, said = texts
    preprocessing(folder, **{**said, "pooling": pooling, "normalize": True})
    states = table[made.encode("a dog").ids]
    wanted = {"cls": states[0], "max": states.max(0), "last": states[-1]}[pooling]
    assert np.allclose(nearfar.load(folder).encode("a dog")[0], wanted / np.linalg.norm(wanted), atol=1e-6)


def test_rows_are_brought_to_the_models_scale(tmp_path):
    rows(tmp_path)
    preprocessing(tmp_path, modality="vector", features=3, mean=[1, 2, 3], spread=[1, 2, 4])
    z = nearfar.load(tmp_path).encode(np.array([[1.0, 4.0, 7.0]]), normalize=False)
    assert np.allclose(z, [[0, 1, 1]])


def test_what_is_hashed_is_the_file(texts):
    folder, table, _, _ = texts
    one, again = nearfar.load(folder), nearfar.load(folder)
    assert one.identity == again.identity is not None
    model = onnx.load(str(folder / "model.onnx"))
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(table + 1, "table"))
    onnx.save(model, str(folder / "model.onnx"))
    assert nearfar.load(folder).identity != one.identity


def test_a_copy_encodes_too(texts):
    model = nearfar.load(texts[0])
    z = model.encode("a cat")
    encoder = copy.deepcopy(model.branches["text"].encoder)
    assert encoder._session is None
    model.branches["text"].encoder = encoder
    assert np.array_equal(model.encode("a cat"), z)


def test_it_cannot_be_trained(texts):
    with pytest.raises(ConfigError, match="cannot be trained: an ONNX file has no gradients"):
        nearfar.train(["the cat", "a dog"] * 8, init_from=f"onnx:{texts[0]}", out=None)


def test_members_of_an_ensemble_open_from_its_folder(texts, tmp_path):
    """Their files are its weights."""
    folder = texts[0]
    other = tmp_path / "other"
    other.mkdir()
    for file in ("model.onnx", "tokenizer.json"):
        (other / file).write_bytes((folder / file).read_bytes())
    preprocessing(other, **{**texts[3], "pooling": "max"})
    made = nearfar.ensemble([f"onnx:{folder}", f"onnx:{other}"], out=tmp_path / "run")
    z = made.encode("the cat")
    for file in (folder / "model.onnx", other / "model.onnx"):
        file.unlink()
    assert np.allclose(nearfar.load(tmp_path / "run").encode("the cat"), z, atol=1e-6)


# --- what is wrong ------------------------------------------------------------------------------------------------


def bad(folder, says):
    with pytest.raises(NearfarError) as caught:
        nearfar.load(f"onnx:{folder}")
    assert says in str(caught.value), str(caught.value)


def test_what_is_not_there(tmp_path):
    bad(tmp_path / "none", "there is no such file or folder")
    rows(tmp_path)
    bad(tmp_path, "there is no preprocessing.json beside the model, which says how its input is prepared")
    preprocessing(tmp_path, modality="vector", features=3)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    bad(tmp_path, "is no ONNX model, or a damaged one")
    (tmp_path / "model.onnx").unlink()
    bad(tmp_path, "model.onnx: there is no such file")


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ({"modality": "sound"}, "'sound'"),
        ({"modality": "text", "length": 8}, "columns.text.tokenizer is missing"),
        ({"modality": "vector", "features": 3, "lenght": 8}, "lenght is unknown"),
        ({"modality": "vector", "features": 3, "spread": [1, 0, 1]}, "above 0"),
        ({"modality": "vector", "features": 3, "output": "z"}, "has no output 'z'. There are: y"),
        ({"modality": "vector", "features": 3, "inputs": {"z": "values"}}, "has no input 'z'. There are: x"),
        ({"modality": "vector", "features": 3, "inputs": {"x": "mask"}}, "none that can be fed"),
        ({"modality": "vector", "features": 4}, "cannot be run on this input"),
        ({"modality": "vector", "features": 3, "spec": {"features": 3}}, "unknown"),
        ({"modality": "vector", "spec": {"features": 3, "mean": [0.0]}}, "spread is missing"),
    ],
)  # fmt: skip
def test_what_is_said_wrongly(tmp_path, column, says):
    rows(tmp_path)
    preprocessing(tmp_path, **column)
    bad(tmp_path, says)


def test_inputs_and_outputs_that_do_not_fit(tmp_path, texts):
    other = tmp_path / "rows"
    other.mkdir()
    preprocessing(other, modality="vector", features=3)
    rows(other, shape=(1, 3))
    bad(other, "takes 1 rows at once and no others")
    rows(other, kind=TensorProto.STRING)
    bad(other, "its input 'x' (tensor(string)) is none that can be fed")
    folder, _, _, said = texts
    preprocessing(folder, **{k: v for k, v in said.items() if k != "output"})
    bad(folder, "has several outputs, and none is named. There are: last_hidden_state, mask")
    preprocessing(folder, **{k: v for k, v in said.items() if k != "pooling"})
    assert nearfar.load(folder).branches["text"].out_features == 25  # states side by side, of a text of three tokens


def test_operators_that_the_runtime_does_not_have(tmp_path):
    preprocessing(tmp_path, modality="vector", features=3)
    rows(tmp_path, op="Magic", domain="my.own")
    bad(tmp_path, "needs operators that ONNX Runtime does not have: my.own.Magic")
    rows(tmp_path, op="Magic")
    bad(tmp_path, "ONNX Runtime cannot run it")


def test_weights_in_other_files(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    weights = np.arange(9, dtype=np.float32).reshape(3, 3)
    saved(folder / "model.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], [("x", TensorProto.FLOAT, ["b", 3])],
          [("y", TensorProto.FLOAT, ["b", 3])], [("w", weights)])  # fmt: skip
    preprocessing(folder, modality="vector", features=3)
    model = onnx.load(str(folder / "model.onnx"))
    onnx.save_model(model, str(folder / "model.onnx"), save_as_external_data=True, location="w.bin", size_threshold=0)
    one = nearfar.load(folder).encode(np.eye(3), normalize=False)
    assert np.array_equal(one, weights)
    (folder / "w.bin").rename(tmp_path / "w.bin")
    bad(folder, "has weights in 'w.bin', which is not there")
    model = onnx.load(str(folder / "model.onnx"), load_external_data=False)
    model.graph.initializer[0].external_data[0].value = "../w.bin"
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    bad(folder, "has weights in '../w.bin', outside its folder")


# --- nearfar's own encoders ---------------------------------------------------------------------------------------


def branch_of(encoder, shape, fixed=None, projector=True, **options):
    torch.manual_seed(1)
    made = ENCODERS.get(encoder).build(**shape, **options)
    beside = FIXED.get(fixed).build(**shape, dim=4) if fixed else None
    for name in ("vectors", "log_weights"):
        if beside is not None and hasattr(beside, name):
            getattr(beside, name).normal_()
    head = torch.nn.Sequential(torch.nn.Linear(made.out_features, 4), torch.nn.BatchNorm1d(4)) if projector else None
    return Branch(made, head, beside, 0.5).eval()


@pytest.mark.parametrize(
    ("encoder", "shape", "fixed", "layer"),
    [
        ("static", TEXT, "lsa", "features"), ("text_cnn", TEXT, None, "projection"),
        ("text_transformer", TEXT, None, "encoder"), ("mlp", {"features": 6}, "pca", "features"),
        ("small_cnn", {"channels": 3, "size": 16}, None, "projection"),
    ],
)  # fmt: skip
def test_what_is_written_gives_the_vectors_of_torch(encoder, shape, fixed, layer):
    """Of any number of rows and tokens; what is written was compared with torch on others."""
    from nearfar.encoders import onnx_graph
    from tests.helpers import texts

    small = {"text_transformer": {"layers": 1}, "small_cnn": {"widths": (8, 8)}}.get(encoder, {})
    branch = branch_of(encoder, shape, fixed, **small)
    made, least = onnx_graph.made(branch, layer, shape)
    assert least > 1 - 1e-5
    random = torch.Generator().manual_seed(5)
    if "vocabulary" in shape:
        x = texts.drawn([12, 1, 5, 3, 7, 2, 11], seed=5)
    else:
        x = torch.randn(7, *((6,) if "features" in shape else (3, 16, 16)), generator=random)
    with torch.no_grad():
        wanted = branch.output(x, layer)
        assert torch.allclose(
            made(x), wanted if layer == "encoder" else torch.nn.functional.normalize(wanted), atol=1e-4
        )
        assert made(x[:0]).shape == (0, wanted.shape[1])


def test_int8_is_smaller_and_near():
    from nearfar.encoders import onnx_graph

    branch = branch_of("mlp", {"features": 6}, projector=False)
    whole, _ = onnx_graph.made(branch, "features", {"features": 6})
    small, least = onnx_graph.made(branch, "features", {"features": 6}, int8=True)
    assert len(small.model) < 0.5 * len(whole.model)
    assert 0.98 < least < 1


def test_what_has_no_form_in_onnx_is_told():
    from nearfar.encoders import onnx_graph

    with pytest.raises(onnx_graph.Unwritten, match="TextRnn cannot be written as ONNX"):
        onnx_graph.made(branch_of("text_rnn", TEXT), "encoder", TEXT)
    with pytest.raises(onnx_graph.Unwritten, match="no products of matrices"):
        onnx_graph.made(branch_of("static", TEXT, projector=False), "features", TEXT, int8=True)
