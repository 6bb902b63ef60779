"""Every encoder of the registry, by what its file declares."""

import inspect
import re

import numpy as np
import pytest
import torch

import nearfar.encoders
from nearfar.core.errors import ConfigError
from nearfar.core.registry import ENCODERS, FIXED
from nearfar.encoders.image import tutorial_cnn
from nearfar.modalities.image import image
from tests.helpers import histories, texts

BRIDGES = ("timm", "transformers", "st", "onnx", "open_clip")  # they need a name, and have tests of their own
SHAPES = {
    "image": {"channels": 3, "size": 32},
    "sound": {"channels": 1, "size": 32},
    "vector": {"features": 6},
    "text": {"vocabulary": 50, "length": 12},
    "ids": {"items": 30, "length": 12, "features": 5, "each": 3, "events": 60},
    "series": {"channels": 3, "length": 20},
}
LENGTHS = [12, 1, 0, 5, 3, 12, 8, 2]  # of texts; one has nothing


def of(modality):
    return [e for e in ENCODERS if modality in ENCODERS.get(e).MODALITIES and e not in BRIDGES]


def some(modality):
    """Eight rows of a modality."""
    if modality == "text":
        return texts.drawn(LENGTHS)
    if modality == "ids":
        return histories.drawn(LENGTHS, 30)
    shape = SHAPES[modality]
    if modality == "series":
        return torch.randn(8, 3, 20)
    return torch.randn(8, shape["channels"], 32, 32) if "size" in shape else torch.randn(8, shape["features"])


IMAGE, VECTOR, TEXT = of("image"), of("vector"), of("text")
EACH = [(name, modality) for modality in SHAPES for name in of(modality)]


def built(name, modality, **options):
    """An encoder of the shape that a modality says, as far as it has arguments for it."""
    build = ENCODERS.get(name).build
    return build(**{k: v for k, v in SHAPES[modality].items() if k in inspect.signature(build).parameters}, **options)


@pytest.mark.parametrize("name", [*ENCODERS])
def test_says_what_it_is(name):
    module = ENCODERS.get(name)
    assert module.__doc__
    assert module.MODALITIES


@pytest.mark.parametrize(("registry", "name"), [(r, n) for r in (ENCODERS, FIXED) for n in r])
def test_every_argument_is_described(registry, name):
    """In the docstring of what builds it, or in that of the package where it means the same everywhere."""
    build = registry.get(name).build
    shared = {n for line in re.findall(r"^``([\w, ]+)``", nearfar.encoders.__doc__, re.M) for n in line.split(", ")}
    for argument in set(inspect.signature(build).parameters) - {"options"}:
        assert argument in shared or re.search(rf"\b{argument}\b", build.__doc__), argument


@pytest.mark.parametrize("name", IMAGE)
@pytest.mark.parametrize(("channels", "size"), [(1, 16), (3, 32), (4, 64), (3, 96)])
def test_images_of_any_size(name, channels, size):
    encoder = ENCODERS.get(name).build(channels=channels, size=size)
    z = encoder.eval()(torch.randn(2, channels, size, size))
    assert z.shape == (2, encoder.out_features)


@pytest.mark.parametrize("name", ["small_cnn", "pooled_cnn"])
def test_the_smallest_pictures(name):
    encoder = ENCODERS.get(name).build(channels=1, size=8)
    assert encoder(torch.randn(2, 1, 8, 8)).shape == (2, encoder.out_features)


