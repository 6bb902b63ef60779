"""Time series: one or more channels measured at regular steps; NaN where nothing was measured, or beyond the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, NotRequired, TypedDict

import numpy as np

from nearfar.core.errors import BadCell, DataError
from nearfar.core.schema import CLOSED, above, as_many, within
from nearfar.modalities import of_kind

if TYPE_CHECKING:
    import torch
    from PIL import Image

NAME = "series"
MILD = "jitter"
DEFAULT_METHOD = "ts2vec"
GENERAL = "series"  # the recipe in whose place a method's own may stand
SAMPLE = 5_000  # cells that `plan` looks at
FEWEST = 8  # pixels of the smallest picture's side: an array with fewer rows is none
RAW = 256  # steps of the raw input as numbers, at most
FAR = 1e15  # standard deviations; the squares of more are no longer finite in float32
INKS = ((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75))


class _Spec(TypedDict):
    channels: Annotated[int, within(1, 2**20)]
    length: Annotated[int, within(1, 2**31 - 1)]  # steps that are kept
    mean: list[float]
    spread: list[Annotated[float, above(0)]]  # standard deviations
    normalise: Annotated[str, lambda v: None if v in ("corpus", "utterance", "none") else "corpus, utterance or none"]
    names: NotRequired[list[str]]  # of the channels, where a table has them
    missing: bool  # whether steps between the first and the last may be missing, in some or all channels


Spec = Annotated[_Spec, CLOSED, as_many("channels", "mean", "spread", "names")]
recipes, takes = of_kind("series")


def recognise(cells: Sequence[Any]) -> float:
    """Arrays of two axes that can be no pictures: of fewer rows than those have pixels, or of different lengths."""
    there = [c for c in cells if c is not None]
    if not there or not all(isinstance(c, np.ndarray) and c.ndim == 2 and c.dtype.kind in "iuf" for c in there):
        return 0.0
    channels, steps = ({c.shape[axis] for c in there} for axis in (0, 1))
    if len(channels) != 1:
        return 0.3
    return 0.95 if min(channels) < min(FEWEST, *steps) or (len(steps) > 1 and min(channels) < min(steps)) else 0.3


def _numbers(cell: Any) -> np.ndarray:
    """A cell as float32 (C, T), NaN where a number is missing or infinite; raises `BadCell` where it is no series."""
    if cell is None:
        raise BadCell("is empty")
    try:
        with np.errstate(over="ignore"):
            x = np.asarray(cell, dtype=np.float32)
    except (ValueError, TypeError, OverflowError) as e:
        raise BadCell("holds something else than numbers, or channels of different lengths") from e
    x = x[None] if x.ndim == 1 else x
    if x.ndim != 2:
        raise BadCell(f"has shape {x.shape}, expected (channels, steps)")
    x = x if np.isfinite(x).all() else np.where(np.isfinite(x), x, np.float32(np.nan))
    if x.shape[1] < 2:
        raise BadCell("has fewer than two steps")
    if np.isnan(x).all():
        raise BadCell("holds no number")
    return x


def extent(cell: Any) -> int:
    """How many steps a cell has."""
    return np.shape(cell)[-1] if np.ndim(cell) else 0


def part(cell: Any, start: int, stop: int) -> Any:
    """Some steps of a cell, without a copy where it is an array."""
    return np.asarray(cell)[..., start:stop]


def doubts(name: str, cells: Sequence[Any]) -> list[str]:
    """What may surprise: infinite numbers, constant channels."""
    said, sample = [], list(_sample(cells))
    if not sample:
        return []
    if infinite := sum(int(np.isinf(np.asarray(c, np.float64)).sum()) for c in _cells(cells)):
        said.append(f"Missing: {infinite:,} infinite numbers of {name!r} count as missing ones.")
    usual = Counter(map(len, sample)).most_common(1)[0][0]
    low, high = np.full(usual, np.inf), np.full(usual, -np.inf)
    for x in (x for x in sample if len(x) == usual):
        low, high = np.fmin(low, np.fmin.reduce(x, 1)), np.fmax(high, np.fmax.reduce(x, 1))
    if constant := np.flatnonzero(low == high).tolist():
        which = ", ".join(map(str, constant[:8])) + (" …" if len(constant) > 8 else "")
        said.append(f"Constant: channel {which} of {name!r} is the same number everywhere, and tells nothing.")
    return said


def _cells(cells: Sequence[Any]) -> Iterator[Any]:
    """Some cells from everywhere, those that can be fetched and hold something."""
    for i in range(0, len(cells), max(1, len(cells) // SAMPLE)):
        with suppress(BadCell, ValueError, TypeError):
            if cells[i] is not None:
                yield cells[i]


def _sample(cells: Sequence[Any]) -> Iterator[np.ndarray]:
    for cell in _cells(cells):
        with suppress(BadCell):
            yield _numbers(cell)


def plan(cells: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Channels, steps, and mean and standard deviation of each channel, of the training rows or a sample of them.

    ``options["channels"]`` are the names of channels in a table, ``options["length"]`` is how many steps are kept, by
    default those of the longest; ``options["normalise"]`` how series are standardised: all together ("corpus"), each by
    itself ("utterance"), or not ("none").
    """
    rows = list(_sample(cells))
    if not rows:
        raise DataError("there are no series of at least two steps.")
    channels = Counter(map(len, rows)).most_common(1)[0][0]
    rows = [x for x in rows if len(x) == channels]
    count, total, square = (np.zeros(channels) for _ in range(3))
    for x in rows:
        there = ~np.isnan(x)
        count, total = count + there.sum(1), total + np.where(there, x, 0).sum(1, dtype=np.float64)
    mean = total / np.maximum(1, count)
    for x in rows:
        square += np.square(np.where(np.isnan(x), 0, x.astype(np.float64) - mean[:, None])).sum(1)
    spread = np.sqrt(square / np.maximum(1, count))
    if not np.isfinite(spread).all():
        raise DataError("holds numbers that are too large to be brought to one scale.", hint="Divide them first.")
    normalise = options.get("normalise") or "auto"
    return {
        "channels": channels,
        "length": int(options.get("length") or max(x.shape[1] for x in rows)),
        "mean": mean.tolist(),
        # A channel that is the same everywhere, up to rounding, keeps its scale.
        "spread": np.where(spread > 1e-6 * np.abs(mean), spread, 1.0).tolist(),
        "normalise": "corpus" if normalise == "auto" else normalise,
        "missing": any(_has_gaps(x) for x in rows),
    } | ({"names": names} if (names := options.get("channels")) else {})


