"""Models of `transformers` as encoders, with tiny random ones against the library's own way."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from nearfar.core.errors import ConfigError
from nearfar.core.registry import ENCODERS
from nearfar.encoders.text import pretrained
from nearfar.modalities.text.tokenisers import transformers as tokeniser

transformers = pytest.importorskip("transformers", reason="the library transformers is not installed")
from tests.helpers.tiny_transformers import WORDS, config_of, tokenizer_of  # noqa: E402
from tests.training.positives.test_kinds import Killed, dies_at  # noqa: E402

bridge = ENCODERS.get("transformers")

TEXTS = ["the cat sat on the mat", "a dog", "", "and the dog ran far away from the cat and the mat and home"]
@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Makes the folder of a tiny model of a kind, once."""
    made = {}

    def folder(kind):
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp(kind)
            torch.manual_seed(3)
            transformers.AutoModel.from_config(config_of(kind)).save_pretrained(made[kind])
            tokenizer_of(kind).save_pretrained(made[kind])
        return str(made[kind])

    return folder


def ids_of(folder, texts):
    """Our ids: the model's plus one, without what stands around a text."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rows = [tokenizer(t, add_special_tokens=False)["input_ids"] for t in texts]
    x = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int32)
    for line, row in zip(x, rows, strict=True):
        line[: len(row)] = torch.tensor(row, dtype=torch.int32) + 1
    return x


def by_the_library(folder, texts, pooling):
    """Features of texts one by one, with nothing of nearfar."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    model = model.get_encoder() if model.config.is_encoder_decoder else model
    pool = {"mean": lambda s: s.mean(0), "max": lambda s: s.amax(0), "last": lambda s: s[-1]}
    found = []
    for text in texts:
        inputs = tokenizer(text, return_tensors="pt").input_ids.long()
        if not inputs.numel():
            found.append(torch.zeros(32))
            continue
        out = model(input_ids=inputs)
        found.append(out.pooler_output[0] if pooling == "pooler" else pool.get(pooling, lambda s: s[0])(out[0][0]))
    return torch.stack(found)


def made(folder, *, vocabulary=17, length=16, load=True, **options):
    """An encoder as a training has it: settled once, built from JSON values, given the pretrained weights."""
    settled = json.loads(json.dumps(bridge.settle({"name": folder, **options})))
    encoder = bridge.build(vocabulary=vocabulary, length=length, **settled)
    if load:
        encoder.fetch()
    return encoder


@pytest.mark.parametrize(
    ("kind", "pooling"),
    [
        ("bert", "mean"), ("bert", "cls"), ("bert", "pooler"), ("bert", "max"), ("roberta", "mean"),
        ("roberta", "cls_before_pooler"), ("mpnet", "mean"), ("mpnet", "pooler"), ("llama", "last"), ("llama", "mean"),
        ("t5", "mean"),
    ],
)  # fmt: skip
@torch.no_grad()
def test_features_are_those_of_the_library(saved, kind, pooling):
    folder = saved(kind)
    encoder = made(folder, pooling=pooling).eval()
    x = ids_of(folder, TEXTS)
    expected = by_the_library(folder, TEXTS, pooling)
    for found in (encoder(x), encoder.encode(x.abs()), encoder(torch.nn.functional.pad(-x, (0, 5)))):
        assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "roberta", "llama"])
