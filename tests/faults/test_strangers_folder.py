"""A run folder may be a stranger's: it opens from itself alone, its sizes are compared before memory is taken.

Each case changes a folder and says the sentence that opening it must end with. No socket may be touched, whatever the
folder names, and neither a second nor a hundred MiB may be spent.
"""

import os
import pickle
import resource
import shutil
import socket
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import nearfar
from nearfar.core import files
from nearfar.core.errors import DataError, RunError, UserError
from nearfar.core.registry import ENCODERS
from nearfar.models import blueprint
from nearfar.models.run import Run
from nearfar.training import train
from tests.faults.strangers import (
    BERT,
    STATE,
    announced,
    bert,
    both,
    encoder,
    first,
    instead,
    knob,
    named,
    numbered,
    of_column,
    put,
    raw,
    sparse,
    tensors,
    value,
)  # fmt: skip

ROWS = np.random.default_rng(0).normal(size=(32, 6)).astype(np.float32)
TEXTS = [f"{a} {b} on the {c}" for a in ("a cat", "one dog") for b in ("sat", "ran", "lay") for c in ("mat", "hill")]
PICTURES = np.random.default_rng(1).random((24, 16, 16, 3)).astype(np.float32)
SMALL = {"batch_size": 8, "epochs": 1, "threads": 1, "holdout": 0.0, "precision": "fp32", "quiet": True,
         "method": "simclr", "projector": {"hidden": 8, "out": 4}, "device": "cpu", "keep_optimizer": True}  # fmt: skip
SECONDS, MEMORY = 2.0, 150  # of processor time, and MiB


class Touched(BaseException):
    """A socket was used."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each modality, an ensemble and a classifier, made once."""
    home = tmp_path_factory.mktemp("runs")
    mlp = {"encoder_options": {"width": 8, "out": 8, "layers": 2}}
    for name, seed in (("rows", 0), ("other", 1)):
        train.train(ROWS, out=home / name, seed=seed, **SMALL | mlp)
    swav = SMALL | {"method": "swav", "parts": {"prototypes": {"size": 8}}, "projector": {"hidden": 8, "out": 4}}
    train.train(ROWS, out=home / "swav", **swav | mlp)
    train.train(ROWS, out=home / "moco", **SMALL | mlp | {"method": "moco_v2", "parts": {"memory": {"size": 16}}, "batch_size": 16})
    taught = {"positives": f"teacher:{home / 'rows'}:neighbours:2"}
    train.train(ROWS, out=home / "taught", **SMALL | mlp | taught)
    train.train(ROWS, out=home / "pcl", **SMALL | mlp | {"method": "pcl", "parts": {"memory": {"size": 16}}, "batch_size": 16})
    train.train(TEXTS, out=home / "texts", encoder="static", encoder_options={"dim": 8}, tokens="hashed:64", **SMALL)
    train.train(PICTURES, out=home / "pictures", encoder="small_cnn", encoder_options={"widths": [4, 8]}, **SMALL)
    train.train(PICTURES, out=home / "linear", encoder="tutorial_cnn", encoder_options={"out": 8}, **SMALL)
    nearfar.ensemble([home / "rows", home / "other"], how="average", data=ROWS, out=home / "both")
    return home


@pytest.fixture
def alone(monkeypatch):
    """No network: who asks for it is found out, whatever it catches."""

    def touched(*_, **__):
        raise Touched("the network was asked for")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, touched)
    for name in ("getaddrinfo", "create_connection", "gethostbyname"):
        monkeypatch.setattr(socket, name, touched)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