def _has_gaps(x: np.ndarray) -> bool:
    """Whether something is missing between the first and the last step that are there."""
    there = np.flatnonzero(~np.isnan(x).all(0))
    return bool(np.isnan(x[:, there[0] : there[-1] + 1]).any())


def decode(cell: Any, spec: Mapping[str, Any]) -> tuple[np.ndarray, None]:
    """One series as it was measured, float32 (C, L): NaN beyond its end, and without what is beyond L steps."""
    x = _numbers(cell)
    if len(x) != spec["channels"]:
        raise BadCell(f"has {len(x)} channels, expected {spec['channels']}")
    with np.errstate(over="ignore"):
        away = np.abs(x - np.asarray(spec["mean"], np.float32)[:, None]) > FAR * np.asarray(spec["spread"])[:, None]
    if away.any():
        raise BadCell(f"holds {x[away][0]:.3g}, too far from what the model was trained on")
    out = np.full((spec["channels"], spec["length"]), np.nan, np.float32)
    out[:, : x.shape[1]] = x[:, : spec["length"]]
    if np.isnan(out).all():
        raise BadCell(f"holds no number in its first {spec['length']:,} steps")
    return out, None


def lengths(cells: Sequence[Any], values: np.ndarray, spec: Mapping[str, Any]) -> np.ndarray:
    """Steps of each cell, int32 (N,)."""
    return np.asarray([0 if isinstance(c, BadCell) or c is None else extent(c) for c in cells], np.int32)