def test_gradients_in_half_precision(saved, kind):
    encoder = made(saved(kind))
    x = ids_of(saved(kind), TEXTS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = encoder(x)
    assert z.isfinite().all()
    (z.float() * torch.randn(z.shape)).sum().backward()
    trained = [p for p in encoder.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trained)
    assert not any(p.requires_grad for name, p in encoder.named_parameters() if "pooler" in name)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_longer_texts_are_cut_to_what_the_model_takes(saved, kind):
    encoder = made(saved(kind), length=100).eval()
    x = torch.randint(5, 18, (3, 100), generator=torch.Generator().manual_seed(0))
    assert encoder.room == 38
    inputs, there = encoder.framed(x)
    assert inputs.shape == (3, 40)
    assert there.all()
    assert inputs[:, 0].tolist() == [0] * 3
    assert inputs[:, -1].tolist() == [2] * 3
    assert torch.equal(encoder(x), encoder(x[:, :38]))


# --- what a run keeps --------------------------------------------------------------------------------------------


def test_a_run_needs_neither_folder_nor_hub(saved, tmp_path):
    folder = shutil.copytree(saved("roberta"), tmp_path / "gone")
    x = ids_of(str(folder), TEXTS)
    first = made(str(folder)).eval()
    settled = json.loads(json.dumps(bridge.settle({"name": str(folder)})))
    assert (settled["prefix"], settled["suffix"], settled["positions"]) == ([0], [2], 40)
    assert settled["architecture"]["model_type"] == "roberta"
    assert str(folder) not in json.dumps(settled["architecture"])
    shutil.rmtree(folder)
    assert bridge.settle(settled) == settled
    torch.manual_seed(9)
    again = bridge.build(vocabulary=17, length=16, **settled).eval()
    assert not torch.allclose(again(x), first(x), atol=1e-3)
    again.load_state_dict(first.state_dict())
    assert torch.equal(again(x), first(x))


def test_weights_are_taken_at_setup_and_only_if_asked(saved):
    folder = saved("bert")
    x = ids_of(folder, TEXTS)
    expected = by_the_library(folder, TEXTS, "mean")
    encoder = made(folder, load=False).eval()
    assert not torch.allclose(encoder(x), expected, atol=1e-3)
    encoder.fetch()
    assert torch.allclose(encoder(x), expected, atol=1e-5)
    fresh = made(folder, pretrained=False).eval()
    assert fresh.pretrained is None
    assert not torch.allclose(fresh(x), expected, atol=1e-3)
    torch.manual_seed(5)
    one = made(folder, load=False)
    torch.manual_seed(5)
    assert all(map(torch.equal, one.state_dict().values(), made(folder, load=False).state_dict().values()))


def test_the_dropout_is_the_one_that_was_asked_for(saved):
    x, still = ids_of(saved("bert"), TEXTS), made(saved("bert"), dropout=0.0)
    assert torch.equal(still(x), still(x))
    assert not torch.equal(made(saved("bert"), dropout=0.5)(x), made(saved("bert"), dropout=0.5)(x))


def test_options_that_are_not_settled_are_looked_up_nowhere(saved):
    with pytest.raises(ValueError, match="looked up nowhere"):
        bridge.build(vocabulary=17, length=16, name=saved("bert"), dropout=0.0)


@pytest.mark.parametrize(
    ("says", "pooling"),
    [
        ({"pooling_mode": "cls", "embedding_dimension": 32}, "cls"),
        ({"pooling_mode": "lasttoken"}, "last"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True}, "max"),
        (None, "mean"),
    ],
)
def test_pooling_is_what_the_model_was_trained_with(saved, tmp_path, says, pooling):
    folder = shutil.copytree(saved("bert"), tmp_path / "model")
    if says:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(says))
    assert bridge.settle({"name": str(folder)})["pooling"] == pooling
    assert bridge.settle({"name": str(folder), "pooling": "pooler"})["pooling"] == "pooler"


def test_a_pooling_that_is_not_here(saved, tmp_path):
    folder = shutil.copytree(saved("bert"), tmp_path / "model")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": ["mean", "max"]}')
    with pytest.raises(ConfigError, match=r"not here \(mean, max\).*encoder_options.pooling"):
        bridge.settle({"name": str(folder)})


# --- adapters ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bert", "mpnet", "llama"])
def test_only_the_adapter_is_trained(saved, kind):
    pytest.importorskip("peft", reason="the library peft is not installed")
    folder = saved(kind)
    settled = json.loads(json.dumps(bridge.settle({"name": folder, "lora": {"r": 4, "lora_alpha": 8}})))
    assert settled["lora"]["target_modules"]
    encoder = bridge.build(vocabulary=17, length=16, **settled)
    encoder.fetch()
    x = ids_of(folder, TEXTS)
    expected = by_the_library(folder, TEXTS, "mean")
    assert torch.allclose(encoder.eval()(x), expected, atol=1e-5)  # an adapter begins as nothing
    trained = {name: p for name, p in encoder.named_parameters() if p.requires_grad}
    assert trained
    assert all(".lora_" in name for name in trained)
    encoder.train()
    before = {name: p.detach().clone() for name, p in encoder.named_parameters()}
    optimiser = torch.optim.SGD(trained.values(), lr=1.0)
    for _ in range(2):  # one half is zero at first, so that the other has no gradient
        optimiser.zero_grad()
        encoder(x).square().sum().backward()
        optimiser.step()
    changed = {name for name, p in encoder.named_parameters() if not torch.equal(p, before[name])}
    assert changed == set(trained)

    again = bridge.build(vocabulary=17, length=16, **settled)
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again.eval()(x), encoder.eval()(x))
    assert not torch.allclose(encoder(x), expected, atol=1e-4)


# --- what cannot be ----------------------------------------------------------------------------------------------


