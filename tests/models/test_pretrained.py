"""Pretrained models of other libraries, used as they are: tiny ones against sentence-transformers' own way."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import nearfar
from nearfar.core.errors import ConfigError, RunError, UnknownName
from nearfar.models import loading, pretrained

sentence_transformers = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")

from tests.helpers.tiny_transformers import WORDS, config_of, tokenizer_of  # noqa: E402

TEXTS = ["the cat sat on the mat", "a dog", "and the dog ran far away from the cat and the mat and home and the dog"]


def folder_of(path, kind="bert", *, layers=(), prompts=None, default=None, most=12, pooling="mean"):
    """A tiny model as sentence-transformers itself saves it."""
    import transformers
    from sentence_transformers.sentence_transformer import modules as models

    torch.manual_seed(3)
    transformers.AutoModel.from_config(config_of(kind)).save_pretrained(path / "inner")
    tokenizer_of(kind).save_pretrained(path / "inner")
    first = models.Transformer(str(path / "inner"), max_seq_length=most)
    modules = [first, models.Pooling(32, pooling_mode=pooling), *layers]
    made = sentence_transformers.SentenceTransformer(modules=modules, prompts=prompts, default_prompt_name=default)
    made.save(str(path / "model"))
    return path / "model"


def dense(width=6, activation=None):
    from sentence_transformers.sentence_transformer import modules as models

    return models.Dense(32, width, activation_function=activation or torch.nn.Tanh())


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    from sentence_transformers.sentence_transformer import modules as models

    layers = [dense(), models.Normalize()]
    prompts = {"query": "the home ", "passage": "a "}
    return folder_of(tmp_path_factory.mktemp("st"), layers=layers, prompts=prompts)


@pytest.mark.parametrize("kind", ["bert", "roberta", "mpnet"])
@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_vectors_are_those_of_the_library(tmp_path, kind, pooling):
    folder = folder_of(tmp_path, kind, pooling=pooling)
    theirs = sentence_transformers.SentenceTransformer(str(folder)).encode(TEXTS)
    with pytest.warns(nearfar.NearfarWarning, match="1 of 3 texts .* longer than 10 tokens"):
        ours = nearfar.load(folder).encode(TEXTS, normalize=False)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_layers_behind_the_pooling_and_prompts(saved):
    library = sentence_transformers.SentenceTransformer(str(saved))
    model = nearfar.load(f"st:{saved}")
    assert model.encode(TEXTS[:2]).shape == (2, 6)
    np.testing.assert_allclose(model.encode(TEXTS[:2], normalize=False), library.encode(TEXTS[:2]), atol=1e-5)
    asked = model.prompted("query")
    np.testing.assert_allclose(asked.encode(TEXTS[:2]), library.encode(TEXTS[:2], prompt_name="query"), atol=1e-5)
    assert model.prompted("nothing") is model
    assert len({model.identity, asked.identity, model.prompted("passage").identity}) == 3
    assert nearfar.load(saved).identity == model.identity


def test_search_puts_the_prompts_of_queries_and_documents(saved):
    library = sentence_transformers.SentenceTransformer(str(saved))
    held = library.encode(TEXTS[:2], prompt_name="passage") @ library.encode(["mat"], prompt_name="query")[0]
    hits = nearfar.search(str(saved), ["mat"], data=TEXTS[:2], k=2, quiet=True).results[0][1]
    np.testing.assert_allclose([h.score for h in hits], sorted(held, reverse=True), atol=1e-5)


def test_a_default_prompt_is_put_before_every_text(tmp_path):
    folder = folder_of(tmp_path, prompts={"query": "the home "}, default="query")
    theirs = sentence_transformers.SentenceTransformer(str(folder)).encode(TEXTS[:2])
    np.testing.assert_allclose(nearfar.load(folder).encode(TEXTS[:2], normalize=False), theirs, atol=1e-5)


def test_every_verb_takes_the_folder(saved, tmp_path, command):
    (tmp_path / "few.csv").write_text("text,label\n" + "".join(f"the {a} sat {b} {c},{c}\n" for a in WORDS[2:7] for b in WORDS[7:] for c in ("cat", "dog")))
    data = str(tmp_path / "few.csv")

    def said(*words):
        code, out, err = command(*words)
        assert code == 0, err
        return out + err

    assert "60 vectors of 6 dimensions" in said("embed", saved, data, "--out", tmp_path / "e.npy")
    assert "the cat" in said("search", saved, "the cat", "--in", data, "-k", "2")
    made = said("classify", f"st:{saved}", data, data, "--label", "label")
    assert "not kept, since the model lies in no run folder" in made
    assert "kNN" in said("eval", saved, "--on", data, "--label", "label", "--no-floors")
    assert not [f for f in saved.rglob("*") if "nearfar" in f.name or f.name == "report.html"]


def test_a_run_that_begins_with_it_opens_from_its_folder_alone(saved, tmp_path):
    import shutil

    moved = shutil.copytree(saved, tmp_path / "model")
    (moved / "README.md").write_text("---\nlicense: mit\n---\n")
    texts = [f"the {a} ran {b}" for a in ("cat", "dog", "mat") for b in ("home", "far", "away", "on")]
    run = tmp_path / "run"
    trained = nearfar.train(texts, out=run, init_from=f"st:{moved}", epochs=0, method="random", precision="fp32",
                            quiet=True)  # fmt: skip
    before = nearfar.load(moved).encode(texts)
    np.testing.assert_allclose(trained.model.encode(texts), before, atol=1e-6)
    shutil.rmtree(moved)
    np.testing.assert_allclose(nearfar.load(run).encode(texts), before, atol=1e-6)
    config = json.loads((run / "config.json").read_text())
    assert config["columns"]["text"]["spec"]["length"] == 10  # as the model cuts texts
    assert config["origins"] == {"text": f"st:{moved}, licence mit"}
    assert f"| began with | st:{moved}, licence mit |" in (run / "README.md").read_text()


def test_what_is_no_model_here_is_a_sentence(saved, tmp_path):
    import shutil

    from sentence_transformers.sentence_transformer import modules as models

    with pytest.raises(RunError, match="is not a run folder"):
        loading.load(tmp_path / "nothing")
    for kind in ("ST", "sr"):
        with pytest.raises(UnknownName, match=f"no kind of pretrained model named '{kind}'. (Did you mean|There are).*st"):
            loading.load(f"{kind}:{saved}")
    with pytest.raises(ConfigError, match=r"no model is named after 'st:'.*st:NAME"):
        loading.load("st:")
    with pytest.raises(ConfigError, match=r"is no model of sentence-transformers: it has no modules.json"):
        (tmp_path / "empty").mkdir()
        loading.load(f"st:{tmp_path / 'empty'}")
    odd = folder_of(tmp_path / "odd", layers=[models.LayerNorm(32)])
    with pytest.raises(ConfigError, match="has the module LayerNorm, which is not supported"):
        loading.load(odd)
    pickled = shutil.copytree(saved, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"pytorch_model.bin are a pickle.*Convert them"):
        loading.load(pickled)
    lost = shutil.copytree(saved, tmp_path / "lost")
    from safetensors.torch import load_file, save_file

    weights = load_file(lost / "model.safetensors")
    weights.pop("encoder.layer.1.output.dense.weight")
    save_file(weights, lost / "model.safetensors", {"format": "pt"})
    with pytest.raises(ConfigError, match=r"has no weight encoder.layer.1.output.dense.weight that fits"):
        loading.load(lost)
    untold = shutil.copytree(saved, tmp_path / "untold")
    for file in untold.glob("*token*"):
        file.unlink()
    with pytest.raises(ConfigError, match="the tokeniser of .* cannot be loaded"):
        loading.load(untold)
    unpooled = shutil.copytree(saved, tmp_path / "unpooled")
    (unpooled / "1_Pooling" / "config.json").unlink()
    with pytest.raises(ConfigError, match=r"has a pooling, and no file 1_Pooling/config.json that says which"):
        loading.load(unpooled)


def test_the_pooling_lies_where_the_modules_say(tmp_path):
    folder = folder_of(tmp_path, pooling="cls")
    (folder / "1_Pooling").rename(folder / "other")
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["path"] = "other"
    (folder / "modules.json").write_text(json.dumps(modules))
    theirs = sentence_transformers.SentenceTransformer(str(folder)).encode(TEXTS[:2])
    np.testing.assert_allclose(nearfar.load(folder).encode(TEXTS[:2], normalize=False), theirs, atol=1e-4)


def test_code_of_a_model_is_never_run(saved, tmp_path):
    import shutil

    odd = shutil.copytree(saved, tmp_path / "odd")
    config = json.loads((odd / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}}
    (odd / "config.json").write_text(json.dumps(config))
    (odd / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(ConfigError, match="the config of .* cannot be loaded"):
        loading.load(odd)
    assert not (tmp_path / "ran").exists()


def test_only_the_folder_of_a_run_is_read_as_one(tmp_path):
    (tmp_path / "config.json").write_text("{")
    assert loading.pretrained_word(tmp_path) is None
    (tmp_path / "config.json").write_text('{"schema": 1}')
    assert loading.pretrained_word(tmp_path) is None
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert loading.pretrained_word(tmp_path) == f"transformers:{tmp_path}"
    assert loading.pretrained_word("timm:resnet18x") in (None, "timm:resnet18x")
    assert loading.pretrained_word("no/such") is None


def test_the_licence_is_that_of_the_models_readme(saved):
    Path(saved, "README.md").write_text("---\nlicense: apache-2.0\n---\n# a model\n")
    assert pretrained.offer(f"st:{saved}").licence == "apache-2.0"


MINILM = Path(os.environ.get("NEARFAR_MODELS", ""), "minilm")


@pytest.mark.skipif("NEARFAR_MODELS" not in os.environ, reason="NEARFAR_MODELS names no folder of pretrained models")
def test_a_real_model_gives_the_librarys_vectors():
    texts = ["How far is it from Denver to Aspen ?", "Paris IN May", "naïve café — “quoted” 12:30 #tag", "短い文です", "x" * 300]
    theirs = sentence_transformers.SentenceTransformer(str(MINILM)).encode(texts)
    np.testing.assert_allclose(nearfar.load(MINILM).encode(texts, normalize=False), theirs, atol=1e-4)


def test_it_is_a_member_of_an_ensemble(saved, tmp_path):
    texts = [f"the {a} ran {b}" for a in ("cat", "dog", "mat") for b in ("home", "far", "away", "on")]
    nearfar.train(texts, out=tmp_path / "own", epochs=0, method="random", quiet=True)
    runs = [str(tmp_path / "own"), f"st:{saved}"]
    made = nearfar.ensemble(runs, out=tmp_path / "both", quiet=True)
    both = made.encode(texts)
    assert both.shape[1] == nearfar.load(runs[0]).encode(texts).shape[1] + 6
    np.testing.assert_allclose(nearfar.load(tmp_path / "both").encode(texts), both, atol=1e-6)


def test_a_model_larger_than_the_memory_says_by_how_much(saved, monkeypatch):
    from nearfar.models import room

    monkeypatch.setattr(room, "free", lambda: 2**16)
    with pytest.raises(ConfigError, match=r"it needs 0.0 GiB and does not fit into 0.0 GiB of free memory"):
        loading.load(saved)


def test_pictures_are_no_input_of_a_model_of_texts(saved, tmp_path):
    from PIL import Image

    for i in range(3):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / f"{i}.png")
    with pytest.raises(nearfar.NearfarError, match="text"):
        nearfar.embed(f"st:{saved}", tmp_path, quiet=True)


def test_a_model_with_code_of_its_own_is_refused_though_the_library_knows_its_kind(tmp_path):
    """Its own code may compute other vectors with the same weights."""
    folder = folder_of(tmp_path, "bert")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoConfig": "c.Config"}}))
    nearfar.load(folder)
    own = {"AutoConfig": "c.Config", "AutoModel": "modeling.Other"}
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": own}))
    with pytest.raises(ConfigError, match="has code of its own .modeling.Other., which is never run") as e:
        nearfar.load(folder)
    assert "auto_map" in e.value.hint