SIZES = {
    "wide": ("rows", encoder(10**6, "width"), r"weight \S+ is float32 \(8, 6\), and float32 \(1000000, 6\) by config"),
    "wide and wide": ("rows", encoder(2 * 10**9, "width"), r"and float32 \(2000000000, 6\) by config.json"),
    "wider than can be": ("rows", encoder(10**18, "width"), "cannot be built|must be|larger"),
    "layers": ("rows", encoder(10**6, "layers"), "19 tensors.*far more or far larger"),
    "very many layers": ("rows", encoder(10**12, "layers"), "far more or far larger|must be|larger"),
    "fewer layers": ("rows", encoder(1, "layers"), "is missing"),
    "out": ("rows", encoder(10**6, "out"), r"by config.json"),
    "projector": ("rows", knob(10**6, "method", "projector", "hidden"), r"projector\S+ is float32 \(8, 8\), and"),
    "layers of the projector": ("rows", knob(10**10, "method", "projector", "layers"), "far more or far|must be|larger"),
    "no projector": ("rows", knob(None, "method", "projector"), "describes no such weight"),
    "another method": ("rows", knob("swav", "model", "method"), "."),
    "vocabulary": ("texts", of_column(10**9, "spec", "tokeniser", "vocabulary"), "by config.json|must be"),
    "dimensions of words": ("texts", encoder(10**6, "dim"), r"\(65, 1000000\) by config.json"),
    "another encoder of texts": ("texts", named("text_transformer", layers=10**6), "far more or far larger|missing"),
    "recurrent layers": ("texts", named("text_rnn", layers=10**6), "far more or far larger"),
    "transformer": ("texts", bert(num_hidden_layers=5000), "far more or far larger"),
    "transformer of no end": ("texts", bert(num_hidden_layers=10**9), "num_hidden_layers=1000000000|must be"),
    "places of a transformer": ("texts", bert(max_position_embeddings=10**9), "tables that no memory holds"),
    "widths": ("pictures", encoder([10**6, 10**6], "widths"), r"\(1000000, \d+, 3, 3\) by config.json|cannot be built"),
    "very many widths": ("pictures", encoder([4] * 20_000, "widths"), "far more or far larger"),
    "grid": ("pictures", named("patches:small_cnn", grid=10**6, widths=[4, 8]), "cannot be|1000000"),
    "a picture's side": ("linear", of_column(10**6, "spec", "size"), r"by config.json|must be"),
    "channels": ("pictures", of_column(10**6, "spec", "channels"), r"by config.json|must be"),
    "timm": ("pictures", named("timm:resnet18"), "missing|far more"),
    "a member": ("both", put(10**6, "ensemble", "members", 1, "config", "model", "encoder_options", "width"),
                 r"members/1/\S+ is float32 \(8, 6\), and float32 \(1000000, 6\)"),
    "a member's layers": ("both", put(10**6, "ensemble", "members", 0, "config", "model", "encoder_options", "layers"),
                          "far more or far larger"),
}  # fmt: skip

