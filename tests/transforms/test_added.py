"""``views.add``: every transform is reached by a knob, and what it draws is what the training sees."""

import numpy as np
import pytest
import torch

import nearfar
from nearfar.core.config import assemble
from nearfar.core.console import QUIET
from nearfar.core.errors import ConfigError, UnknownName
from nearfar.core.registry import TRANSFORMS
from nearfar.training.plan.prepare import prepare
from nearfar.training.preview import sheet
from nearfar.training.trainer import Trainer
from nearfar.transforms.recipe import kind, name_of
from tests.helpers import histories
from tests.helpers.sounds import RATE, tone

DRAW = np.random.default_rng(0)
PICTURES = DRAW.integers(0, 255, (24, 32, 32, 3), dtype=np.uint8)
TEXTS = [" ".join(DRAW.choice(list("abcdefghij"), 8)) for _ in range(24)]
SOUNDS = [(tone(0.1, 200 + 50 * i, seed=i), RATE) for i in range(24)]
DATA = {"words": TEXTS, "rows": DRAW.normal(size=(24, 6)), "waveform": SOUNDS, "spectrogram": SOUNDS}
DATA["ids"] = histories.planted(24)
DATA["series"] = DRAW.normal(size=(24, 3, 40)).astype(np.float32)


def planned(values, *sets, **given):
    config, _ = assemble(None, sets, threads=1, batch_size=8, epochs=1, **given)
    return prepare(config, values, console=QUIET)


def names(plan, column=None):
    return [[name_of(t) for t in recipe] for recipe in plan.recipes[column or plan.table.first.name]]


def views(plan, rows=8):
    """Both views of the first training rows, as the encoder gets them."""
    return [v.values for v in Trainer(plan, None, QUIET).viewer.batch(plan.train[:rows], 0, 0).views]


SMALL = {"words": {"encoder": "static", "tokens": "hashed:1024"}, "rows": {"encoder": "mlp"}}
SMALL |= dict.fromkeys(("waveform", "spectrogram"), {"encoder": "lean_audio", "normalise": "none"})
SMALL["ids"] = {"user": "user_id", "column": ("item_id",), "method": "simclr", "encoder_options": {"dim": 8}}
SMALL["series"] = {"encoder": "dilated_cnn", "modality": "series"}


@pytest.mark.parametrize("name", [n for n in TRANSFORMS if n != "frame"])
def test_every_transform_trains(name):
    """One added transform alone, in a step of training; without it the views would be the data as they are."""
    values, given = DATA.get(kind(name).kind, PICTURES), SMALL.get(kind(name).kind, {"encoder": "small_cnn"})
    sure = {f"views.overrides.{name}.p=1"} if hasattr(kind(name)(), "p") else set()
    sure |= {"views.overrides.affine.degrees=20"} if name == "affine" else set()
    sure |= {"views.overrides.blur.sigma=[9,12]"} if name == "blur" else set()  # these pictures are small
    plan = planned(values, "views.recipe=none", f"views.add={name}", *sure, **given)
    plain = views(planned(values, "views.recipe=none", **given))
    assert names(plan) == [[name]]
    for view, without in zip(views(plan), plain, strict=False):
        assert view.shape != without.shape or not torch.equal(view.nan_to_num(9), without.nan_to_num(9))
    loss, _, _ = Trainer(plan, None, QUIET).step(plan.train[:8], 0, 0)
    assert torch.isfinite(loss)


