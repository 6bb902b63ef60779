"""What the report shows of the data: a map, neighbours, misses."""

from __future__ import annotations

import base64
import io
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.registry import MODALITIES
from nearfar.data.table import Column, Table
from nearfar.vectors.basics import unit
from nearfar.vectors.layout import layout
from nearfar.vectors.neighbours import search

if TYPE_CHECKING:
    from PIL import Image

    from nearfar.models.embedder import Embedder

POINTS, GALLERY_ROWS, QUERIES, NEIGHBOURS, THUMB = 1200, 5000, 8, 8, 40
HEARD, LOUDEST = 3, 200_000  # queries whose sounds can be played, and bytes of a sound at most
LEGEND = 40  # classes that have a colour
GREY = (127, 127, 127)


def collect(
    model: Embedder, table: Table, train: np.ndarray, shown: np.ndarray, *, seed: int = 0, kind: str = "tsne"
) -> dict[str, Any]:
    """Map and gallery of the rows `shown`, with neighbours among the rows `train`, or among these if there are none."""
    draw = np.random.default_rng(seed)
    column = table.first
    of, train = len(shown), train if len(train) >= 2 else shown
    shown = draw.permutation(shown)[:POINTS]
    gallery = draw.permutation(train)[:GALLERY_ROWS]
    if len(shown) < 3 or len(gallery) < 2:
        return {}
    q, g = (unit(model.features(column, rows)) for rows in (shown, gallery))
    return {
        "map": _map(table, column, shown, layout(q, kind, seed), kind) | {"of": of},
        "gallery": _gallery(table, column, shown, gallery, q, g),
        "gallery_of": (len(gallery), len(train)),
    }


def _map(table: Table, column: Column, rows: np.ndarray, xy: np.ndarray, kind: str) -> dict[str, Any]:
    from PIL import Image

    low, high = xy.min(0), xy.max(0)
    place = (xy - low) / np.maximum(high - low, 1e-9)
    side = int(np.ceil(np.sqrt(len(rows))))
    sprite = Image.new("RGB", (side * THUMB, side * THUMB), GREY)  # all thumbnails as one picture: the page stays small
    for i, row in enumerate(rows):
        sprite.paste(_thumbnail(column, row, THUMB), (i % side * THUMB, i // side * THUMB))
    labels = [-1] * len(rows) if table.labels is None else [int(v) for v in table.labels[rows]]
    present = Counter(v for v in labels if v >= 0)
    return {
        "kind": {"tsne": "t-SNE", "pca": "principal components", "umap": "UMAP"}[kind], "side": side, "thumb": THUMB,
        "sprite": _uri(sprite, quality=70), "xy": [[round(float(a), 4), round(float(b), 4)] for a, b in place],
        "labels": labels, "names": [str(table.names[r]) for r in rows], "classes": list(table.label_names),
        "present": len(present), "legend": sorted(v for v, _ in present.most_common(LEGEND)),
    }  # fmt: skip


def _gallery(
    table: Table, column: Column, rows: np.ndarray, gallery: np.ndarray, q: np.ndarray, g: np.ndarray
) -> list[dict[str, Any]]:
    """Queries with their neighbours: some drawn at random, then the worst misses."""
    scores, found = search(q, g, NEIGHBOURS + 1)
    chosen = list(range(min(QUERIES, len(rows))))
    notes = [""] * len(chosen)
    if table.labels is not None:
        own = table.labels[rows]
        hits = table.labels[gallery[found]] == own[:, None]
        wrong = np.where(own >= 0, (~hits).mean(1), 0) + np.where(own >= 0, scores[:, 0], 0) * 1e-3
        worst = [int(i) for i in np.argsort(-wrong)[:QUERIES] if wrong[i] > 0.2 and int(i) not in chosen]
        chosen += worst
        notes += ["miss"] * len(worst)
    shown: list[dict[str, Any]] = []
    for i, note in zip(chosen, notes, strict=True):
        heard = len(shown) < HEARD
        near = [(n, s) for n, s in zip(gallery[found[i]], scores[i], strict=True) if n != rows[i]][:NEIGHBOURS]
        cells = [
            {**_cell(table, column, n, heard), "score": round(float(s), 3), "hit": _hit(table, rows[i], n)}
            for n, s in near
        ]
        shown.append({"note": note, **_cell(table, column, rows[i], heard), "near": cells})
    return shown


def _hit(table: Table, a: int, b: int) -> bool | None:
    if table.labels is None or table.labels[a] < 0 or table.labels[b] < 0:
        return None
    return bool(table.labels[a] == table.labels[b])


def _cell(table: Table, column: Column, row: int, heard: bool = False) -> dict[str, Any]:
    """One row as the page shows it; sounds that are `heard` come along, unless they are long."""
    label = table.label_names[table.labels[row]] if table.labels is not None and table.labels[row] >= 0 else ""
    return {"image": _uri(_thumbnail(column, row, 64), quality=80), "name": str(table.names[row]), "label": label,
            "text": column.shown(row), "audio": _sound(column, row) if heard else ""}  # fmt: skip


def _sound(column: Column, row: int) -> str:
    """A sound for the browser to play, nothing for all else and for long ones."""
    modality = MODALITIES.get(column.modality)
    wav = modality.audible(np.asarray(column.values[row]), column.spec) if hasattr(modality, "audible") else b""
    return f"data:audio/wav;base64,{base64.b64encode(wav).decode()}" if 0 < len(wav) <= LOUDEST else ""


def _thumbnail(column: Column, row: int, side: int) -> Image.Image:
    from PIL import Image

    geometry = None if column.geometry is None else np.asarray(column.geometry[row])
    picture = MODALITIES.get(column.modality).thumbnail(np.asarray(column.values[row]), geometry, column.spec)
    scale = side / max(picture.size)
    size = tuple(max(1, round(s * scale)) for s in picture.size)
    picture = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    square = Image.new("RGB", (side, side), GREY)
    square.paste(picture, ((side - size[0]) // 2, (side - size[1]) // 2))
    return square


def _uri(picture: Image.Image, quality: int) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