WEIGHTS = {
    "nan": ("rows", first(value(torch.nan)), r"\S+ holds numbers that are not finite"),
    "inf": ("pictures", first(value(-torch.inf)), "not finite"),
    "nan of a member": ("both", first(value(torch.nan), like="members/1"), "members/1.* not finite"),
    "nan of a map": ("both", first(value(torch.nan), like="maps/"), "maps/.* not finite"),
    "nan of a learnt number": ("rows", tensors(lambda t: t | {"numbers/t": torch.tensor(torch.nan).double()}), "not fi"),
    "learnt numbers": ("rows", tensors(lambda t: t | {"numbers/t": torch.ones(3).double()}), r"float64 \(\) by config"),
    "integers": ("rows", first(lambda t: t.long()), r"is int64 \(.*, and float32"),
    "half": ("rows", first(lambda t: t.half()), r"is float16 \(.*, and float32"),
    "double": ("rows", first(lambda t: t.double()), r"is float64"),
    "bool": ("rows", first(lambda t: t > 0), r"is bool"),
    "one number": ("rows", first(lambda t: t.sum()), r"is float32 \(\), and"),
    "empty": ("rows", first(lambda t: t[:0]), r"is float32 \(0"),
    "transposed": ("rows", first(lambda t: t.T), r"is float32 \(6, 8\), and float32 \(8, 6\)"),
    "one is missing": ("rows", tensors(lambda t: {k: v for k, v in list(t.items())[1:]}), "is missing"),
    "none": ("rows", tensors(lambda t: {"x": torch.ones(1)}), "is missing"),
    "one more": ("rows", tensors(lambda t: t | {"more": torch.ones(3)}), "holds more, and config.json describes no such"),
    "one more member": ("both", tensors(lambda t: t | {"members/7/x": torch.ones(3)}), "holds members/7/x"),
    "a map of another size": ("both", first(lambda t: t[:3, :3], like="maps/"), r"maps/\S+ is float32 \(3, 3\)"),
    "a map is missing": ("both", tensors(lambda t: {k: v for k, v in t.items() if "maps/kept" not in k}), "are missing"),
    "complex": ("rows", raw({"a": announced([0, 16], dtype="C64")}), "is of the type C64"),
    "float8": ("rows", raw({"a": announced([0, 16], (16,), "F8_E4M3")}), "is of the type F8_E4M3"),
    "unsigned": ("rows", raw({"a": announced([0, 16], (4,), "U32")}), "is of the type U32"),
    "axes": ("rows", raw({"a": announced([0, 16], (1,) * 9 + (4,))}), "with 10 axes"),
    "overlapping": ("rows", raw({"a": announced([0, 8]), "b": announced([4, 12])}), "damaged or no safetensors"),
    "negative offsets": ("rows", raw({"a": announced([-8, 0])}), "damaged or no safetensors"),
    "negative shape": ("rows", raw({"a": announced([0, 16], (-4,))}), "damaged or no safetensors"),
    "more than the file": ("rows", raw({"a": announced([0, 2**40], (2**38,))}), "damaged or no safetensors"),
    "too large to say": ("rows", raw({"a": announced([0, 16], (2**40, 2**40))}), "damaged or no safetensors"),
    "metadata of a list": ("rows", raw({"__metadata__": {"nearfar": "[1]"}, "a": announced([0, 16], (4,))}), "metadata"),
    "nested metadata": ("rows", raw({"__metadata__": {"nearfar": "[" * 10**5}, "a": announced([0, 16], (4,))}), "damaged"),
    "a header of 100 MB": ("rows", sparse, "header is larger than 16 MiB"),
    "a header without end": ("rows", raw(struct.pack("<Q", 2**63) + b"{}"), "header is larger"),
    "nothing": ("rows", raw(b""), "damaged or no safetensors"),
    "a pickle": ("rows", raw(pickle.dumps({"a": ROWS})), "damaged or no safetensors"),
    "a folder": ("rows", instead(Path.mkdir), "no file"),
    "a pipe": ("rows", instead(os.mkfifo), "no file"),
    "a loop": ("rows", instead(lambda p: p.symlink_to(p)), "no model|cannot be read|damaged|loop"),
    "rows of fractions": ("rows", tensors(lambda t: {k: v.double() for k, v in t.items()}, "rows.safetensors"), "not hash"),
    "rows of tables": ("rows", tensors(lambda t: {k: v[None] for k, v in t.items()}, "rows.safetensors"), "not hashes"),
    "rows of nothing": ("rows", tensors(lambda t: {"x": torch.ones(1).long()}, "rows.safetensors"), "not hashes"),
}  # fmt: skip



ELSEWHERE = {
    "a name on the hub": ("texts", named("transformers:someone/model"), "architecture is not there"),
    "its name as an option": ("texts", named("transformers", name="someone/model", pretrained=True), "is not there"),
    "files": ("texts", named("transformers:/etc", pooling="auto"), "is not there"),
    "no pooling": ("texts", both(bert(), encoder("auto", "pooling")), "pooling"),
    "code beside it": ("texts", bert(auto_map={"AutoModel": "someone/model--a.B"}), "auto_map"),
    "attention of the hub": ("texts", bert(attn_implementation="someone/kernel"), "elsewhere .attn_implementation"),
    "attention of the hub, inside": ("texts", bert(text_config={"_attn_implementation": "a/b"}), "elsewhere ._attn"),
    "a backbone": ("texts", bert(model_type="detr", backbone="resnet50", use_pretrained_backbone=True), "elsewhere"),
    "trust": ("texts", both(bert(), encoder(True, "trust_remote_code")), "no option 'trust_remote_code'"),
    "no such type": ("texts", bert(model_type="no_such_type"), "knows no models of type"),
    "an adapter that imports": ("texts", both(bert(), encoder({"r": 2, "megatron_core": "os", "megatron_config": {"a": 1}},
                                "lora")), "megatron"),
    "an adapter of copies": ("texts", both(bert(), encoder({"r": 2, "layer_replication": [[0, 2]] * 1000}, "lora")),
                             "no option 'layer_replication'"),
    "an adapter with a pattern": ("texts", both(bert(), encoder({"r": 2, "target_modules": "([a-z.]+)+[0-9]$"}, "lora")),
                                  "names of layers in a list"),
    "an adapter with a pattern inside": ("texts", both(bert(), encoder({"r": 2, "target_modules": ["query"],
                                         "rank_pattern": {"(.+)+x": 3}}, "lora")), "names of layers in a list"),
    "weights of timm from a file": ("pictures", named("timm:resnet18", checkpoint_path="/etc/passwd"), "no option"),
    "timm of the hub": ("pictures", named("timm:hf-hub:someone/model"), "has no model"),
    "timm of another hub": ("pictures", named("timm:resnet18", pretrained_cfg={"hf_hub_id": "a/b"}), "no option"),
    "timm with weights": ("pictures", named("timm:resnet18", pretrained=True), "missing|far more"),
    "patches of timm": ("pictures", named("patches:timm", name="timm"), "."),
}  # fmt: skip

