"""Models in other libraries: the same vectors, from the folder alone."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from nearfar import cli
from nearfar.core import errors
from nearfar.core.registry import TARGETS
from nearfar.downstream import export as exporting
from nearfar.methods.parts.heads import mlp
from nearfar.models import loading
from nearfar.training import train as training

if find_spec("sentence_transformers") is None:  # not imported here: that takes five seconds of every process of tests
    pytest.skip("the library sentence-transformers is not installed", allow_module_level=True)

from tests.encoders.test_transformers import config_of, tokenizer_of, transformers

# some texts are longer than the models read, on purpose
pytestmark = pytest.mark.filterwarnings("ignore:.* longer than:nearfar.core.errors.NearfarWarning")
WORDS = "cat dog sat on the mat and ran far away from home house café 你好 naïve Übung x1 — ﬁne".split()  # noqa: SIM905
TEXTS = [
    "the cat sat on the mat", "cat", "the cat " * 300, "Grüße, 你好! naïve café ①", ".", "\u200b", " \t the\n  dog ",
    "🙂🙂", "x" * 20_000, " " * 600 + "home", "<s> the </s> [UNK]", "the dog ran far away from the house and on and on",
]  # fmt: skip
OPEN = """
import sys, numpy as np
from sentence_transformers import SentenceTransformer
plain, own, texts, out = sys.argv[1:]
texts = open(texts, encoding="utf-8", newline="").read().split("\\0")
sys.modules["nearfar"] = None  # so that importing it fails
first = SentenceTransformer(plain, device="cpu").encode(texts)
del sys.modules["nearfar"]
np.savez(out, plain=first, own=SentenceTransformer(own, device="cpu", trust_remote_code=True).encode(texts))
"""


def export(*args, **options):
    from nearfar.downstream.export import sentence_transformers

    return sentence_transformers.export(*args, **options)


@pytest.fixture
def modules():
    from nearfar.downstream.export import _sentence_modules

    return _sentence_modules


def sentences(rows=64, seed=0):
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, draw.integers(2, 14))) for _ in range(rows)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Trains a run for a moment: large steps, so that no weight is what it was."""

    def train(encoder, **knobs):
        folder = tmp_path_factory.mktemp("run")
        (folder / "texts.txt").write_text("\n".join(sentences()), encoding="utf-8")
        knobs = {"method": "simcse", "epochs": 2, "batch_size": 16, "threads": 1, "precision": "fp32",
                 "holdout": 0.0, "length": 12, "lr": 0.01} | knobs  # fmt: skip
        training.train(str(folder / "texts.txt"), encoder=encoder, out=folder / "run", **knobs)
        return folder / "run"

    return train


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """Makes the folder of a tiny model of `transformers`."""

    def folder(kind):
        path = tmp_path_factory.mktemp(kind)
        torch.manual_seed(3)
        config = config_of(kind)
        config.initializer_range = 0.2  # so that texts differ
        transformers.AutoModel.from_config(config).save_pretrained(path)
        tokenizer_of(kind).save_pretrained(path)
        return f"transformers:{path}"

    return folder


