"""Models of timm, as words, files and folders: equal to timm's own, opened without their files, and what is refused."""

import io
import json
import shlex

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

import nearfar
from nearfar.core.errors import BadCell, ConfigError
from nearfar.encoders.image import timm as encoder
from nearfar.training import train

timm = pytest.importorskip("timm")
from safetensors.torch import load_file, save_file  # noqa: E402

TINY = [  # name, and how its pictures are prepared where it is not as its config says
    ("test_resnet", {}),
    ("test_vit", {"interpolation": "bilinear", "crop_pct": 1.0}),
    ("test_efficientnet", {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}),
    ("test_byobnet", {"crop_mode": "squash", "crop_pct": 0.9}),
    ("test_convnext", {"crop_mode": "border", "crop_pct": 0.8}),
    ("test_nfnet", {"interpolation": "lanczos", "input_size": (3, 96, 96)}),
    ("test_mambaout", {"crop_pct": 1.15}),
    ("test_maxvit", {"interpolation": "nearest", "crop_mode": "border", "crop_pct": 1.0}),
    ("resnet10t", {"input_size": (3, 64, 64), "interpolation": "box"}),
    ("lcnet_035", {"input_size": (1, 96, 96), "mean": (0.45,), "std": (0.25,), "crop_mode": "border"}),
    ("vit_tiny_patch16_224", {"input_size": (3, 64, 64), "interpolation": "hamming"}),
]


def folder_of(path, name, **about):
    """A model with random weights in a folder, as timm writes one for the hub, and timm's own of it."""
    torch.manual_seed(len(name))
    known = timm.get_pretrained_cfg(name).to_dict(remove_source=True) | about
    channels, side, _ = known["input_size"]
    arguments = {"img_size": side} if known.get("fixed_input_size") else {}
    model = timm.create_model(name, num_classes=7, in_chans=channels, **arguments)
    for module in model.modules():  # batch norms have statistics, or nothing of a picture would be left
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.randn(4, channels, side, side))
    path.mkdir()
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path / "model.safetensors")
    values = {"architecture": name, "num_classes": 7, "pretrained_cfg": known | {"num_classes": 7}}
    (path / "config.json").write_text(json.dumps(values | {"model_args": {"drop_rate": 0.0} | arguments}))
    return model.eval(), known


def pictures():
    """Odd ones: wide and narrow, small, grey, of 16 bits, transparent, turned by EXIF; and each as timm is to see it."""
    draw = np.random.default_rng(0)

    def some(height, width, channels=3):
        low = draw.integers(0, 256, (height // 9 + 2, width // 9 + 2, channels)).astype(np.uint8)
        image = Image.fromarray(low.squeeze()).resize((width, height), Image.Resampling.BICUBIC)
        return Image.fromarray(np.clip(np.asarray(image, np.int16) + draw.integers(-20, 20), 0, 255).astype(np.uint8))

    def as_file(image, kind, **options):
        image.save(file := io.BytesIO(), kind, **options)
        return file.getvalue()

    given = [as_file(some(211, 163), "JPEG", quality=80), as_file(some(90, 333), "JPEG"), as_file(some(40, 31), "PNG")]
    seen = [Image.open(io.BytesIO(b)).convert("RGB") for b in given]
    grey = some(150, 120, 1)
    given.append(as_file(grey, "PNG"))
    seen.append(grey)
    deep = (np.asarray(grey, np.uint16) * 257).astype(np.uint16)  # the same picture of 16 bits, which Pillow would cut
    given.append(as_file(Image.fromarray(deep), "PNG"))
    seen.append(grey)
    clear = some(128, 128, 4)
    given.append(as_file(clear, "PNG"))
    seen.append(Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB"))
    exif = Image.Exif()
    exif[0x0112] = 6
    given.append(as_file(some(100, 180), "JPEG", exif=exif))
    seen.append(ImageOps.exif_transpose(Image.open(io.BytesIO(given[-1]))).convert("RGB"))
    return given, seen


@pytest.mark.parametrize(("name", "about"), TINY)
def test_vectors_are_those_of_timm(tmp_path, name, about):
    model, known = folder_of(tmp_path / "model", name, **about)
    model.reset_classifier(0)
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, pretrained_cfg=known))
    given, seen = pictures()
    mode = "L" if known["input_size"][0] == 1 else "RGB"
    with torch.no_grad():
        theirs = model(torch.stack([transform(p.convert(mode)) for p in seen])).numpy()
    assert theirs.std(0).max() > 1e-3  # it tells pictures apart
    ours = nearfar.load(tmp_path / "model", "cpu").encode(given, normalize=False)
    assert np.abs(ours - theirs).max() <= 1e-4 * max(1, np.abs(theirs).max())


def test_the_real_one_gives_the_vectors_of_timm(models_folder, data_folder):
    import pyarrow.parquet as pq

    file = models_folder / "efficientnet_lite0" / "model.safetensors"
    model = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    model.load_state_dict({k: w for k, w in load_file(file).items() if not k.startswith("classifier.")})
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=model))
    table = pq.read_table(data_folder / "clothing_small" / "test.parquet").slice(0, 12)
    cells = [row["image"]["bytes"] for row in table.to_pylist()]
    with torch.no_grad():
        theirs = model(torch.stack([transform(Image.open(io.BytesIO(c)).convert("RGB")) for c in cells])).numpy()
    ours = nearfar.load(f"timm:tf_efficientnet_lite0@{file}", "cpu").encode(cells, normalize=False)
    assert np.abs(ours - theirs).max() <= 1e-4


