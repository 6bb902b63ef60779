"""Pictures that are not plain 8-bit grey or colour: other numbers of channels, 16 bits, floats.

Plain ones need nothing of this. Others keep their own numbers and are described by what `plan` measured on a sample:

===================== ==========================================================================================
``dtype``             of the stored pictures: uint8, uint16 or float32
``low``, ``high``     per channel; what views see as 0 and as 1 (uint8: 0 and 255, else the extremes of the sample)
``mean``, ``spread``  per channel, mean and standard deviation; the encoder sees (x − mean) / spread
===================== ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import BadCell

if TYPE_CHECKING:
    import torch

BRIGHT_16 = 32767  # 16-bit pictures with a larger value use their range, and scaling it to 8 bits leaves the picture
BEYOND = 1.25  # of the largest value: what resampling may give
MOST = 64  # channels; an array with more along its shortest outer axis is no picture
DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")  # of Pillow
MEASURED = ("low", "high", "mean", "spread")


def together(spec: Mapping[str, Any]) -> str | None:
    """How a spec has to be that says only a part of the above."""
    there = [k for k in ("dtype", *MEASURED) if k in spec]
    if there and len(there) <= len(MEASURED):
        return f"with all of dtype, {', '.join(MEASURED)}, or none of them"
    if not there and spec["channels"] not in (1, 3):
        return "with 1 or 3 channels, or with a dtype"
    fits = not there or all(a < b for a, b in zip(spec["low"], spec["high"], strict=True))
    return None if fits else "in which high is above low"


def channels_last(array: np.ndarray) -> np.ndarray:
    """An array (H, W), (H, W, C) or (C, H, W) as (H, W, C); raises `BadCell` where it is no picture.

    Channels are the shorter of the outer axes; where one of them is 1 or 3, it is that one.
    """
    if array.ndim == 2:
        return array[..., None]
    if array.ndim != 3 or 0 in array.shape:
        raise BadCell(f"is an array of shape {array.shape}, not a picture")
    first, last = array.shape[0], array.shape[2]
    if last not in (1, 3) and (first in (1, 3) or first < last):
        array = array.transpose(1, 2, 0)
    if array.shape[2] > MOST:
        raise BadCell(f"is an array of shape {array.shape}, not a picture of at most {MOST} channels")
    return array


@dataclass(frozen=True)
class Look:
    """What is seen of one picture: its channels, the type of its numbers, and the least and the largest of them."""

    channels: int
    dtype: np.dtype
    low: float = 0.0
    high: float = 255.0

    @classmethod
    def of(cls, array: np.ndarray) -> Look:
        """Of a picture (H, W, C); raises `BadCell` where numbers are not finite."""
        low, high = float(array.min()), float(array.max())
        if not np.isfinite((low, high)).all():
            raise BadCell("has numbers that are not finite")
        return cls(array.shape[2], array.dtype, low, high)

    @property
    def deep(self) -> bool:
        """More than 8 bits."""
        return self.dtype not in (np.uint8, np.bool_)


def are_shares(values: np.ndarray) -> bool:
    """Whether a picture holds fractions up to 1, so that 1 is its white."""
    return bool(values.max() <= BEYOND and (values != np.round(values)).any())


def form(looks: Sequence[Look], depth: str) -> dict[str, Any]:
    """How pictures like these are to be stored, as a part of a spec.

    Nothing for plain pictures; ``top`` for others that are brought to 8 bits, the value that becomes 255; else
    ``channels``, the most frequent number of them, and ``dtype``. `depth` "auto" brings 16 bits that use their range
    and floats in [0, 1] or [0, 255] to 8 bits if there are one or three channels; "8" brings all such pictures to 8
    bits, "full" none.
    """
    counts = [x.channels for x in looks]
    channels = max(sorted(set(counts)), key=counts.count, default=3)
    same = [x for x in looks if x.channels == channels]
    deep = [x for x in same if x.deep]
    if 2 * len(deep) < len(same) or not deep:
        return {} if channels in (1, 3) else {"channels": channels, "dtype": "uint8"}
    low, high, whole = min(x.low for x in deep), max(x.high for x in deep), all(x.dtype.kind in "iu" for x in deep)
    if channels in (1, 3) and depth != "full":
        if whole and low >= 0 and (high <= 255 or BRIGHT_16 < high <= 65535 or depth == "8"):
            return {"top": 255 if high <= 255 else 65535}
        if not whole and low >= 0 and (high <= 255 or depth == "8"):
            return {} if high <= 1 else {"top": 255 if BEYOND < high <= 255 else high}
    fits = whole and low >= 0 and high <= 65535
    return {"channels": channels, "dtype": "uint16" if fits else "float32"}


def stored(array: np.ndarray, spec: Mapping[str, Any]) -> np.ndarray:
    """A picture (H, W, C) in the stored form (C, S, S), each channel resized by itself; raises `BadCell`."""
    from PIL import Image

    if array.shape[2] != spec["channels"]:
        raise BadCell(f"has {array.shape[2]} channels, expected {spec['channels']}")
    side, dtype = spec["size"], np.dtype(spec["dtype"])
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BadCell("has numbers that are not finite")
    if "high" in spec and dtype != np.uint8:
        low, high = min(spec["low"]), max(spec["high"])
        if array.mean() > 2 * high - low or (dtype == np.uint16 and are_shares(array)):
            raise BadCell(
                f"has numbers from {array.min():.3g} to {array.max():.3g}, and the model was trained on {low:.3g} to "
                f"{high:.3g}"
            )
    if dtype == np.uint8 and array.dtype != np.uint8:
        array = np.clip(array * (255 if array.dtype == bool else 1), 0, 255)
    if array.shape[:2] != (side, side):
        planes = [Image.fromarray(np.ascontiguousarray(p, np.float32)) for p in np.moveaxis(array, 2, 0)]
        resized = np.stack([np.asarray(p.resize((side, side), Image.Resampling.BILINEAR)) for p in planes])
    else:
        resized = np.moveaxis(array, 2, 0)
    if dtype.kind == "u":
        limits = np.iinfo(dtype)
        if array.min() < limits.min or array.max() > limits.max:
            raise BadCell(f"has numbers from {array.min()} to {array.max()}, expected {limits.min} to {limits.max}")
        resized = np.rint(resized)
    return np.ascontiguousarray(resized.astype(dtype))


def statistics(samples: Sequence[np.ndarray], dtype: str) -> dict[str, list[float]]:
    """``low``, ``high``, ``mean`` and ``spread`` of every channel over stored pictures (C, S, S)."""
    flat = np.concatenate([s.reshape(len(s), -1) for s in samples], 1).astype(np.float64)
    low, high, std = flat.min(1), flat.max(1), flat.std(1)
    if dtype == "uint8":
        low, high = np.zeros(len(flat)), np.full(len(flat), 255.0)
    level = std <= 1e-9 * np.maximum(1, np.abs(flat).max(1))  # the channel is the same everywhere
    return {
        "low": low.tolist(), "high": np.where(high > low, high, low + 1).tolist(),
        "mean": flat.mean(1).tolist(), "spread": np.where(level, 1.0, std).tolist(),
    }  # fmt: skip


def unit(values: torch.Tensor, spec: Mapping[str, Any]) -> torch.Tensor:
    """Stored pictures (N, C, S, S) as views take them: float32, ``low`` … ``high`` of each channel as 0 … 1."""
    low, high = (column(spec[k], values) for k in ("low", "high"))
    return (values.float() - low) / (high - low)


def standardised(x: torch.Tensor, spec: Mapping[str, Any]) -> torch.Tensor:
    """What `unit` or a view of it gave, with mean 0 and standard deviation 1 in each channel of the data."""
    low, high, mean, std = (column(spec[k], x) for k in MEASURED)
    return (x * (high - low) + (low - mean)) / std


def false_colour(values: np.ndarray, spec: Mapping[str, Any]) -> np.ndarray:
    """A stored picture (C, S, S) for the eye, uint8 (S, S) or (S, S, 3).

    ``low`` … ``high`` of each channel become 0 … 255. Of two channels the first is red and the second green and blue;
    of more than two, the first three are red, green and blue.
    """
    low, high = by_channel(spec, "low", "high")
    scaled = np.clip((values.astype(np.float32) - low) / (high - low) * 255 + 0.5, 0, 255).astype(np.uint8)
    if len(scaled) == 1:
        return scaled[0]
    return np.stack([scaled[0], scaled[1], scaled[2 if len(scaled) > 2 else 1]], -1)


def restored(view: np.ndarray, spec: Mapping[str, Any]) -> np.ndarray:
    """A standardised view (C, S, S) as it would be stored, for the eye."""
    mean, std = by_channel(spec, "mean", "spread")
    return view * std + mean


def by_channel(spec: Mapping[str, Any], *names: str) -> tuple[np.ndarray, ...]:
    """Measured numbers as float32 (C, 1, 1)."""
    return tuple(np.asarray(spec[n], np.float32)[:, None, None] for n in names)


def column(numbers: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.tensor(numbers, dtype=torch.float32).to(like.device, non_blocking=True)[:, None, None]
