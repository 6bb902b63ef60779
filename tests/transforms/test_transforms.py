"""Transforms: every one of the folder keeps the contract; those that torchvision has agree with it."""

import json
import re
from dataclasses import asdict, fields, replace

import pytest
import torch

import nearfar.transforms
from nearfar.core.errors import ConfigError, UnknownName
from nearfar.transforms import recipe as recipe_module
from nearfar.transforms.draws import Draws
from nearfar.transforms.frame import Frame, role, side
from nearfar.transforms.image.affine import Affine
from nearfar.transforms.image.flip import Flip
from nearfar.transforms.image.greyscale import Greyscale
from nearfar.transforms.image.jitter import Jitter
from nearfar.transforms.image.solarise import Solarise
from nearfar.transforms.image.window import Window
from nearfar.transforms.recipe import apply, describe, kind, kinds, name_of, override, summary
from nearfar.transforms.recipes import RECIPES, fits, named

KINDS = sorted(kinds())
PICTURES = [k for k in KINDS if kinds()[k].kind in recipe_module.ORDER]
RATE = 8000  # of sounds
OF_PICTURES = [n for n, r in RECIPES.items() if all(t.kind in recipe_module.ORDER for v in r for t in v)]
CLOSE = 2 / 255


def draws(n, seed=0, share=None, device="cpu", batch=None):
    common = torch.Generator().manual_seed(seed + 1)
    return Draws(torch.Generator().manual_seed(seed), n, share, device, batch, common)