def test_the_numbers_of_an_added_transform_are_the_ones_given():
    """A quarter turn of a picture is a picture turned; two bits of it are four levels."""
    plan = planned(PICTURES, "views.recipe=none", "views.add=posterise,turn", "views.overrides.posterise.p=1",
                   "views.overrides.posterise.bits=[2,2]")  # fmt: skip
    assert names(plan) == [["turn", "posterise"]]  # geometry before pixels
    from nearfar.modalities.image import image

    seen = (views(plan, 4)[0] * image.STD + image.MEAN) * 255
    for view, row in zip(seen, plan.train[:4], strict=True):
        levels = torch.from_numpy(PICTURES[row] // 64 * 64).permute(2, 0, 1)
        turned = [torch.rot90(levels, k, (1, 2)) for k in range(4)]
        assert sum(bool(((view - t).abs() < 0.01).all()) for t in turned) == 1


def test_each_has_its_place_among_its_kind():
    plan = planned(PICTURES, "views.recipe=simclr", "views.add=cutout,solarise,rotate")
    assert names(plan) == [["crop", "flip", "rotate", "jitter", "greyscale", "cutout", "solarise"]]
    plan = planned(PICTURES, "views.recipe=byol", "views.add=solarise")  # the second view has it
    assert names(plan) == [["crop", "flip", "jitter", "greyscale", "solarise"]] * 2


def test_columns_get_what_is_for_them():
    pairs = {"picture": PICTURES, "caption": TEXTS}
    plan = planned(pairs, "views.add=rotate,drop_words", "views.overrides.rotate.degrees=40", column=tuple(pairs))
    assert ("rotate" in names(plan, "picture")[0], "drop_words" in names(plan, "picture")[0]) == (True, False)
    assert ("rotate" in names(plan, "caption")[0], "drop_words" in names(plan, "caption")[0]) == (False, True)
    assert next(t for t in plan.recipes["picture"][0] if name_of(t) == "rotate").degrees == 40
    both = {"question": TEXTS, "answer": TEXTS[::-1]}
    plan = planned(both, "views.recipe=none", "views.add=answer=drop_words", column=tuple(both))
    assert (names(plan, "question"), names(plan, "answer")) == ([[]], [["drop_words"]])


def test_what_does_not_fit_is_refused_in_words():
    for sets, error, words in (
        (["views.add=rotat"], UnknownName, "Did you mean 'rotate'"),
        (["views.add=drop_words"], ConfigError, "'drop_words' is not for colour pictures .* crop, cutmix, cutout"),
        (["views.add=flip"], ConfigError, "'simclr' has 'flip' already"),
        (["views.add=turn,turn"], ConfigError, "'turn' is named twice"),
        (["views.add=caption=turn"], UnknownName, "no column named 'caption'"),
        (["views.add=shift", "views.overrides.shift.fill=black"], UnknownName, "border, reflection, zeros"),
        (["views.add=shift", "views.overrides.shift.steps=0"], ConfigError, "at least 1"),
        (["views.add=turn", "views.overrides.turn.p=2"], ConfigError, "at least 0 and at most 1"),
        (["views.overrides.crop.scale=[1,0.2]"], ConfigError, "the smaller first"),
        (["views.overrides.crop.scale=[-1,1]"], ConfigError, "above 0 and at most 1"),
        (["views.overrides.crop.scale=0.5"], ConfigError, "0.5 is not 2 numbers"),
        (["views.overrides.jitter.hue=much"], ConfigError, "'much' is not a number"),
        (["views.overrides.flip=0.5"], ConfigError, "is not a table"),
    ):
        with pytest.raises(error, match=words):
            planned(PICTURES, *sets, recipe="simclr")
    with pytest.raises(ConfigError, match="'words' is not for pictures. These are: simclr"):
        planned(PICTURES, recipe="words")
    with pytest.raises(ConfigError, match="'equalise' is not for pictures of 5 channels"):
        planned(np.zeros((24, 16, 16, 5), np.uint8) + np.arange(24, dtype=np.uint8)[:, None, None, None],
                "views.add=equalise")  # fmt: skip


def test_a_run_keeps_them_and_the_sheet_shows_them(tmp_path):
    trained = nearfar.train(PICTURES, recipe="none", add="rotate,cutout", overrides={"rotate": {"degrees": 30}},
                            epochs=1, batch_size=8, threads=1, encoder="small_cnn", out=tmp_path / "run")  # fmt: skip
    config = nearfar.load(tmp_path / "run").config
    assert (config.views.add, config.views.overrides) == (("rotate", "cutout"), {"rotate": {"degrees": 30}})
    _, lines = sheet.draw(trained.plan, rows=2, count=2)
    assert any(line.strip().startswith("rotate degrees 30") for line in lines)
    assert any(line.strip().startswith("cutout share 0.5") for line in lines)
    assert any("rotate, cutout" in note for note in trained.plan.notes)
