"""Numeric rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Annotated, Any, NotRequired, TypedDict

import numpy as np

from nearfar.core.errors import BadCell, DataError
from nearfar.core.schema import CLOSED, above, as_many, within
from nearfar.modalities import of_kind

if TYPE_CHECKING:
    import torch
    from PIL import Image

NAME = "vector"
NUMBERS = Real | Decimal | np.bool_
EXACT = 2**53  # whole numbers beyond this are no longer exact as floats
FAR = 1e15  # standard deviations from the mean; the squares of more are no longer finite in float32
FIXED = "pca", 0.7  # beside what is trained; the weight was chosen by benchmarks/small_pictures.py
MILD = "none"


class _Spec(TypedDict):
    features: Annotated[int, within(1, 2**31 - 1)]
    mean: list[float]
    spread: list[Annotated[float, above(0)]]  # standard deviations
    names: NotRequired[list[str]]
    beside: NotRequired[list[str]]


Spec = Annotated[_Spec, CLOSED, as_many("features", "mean", "spread", "names")]
recipes, takes = of_kind("rows")


def recognise(cells: Sequence[Any]) -> float:
    """Arrays and lists of numbers, where most cells are one."""
    there = [c for c in cells if c is not None]
    if not there or sum(map(_is_row, there)) < len(there) / 2:
        return 0.0
    return 0.9 if isinstance(there[0], np.ndarray) else 0.8


def _is_row(cell: Any) -> bool:
    try:
        return len(_numbers(cell)) > 0 or isinstance(cell, np.ndarray)
    except BadCell:
        return False


def _numbers(cell: Any) -> np.ndarray:
    """The numbers in a cell, float64 (F,), NaN where one is missing; raises `BadCell` where it holds something else."""
    if cell is None:
        raise BadCell("is empty")
    if not isinstance(cell, list | np.ndarray):
        raise BadCell(f"is {type(cell).__name__}, no row of numbers")
    try:
        row = np.asarray(cell)
    except (ValueError, OverflowError):  # lists of several lengths in it
        row = np.empty((0, 0))
    if row.ndim != 1:
        raise BadCell("holds lists, expected numbers")
    if row.dtype.kind == "O":
        row = np.asarray([_number(v) for v in row])
    elif row.dtype.kind not in "biuf":
        odd = next((v for v in cell if not isinstance(v, NUMBERS | None)), cell[0])
        raise BadCell(f"holds {odd!r:.40}, which is not a number")
    with np.errstate(over="ignore"):
        return row.astype(np.float64)


def _number(value: Any) -> float:
    """A number of any size as a float, infinite where it is too large for one; NaN where it is missing."""
    if value is None or type(value).__name__ == "NAType":
        return np.nan
    if not isinstance(value, NUMBERS):
        raise BadCell(f"holds {value!r:.40}, which is not a number")
    try:
        return float(value)
    except OverflowError:
        return np.copysign(np.inf, 1 if value > 0 else -1)
    except ValueError:  # a signalling NaN
        return np.nan


def doubts(name: str, cells: Sequence[Any]) -> list[str]:
    if isinstance(cells, np.ndarray):
        infinite = int(np.isinf(cells).sum())
        large = int((np.abs(cells.astype(np.float64)) > EXACT).sum()) if cells.dtype.kind in "iu" else 0
    else:
        infinite, large = sum(int(np.isinf(r).sum()) for r in _rows(cells)), 0
    return [
        *([f"Missing: {infinite:,} infinite numbers of {name!r} count as missing ones."] if infinite else []),
        *([f"Rounded: {large:,} whole numbers of {name!r} are beyond 2⁵³, where neighbours become equal."]
          if large else []),
    ]  # fmt: skip


def plan(cells: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Number of features, and mean and standard deviation of each; missing values count as the mean."""
    rows = np.asarray(cells, dtype=np.float64) if isinstance(cells, np.ndarray) else _stacked(cells)
    there = np.isfinite(rows)
    if rows.shape[1] == 0 or not there.any():
        raise DataError("there are no numbers to learn from.")
    count = np.maximum(1, there.sum(0))
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.where(there, rows, 0).sum(0) / count
        away = np.where(there, rows - mean, 0)
        largest = np.abs(away).max(0, initial=0)  # whose square may be too large for a float, or too small
        std = largest * np.sqrt(np.square(away / np.where(largest > 0, largest, 1)).sum(0) / count)
    if not np.isfinite(std).all():
        most = np.abs(rows[there]).max()
        raise DataError(f"numbers as large as {most:.3g} cannot be brought to one scale.", hint="Divide them first.")
    # A feature that is the same everywhere, up to rounding, keeps its scale.
    std = np.where(std > 1e-12 * np.abs(mean), std, 1.0)
    return {"features": int(rows.shape[1]), "mean": mean.tolist(), "spread": std.tolist()}