def images(n=6, c=3, side=24, seed=0):
    g = torch.Generator().manual_seed(seed)
    rough = torch.rand(n, c, side // 4, side // 4, generator=g)
    smooth = torch.nn.functional.interpolate(rough, (side, side), mode="bicubic").clamp(0, 1)
    return (smooth * 255).round().to(torch.uint8)


def strong(name):
    """The transform with every probability at 1, so that each row is changed."""
    t = kinds()[name]()
    if name == "affine":  # its defaults change nothing
        t = Affine(degrees=30, scale=(0.7, 1.3), shear=10, shift=0.1)
    if name == "next_items":
        t = replace(t, most=10)  # the test's histories have 40 events
    if name == "blur":
        t = replace(t, sigma=(5.0, 40.0))  # the test's pictures are small
    return replace(t, p=1.0) if hasattr(t, "p") else t


def run(t, values, d, **options):
    if t.kind in recipe_module.ORDER:
        return apply((t,), values, d, **options)
    if d.batch is None and len(d) == d.total:
        d.batch = lambda: values
    rate = (RATE,) if t.kind in recipe_module.OF_SOUNDS else ()
    return t.apply(values if t.kind in ("words", "ids") else values.float(), d, *rate)


def values_for(name, n=16):
    if kinds()[name].kind == "words":
        ids = torch.randint(1, 1000, (n, 40), dtype=torch.int32) * torch.where(torch.rand(n, 40) < 0.5, 1, -1).int()
        ids[:, 0] = ids[:, 0].abs()
        ids[:, 32:] = 0
        return ids
    if kinds()[name].kind == "waveform":
        waves = 0.1 * torch.randn(n, 500)
        waves[:, 400:] = 0
        return waves
    if kinds()[name].kind == "spectrogram":
        return torch.randn(n, 16, 24)
    if kinds()[name].kind == "ids":
        return torch.randint(1, 1000, (n, 40, 2), dtype=torch.int32)
    if kinds()[name].kind == "series":
        return torch.randn(n, 8, 24)
    return torch.randn(n, 10) if kinds()[name].kind == "rows" else images(n)


class Noted(Draws):
    """Draws that remember what they gave."""

    def __init__(self, *args):
        super().__init__(*args, common=torch.Generator().manual_seed(1))
        self.given = []

    def _host(self, what, make):
        whole = make()
        self.given.append((what, whole))
        return whole[self.share]


@pytest.mark.parametrize("name", KINDS)
def test_every_number_is_described(name):
    """In the docstring of its class, or in that of the package where it means the same everywhere."""
    shared = re.findall(r"^``(\w+)``", nearfar.transforms.__doc__, re.M)
    for f in fields(kinds()[name]):
        assert f.name in shared or re.search(rf"\b{f.name}\b", kinds()[name].__doc__), f.name


@pytest.mark.parametrize("name", KINDS)
def test_same_generator_same_views(name):
    x = values_for(name)
    first, second = (run(strong(name), x, draws(16)) for _ in range(2))
    assert torch.equal(first.nan_to_num(9), second.nan_to_num(9))


@pytest.mark.parametrize("name", KINDS)
def test_the_values_given_are_not_written_into(name):
    x = values_for(name)
    x = x if kinds()[name].kind == "ids" else x.float() / (255 if name in PICTURES else 1)
    before = x.clone()
    run(strong(name), x, draws(16))
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", KINDS)
def test_rows_never_share_parameters(name):
    """Everything is drawn once per row of the global batch, and no two rows draw the same number."""
    n = 64
    d = Noted(torch.Generator().manual_seed(0), n)
    run(kinds()[name](), values_for(name, n), d)
    for what, given in d.given:
        assert given.shape[0] == n, what
        if what.startswith(("uniform", "normal")):
            assert len({tuple(row.flatten().tolist()) for row in given}) == n or given.unique().numel() == 1, what


@pytest.mark.parametrize("name", KINDS)
def test_rows_of_equal_values_become_different_views(name):
    t = strong(name)
    if name in ("frame", "window"):
        return  # they draw nothing
    t = replace(t, p=0.5) if hasattr(t, "p") else t  # what has nothing else to draw happens to half of the rows
    others = values_for(name, 32)  # for transforms that mix rows
    out = run(t, others[:1].repeat(32, *[1] * (others.dim() - 1)), draws(32, batch=lambda: others))
    assert len({tuple(row.flatten().tolist()) for row in out}) > (1 if hasattr(t, "p") else 10)


@pytest.mark.parametrize("name", KINDS)
def test_a_share_of_the_rows_draws_what_the_whole_draws(name):
    x = values_for(name)
    t = strong(name)
    whole = run(t, x, draws(16, 3, batch=lambda: x))
    for share in (slice(0, 5), slice(5, 16)):
        part = run(t, x[share], draws(16, 3, share, batch=lambda: x))
        assert torch.allclose(part, whole[share], atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("name", PICTURES)
def test_pieces_of_the_batch_draw_what_the_whole_draws(name, monkeypatch):
    x = images(16)
    whole = apply((strong(name),), x, draws(16))
    monkeypatch.setattr(recipe_module, "CHUNK", 5 * 3 * 24 * 24)
    pieces = apply((strong(name),), x, draws(16), memory_format=torch.channels_last, finish=lambda v: v.mul_(2))
    assert pieces.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(pieces, 2 * whole, atol=1e-6)


def test_draws_that_depend_on_the_piece_are_refused():
    pieces = draws(8).parts(4)
    next(pieces)[1].uniform(0, 1)
    later = next(pieces)[1]
    with pytest.raises(RuntimeError, match="for some rows"):
        later.normal()
    with pytest.raises(RuntimeError, match="for some rows"):
        later.uniform(0, 1), later.uniform(0, 1)


@pytest.mark.parametrize("name", KINDS)
def test_round_trip_through_json(name):
    recipe = (strong(name),)
    weak, said = (kind(name)(),), json.loads(json.dumps(asdict(strong(name))))
    assert override((weak,), {name: said}) == (recipe,)
    assert name in describe(recipe)[0]


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 10])
@pytest.mark.parametrize(("stored", "size"), [(24, 24), (24, 16), (72, 72)])
def test_shape_and_range(name, channels, stored, size):
    t = strong(name)
    if not fits(t, 224, channels):
        return
    out = apply((t,), images(4, channels, stored), draws(4), size=size)
    expected = side((t,), size)
    assert out.shape == (4, channels, expected, expected)
    assert out.dtype == torch.float32
    assert torch.isfinite(out).all()
    if name != "noise":
        assert out.min() >= -1e-5
        assert out.max() <= 1 + 1e-5


