"""The contact sheet: what is drawn or, of texts, written, and what is said of it."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from nearfar import cli
from nearfar.core.config import assemble
from nearfar.core.console import QUIET
from nearfar.modalities.text import tokenisers
from nearfar.training.distributed import World
from nearfar.training.plan.prepare import prepare
from nearfar.training.preview import sheet, text_sheet
from nearfar.training.trainer import Trainer
from nearfar.training.viewer import Viewer

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
    png, lines = sheet.draw(plan, rows=2, count=8)
    assert "view 1 … 2 of 8 (global, 64 × 64):" in lines
    assert "view 3 … 8 of 8 (local, 24 × 24):" in lines
    assert not any("takes all" in line for line in lines)  # a recipe that is named is taken whole
    page = Image.open(io.BytesIO(png))

    def inked(x):
        return int((cell(page, x, 1) != sheet.INK[0]).any(2).sum())

    assert inked(2) == sheet.CELL**2
    assert inked(3) == 30**2  # 24 of 64 pixels, in a cell of 80


def test_views_that_are_not_taken_are_told(tmp_path):
    plan = planned(DRAW.integers(0, 200, (24, 64, 64, 3), dtype=np.uint8), ["method.count=2"], recipe="swav")
    _, lines = sheet.draw(plan, rows=2, count=8)
    assert "--set method.count=8 takes all" in lines[-1]


@pytest.mark.parametrize("channels", [1, 2, 4, 10])
def test_pictures_of_any_channels(tmp_path, channels):
    values = DRAW.integers(0, 4000, (24, 48, 48, channels), dtype=np.uint16)
    plan = planned(values, recipe="moco")
    png, lines = sheet.draw(plan, rows=2, count=2)
    assert not any("greyscale" in line for line in lines)
    page = Image.open(io.BytesIO(png))
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


SENTENCES = [
    f"The {a} cat can't sit by tree {b} & <i>东京</i> today" for a in ("old", "young", "grey") for b in range(10)
]


def batch_of(plan, rows, count):
    column = plan.table.first
    viewer = Viewer({column.name: column}, plan.recipes, count, plan.positives, 0, "cpu", World())
    return [view.values.numpy() for view in viewer.batch(rows, 0, 0).views]


@pytest.mark.parametrize("recipe", ["words", "spans", "cutoff"])
def test_words_that_are_shown_are_those_of_the_view(recipe):
    """What a view keeps, read off the sheet and tokenised again, has the ids that a training sees."""
    plan = planned({"text": SENTENCES}, ["views.overrides.drop_tokens=none"], recipe=recipe)
    spec, rows = plan.table.first.spec, plan.train[:12]
    shown, views = text_sheet.seen(plan, rows, 3), batch_of(plan, rows, 3)
    for r in range(len(rows)):
        for v in range(3):
            kept = " ".join(w.text for w in shown[r][v].words if w.kept)
            np.testing.assert_array_equal(
                tokenisers.tokenise([kept], spec["tokeniser"], views[v].shape[1])[0], views[v][r], kept
            )
            assert all(w.kept in (0, w.of) and not w.other for w in shown[r][v].words)
    moved = [view.moved for row in shown for view in row]
    assert any(moved) == (recipe == "cutoff")


def test_all_words_are_shown_at_their_places_and_parts_are_counted():
    plan = planned({"text": SENTENCES}, recipe="tokens")
    rows = plan.train[:12]
    shown, views = text_sheet.seen(plan, rows, 2), batch_of(plan, rows, 2)
    for r, row in enumerate(rows):
        for v, view in enumerate(shown[r]):
            assert " ".join(
                w.text for w in view.words
            ) == "the old cat can't sit by tree 7 & < i > 东 京 < / i > today".replace(
                "old", SENTENCES[row].split()[1]
            ).replace("7", SENTENCES[row].split()[7])
            assert sum(w.kept for w in view.words) == (views[v][r] != 0).sum()
            assert sum(w.of for w in view.words) == (plan.table.first.values[row] != 0).sum()


def test_words_of_other_rows_are_told():
    from nearfar.transforms.text.replace_words import ReplaceWords

    plan = planned({"text": SENTENCES})
    of_column = {n: replace(c, recipes=((ReplaceWords(0.5),),)) for n, c in plan.by_column.items()}
    plan = replace(plan, by_column=of_column)
    views = [view for row in text_sheet.seen(plan, plan.train[:12], 2) for view in row]
    told = sum(any(w.other and w.kept for w in view.words) for view in views)
    assert told > len(views) / 2  # the text that is taken from may be the same one


@pytest.mark.parametrize("tokens", ["bpe:300", "unigram:120"])
def test_learnt_tokenisers_show_words_as_written(tokens):
    pytest.importorskip("tokenizers")
    plan = planned({"text": SENTENCES}, [f"data.tokens={tokens}"], recipe="none")
    row = plan.train[0]
    words = [w.text for w in text_sheet.seen(plan, plan.train[:1], 1)[0][0].words]
    assert "".join(words) == SENTENCES[row].replace(" ", "") and "can" in " ".join(words)


def test_the_page_of_texts(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("\n".join(SENTENCES), encoding="utf-8")
    assert cli.run(["views", "a.txt", "--rows", "3", "--views", "2"]) == 0
    said = capfd.readouterr().err
    page = (tmp_path / "views.html").read_text(encoding="utf-8")
    assert page.count("<section>") == 3 and page.count("<li") == 6
    assert "<i>东京" not in page and "&lt;i&gt;东京&lt;/i&gt;" in page
    assert "drop_words rate 0.5" in page and "http" not in page
    assert "  view 1: " in said and " · " in said
    assert cli.run(["views", "a.txt", "--out", "b.png", "-q"]) == 0
    assert sorted(f.name for f in tmp_path.iterdir()) == ["a.txt", "b.html", "views.html"]
