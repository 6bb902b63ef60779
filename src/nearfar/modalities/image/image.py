"""Pictures: of any size and usual format in, squares of uint8 stored, float views out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypedDict

import numpy as np

from nearfar.core.errors import BadCell
from nearfar.core.schema import CLOSED, above, as_many, within
from nearfar.modalities.image import bands, opened, preprocessing

if TYPE_CHECKING:
    import torch
    from PIL import Image

NAME = "image"
MILD = "light"
GENERAL = "simclr"  # the recipe that a method's own may stand in for
PHOTO_SIDE = 96  # stored side of photographs
SAMPLE = 200  # cells looked at to plan
RAW_SIDE = 32  # of the pixels that are a floor of evaluations, at most
MEAN, STD = 0.5, 0.25  # encoders see (x − 0.5) / 0.25, in training as in evaluation, unless one has its own


class _Spec(TypedDict):
    size: Annotated[int, within(1, 16384)]
    channels: Annotated[int, within(1, bands.MOST)]
    top: NotRequired[Annotated[float, above(0)]]
    dtype: NotRequired[Literal["uint8", "uint16", "float32"]]
    low: NotRequired[list[float]]
    high: NotRequired[list[float]]
    mean: NotRequired[list[float]]
    spread: NotRequired[list[Annotated[float, above(0)]]]
    preprocessing: NotRequired[Annotated[preprocessing.Preprocessing, CLOSED]]


def _fits(spec: Mapping[str, Any]) -> str | None:
    """How a spec has to be that a model's own preprocessing does not fit."""
    wanted = spec.get("preprocessing")
    if wanted and ("dtype" in spec or {len(wanted["mean"]), len(wanted["std"])} != {spec["channels"]}):
        return "whose preprocessing is of as many channels, without a dtype"
    return bands.together(spec)


Spec = Annotated[_Spec, CLOSED, as_many("channels", *bands.MEASURED), _fits]


def recognise(cells: Sequence[Any]) -> float:
    """0.9 for paths, bytes or structs of pictures and for arrays of two or three axes."""
    from PIL import Image

    first = next((c for c in cells if c is not None), None)
    if isinstance(first, dict):
        return 0.9 if {"bytes", "path"} & set(first) else 0.0  # which may hold a sound as well
    if isinstance(first, Path | Image.Image):
        return 0.9
    if isinstance(first, bytes):
        # Few pictures begin as text does.
        start = first[:64].decode("utf-8", "replace").replace("\n", " ").replace("\t", " ")
        return 0.2 if start.isprintable() else 0.9
    return 0.9 if isinstance(first, np.ndarray) and first.ndim in (2, 3) else 0.0


