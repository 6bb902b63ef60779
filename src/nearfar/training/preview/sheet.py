"""A contact sheet: rows of the data, and views of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nearfar.core import files
from nearfar.core.registry import MODALITIES
from nearfar.data.table import Column
from nearfar.methods.embeddings import ViewBatch
from nearfar.training.distributed import World
from nearfar.training.plan.prepare import Plan
from nearfar.training.viewer import Viewer

CELL, GAP, INK = 80, 4, (250, 250, 250)


def write(path: str | Path, plan: Plan, *, rows: int = 8, count: int = 8) -> list[str]:
    """Draw `rows` rows with `count` views each, or write them where they are texts; returns lines of text to say."""
    column = plan.table.first
    if column.modality == "text":
        from nearfar.training.preview import text_sheet

        recipe = _in_words(plan, None)
        return recipe + text_sheet.write(path, plan, recipe, rows=rows, count=count)
    modality = MODALITIES.get(column.modality)
    chosen = np.sort(np.random.default_rng(plan.config.train.seed).permutation(plan.train)[:rows])
    viewer = Viewer({column.name: column}, plan.recipes, count, plan.positives, plan.config.train.seed, "cpu", World())
    batch: ViewBatch = viewer.batch(chosen, 0, 0)
    page = Image.new("RGB", ((count + 1) * (CELL + GAP) + 3 * GAP, len(chosen) * (CELL + GAP) + GAP), INK)
    full = max(max(view.values.shape[-1] for view in batch.views), 1)
    for r, row in enumerate(chosen):
        geometry = None if column.geometry is None else np.asarray(column.geometry[row])
        _paste(page, modality.thumbnail(np.asarray(column.values[row]), geometry, column.spec), 0, r)
        for v, view in enumerate(batch.views):
            picture = modality.thumbnail(_stored(view.values[r].numpy(), column), None, column.spec)
            _paste(page, picture, v + 1, r, view.values.shape[-1] / full)
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    files.write_atomic(path, buffer.getvalue())
    return _in_words(plan, batch)


def _in_words(plan: Plan, batch: ViewBatch | None) -> list[str]:
    """The recipe, line by line; views of equal recipes together."""
    from nearfar.transforms.recipe import describe

    recipes = plan.recipes[plan.table.first.name]
    members: dict[tuple[Any, ...], list[int]] = {}
    for i, recipe in enumerate(recipes):
        members.setdefault(recipe, []).append(i)
    lines = []
    for recipe, numbers in members.items():
        who = "every view" if len(members) == 1 else f"view {_span(numbers)} of {len(recipes)}"
        if batch and numbers[0] < len(batch.views) and plan.table.first.modality == "image":
            view = batch.views[numbers[0]]
            who += f" ({view.role}, {view.values.shape[-2]} × {view.values.shape[-1]})"
        lines += [f"{who}:", *(f"  {t}" for t in describe(recipe) or ["unchanged"])]
    taken = plan.record.count
    if len(members) > 1 and taken < len(recipes):
        lines.append(
            f"{plan.record.name} takes {taken} views, so the first {taken} of these; "
            f"--set method.count={len(recipes)} takes all."
        )
    return lines


def _span(numbers: list[int]) -> str:
    first, last = numbers[0] + 1, numbers[-1] + 1
    return str(first) if first == last else f"{first} … {last}"


def _stored(view: np.ndarray, column: Column) -> np.ndarray:
    """A view as it would be stored: images back from what the encoder sees."""
    if column.modality != "image":
        return view
    from nearfar.modalities.image import bands, image

    if "dtype" in column.spec:
        return bands.restored(view, column.spec)
    return np.clip((view * image.STD + image.MEAN) * 255 + 0.5, 0, 255).astype(np.uint8)


def _paste(page: Image.Image, picture: Image.Image, x: int, y: int, share: float = 1.0) -> None:
    """Put a picture into a cell, as large as its `share` of the cell's side."""
    scale = CELL * share / max(picture.size)
    size = tuple(max(1, round(s * scale)) for s in picture.size)
    picture = picture.convert("RGB").resize(size, Image.Resampling.NEAREST if scale > 1.5 else Image.Resampling.BICUBIC)
    left = GAP + x * (CELL + GAP) + (2 * GAP if x else 0)
    page.paste(picture, (left + (CELL - size[0]) // 2, GAP + y * (CELL + GAP) + (CELL - size[1]) // 2))
