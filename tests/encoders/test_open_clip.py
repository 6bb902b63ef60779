"""CLIP models of open_clip: tiny random ones against the library's own encode_image and encode_text."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import nearfar
from nearfar.core.config import Config
from nearfar.core.errors import NearfarError
from nearfar.core.registry import ENCODERS, TOKENISERS
from nearfar.models import branches
from nearfar.models.embedder import Embedder

open_clip = pytest.importorskip("open_clip", reason="the library open_clip is not installed")

from safetensors.torch import load_file, save_file  # noqa: E402

TEXTS = ["a picture of a cat", "Two DOGS, running   fast!", "don't &amp; they'll", "naïve café 你好 🙂 x2", "dog " * 40]
CFG = {
    "embed_dim": 12, "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}  # fmt: skip
PREPARED = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.25], "interpolation": "bicubic", "resize_mode": "shortest"}


def saved(path, custom=False, **changed):
    """A tiny model as the hub has such, and itself."""
    torch.manual_seed(2)
    cfg = json.loads(json.dumps(CFG | changed))
    kind = open_clip.CustomTextCLIP if custom else open_clip.CLIP
    made = kind(**json.loads(json.dumps(cfg))).eval()
    with torch.no_grad():
        made.logit_scale.fill_(3.0)
    path.mkdir(exist_ok=True)
    save_file({k: t.contiguous() for k, t in made.state_dict().items()}, path / "open_clip_model.safetensors")
    (path / "open_clip_config.json").write_text(json.dumps({"model_cfg": cfg, "preprocess_cfg": PREPARED}))
    return made


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip") / "tiny"
    return folder, saved(folder)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    files = [folder / f"{i}.png" for i in range(3)]
    for file, shape in zip(files, ((40, 50), (64, 33), (32, 32)), strict=True):
        Image.fromarray(draw.integers(0, 256, (*shape, 3), dtype=np.uint8)).save(file)
    return files


@torch.no_grad()
def theirs(model, texts):
    return model.encode_text(open_clip.tokenizer.SimpleTokenizer(context_length=20)(texts), normalize=True).numpy()


@pytest.mark.filterwarnings("ignore:.* longer than:nearfar.core.errors.NearfarWarning")
@pytest.mark.parametrize("custom", [False, True])
@pytest.mark.parametrize(
    "text", [{}, {"pool_type": "eos", "eos_id": 49407}, {"no_causal_mask": True, "pool_type": "last"}]
)
def test_texts_are_those_of_the_library(tmp_path, custom, text):
    model = saved(tmp_path, custom, text_cfg=CFG["text_cfg"] | text)
    ours = nearfar.load(tmp_path).encode(TEXTS, column="text")
    assert np.abs(ours - theirs(model, TEXTS)).max() < 1e-5


@pytest.mark.parametrize("quick_gelu", [False, True])
def test_pictures_are_those_of_the_library(tmp_path, pictures, quick_gelu):
    model = saved(tmp_path, quick_gelu=quick_gelu)
    prepare = open_clip.transform.image_transform_v2(open_clip.transform.PreprocessCfg(size=32, **PREPARED), is_train=False)
    with torch.no_grad():
        wanted = model.encode_image(torch.stack([prepare(Image.open(p)) for p in pictures]), normalize=True).numpy()
    ours = nearfar.load(tmp_path).encode([str(p) for p in pictures], column="image")
    assert np.abs(ours - wanted).max() < 1e-4


def test_ids_are_those_of_the_library():
    odd = ["It's 3 o'clock; WE'LL see: 100% <b>bold</b>", "ﬁne ① İstanbul ß", "l'été — “quotes”", "&lt;p&gt; a_b",
           "ä¸\xad schÃ¶n", "x" * 300, "a\u200bb\tc\n", "<end_of_text> after", "​"]  # fmt: skip
    entry, known = TOKENISERS.get("open_clip"), open_clip.tokenizer.SimpleTokenizer()
    spec = {"kind": "open_clip", **entry.plan([], "")}
    ids = np.abs(entry.tokenise(odd, spec, 400))
    for text, row in zip(odd, ids, strict=True):
        assert (row[row > 0] - 1).tolist() == known.encode(text), text
    assert entry.spelt("Two DOGS!", spec, 8) == ["two", "dogs", "!"]


def test_classes_by_their_names(clip, pictures):
    folder, model = clip
    ours = nearfar.load(f"open_clip:{folder}")
    zero = ours.zero_shot(["cat", "dog"], "a picture of a {}")
    assert abs(zero.temperature - np.exp(-3)) < 1e-6
    prompts = theirs(model, ["a picture of a cat", "a picture of a dog"])
    z = ours.encode([str(p) for p in pictures], column="image")
    logits = z @ prompts.T / np.exp(-3)
    wanted = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert np.allclose(zero.probabilities(z), wanted, atol=1e-4)


def test_texts_find_pictures(clip, pictures, command):
    code, out, err = command("search", clip[0], "a cat", "--in", pictures[0].parent, "--from", "text", "--to", "image",
                             "-k", "2", "--json")  # fmt: skip
    assert code == 0, err
    assert {h["name"] for h in json.loads(out)["results"][0]["hits"]} < {p.name for p in pictures}


def test_what_a_run_keeps_of_it_is_enough(tmp_path):
    """Its config and weights: the folder is gone, and no library is asked for a vocabulary."""
    saved(tmp_path / "tiny")
    model = nearfar.load(tmp_path / "tiny")
    z = model.encode(TEXTS[:2], column="text")
    shutil.rmtree(tmp_path / "tiny")
    config, columns = json.loads(json.dumps([model.config.as_dict(), model.columns]))
    config = Config.from_dict(config)
    made = branches.fresh(config, columns)
    made.load_state_dict(model.branches.state_dict())
    assert np.array_equal(Embedder(config, columns, made).encode(TEXTS[:2], column="text"), z)


# --- what is wrong ------------------------------------------------------------------------------------------------


def bad(word, says):
    with pytest.raises(NearfarError) as caught:
        nearfar.load(word)
    assert says in str(caught.value), str(caught.value)


def test_weights_that_do_not_fit(tmp_path):
    saved(tmp_path)
    entry = ENCODERS.get("open_clip")
    towers = [entry.build(**shape, **entry.settle({"name": str(tmp_path)}))
              for shape in ({"channels": 3, "size": 32}, {"vocabulary": 49408, "length": 18})]  # fmt: skip

    def bad(says):
        with pytest.raises(NearfarError) as caught:
            for tower in towers:
                tower.fetch()
        assert says in str(caught.value), str(caught.value)

    file = tmp_path / "open_clip_model.safetensors"
    held = load_file(file)
    save_file({k: t for k, t in held.items() if k != "transformer.resblocks.0.mlp.c_fc.bias"}, file)
    bad("has no weight text.transformer.resblocks.0.mlp.c_fc.bias of the shape (64,) (none)")
    save_file(held | {"visual.proj": torch.zeros(32, 9)}, file)
    bad("has no weight visual.proj of the shape (32, 12) ((32, 9))")
    save_file({"text_model.embeddings.weight": torch.zeros(3)}, file)
    bad("They are of another architecture, or not whole")
    file.write_bytes(b"no tensors")
    bad("cannot be read as safetensors")
    file.rename(tmp_path / "open_clip_pytorch_model.bin")
    bad("are a pickle, which can run code when it is read. Convert them where you trust the file")


def test_names_without_a_network(monkeypatch, tmp_path):
    def unreachable(*args, **options):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", unreachable)
    monkeypatch.setattr(open_clip, "download_pretrained", unreachable)
    bad("open_clip:ViT-B-23", "open_clip has no model 'ViT-B-23'. Near are ViT-B-")
    bad("open_clip:ViT-B-32", "no weights of 'ViT-B-32' are named. Name a file, open_clip:ViT-B-32@weights.safetensors")
    bad("open_clip:ViT-B-32@none", "open_clip has no weights 'none' of ViT-B-32. There are: openai, ")
    bad("open_clip:ViT-B-32@none.safetensors", "there is no such file")
    bad("open_clip:some/model", "of 'some/model' is not on this machine, and the hub cannot be reached. Download it")
    bad("open_clip:roberta-ViT-B-32", "has a text tower of another library, which is not supported")
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"embed_dim": 3}}))
    bad(tmp_path, "is not described as a model of open_clip is")


def test_pictures_of_another_size_are_refused():
    settled = {"architecture": CFG, "prefix": [49406], "suffix": [49407]}
    with pytest.raises(ValueError, match="it takes pictures of 3 channels and 32 pixels, and these have 3 and 64"):
        ENCODERS.get("open_clip").build(channels=3, size=64, **settled)