def too_long(name: str, lengths: np.ndarray, most: int) -> str | None:
    count = int((lengths > most).sum())
    if not count:
        return None
    is_ = "is" if count == 1 else "are"
    return f"{count:,} of {len(lengths):,} series of {name!r} {is_} longer than {most:,} steps; the rest is not read."


def views(
    values: torch.Tensor, geometry: None, recipe: tuple[Any, ...], draws: Any, spec: Mapping[str, Any]
) -> torch.Tensor:
    """One random view of each series, (N, C, L): no transform changes which step is where, but warps."""
    series = neutral(values, geometry, spec)
    if draws.batch is not None:
        whole = draws.batch
        draws.batch = lambda: neutral(whole(), None, spec)
    for transform in recipe:
        series = transform.apply(series, draws)
    return series


def neutral(values: torch.Tensor, geometry: None, spec: Mapping[str, Any]) -> torch.Tensor:
    """The series, standardised; what is missing stays NaN."""
    x = values.float()
    if spec["normalise"] == "none":
        return x
    if spec["normalise"] == "utterance":
        mean = x.nanmean(2, keepdim=True)
        spread = (x - mean).square().nanmean(2, keepdim=True).sqrt()
        return (x - mean) / spread.where(spread > 1e-6 * mean.abs(), spread.new_ones(()))
    mean, spread = (x.new_tensor(spec[k])[:, None] for k in ("mean", "spread"))
    return (x - mean) / spread


def default_recipe(spec: Mapping[str, Any]) -> str:
    return "series"


def default_encoder(spec: Mapping[str, Any]) -> str:
    return "dilated_cnn"


def encoder_shape(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"channels": spec["channels"], "length": spec["length"], "missing": spec["missing"]}


def raw_features(values: np.ndarray, spec: Mapping[str, Any]) -> np.ndarray:
    """Each series, standardised, with its gaps filled along a line, at one number of steps: float32 (N, C · steps)."""
    import torch

    x = neutral(torch.from_numpy(np.array(values)), None, spec).numpy()
    n, channels, length = x.shape
    steps = min(length, RAW)
    out = np.zeros((n, channels, steps), np.float32)
    for i in range(n):
        there = np.flatnonzero(~np.isnan(x[i]).all(0))
        at = np.linspace(there[0], there[-1], steps) if len(there) else np.zeros(steps)
        for c in range(channels):
            known = np.flatnonzero(~np.isnan(x[i, c]))
            if len(known):
                out[i, c] = np.interp(at, known, x[i, c, known])
    return out.reshape(n, -1)


def thumbnail(values: np.ndarray, geometry: None, spec: Mapping[str, Any]) -> Image.Image:
    """One line a channel over time, each at its own scale, 64 × 64 pixels, drawn twice as large and made smaller."""
    from PIL import Image, ImageDraw

    side = 128
    picture = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(picture)
    x = np.asarray(values, np.float64)  # in their own units, or of a view standardised
    there = np.flatnonzero(~np.isnan(x).all(0))
    if len(there):
        x = x[~np.isnan(x).all(1)]
        spread = np.nanstd(x, 1, keepdims=True)
        x = (x - np.nanmean(x, 1, keepdims=True)) / np.where(spread > 0, spread, 1)
        low, high = np.nanmin(x), np.nanmax(x)
        across = np.linspace(4, side - 4, x.shape[1])
        up = side - 6 - (side - 12) * (x - low) / ((high - low) or 1.0)
        for channel, line in enumerate(up):
            for known in np.split(np.arange(len(line)), np.flatnonzero(np.isnan(line))):
                points = [(across[i], line[i]) for i in known if not np.isnan(line[i])]
                if points:
                    ink = INKS[channel % len(INKS)]
                    pen.line(points, fill=ink, width=3) if len(points) > 1 else pen.point(points, fill=ink)
    return picture.resize((64, 64), Image.Resampling.BOX)


def reading(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"length": spec["length"], "normalise": spec["normalise"]}


def describe(spec: Mapping[str, Any]) -> str:
    channels = "one channel" if spec["channels"] == 1 else f"{spec['channels']} channels"
    return f"series of {channels} and at most {spec['length']:,} steps"