def same_vectors(path, tmp_path):
    """Export a run, open it without nearfar where that is promised, and compare; what was written."""
    from sentence_transformers import SentenceTransformer

    out = tmp_path / "exported"
    found = export(loading.load(path), out)
    own = "NearfarModule" in found.form
    expected = loading.load(path).encode(TEXTS)
    z = SentenceTransformer(str(out), device="cpu", trust_remote_code=own).encode(TEXTS, batch_size=5)
    assert z.dtype == np.float32
    assert np.allclose(z, expected, rtol=0, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.01  # there is something to compare
    assert np.isfinite(
        SentenceTransformer(str(out), device="cpu", trust_remote_code=own).encode(["", "cat", " "])
    ).all()
    assert ("trust_remote_code=True" in found.opens) == own
    return found


# --- what opens without nearfar -----------------------------------------------------------------------------------


PROJECTED = {"method": "simclr", "keep": "projection"}
BAG, WEIGHTED, CNN = (
    "StaticEmbedding",
    "WordEmbeddings → WordWeights → Pooling",
    "WordEmbeddings → WordWeights → CNN → Pooling",
)


@pytest.mark.parametrize(
    ("encoder", "knobs", "form"),
    [
        ("static", {"tokens": "bpe:300"}, f"{BAG} → Normalize"),
        ("static", {"tokens": "unigram:60"}, f"{BAG} → Normalize"),
        ("static", {"tokens": "bpe:300", **PROJECTED}, f"{WEIGHTED} → Dense → Dense → Normalize"),
        ("static", {"tokens": "unigram:60", **PROJECTED}, f"{WEIGHTED} → Dense → Dense → Normalize"),
        ("text_cnn", {}, f"{CNN} → Dense → Normalize"),
        ("text_cnn", {"tokens": "unigram:60", **PROJECTED}, f"{CNN} → Dense → Dense → Dense → Normalize"),
    ],
)
def test_bags_and_convolutions(run, tmp_path, encoder, knobs, form):
    assert same_vectors(run(encoder, **knobs), tmp_path).form == form


# sixteen steps move every weight, which is all that is needed here, and may lower the loss by nothing
@pytest.mark.filterwarnings("ignore:collapse:nearfar.core.errors.CollapseWarning")
@pytest.mark.parametrize(
    ("kind", "options", "knobs", "form"),
    [
        ("bert", {"pooling": "mean"}, {}, "Transformer → Pooling → Normalize"),
        ("bert", {"pooling": "pooler"}, {}, "Transformer → Normalize"),
        ("bert", {"lora": {"r": 4}}, PROJECTED, "Transformer → Pooling → Dense → Dense → Normalize"),
        ("roberta", {"pooling": "cls"}, {"length": 60}, "Transformer → Pooling → Normalize"),
        ("mpnet", {"pooling": "max"}, {}, "Transformer → Pooling → Normalize"),
        ("llama", {"pooling": "last", "lora": {"r": 2}}, {}, "Transformer → Pooling → Normalize"),
        ("t5", {}, {}, "Transformer → Pooling → Normalize"),
    ],
)
def test_models_of_transformers(run, pretrained, tmp_path, kind, options, knobs, form):
    path = run(pretrained(kind), encoder_options=options, epochs=4, lr=0.001, **knobs)
    if "lora" in options:
        pytest.importorskip("peft", reason="the library peft is not installed")
        moved = [w for name, w in loading.load(path).branches.named_parameters() if ".lora_B." in name]
        assert moved
        assert all(w.abs().max() > 0 for w in moved)
    assert same_vectors(path, tmp_path).form == form


def test_folders_are_all_that_a_fresh_process_needs(run, pretrained, tmp_path):
    runs = {"plain": run(pretrained("bert"), lr=0.001), "own": run("text_rnn")}
    for name, path in runs.items():
        export(loading.load(path), tmp_path / name)
    (tmp_path / "texts").write_text("\0".join(TEXTS), encoding="utf-8", newline="")
    said = subprocess.run(
        [sys.executable, "-c", OPEN, *[tmp_path / name for name in (*runs, "texts", "z.npz")]],
        capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    found = np.load(tmp_path / "z.npz")
    for name, path in runs.items():
        assert np.allclose(found[name], loading.load(path).encode(TEXTS), rtol=0, atol=1e-5)


# --- what needs nearfar -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoder", "knobs", "said"),
    [
        ("static", {"tokens": "hashed:2000"}, "the tokeniser 'hashed' is nearfar's own"),
        ("static", {"tokens": "hashed:2000", **PROJECTED}, "the tokeniser 'hashed' is nearfar's own"),
        ("text_rnn", {}, "there is nothing like TextRnn"),
        ("text_transformer", {}, "there is nothing like TextTransformer"),
    ],
)
def test_what_needs_nearfar_says_so(run, tmp_path, encoder, knobs, said):
    found = same_vectors(run(encoder, **knobs), tmp_path)
    assert found.form == "NearfarModule → Normalize"
    assert said in found.notes[0]
    assert "trust_remote_code=True" in found.notes[0]


def test_a_module_of_ours(run, tmp_path):
    from sentence_transformers import SentenceTransformer

    path = run("text_rnn")
    export(loading.load(path), tmp_path / "exported")
    assert str(path.parent) not in (tmp_path / "exported" / "0_NearfarModule" / "config.json").read_text()
    with pytest.raises(ValueError, match="trust_remote_code"):
        SentenceTransformer(str(tmp_path / "exported"))
    model = SentenceTransformer(str(tmp_path / "exported"), device="cpu", trust_remote_code=True)
    assert model.get_embedding_dimension() == model.encode(["cat"]).shape[1]
    model.save(str(tmp_path / "again"), create_model_card=False)
    again = SentenceTransformer(str(tmp_path / "again"), device="cpu", trust_remote_code=True)
    assert np.array_equal(again.encode(TEXTS), model.encode(TEXTS))


def test_what_gives_other_vectors_is_not_kept(run, tmp_path, monkeypatch, modules):
    right = modules.modules
    monkeypatch.setattr(modules, "modules", lambda *given: right(*given)[:-1])  # not of unit length
    found = export(loading.load(run("static", tokens="bpe:300")), tmp_path / "exported")
    assert found.form.startswith("NearfarModule")
    assert "vectors differ by" in found.notes[0]


# --- pieces -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layers", "norm", "norm_last"), [(1, True, False), (2, True, False), (3, False, True)])
@torch.no_grad()
def test_layers_do_what_the_projector_does(layers, norm, norm_last, modules):
    torch.manual_seed(0)
    projector = mlp(6, 8, 4, layers=layers, norm=norm, norm_last=norm_last).double()
    projector(3 * torch.randn(50, 6).double() + 1)  # statistics
    projector.eval()
    x = y = torch.randn(7, 6).double()
    for layer in modules.layers(projector):
        y = y @ layer.weight.T + layer.bias
        y = layer.activation()(y) if layer.activation else y
    assert torch.allclose(y, projector(x), rtol=0, atol=1e-12)
    assert not modules.scales(modules.layers(projector))


def test_layers_that_cannot_be(modules):
    for module in (torch.nn.BatchNorm1d(3), torch.nn.ReLU(), torch.nn.LayerNorm(3)):
        with pytest.raises(exporting.Unfit, match=type(module).__name__):
            modules.layers(torch.nn.Sequential(module))
    assert modules.layers(torch.nn.Identity()) == []
    assert modules.scales(
        modules.layers(torch.nn.Sequential(torch.nn.Linear(3, 2, bias=False), torch.nn.ReLU()))
    )


# --- the verb -----------------------------------------------------------------------------------------------------


def test_the_verb(run, tmp_path, capfd):
    path, out = run("static", tokens="bpe:300"), tmp_path / "exported"
    assert cli.run(["export", str(path), "--to", "sentence-transformers", "--out", str(out), "--json"]) == 0
    said, shown = capfd.readouterr()
    result = json.loads(said)
    assert result["form"] == "StaticEmbedding → Normalize"
    assert result["to"] == "sentence-transformers"
    assert f"Open it in Python: {result['opens']}" in shown
    names = {}
    exec(result["opens"], names)
    assert names["model"].encode(["cat"]).shape == loading.load(path).encode(["cat"]).shape
    assert "SentenceTransformer(FOLDER)" in (out / "README.md").read_text()
    assert list(tmp_path.glob(".exported*")) == []

    again = ["export", str(path), "--to", "sentence_transformers", "--out", str(out)]
    assert cli.run(again) == 2
    assert "--overwrite" in capfd.readouterr().err
    assert cli.run([*again, "--overwrite"]) == 0
    for asked, said in (
        (["--to", "sentence-transformer", "--out", "x"], "Did you mean 'sentence-transformers'?"),
        (["--to", "sentence-transformers", "--out", str(path), "--overwrite"], "is a run folder"),
        (["--to", "sentence-transformers", "--out", "x", "--column", "tekst"], "Did you mean 'text'?"),
    ):
        assert cli.run(["export", str(path), *asked]) == 2
        assert said in capfd.readouterr().err


def test_targets_are_files():
    assert "sentence_transformers" in TARGETS
    assert "mteb" not in TARGETS


def test_models_that_cannot_be_exported(tmp_path):
    class Model:
        members = (None,)
        columns = {"a": ("text", {}), "b": ("text", {}), "p": ("image", {})}
        branches = {"a": object(), "b": object(), "p": object()}

    assert exporting.column_of(Model, "text", "b") == "b"
    assert exporting.column_of(Model, "image") == "p"
    with pytest.raises(errors.ConfigError, match="columns a, b.*--column"):
        exporting.column_of(Model, "text")
    with pytest.raises(errors.ConfigError, match="holds image, not text"):
        exporting.column_of(Model, "text", "p")
    with pytest.raises(errors.ConfigError, match="takes audio, the model takes image, text"):
        exporting.column_of(Model, "audio")
    with pytest.raises(RuntimeError), exporting.folder(tmp_path / "out") as made:
        (made / "half").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


# --- MTEB ---------------------------------------------------------------------------------------------------------


def test_an_encoder_of_mteb(run):
    from nearfar.downstream.export.mteb import as_mteb

    path = run("static", tokens="hashed:2000")
    model = as_mteb(path)
    expected = loading.load(path).encode(TEXTS[:6])
    batches = [{"text": TEXTS[:4], "title": [""] * 4}, {"text": TEXTS[4:6]}]
    z = model.encode(batches, task_metadata=None, hf_split="test", hf_subset="default", prompt_type=None, batch_size=2)
    assert np.allclose(z, expected, atol=1e-6)
    assert np.allclose(model.encode(TEXTS[:6]), expected, atol=1e-6)
    blank = model.encode(["", "cat", " \n"])
    assert not blank[[0, 2]].any()
    assert np.allclose(blank[1], loading.load(path).encode(["cat"])[0])
    assert not model.encode(["", " "]).any()
    assert np.allclose(model.similarity(z, 2 * z), expected @ expected.T, atol=1e-5)
    assert np.allclose(model.similarity_pairwise(z, z[::-1].copy()), (expected * expected[::-1]).sum(1), atol=1e-5)


def test_mteb_takes_it(run):
    mteb = pytest.importorskip("mteb", reason="the library mteb is not installed")
    from mteb.mocks.mock_tasks import retrieval, sts
    from mteb.models import EncoderProtocol

    from nearfar.downstream.export.mteb import as_mteb

    model = as_mteb(run("static", tokens="hashed:2000"), name="me/texts")
    assert isinstance(model, EncoderProtocol)
    assert model.mteb_model_meta.name == "me/texts"
    assert len(model.mteb_model_meta.revision) == 12
    for task in (sts.MockSTSTask(), retrieval.MockRetrievalTask()):
        (found,) = mteb.evaluate(model, [task], cache=None).task_results
        assert np.isfinite(found.get_score())