def test_squares_of_the_models_side_are_taken_as_they_are_where_nothing_is_cut(tmp_path):
    folder_of(tmp_path / "model", "test_resnet", crop_pct=1.0)
    model, x = nearfar.load(tmp_path / "model", "cpu"), np.random.default_rng(0).integers(0, 256, (3, 160, 160, 3))
    x = x.astype(np.uint8)
    table = model.read(x)
    assert np.array_equal(np.asarray(table.first.values), x.transpose(0, 3, 1, 2))
    assert np.allclose(model.encode(x), model.encode([Image.fromarray(p) for p in x]), atol=1e-5)


def test_a_run_opens_from_its_folder_alone(tmp_path, monkeypatch):
    folder_of(tmp_path / "model", "test_resnet", input_size=(3, 48, 48))
    x = list(np.random.default_rng(0).integers(0, 256, (16, 60, 40, 3)).astype(np.uint8))
    word = f"timm:test_resnet@{tmp_path / 'model' / 'model.safetensors'}"
    run = train.train(x, out=tmp_path / "run", encoder=word, epochs=0, holdout=0.0, device="cpu", size=48)
    assert any("without its classifier (fc.bias, fc.weight)" in note for note in run.plan.notes)
    prepared = encoder.offers("test_resnet").columns["image"][1]["preprocessing"]
    assert run.model.columns["x"] == ("image", {"size": 48, "channels": 3, "preprocessing": prepared})
    before = run.model.encode(x)
    (tmp_path / "model" / "model.safetensors").unlink()
    monkeypatch.setattr(encoder, "_tensors", None)  # nothing is read or asked for
    monkeypatch.setattr(encoder, "_downloaded", None)
    assert np.array_equal(nearfar.load(tmp_path / "run", "cpu").encode(x), before)


def broken(folder, change):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize(("change", "said"), [
    (lambda w: w.pop("layer2.0.conv1.weight"), "no weights layer2.0.conv1.weight"),
    (lambda w: w.update({"layer2.0.conv1.weight": torch.zeros(3)}), "layer2.0.conv1.weight of shape"),
    (lambda w: w.update({"layer9.bias": torch.zeros(3)}), "has not .layer9.bias"),
])  # fmt: skip
def test_weights_that_do_not_fit_are_named(tmp_path, change, said):
    folder_of(tmp_path / "model", "test_resnet")
    broken(tmp_path / "model", change)
    with pytest.raises(ConfigError, match=said):
        nearfar.load(tmp_path / "model")


def test_weights_of_another_architecture(tmp_path):
    folder_of(tmp_path / "model", "test_efficientnet")
    for name in ("test_resnet", "test_vit", "test_convnext"):
        with pytest.raises(ConfigError, match="it has no weights"):
            nearfar.load(f"timm:{name}@{tmp_path / 'model' / 'model.safetensors'}")


