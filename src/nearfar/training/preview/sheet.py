"""A contact sheet: rows of the data, and views of them; the function behind ``nearfar views``."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nearfar.core import files
from nearfar.core.config import assemble
from nearfar.core.console import Console, of_call
from nearfar.core.options import checked
from nearfar.core.registry import MODALITIES
from nearfar.core.values import whole
from nearfar.data.objects import settled
from nearfar.data.table import Column
from nearfar.methods.embeddings import ViewBatch
from nearfar.modalities.image import bands, image
from nearfar.training.distributed import World
from nearfar.training.plan.prepare import Plan, prepare
from nearfar.training.preview import text_sheet
from nearfar.training.viewer import Viewer
from nearfar.transforms.recipe import describe

CELL, GAP, INK = 80, 4, (250, 250, 250)


@dataclass(frozen=True)
class Sheet:
    """What `views` gives. A notebook shows the picture or the page itself."""

    content: bytes = field(repr=False)  # a PNG, or for texts an HTML page
    recipe: Sequence[str]  # what makes the views, and for texts the first row and views of it, line by line
    notes: Sequence[str] = ()  # what the plan says of the views
    out: str | None = None  # the file that holds it

    def __repr__(self) -> str:
        return "\n".join([*self.notes, *self.recipe, *([f"The sheet is {self.out}."] if self.out else [])])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        shown = {"image/png": self.content} if self.content[:4] == b"\x89PNG" else {"text/html": self.content.decode()}
        return {"text/plain": repr(self), **shown}

    def as_dict(self) -> dict[str, Any]:
        """What ``nearfar views --json`` prints."""
        return {"schema": 1, "verb": "views", "out": self.out, "recipe": list(self.recipe)}


@checked
def views(
    data: Any, *, out: str | Path | None = None, recipe: str | None = None, flip: bool | None = None,
    method: str = "simclr", column: str | None = None, size: int | None = None, rows: int = 8, count: int = 8,
    seed: int = 0, set: Mapping[str, Any] | Sequence[str] = (), quiet: bool = False, console: Console | None = None,
) -> Sheet:  # fmt: skip
    """Draw rows and their random views, as a training would see them.

    Parameters
    ----------
    data : path, array or whatever else `nearfar.train` takes
    out : path, optional
        File to write: a PNG, for texts an HTML page, whose name ends in .html whatever was asked for. Without one
        nothing is written.
    recipe, flip, method, column, size, seed
        Knobs, as `nearfar.train` takes them.
    rows, count : int
        How many rows are drawn, and how many views of each.
    set : mapping, or sequence of "KNOB=VALUE"
        Any other knob.

    Returns
    -------
    Sheet

    Raises
    ------
    UserError
        The request or the data must change.
    """
    console = of_call(console, quiet)
    rows, count = whole(rows, "rows", 1, "--rows", 64), whole(count, "count", 1, "--views", 32)
    given = {"recipe": recipe, "flip": flip, "method": method, "column": column and [column], "size": size}
    config, _ = assemble(None, set, seed=seed, **{k: v for k, v in given.items() if v is not None})
    named = isinstance(data, str | Path)
    config = config.set("data.source", str(data)) if named else config
    plan = prepare(config, None if named else settled(data), console=console)
    if out is not None:
        out = Path(out)
        if plan.table.first.modality == "text" and (out.is_file() or not out.exists()):
            out = out.with_suffix(".html")  # whatever was asked for: a picture of texts would show nothing
        files.check_target(out, *([data] if named else []))
    content, lines = draw(plan, rows=rows, count=count)
    if out is not None:
        files.write_atomic(out, content)
    notes = [note for note in plan.notes if note.startswith("Views:")]
    return Sheet(content, lines, notes, None if out is None else str(out))


def draw(plan: Plan, *, rows: int = 8, count: int = 8) -> tuple[bytes, list[str]]:
    """The sheet of `rows` rows with `count` views each, a PNG or a page, and lines of text about it."""
    column = plan.table.first
    if column.modality == "text":
        recipe = _in_words(plan, None)
        page, lines = text_sheet.draw(plan, recipe, rows=rows, count=count)
        return page.encode("utf-8", "backslashreplace"), recipe + lines
    modality = MODALITIES.get(column.modality)
    chosen = np.sort(np.random.default_rng(plan.config.train.seed).permutation(plan.train)[:rows])
    viewer = Viewer({column.name: column}, plan.recipes, count, plan.positives, plan.config.train.seed, "cpu", World())
    batch: ViewBatch = viewer.batch(chosen, 0, 0)
    drawn = getattr(modality, "drawn", lambda view, spec: modality.thumbnail(_stored(view, column), None, spec))
    page = Image.new("RGB", ((count + 1) * (CELL + GAP) + 3 * GAP, len(chosen) * (CELL + GAP) + GAP), INK)
    full = max(max(view.values.shape[-1] for view in batch.views), 1)
    for r, row in enumerate(chosen):
        geometry = None if column.geometry is None else np.asarray(column.geometry[row])
        _paste(page, modality.thumbnail(np.asarray(column.values[row]), geometry, column.spec), 0, r)
        for v, view in enumerate(batch.views):
            picture = drawn(view.values[r].numpy(), column.spec)
            _paste(page, picture, v + 1, r, view.values.shape[-1] / full)
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue(), _in_words(plan, batch)


def _in_words(plan: Plan, batch: ViewBatch | None) -> list[str]:
    """The recipe, line by line; views of equal recipes together."""
    recipes = plan.recipes[plan.table.first.name]
    members: dict[tuple[Any, ...], list[int]] = {}
    for i, recipe in enumerate(recipes):
        members.setdefault(recipe, []).append(i)
    lines = []
    for recipe, numbers in members.items():
        first, last = numbers[0] + 1, numbers[-1] + 1
        span = str(first) if first == last else f"{first} … {last}"
        who = "every view" if len(members) == 1 else f"view {span} of {len(recipes)}"
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


def _stored(view: np.ndarray, column: Column) -> np.ndarray:
    """A view as it would be stored: images back from what the encoder sees."""
    if column.modality != "image":
        return view
    if "dtype" in column.spec:
        return bands.restored(view, column.spec)
    wanted = column.spec.get("preprocessing", {"mean": image.MEAN, "std": image.STD})
    mean, std = (np.reshape(wanted[k], (-1, 1, 1)) for k in ("mean", "std"))
    return np.clip((view * std + mean) * 255 + 0.5, 0, 255).astype(np.uint8)


def _paste(page: Image.Image, picture: Image.Image, x: int, y: int, share: float = 1.0) -> None:
    """Put a picture into a cell, as large as its `share` of the cell's side."""
    scale = CELL * share / max(picture.size)
    size = tuple(max(1, round(s * scale)) for s in picture.size)
    picture = picture.convert("RGB").resize(size, Image.Resampling.NEAREST if scale > 1.5 else Image.Resampling.BICUBIC)
    left = GAP + x * (CELL + GAP) + (2 * GAP if x else 0)
    page.paste(picture, (left + (CELL - size[0]) // 2, GAP + y * (CELL + GAP) + (CELL - size[1]) // 2))