OPENING = {**SIZES, **WEIGHTS, **ELSEWHERE}


@pytest.fixture(scope="module", autouse=True)
def ready():
    """What is imported only once is imported before anything is timed."""
    for name in ("transformers", "timm", "peft", "torch._refs"):
        pytest.importorskip(name)
    from transformers import AutoModel, BertConfig

    with torch.device("meta"):
        AutoModel.from_config(BertConfig(**{k: v for k, v in BERT.items() if k != "model_type"}))


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("case", OPENING)
def test_a_folder_is_refused_in_a_sentence(runs, tmp_path, case):
    base, change, said = OPENING[case]
    folder = shutil.copytree(runs / base, tmp_path / "run")
    change(folder)
    began, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=said) as e:
        nearfar.load(folder, "cpu")
    assert time.process_time() - began < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < MEMORY * 1024
    assert "\n" not in str(e.value)
    assert len(str(e.value)) < 700


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("base", ["rows", "swav", "texts", "pictures", "linear", "both"])
def test_a_sound_folder_opens_without_a_network(runs, base):
    data = {"texts": TEXTS, "pictures": PICTURES, "linear": PICTURES}.get(base, ROWS)
    assert np.isfinite(nearfar.load(runs / base).encode(data)).all()


class Looks(torch.nn.Module):
    """Takes numbers of a tensor while it is built, and keeps a table that is in no file of weights."""

    def __init__(self, features, width):
        super().__init__()
        self.out_features = int(torch.tensor(8))
        self.linear = torch.nn.Linear(features, width)
        self.register_buffer("table", torch.arange(8.0), persistent=False)

    def forward(self, x):
        return self.linear(x) + self.table


