"""The contact sheet: what is drawn, and what is said of it."""

import numpy as np
import pytest
from PIL import Image

from nearfar import sheet
from nearfar.config import assemble
from nearfar.console import QUIET
from nearfar.plan import prepare
from nearfar.training import Trainer

DRAW = np.random.default_rng(0)


def planned(values, sets=(), **given):
    config, _ = assemble(None, sets, threads=1, **given)
    return prepare(config, values, console=QUIET)


def cell(page, x, y):
    """The part of the sheet that one picture may fill, as an array."""
    left = sheet.GAP + x * (sheet.CELL + sheet.GAP) + (2 * sheet.GAP if x else 0)
    top = sheet.GAP + y * (sheet.CELL + sheet.GAP)
    return np.asarray(page)[top : top + sheet.CELL, left : left + sheet.CELL]


def test_small_crops_are_drawn_small_and_named_local(tmp_path):
    plan = planned(DRAW.integers(0, 200, (24, 64, 64, 3), dtype=np.uint8), recipe="swav")
    lines = sheet.write(tmp_path / "sheet.png", plan, rows=2, count=8)
    assert "view 1 … 2 of 8 (global, 64 × 64):" in lines
    assert "view 3 … 8 of 8 (local, 24 × 24):" in lines
    assert not any("takes all" in line for line in lines)  # a recipe that is named is taken whole
    page = Image.open(tmp_path / "sheet.png")

    def inked(x):
        return int((cell(page, x, 1) != sheet.INK[0]).any(2).sum())

    assert inked(2) == sheet.CELL**2
    assert inked(3) == 30**2  # 24 of 64 pixels, in a cell of 80


def test_views_that_are_not_taken_are_told(tmp_path):
    plan = planned(DRAW.integers(0, 200, (24, 64, 64, 3), dtype=np.uint8), ["method.count=2"], recipe="swav")
    lines = sheet.write(tmp_path / "sheet.png", plan, rows=2, count=8)
    assert "--set method.count=8 takes all" in lines[-1]


@pytest.mark.parametrize("channels", [1, 2, 4, 10])
def test_pictures_of_any_channels(tmp_path, channels):
    values = DRAW.integers(0, 4000, (24, 48, 48, channels), dtype=np.uint16)
    plan = planned(values, recipe="moco")
    lines = sheet.write(tmp_path / "sheet.png", plan, rows=2, count=2)
    assert not any("greyscale" in line for line in lines)
    page = Image.open(tmp_path / "sheet.png")
    for x in range(3):
        assert cell(page, x, 0).std() > 1


def test_views_have_the_side_and_the_role_of_their_frames():
    values = DRAW.integers(0, 255, (24, 32, 32, 3), dtype=np.uint8)
    plan = planned(values, recipe="dino", batch_size=8, sets=("method.count=10",))
    batch = Trainer(plan, None, QUIET).viewer.batch(plan.train[:8], 0, 0)
    assert [v.role for v in batch.views] == ["global"] * 2 + ["local"] * 8
    assert [v.values.shape[-1] for v in batch.views] == [32] * 2 + [16] * 8


def test_the_recipe_is_said():
    plan = planned(DRAW.integers(0, 255, (24, 32, 32, 3), dtype=np.uint8))
    note = next(n for n in plan.notes if n.startswith("Views:"))
    assert "'simclr'" in note
    assert note.endswith("crop, flip, jitter, greyscale.")
    grey = planned(DRAW.integers(0, 255, (24, 28, 28), dtype=np.uint8))
    assert "'digits'" in next(n for n in grey.notes if n.startswith("Views:"))