def test_identity_at_strength_zero():
    x = images()
    nothing = (Affine(), Flip(0.0), Jitter(0, 0, 0, 0, p=1.0), Greyscale(0.0), Solarise(p=0.0))
    assert (apply(nothing, x, draws(6)) - x / 255).abs().max() < 1e-5
    assert (apply((), x, draws(6)) - x / 255).abs().max() < 1e-7


# --- recipes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_data(name):
    for recipe in named(name, 224, 3):
        for t in recipe:
            assert override(((kind(name_of(t))(),),), {name_of(t): json.loads(json.dumps(asdict(t)))}) == ((t,),)


@pytest.mark.parametrize("name", OF_PICTURES)
@pytest.mark.parametrize(("size", "channels"), [(32, 3), (28, 1), (96, 3), (96, 4), (32, 10), (64, 2)])
def test_recipes_give_views_of_any_images(name, size, channels):
    x = images(4, channels, size)
    for recipe in dict.fromkeys(named(name, size, channels)):
        out = apply(recipe, x, draws(4), size=size, geometry=torch.tensor([[40, 60]] * 4))
        assert out.shape == (4, channels, *[side(recipe, size)] * 2)
        assert torch.isfinite(out).all()
        assert "greyscale" not in map(name_of, recipe) or channels == 3


@pytest.mark.parametrize(("name", "globals_", "locals_"), [("swav", 2, 6), ("dino", 2, 8)])
def test_multi_crop(name, globals_, locals_):
    recipes = named(name, 224, 3)
    assert [role(r) for r in recipes] == ["global"] * globals_ + ["local"] * locals_
    assert [side(r, 224) for r in recipes] == [224] * globals_ + [96] * locals_
    assert [side(recipes[-1], s) for s in (32, 64, 96)] == [16, 24, 40]


def test_a_window_is_a_part_of_the_picture():
    x = images(side=32)
    for top, left in ((0, 0), (8, 16), (16, 4)):
        t = Window(top / 32, left / 32, 0.5)
        found = apply((Frame(0.5, "global"), t), x, draws(len(x)))
        assert torch.allclose(found, x[:, :, top : top + 16, left : left + 16] / 255, atol=1e-5)
    with pytest.raises(ValueError, match="inside"):
        Window(0.6, 0, 0.5)


def test_frames_that_cannot_be():
    with pytest.raises(ValueError, match="share"):
        Frame(share=1.5)
    with pytest.raises(ValueError, match="role"):
        Frame(role="globl")
    with pytest.raises(ConfigError, match="role"):
        override(named("swav", 96, 3), {"frame": {"role": "x"}})


def test_a_recipe_in_one_line():
    assert summary(named("simclr", 96, 3)) == "crop, flip, jitter, greyscale, blur"
    assert summary(named("none", 96, 3)) == "unchanged"
    assert summary(named("swav", 96, 3)).startswith("2 × crop, flip, jitter, greyscale, blur; 6 × frame, crop")


def test_recipes_fit_the_images():
    small, large = named("simclr", 32, 3)[0], named("simclr", 224, 3)[0]
    assert "blur" not in map(name_of, small)
    assert "blur" in map(name_of, large)
    assert "greyscale" not in map(name_of, named("simclr", 32, 1)[0])
    assert len(named("byol", 224, 3)) == 2


def test_nearest_names_are_proposed():
    with pytest.raises(UnknownName, match="Did you mean 'simclr'"):
        named("simclrr", 32, 3)
    with pytest.raises(UnknownName, match="Did you mean 'crop'"):
        override(named("simclr", 32, 3), {"crob": {}})
    with pytest.raises(UnknownName, match="Did you mean 'scale'"):
        override(named("simclr", 32, 3), {"crop": {"scal": [0.1, 1]}})
    changed = override(named("simclr", 32, 3), {"crop": {"scale": [0.5, 1]}, "flip": None})
    assert changed[0][0].scale == (0.5, 1)
    assert "flip" not in map(name_of, changed[0])