def plan(cells: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Side and channels from a sample: the median short side, in steps of 4 and from 16 to 64, photographs 96.

    Pictures that are not plain 8-bit grey or colour also get what `nearfar.modalities.image.bands` lists. The
    ``preprocessing`` of a pretrained model decides all, and no data are looked at.
    """
    if wanted := options.get("preprocessing"):
        return {"size": int(options["size"]), "channels": len(wanted["mean"]), "preprocessing": dict(wanted)}
    sample = range(0, len(cells), max(1, len(cells) // SAMPLE))
    sides, grey, looks = [], True, []
    for i in sample:
        with suppress(BadCell):
            picture = opened.loaded(cells[i])
            array = opened.own_numbers(picture)
            if array is None:
                looks.append(bands.Look(1 if picture.mode in ("L", "1") else 3, np.dtype(np.uint8)))
                sides.append(min(picture.size))
                grey = grey and opened.is_grey(opened.plain(picture))
            else:
                looks.append(bands.Look.of(array))
                sides.append(min(array.shape[:2]))
                grey = grey and array.shape[2] == 1
    side = options.get("size")
    if side is None:
        median = float(np.median(sides)) if sides else PHOTO_SIDE
        side = PHOTO_SIDE if median > 64 else int(np.clip(-(-median // 4) * 4, 16, 64))
    spec = {"size": int(side), "channels": 1 if grey and sides else 3}
    spec |= bands.form(looks, options.get("depth", "auto"))
    if "dtype" in spec:
        stored = []
        for i in sample:
            with suppress(BadCell):
                stored.append(decode(cells[i], spec)[0])
        spec |= bands.statistics(stored, spec["dtype"])
    return spec


def decode(cell: Any, spec: Mapping[str, Any]) -> tuple[np.ndarray, tuple[int, int]]:
    """One picture (C, S, S), uint8 unless the spec says otherwise, and its own height and width.

    The whole picture is squeezed to a square; views undo that by its own height and width. A model's own preprocessing
    may cut it instead, and the height and width are then those of what is left. Transparent parts become white, EXIF
    turns are followed, 16 bits are scaled to 8, of an animation the first picture is taken.
    """
    from PIL import Image

    side = spec["size"]
    if "dtype" in spec:
        loaded = opened.loaded(cell)
        array = opened.own_numbers(loaded)
        array = bands.channels_last(np.asarray(opened.plain(loaded))) if array is None else array
        return bands.stored(array, spec), array.shape[:2]
    wanted = spec.get("preprocessing")
    image = opened.plain(opened.loaded(cell, draft=None if wanted else 2 * side), spec.get("top"))
    width, height = image.size
    image = image.convert("L" if spec["channels"] == 1 else "RGB")
    if wanted:
        image = preprocessing.prepared(image, side, wanted, opened.MAX_PIXELS)
        if wanted["mode"] != "squash":  # all else keeps proportions
            width = height = side
    elif image.size != (side, side):
        image = image.resize((side, side), Image.Resampling.BILINEAR)  # Pillow's filters do not alias
    array = np.asarray(image)
    return (array[None] if array.ndim == 2 else array.transpose(2, 0, 1)), (height, width)


def decode_array(values: np.ndarray, spec: Mapping[str, Any]) -> np.ndarray | None:
    """A whole array (N, H, W[, C]) that already has the stored form, or None if it must go picture by picture."""
    if values.dtype != spec.get("dtype", "uint8") or values.ndim not in (3, 4) or len(values) == 0:
        return None
    try:
        last = bands.channels_last(values[0])
    except BadCell:
        return None
    if last.shape != (spec["size"], spec["size"], spec["channels"]):
        return None
    if "preprocessing" in spec and preprocessing.changes(spec["size"], spec["preprocessing"]):
        return None
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return None
    first = values.ndim == 4 and last.shape != values.shape[1:]
    if values.ndim == 3:
        values = values[..., None]
    return np.ascontiguousarray(values if first else values.transpose(0, 3, 1, 2))


def views(
    values: torch.Tensor, geometry: torch.Tensor | None, recipe: tuple[Any, ...], draws: Any, spec: Mapping[str, Any]
) -> torch.Tensor:
    """One random view of each picture, as the encoder takes it: float32 (N, C, S, S), channels last.

    S is the stored side, or the share of it that the recipe's `Frame` says.
    """
    import torch

    from nearfar.transforms.recipe import apply

    raw = draws.batch
    if raw is not None:
        draws.batch = lambda: _in_range(raw(), spec)
    return apply(
        recipe, _in_range(values, spec), draws, geometry=geometry, size=spec["size"],
        finish=lambda x: _standardised(x, spec), memory_format=torch.channels_last,
    )  # fmt: skip


def neutral(values: torch.Tensor, geometry: torch.Tensor | None, spec: Mapping[str, Any]) -> torch.Tensor:
    import torch

    from nearfar.transforms.image.resample import as_float

    return _standardised(as_float(_in_range(values, spec)), spec).contiguous(memory_format=torch.channels_last)


def _in_range(values: torch.Tensor, spec: Mapping[str, Any]) -> torch.Tensor:
    """Stored pictures as transforms take them: uint8, or floats of which 0 … 1 is the range of the data."""
    return bands.unit(values, spec) if "dtype" in spec else values


def _standardised(x: torch.Tensor, spec: Mapping[str, Any]) -> torch.Tensor:
    """What the encoder sees: (x − mean) / std, the model's own, or the data's where they were measured.

    Writes into `x`.
    """
    if wanted := spec.get("preprocessing"):
        return x.sub_(bands.column(wanted["mean"], x)).div_(bands.column(wanted["std"], x))
    return bands.standardised(x, spec) if "dtype" in spec else x.sub_(MEAN).mul_(1 / STD)


def recipes(name: str, spec: Mapping[str, Any]) -> tuple[Any, ...]:
    from nearfar.transforms.recipe import ORDER
    from nearfar.transforms.recipes import of_kinds

    return of_kinds(name, ORDER, "pictures", spec["size"], spec["channels"])


def takes(transform: Any, spec: Mapping[str, Any]) -> bool:
    from nearfar.transforms.recipe import ORDER

    return transform.kind in ORDER and spec["channels"] in getattr(transform, "channels", (spec["channels"],))


def default_recipe(spec: Mapping[str, Any]) -> str:
    """Colour pictures and photographs as SimCLR; small grey ones as digits."""
    return "digits" if spec["channels"] == 1 and spec["size"] <= 32 else GENERAL


def default_encoder(spec: Mapping[str, Any]) -> str:
    """Quick on a processor; from 32 pixels on a network that keeps the side longer pays."""
    return "small_cnn" if spec["size"] < 32 else "pooled_cnn"


def encoder_shape(spec: Mapping[str, Any]) -> dict[str, int]:
    return {"channels": spec["channels"], "size": spec["size"]}


def raw_features(values: np.ndarray, spec: Mapping[str, Any]) -> np.ndarray:
    """Pixels, averaged down to at most 32 × 32: float32 (N, F)."""
    pixels = np.asarray(values, np.float32)
    if pixels.shape[-1] > RAW_SIDE:
        down = _areas(pixels.shape[-1])
        pixels = down @ pixels @ down.T
    if "dtype" in spec:
        mean, std = bands.by_channel(spec, "mean", "spread")
        return ((pixels - mean) / std).reshape(len(pixels), -1)
    return pixels.reshape(len(pixels), -1) / 255


def _areas(side: int) -> np.ndarray:
    """What share each of `side` pixels has in each of at most 32 that lie over them, float32 (min(side, 32), side)."""
    count = min(side, RAW_SIDE)
    ends = np.arange(count + 1) * side / count
    pixel = np.arange(side)
    shared = np.minimum(ends[1:, None], pixel + 1) - np.maximum(ends[:-1, None], pixel)
    return (np.maximum(shared, 0) * count / side).astype(np.float32)


def thumbnail(values: np.ndarray, geometry: np.ndarray | None, spec: Mapping[str, Any]) -> Image.Image:
    """One stored picture (C, S, S) in its own proportions."""
    from PIL import Image

    if "dtype" in spec:
        image = Image.fromarray(bands.false_colour(values, spec))
    else:
        array = values.transpose(1, 2, 0)
        image = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    if geometry is None or geometry[0] == geometry[1]:
        return image
    height, width = (int(v) for v in geometry)
    scale = spec["size"] / max(height, width)
    return image.resize((max(1, round(width * scale)), max(1, round(height * scale))))


def reading(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"size": spec["size"], "depth": "8" if spec.get("dtype", "uint8") == "uint8" else "full"}


def describe(spec: Mapping[str, Any]) -> str:
    kind = "grey pictures" if spec["channels"] == 1 else "colour pictures"
    if "dtype" in spec:
        kind = f"pictures of {spec['channels']} channel{'s' if spec['channels'] > 1 else ''} as {spec['dtype']}"
    prepared = " as the model wants them" if "preprocessing" in spec else ""
    return f"{kind} stored at {spec['size']} × {spec['size']}{prepared}"
