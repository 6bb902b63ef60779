"""Whether views mirror pictures: as asked, or where mirrored pictures look like the others."""

import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

import nearfar
from nearfar import cli
from nearfar.core.config import Config
from nearfar.core.errors import ConfigError
from nearfar.core.registry import MODALITIES
from nearfar.data.read import read
from nearfar.training import train
from nearfar.training.plan.mirroring import FEWEST, handed
from nearfar.training.plan.recipes import recipes
from nearfar.transforms.recipe import name_of
from tests.conftest import TINY


def letters(count=300, side=40):
    """Light letters on dark ground, each of its own colour, place and slant, uint8 (count, side, side, 3)."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(count):
        image = Image.new("RGB", (side, side), tuple(rng.integers(0, 90, 3).tolist()))
        at = tuple((side / 2 + rng.integers(-3, 4, 2)).tolist())
        ImageDraw.Draw(image).text(at, "BCDEFGJKLNPQRSZ"[i % 15], tuple(rng.integers(150, 256, 3).tolist()),
                                   ImageFont.load_default(int(rng.integers(26, 34))), "mm")  # fmt: skip
        found.append(np.asarray(image.rotate(rng.uniform(-10, 10), Image.Resampling.BILINEAR)))
    return np.stack(found)


@pytest.fixture(scope="module")
def written():
    return letters()


@pytest.fixture(scope="module")
def free(written):
    """The same, of which some are mirrored, so that both ways are as likely."""
    some = np.random.default_rng(1).random(len(written)) < 0.5
    return np.where(some[:, None, None, None], written[:, :, ::-1], written)


def planned(data, **knobs):
    plan = train.rehearse(data, quiet=True, epochs=1, **knobs)
    views = {name_of(t) for own in plan.recipes.values() for recipe in own for t in recipe}
    return plan.config.views.flip, "flip" in views, [n for n in plan.notes if "mirror" in n]


def test_letters_are_not_mirrored(written):
    flip, mirrors, (said,) = planned(written)
    assert flip is False and not mirrors and "views are not mirrored; --flip mirrors them" in said


def test_pictures_whose_sides_are_free_are(free):
    assert planned(free) == (None, True, [])


def test_no_method_mirrors_letters(written):
    assert planned(written, method="byol")[:2] == (False, False)


def test_a_recipe_that_was_named_stays(written):
    for knobs in ({"recipe": "simclr"}, {"add": ["flip"], "recipe": "oriented"}, {"overrides": {"flip": {"p": 0.3}}}):
        flip, mirrors, (said,) = planned(written, **knobs)
        assert flip is None and mirrors and "pass --no-flip if a mirrored one is something else" in said
    assert planned(written, recipe="oriented") == (None, False, [])


def test_what_is_asked_for_is_done(written, free, digits):
    assert planned(written, flip=True) == (True, True, [])
    assert planned(free, flip=False) == (False, False, [])
    assert planned(digits["train"], flip=True)[:2] == (True, True)
    assert planned(digits["train"])[:2] == (None, False)
    assert planned(written, flip=None)[:2] == (None, True)


def test_few_pictures_say_nothing(written):
    assert planned(written[: FEWEST - 1], holdout=0.0) == (None, True, [])


def test_copies_are_one_picture(free):
    """Equal rows would be nearest to each other, and their mirrored copies to none."""
    assert planned(np.concatenate([free, free]))[:2] == (None, True)


@pytest.mark.parametrize("flip", [True, False])
def test_texts_cannot_be_mirrored(flip):
    with pytest.raises(ConfigError, match="no pictures"):
        planned([f"a text {i}" for i in range(20)], flip=flip)


def test_of_several_columns_the_pictures_are(written):
    data = {"picture": list(written), "name": [f"letter {i}" for i in range(len(written))]}
    knobs = {"quiet": True, "epochs": 1, "column": ("picture", "name")}
    plan = train.rehearse(data, **knobs)
    assert plan.config.views.flip is False and any("of the pictures of 'picture'" in n for n in plan.notes)
    plan = train.rehearse(data, flip=True, **knobs)
    assert [name_of(t) for t in plan.recipes["picture"][0]].count("flip") == 1
    assert all(name_of(t) != "flip" for t in plan.recipes["name"][0])


def test_the_share_of_what_is_known():
    assert handed(torch.zeros(20, 3, 16, 16)) == 0.5  # nothing can be told
    x = torch.rand(40, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    assert handed(torch.cat([x, x.flip(-1)])) == 0.0  # mirrored pictures are there
    assert handed(torch.cat([x, x + 1e-3])) == 1.0  # so are near copies


def test_oriented_is_the_general_recipe_without_mirroring():
    column = read(np.zeros((8, 40, 40, 3), np.uint8)).first
    views = Config().views
    made = [recipes({"x": column}, Config().set("views.recipe", r).set("views.flip", f).views)["x"]
            for r, f in (("oriented", None), ("simclr", False))]  # fmt: skip
    assert made[0] == made[1] and views.flip == "auto"


def test_the_command_takes_both(written, tmp_path, capfd):
    for i, image in enumerate(written[:40]):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    for flag, want in (("--no-flip", False), ("--flip", True)):
        assert cli.run(["train", str(tmp_path), flag, "--dry-run", "--json", "--quiet"]) == 0
        assert json.loads(capfd.readouterr().out)["config"]["views"]["flip"] is want
        out = tmp_path.parent / f"{want}.png"
        assert cli.run(["views", str(tmp_path), flag, "--out", str(out), "--json", "--quiet"]) == 0
        assert any("flip" in line for line in json.loads(capfd.readouterr().out)["recipe"]) is want


def test_a_run_of_an_earlier_version_mirrors_as_its_recipe_does(free, tmp_path):
    train.train(free[:80], out=tmp_path / "run", quiet=True, **TINY)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["config"]["views"].pop("flip", "none") is None
    del config["asked"]["views"]["flip"]
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    assert nearfar.load(tmp_path / "run").config.views.flip is None


@pytest.mark.parametrize(("name", "low", "high"), [
    ("cifar10", 0.45, 0.55), ("nlvr_captions", 0.45, 0.55), ("clothing_small", 0.55, 0.7), ("mnist", 0.9, 1.0),
    ("orl_faces", 0.9, 1.0),
])  # fmt: skip
def test_real_pictures(data_folder, name, low, high):
    column = read(str(data_folder / name / "train.parquet"), column=("image",), limit=1000).first
    x = MODALITIES.get("image").neutral(*column.take(np.arange(len(column.values)), "cpu"), column.spec)
    assert low < handed(x) < high