@pytest.mark.parametrize("name", ["small_cnn", "pooled_cnn"])
@pytest.mark.parametrize("size", [8, 32, 96])
def test_a_grid_keeps_place(name, size):
    """What is moved to the other side changes the other half of the features; their mean need not know."""
    torch.manual_seed(3)
    encoder = ENCODERS.get(name).build(channels=1, size=size, widths=(8, 16), grid=2).eval()
    assert encoder.out_features == 64
    x = torch.zeros(1, 1, size, size)
    x[..., : size // 4] = 2 * torch.randn(size, size // 4, generator=torch.Generator().manual_seed(0))
    blank, left, right = (encoder(v).view(16, 2, 2) for v in (torch.zeros_like(x), x, x.roll(3 * size // 4, -1)))
    moved = [(v - blank).abs().sum((0, 1)) for v in (left, right)]
    assert moved[0][0] > moved[0][1] and moved[1][1] > moved[1][0]


@pytest.mark.parametrize(
    ("size", "name"), [(16, "small_cnn"), (28, "small_cnn"), (32, "pooled_cnn"), (96, "pooled_cnn")]
)
def test_the_default_for_a_side(size, name):
    assert image.default_encoder({"size": size, "channels": 3}) == name


@pytest.mark.parametrize("size", [32, 64, 96, 128])
def test_larger_pictures_cost_what_small_ones_do(size):
    encoder = ENCODERS.get("pooled_cnn").build(channels=3, size=size)
    x = torch.randn(2, 3, size, size)
    sides = [encoder.stem(x).shape[-1], *(encoder.stages[:n](encoder.stem(x)).shape[-1] for n in (1, 2, 3))]
    assert sides == [31, 15, 7, 3]


@pytest.mark.parametrize("name", VECTOR)
def test_rows(name):
    encoder = ENCODERS.get(name).build(features=7)
    assert encoder(torch.randn(4, 7)).shape == (4, encoder.out_features)


@pytest.mark.parametrize(("name", "modality"), EACH)
def test_every_parameter_gets_a_gradient_and_the_seed_decides(name, modality):
    torch.manual_seed(1)
    encoder = built(name, modality)
    torch.manual_seed(1)
    again = built(name, modality)
    for a, b in zip(encoder.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    if modality == "ids":
        encoder.setup(some(modality), content=np.arange(90).reshape(30, 3) % 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = encoder(some(modality))
    assert z.shape == (8, encoder.out_features)
    assert z.isfinite().all()
    if modality == "ids":  # the items have vectors too
        z = torch.cat([z, encoder.candidates()])
    (z.float() * torch.randn(z.shape)).sum().backward()
    assert all(p.grad.isfinite().all() for p in encoder.parameters() if p.grad is not None)
    if name == "resnet18":  # the last norm of each block starts at zero, so what is before it waits a step
        return
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters() if p.dim() > 1)


@pytest.mark.parametrize("name", TEXT)
def test_a_texts_features_depend_on_nothing_else(name):
    texts.depend_on_nothing_else(ENCODERS.get(name).build(**SHAPES["text"]), LENGTHS, within=1e-5)


@pytest.mark.parametrize("name", TEXT)
def test_texts_without_a_token(name):
    encoder = ENCODERS.get(name).build(**SHAPES["text"])
    z = encoder(torch.zeros(3, 4, dtype=torch.int32))
    assert z.shape == (3, encoder.out_features)
    assert z.isfinite().all()
    z.sum().backward()
    assert all(p.grad.isfinite().all() for p in encoder.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", TEXT)
def test_texts_in_evaluation_are_always_the_same(name):
    encoder = ENCODERS.get(name).build(**SHAPES["text"], dropout=0.5)
    x = texts.drawn(LENGTHS)
    torch.manual_seed(0)
    first = encoder(x)
    assert not torch.equal(encoder(x), first)
    torch.manual_seed(0)
    assert torch.equal(encoder(x), first)
    encoder.eval()
    assert torch.equal(encoder(x), encoder(x))


def test_the_tutorials_shape_error():
    """After two poolings a 32×32 image is 128·8·8 numbers; flattening to 128·4·4 makes four rows of one image."""
    encoder = tutorial_cnn.build(channels=3, size=32)
    x = torch.randn(64, 3, 32, 32)
    before_flatten = encoder.layers[:6](x)
    assert before_flatten.shape == (64, 128, 8, 8)
    assert before_flatten.reshape(-1, 128 * 4 * 4).shape[0] == 256
    assert encoder(x).shape == (64, 128)


def test_timm_says_what_to_install_or_what_is_near():
    build = ENCODERS.get("timm").build
    try:
        import timm  # noqa: F401
    except ImportError:
        with pytest.raises(ConfigError, match="library timm"):
            build(channels=3, size=32, name="resnet18")
        pytest.skip("timm is not installed")
    with pytest.raises(ValueError, match="resnet18"):
        build(channels=3, size=32, name="resnet18x")
    encoder = build(channels=4, size=64, name="resnet10t")
    assert encoder(torch.randn(2, 4, 64, 64)).shape == (2, encoder.out_features)


def test_patches_average_their_features_and_leave_views_of_their_size_alone():
    encoder = ENCODERS.get("patches").build(channels=3, size=32, name="small_cnn", widths=(8, 16)).eval()
    x = torch.randn(2, 3, 32, 32)
    inner = encoder.encoder
    by_hand = torch.stack([inner(x[:, :, a : a + 16, b : b + 16]) for a in (0, 8, 16) for b in (0, 8, 16)]).mean(0)
    assert torch.allclose(encoder(x), by_hand, atol=1e-5)
    assert torch.equal(encoder(x[..., :16, :16]), inner(x[..., :16, :16]))
    encoder.grid = 0
    assert torch.equal(encoder(x), inner(x))
    encoder.grid = 1
    assert torch.allclose(encoder(x), inner(x[:, :, 8:24, 8:24]), atol=1e-5)
    with pytest.raises(ValueError, match="are impossible"):
        ENCODERS.get("patches").build(channels=3, size=32, share=0.001)


def test_patches_train_with_many_small_views():
    import numpy as np

    from nearfar.training import train

    images = np.random.default_rng(0).integers(0, 255, (48, 32, 32, 3), dtype=np.uint8)
    trained = train.train(
        images, method="emp_ssl", encoder="patches:small_cnn", encoder_options={"widths": [8, 16], "grid": 2},
        recipe="emp_small", count=4, epochs=1, batch_size=16, holdout=0.0, threads=1,
    )  # fmt: skip
    assert trained.model.encode(images[:5]).shape == (5, 16)