def test_pickles_are_refused_with_the_command_that_converts_them(tmp_path, monkeypatch):
    folder_of(tmp_path / "model", "test_resnet")
    torch.save(load_file(tmp_path / "model" / "model.safetensors"), tmp_path / "w.pth")
    with pytest.raises(ConfigError, match="pickle") as e:
        nearfar.load(f"timm:test_resnet@{tmp_path / 'w.pth'}")
    _, command, *paths = shlex.split(e.value.hint.partition("python ")[2])
    monkeypatch.setattr("sys.argv", ["-c", *paths])
    exec(command, {})
    nearfar.load(f"timm:test_resnet@{tmp_path / 'model.safetensors'}")
    (tmp_path / "model" / "model.safetensors").rename(tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="pickle"):
        nearfar.load(tmp_path / "model")


@pytest.mark.parametrize(("word", "said", "hint"), [
    ("timm:resnet51", "near are.*resnet50", ""), ("timm:resnet18.nobody", "resnet18.a1_in1k", ""),
    ("timm:test_resnet@nowhere.safetensors", "no file nowhere.safetensors", "NAME@FILE"),
    ("timm:test_resnet@", "no file named", "NAME@FILE"), ("timm:./nowhere", "no model of timm", "config.json"),
    ("timm:resnet18", "cannot be loaded", "huggingface.co/timm/resnet18.a1_in1k"),
    ("timm:gcvit_xxtiny", "no pretrained weights", "Convert"),
])  # fmt: skip
def test_names_that_are_not_there(word, said, hint, monkeypatch):
    import huggingface_hub

    def offline(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(ConfigError, match=said) as e:
        nearfar.load(word)
    assert hint in (e.value.hint or "")


def test_pictures_that_are_not_square_are_refused(tmp_path):
    folder_of(tmp_path / "model", "test_resnet")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["pretrained_cfg"]["input_size"] = [3, 128, 256]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="128 × 256"):
        nearfar.load(tmp_path / "model")


def test_a_picture_too_narrow_is_a_bad_cell(tmp_path):
    from nearfar.modalities.image import image

    spec = image.plan((), encoder.offers("test_resnet").columns["image"][1])
    with pytest.raises(BadCell, match="too narrow"):
        image.decode(Image.new("RGB", (1, 60_000)), spec)


def test_layers_that_stay_as_they_are_and_their_statistics(tmp_path):
    folder_of(tmp_path / "model", "test_efficientnet", input_size=(3, 32, 32))
    x = np.random.default_rng(0).integers(0, 256, (24, 40, 32, 3)).astype(np.uint8)
    before = load_file(tmp_path / "model" / "model.safetensors")

    def learnt(**options):
        run = train.train(
            list(x), encoder=f"timm:{tmp_path / 'model'}", encoder_options=options, epochs=1, batch_size=8, lr=0.01,
            holdout=0.0, device="cpu", precision="fp32", method="simclr", select="last", monitor_rows=0,
        )  # fmt: skip
        now = run.model.branches["x"].encoder.model.state_dict()
        assert run.plan.config.model.encoder_options["name"] == "test_efficientnet"
        return {k for k, w in now.items() if not torch.equal(w, before[k]) and "num_batches" not in k}

    everything = learnt()
    assert {k for k in before if "classifier" not in k and "num_batches" not in k} == everything
    assert {k for k in everything if "running" not in k} == learnt(statistics=False)
    later = learnt(frozen=0.5)
    assert later < everything
    assert "conv_stem.weight" not in later
    assert "bn1.running_mean" not in later
    assert "conv_head.weight" in later
    assert "bn2.running_mean" in later


def test_few_labels_adapt_the_last_layers_by_default(tmp_path):
    folder_of(tmp_path / "model", "test_efficientnet", input_size=(3, 32, 32))
    x, y = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3)).astype(np.uint8), np.arange(24) % 2
    run = train.train((x, y), init_from=str(tmp_path / "model"), device="cpu", monitor_rows=0)
    declared, config = encoder.ADAPTED["labels"], run.plan.config
    assert config.model.method == declared.method
    assert {k: config.model.encoder_options[k] for k in declared.options} == dict(declared.options)
    assert config.optim.lr == declared.knobs["optim.lr"]
    assert config.views.recipe == declared.knobs["views.recipe"]
    assert (config.train.epochs, config.train.batch_size, config.data.holdout) == (declared.steps[0], 24, 0.0)