def _stacked(cells: Sequence[Any]) -> np.ndarray:
    rows = [r for r in _rows(cells) if len(r)]
    if not rows:
        return np.empty((0, 0))
    usual = Counter(map(len, rows)).most_common(1)[0][0]
    return np.stack([r for r in rows if len(r) == usual])


def _rows(cells: Sequence[Any]) -> Iterator[np.ndarray]:
    """The rows of cells that hold one."""
    for i in range(len(cells)):
        with suppress(BadCell):
            yield _numbers(cells[i])


def decode(cell: Any, spec: Mapping[str, Any]) -> tuple[np.ndarray, None]:
    """One row, standardised, float32 (F,)."""
    row = _numbers(cell)
    if row.shape != (spec["features"],):
        raise BadCell(f"has shape {row.shape}, expected {spec['features']} numbers")
    if not np.isfinite(row).any():
        raise BadCell("holds no number")
    standard = _standard(row, spec)
    if (far := np.abs(standard) > FAR).any():
        raise BadCell(f"holds {row[far][0]:.3g}, too far from what the model was trained on")
    return standard, None


def decode_array(values: np.ndarray, spec: Mapping[str, Any]) -> np.ndarray | None:
    """Rows (N, F), standardised; what is missing or not finite becomes the mean, 0. None where a row holds nothing."""
    if values.ndim != 2 or values.shape[1] != spec["features"]:
        raise DataError(f"the rows have shape {values.shape[1:]}, expected {spec['features']} numbers.")
    standard = _standard(values, spec)
    return standard if np.isfinite(values).any(1).all() and not (np.abs(standard) > FAR).any() else None


def _standard(values: np.ndarray, spec: Mapping[str, Any]) -> np.ndarray:
    values = values.astype(np.float64)
    with np.errstate(over="ignore"):
        standard = np.where(np.isfinite(values), (values - spec["mean"]) / spec["spread"], 0.0)
    return np.clip(standard, -2 * FAR, 2 * FAR).astype(np.float32)


def views(
    values: torch.Tensor, geometry: None, recipe: tuple[Any, ...], draws: Any, spec: Mapping[str, Any]
) -> torch.Tensor:
    rows = values.float()
    for transform in recipe:
        rows = transform.apply(rows, draws)
    return rows


def neutral(values: torch.Tensor, geometry: None, spec: Mapping[str, Any]) -> torch.Tensor:
    return values.float()


def default_recipe(spec: Mapping[str, Any]) -> str:
    return "vector"


def default_encoder(spec: Mapping[str, Any]) -> str:
    return "mlp"


def encoder_shape(spec: Mapping[str, Any]) -> dict[str, int]:
    return {"features": spec["features"]}


def raw_features(values: np.ndarray, spec: Mapping[str, Any]) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)


def thumbnail(values: np.ndarray, geometry: None, spec: Mapping[str, Any]) -> Image.Image:
    """The row as a strip of colours: blue below, red above its mean."""
    from PIL import Image

    x = np.clip(values / 3, -1, 1)
    colour = np.stack([1 + np.minimum(x, 0), 1 - np.abs(x), 1 - np.maximum(x, 0)], -1)
    strip = Image.fromarray((255 * colour[None]).astype(np.uint8))
    return strip.resize((64, 64), Image.Resampling.NEAREST)


def describe(spec: Mapping[str, Any]) -> str:
    return f"rows of {spec['features']} numbers"