def test_networks_that_cannot_be_built_without_numbers(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(ENCODERS.get("mlp"), "build", lambda *, features, width=8: Looks(features, width))
    model = train.train(ROWS, out=tmp_path / "run", **SMALL).model
    found = nearfar.load(tmp_path / "run", "cpu")
    assert np.array_equal(found.encode(ROWS), model.encode(ROWS))
    encoder(10**5, "width")(tmp_path / "run")
    with pytest.raises(RunError, match="far more or far larger|by config.json"):
        nearfar.load(tmp_path / "run", "cpu")


T5 = {"model_type": "t5", "vocab_size": 65, "d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}


@pytest.mark.parametrize(("architecture", "said"), [(BERT, "cannot be built"), (T5, "do not work")])
@pytest.mark.parametrize("frame", ["prefix", "suffix"])
def test_networks_that_are_as_described_and_do_not_work(runs, tmp_path, frame, architecture, said):
    """What frames a text is beyond the model's table, which shapes alone do not tell."""
    folder = shutil.copytree(runs / "texts", tmp_path / "run")
    named("transformers:someone/model", architecture=architecture, pooling="mean", pretrained=None)(folder)
    networks = blueprint.described(Run.open(folder).config, "")[0]
    weights = {k: torch.zeros(t.shape, dtype=t.dtype) for k, t in networks.tensors({}).items()}
    files.save_tensors(folder / "model.safetensors", weights, {})
    assert np.isfinite(nearfar.load(folder, "cpu").encode(["a cat"])).all()
    encoder([10**6], frame)(folder)
    with pytest.raises(UserError, match=f"{said}: index out of range"):
        nearfar.load(folder, "cpu")


# --- other doors ------------------------------------------------------------------------------------------------------

CHECKPOINTS = {
    "wide": ("rows", encoder(10**6, "width"), r"\(8, 6\), and float32 \(1000000, 6\) by config"),
    "layers": ("rows", encoder(10**6, "layers"), "far more or far larger"),
    "prototypes": ("swav", knob(10**9, "method", "parts", "prototypes", "size"), r"\(1000000000, 4\) by config|must be"),
    "memory": ("moco", knob(10**9, "method", "parts", "memory", "size"), r"\(1000000000, 4\) by config|must be"),
    "a name on the hub": ("texts", named("transformers:someone/model"), "architecture is not there"),
    "nan": ("moco", first(value(torch.nan), STATE), "not finite"),
    "integers": ("moco", first(lambda t: t.long(), STATE), "is int64"),
    "of another weight": ("moco", first(lambda t: t[:1], STATE, "optimizer/"), r"optimizer/\S+ is float32 \(1"),
    "of no weight": ("moco", tensors(lambda t: t | {"optimizer/x/exp_avg": torch.ones(3)}, STATE), r"optimizer/x/exp_avg"),
    "of nothing": ("moco", tensors(lambda t: t | {"x": torch.ones(3)}, STATE), "holds x"),
    "rows beyond the last": ("taught", numbered("positives/partners", 32), "partners has numbers from .* to 32, .* 32 rows"),
    "rows before the first": ("taught", numbered("positives/partners", -1), "partners has numbers from -1 to"),
    "groups before the first": ("taught", numbered("positives/groups", -1), "groups has numbers from -1 to"),
    "clusters beyond the last": ("pcl", numbered("parts.clusters.nearest", 10**6), "a cluster that there is none of"),
}  # fmt: skip


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("case", CHECKPOINTS)
def test_a_training_goes_on_from_its_own_checkpoint_only(runs, tmp_path, case):
    base, change, said = CHECKPOINTS[case]
    folder = shutil.copytree(runs / base, tmp_path / "run")
    change(folder)
    put(False, "finished")(folder)
    began = time.process_time()
    with pytest.raises(UserError, match=said):
        train.train(TEXTS if base == "texts" else ROWS, out=folder, resume=True, quiet=True)
    assert time.process_time() - began < SECONDS


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("change", [encoder(10**6, "layers"), first(value(torch.nan)), first(lambda t: t[:1])])
@pytest.mark.parametrize("knobs", [{"init_from": "{}"}, {"positives": "teacher:{}:neighbours:2"}])
def test_no_training_begins_with_a_folder_that_is_refused(runs, tmp_path, change, knobs):
    folder = shutil.copytree(runs / "rows", tmp_path / "run")
    change(folder)
    ((word, text),) = knobs.items()
    with pytest.raises(RunError, match="far more|not finite|by config.json"):
        train.train(ROWS, **SMALL | {word: text.format(folder)})


@pytest.mark.usefixtures("alone")
def test_every_verb_refuses_weights_that_are_not_finite(runs, tmp_path):
    from nearfar.cli import run as cli

    folder = shutil.copytree(runs / "rows", tmp_path / "run")
    first(value(torch.nan))(folder)
    np.save(tmp_path / "new.npy", ROWS)
    run, data = str(folder), str(tmp_path / "new.npy")
    for verb in (["embed", run, data, "--out", str(tmp_path / "z.npy")], ["eval", run, "--on", data],
                 ["search", run, data, "--in", data], ["export", run, "--to", "mteb", "--out", str(tmp_path / "x")],
                 ["ensemble", run, str(runs / "other"), "--out", str(tmp_path / "e")]):  # fmt: skip
        assert cli(verb) == 2, verb
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new.npy", "run"]


def test_vectors_that_are_not_finite_are_an_error(runs, tmp_path):
    folder = shutil.copytree(runs / "rows", tmp_path / "run")
    tensors(lambda t: {k: v * 1e30 if v.is_floating_point() else v for k, v in t.items()})(folder)
    model = nearfar.load(folder, "cpu")
    for normalize in (True, False):
        with pytest.raises(DataError, match="the vector of row 0 .* not finite or too large"):
            model.encode(ROWS, normalize=normalize)


def test_pretrained_weights_are_asked_for_once(tmp_path, monkeypatch):
    """When a training begins; going on and opening take those of the folder."""
    timm = pytest.importorskip("timm")
    from safetensors.torch import save_file

    file, asked = tmp_path / "weights.safetensors", []
    save_file(timm.create_model("test_resnet").state_dict(), file)

    def downloaded(name):
        asked.append(name)
        return str(file)

    monkeypatch.setattr(ENCODERS.get("timm"), "_downloaded", downloaded)
    knobs = SMALL | {"encoder": "timm:test_resnet", "encoder_options": {"pretrained": True}}
    train.train(PICTURES, out=tmp_path / "run", **knobs)
    train.train(PICTURES, out=tmp_path / "run", resume=True, epochs=2, quiet=True)
    assert np.isfinite(nearfar.load(tmp_path / "run", "cpu").encode(PICTURES)).all()
    assert asked == ["test_resnet"]