def test_what_cannot_be_had_is_a_sentence(saved, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="no model is named"):
        bridge.settle({})
    with pytest.raises(ConfigError, match="missing: there is no folder of that name"):
        bridge.settle({"name": str(tmp_path / "missing")})
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match=r"the config of 'nobody/no-such-model' cannot be loaded.*can be reached"):
        bridge.settle({"name": "nobody/no-such-model"})
    with pytest.raises(ConfigError, match=r"1_Pooling/config.json of .* cannot be loaded.*encoder_options.pooling=mean"):
        pretrained.pooling_of("nobody/no-such-model")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    known = tmp_path / "models--some--model" / ".no_exist" / "1a" / "1_Pooling"  # asked before, and not there
    known.mkdir(parents=True)
    (known / "config.json").touch()
    (tmp_path / "models--some--model" / "refs").mkdir()
    (tmp_path / "models--some--model" / "refs" / "main").write_text("1a")
    assert pretrained.pooling_of("some/model") == "mean"
    with pytest.raises(ValueError, match="the tokeniser has 18 ids, bert knows 17"):
        made(saved("bert"), vocabulary=18)
    with pytest.raises(ValueError, match="llama has no pooler"):
        made(saved("llama"), pooling="pooler")
    with pytest.raises(ValueError, match="pooling: expected"):
        made(saved("bert"), pooling="middle")
    with pytest.raises(ValueError, match="no option 'depth'"):
        made(saved("bert"), depth=3)


@pytest.mark.parametrize("odd", [{"lora": 4}, {"lora": ["r"]}, {"dropout": "x"}, {"dropout": 1.5}, {"dropout": True}])
def test_options_that_are_none_are_refused_by_name(saved, odd):
    with pytest.raises(ConfigError, match=f"model.encoder_options: {next(iter(odd))} is"):
        bridge.settle({"name": saved("bert"), **odd})


def test_a_tokeniser_without_its_words_is_refused(saved, tmp_path):
    """The library makes one of five ids of it, and a training would go through with every text unknown."""
    folder = shutil.copytree(saved("bert"), tmp_path / "model")
    assert tokeniser.plan((), str(folder))["vocabulary"] == 17
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"data.tokens: the tokeniser of .* \(a file lacks 'added_tokens'\)"):
        tokeniser.plan((), str(folder))
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    with pytest.raises(ConfigError, match="data.tokens: the tokeniser of .*there is none of tokenizer.json"):
        tokeniser.plan((), str(folder))
    with pytest.raises(ConfigError, match="there is no folder of that name"):
        tokeniser.plan((), str(tmp_path / "nowhere"))


def test_only_safe_and_whole_weights_are_taken(saved, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(saved("bert"), tmp_path / "model")
    encoder = made(str(folder), load=False)
    weights = load_file(folder / "model.safetensors")
    lost = "encoder.layer.1.output.dense.weight"
    save_file({k: v for k, v in weights.items() if k != lost}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ConfigError, match=f"no weight {lost} that fits"):
        encoder.fetch()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"pytorch_model.bin are a pickle.*Convert them"):
        encoder.fetch()


def test_code_of_a_model_is_never_run(saved, tmp_path):
    folder = shutil.copytree(saved("bert"), tmp_path / "model")
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    values = json.loads((folder / "config.json").read_text())
    values |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(ConfigError, match="the config of .* cannot be loaded"):
        bridge.settle({"name": str(folder)})
    assert not (tmp_path / "ran").exists()


def test_dropout_replaces_every_one_of_the_config():
    config = {"hidden_dropout_prob": 0.1, "attn_pdrop": 0, "dropout_used": True, "hidden_size": 3, "dropout": None}
    assert pretrained.dropping(config, 0.3) == {**config, "hidden_dropout_prob": 0.3, "attn_pdrop": 0.3}


@pytest.mark.filterwarnings("ignore:collapse", "ignore:No state of this training was better")
@pytest.mark.parametrize("kind", ["bert", "mpnet"])
def test_a_training_with_held_out_rows_goes_on_to_the_same_weights(saved, tmp_path, monkeypatch, kind):
    """Its best state is of what a file of weights holds: buffers that a network makes anew, such as positions, are none."""
    from nearfar.training import train as training

    texts = [f"{a} {b} {c}" for a in WORDS for b in WORDS for c in WORDS[:1]]
    data, given = {"text": texts}, {"method": "simcse", "encoder": f"transformers:{saved(kind)}", "epochs": 2, "batch_size": 16, "quiet": True}
    given |= {"holdout": 0.4, "log_every": 1, "precision": "fp32", "threads": 1, "checkpoint_every": "1steps", "lr": 0.01}
    training.train(data, out=tmp_path / "whole", **given)
    alive = dies_at(monkeypatch, 4)
    with pytest.raises(Killed):
        training.train(data, out=tmp_path / "cut", **given)
    alive()
    checkpoint = load_file(tmp_path / "cut/checkpoint/state.safetensors")
    assert any(name.startswith("best/") for name in checkpoint)
    training.train(data, out=tmp_path / "cut", resume=True)
    whole, cut = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(cut[name], tensor) for name, tensor in whole.items())
