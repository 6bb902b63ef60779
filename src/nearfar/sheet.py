"""A contact sheet: rows of the data, and views of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from nearfar import files
from nearfar.distributed import World
from nearfar.learner import ViewBatch
from nearfar.plan import Plan
from nearfar.registry import MODALITIES
from nearfar.views import Viewer

CELL, GAP, INK = 80, 4, (250, 250, 250)


def write(path: str | Path, plan: Plan, *, rows: int = 8, count: int = 8) -> list[str]:
    """Draw `rows` rows with `count` views each; returns the recipe in lines of text."""
    from nearfar.transforms.recipe import describe

    column = plan.table.first
    modality = MODALITIES.get(column.modality)
    chosen = np.sort(np.random.default_rng(plan.config.train.seed).permutation(plan.train)[:rows])
    viewer = Viewer({column.name: column}, plan.recipes, count, plan.groups, plan.config.train.seed, "cpu", World())
    batch: ViewBatch = viewer.batch(chosen, 0, 0)
    page = Image.new("RGB", ((count + 1) * (CELL + GAP) + 3 * GAP, len(chosen) * (CELL + GAP) + GAP), INK)
    for r, row in enumerate(chosen):
        geometry = None if column.geometry is None else np.asarray(column.geometry[row])
        _paste(page, modality.thumbnail(np.asarray(column.values[row]), geometry, column.spec), 0, r)
        for v, view in enumerate(batch.views):
            _paste(
                page, modality.thumbnail(_stored(view.values[r].numpy(), column.modality), None, column.spec), v + 1, r
            )
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    files.write_atomic(path, buffer.getvalue())
    recipes = plan.recipes[column.name]
    lines = []
    for i, recipe in enumerate(recipes):
        lines += [
            f"view {i + 1} of {len(recipes)}:" if len(recipes) > 1 else "every view:",
            *(f"  {t}" for t in describe(recipe) or ["unchanged"]),
        ]
    return lines


def _stored(view: np.ndarray, modality: str) -> np.ndarray:
    """A view as it would be stored: images back from what the encoder sees to uint8."""
    if modality != "image":
        return view
    from nearfar.modalities.image import MIDDLE, SPREAD

    return np.clip((view * SPREAD + MIDDLE) * 255 + 0.5, 0, 255).astype(np.uint8)


def _paste(page: Image.Image, picture: Image.Image, x: int, y: int) -> None:
    scale = CELL / max(picture.size)
    size = tuple(max(1, round(s * scale)) for s in picture.size)
    picture = picture.convert("RGB").resize(size, Image.Resampling.NEAREST if scale > 1.5 else Image.Resampling.BICUBIC)
    left = GAP + x * (CELL + GAP) + (2 * GAP if x else 0)
    page.paste(picture, (left + (CELL - size[0]) // 2, GAP + y * (CELL + GAP) + (CELL - size[1]) // 2))
