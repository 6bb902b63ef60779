"""Pictures: of any size and usual format in, squares of uint8 stored, float views out."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.errors import ConfigError
from nearfar.modalities import BadCell

if TYPE_CHECKING:
    import torch
    from PIL import Image

NAME = "image"
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MAX_PIXELS = 100_000_000  # a picture that declares more is a bomb, or no picture to learn from
PHOTO_SIDE = 96  # stored side of photographs
SAMPLE = 200  # cells looked at to plan
MIDDLE, SPREAD = 0.5, 0.25  # encoders see (x − 0.5) / 0.25, in training as in evaluation


def recognise(cells: Sequence[Any]) -> float:
    """1 for paths, bytes or structs of pictures and for arrays of two or three axes."""
    from PIL import Image

    first = next((c for c in cells if c is not None), None)
    if isinstance(first, dict):
        return 1.0 if {"bytes", "path"} & set(first) else 0.0
    if isinstance(first, Path | Image.Image):
        return 1.0
    if isinstance(first, bytes):
        return 0.9
    return 0.9 if isinstance(first, np.ndarray) and first.ndim in (2, 3) else 0.0


def plan(cells: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Side and channels from a sample: the median short side, in steps of 4 and from 16 to 64, photographs 96."""
    step = max(1, len(cells) // SAMPLE)
    sides, grey = [], True
    for i in range(0, len(cells), step):
        try:
            image = _opened(cells[i])
        except BadCell:
            continue
        sides.append(min(image.size))
        grey = grey and _is_grey(image)
    side = options.get("size")
    if side is None:
        median = float(np.median(sides)) if sides else PHOTO_SIDE
        side = PHOTO_SIDE if median > 64 else int(np.clip(-(-median // 4) * 4, 16, 64))
    return {"size": int(side), "channels": 1 if grey and sides else 3}


def decode(cell: Any, spec: Mapping[str, Any]) -> tuple[np.ndarray, tuple[int, int]]:
    """One picture as uint8 (C, S, S), and its own height and width.

    The whole picture is squeezed to a square; views undo that by its own height and width. Transparent parts
    become white, EXIF turns are followed, 16 bits are scaled to 8, of an animation the first picture is taken.
    """
    from PIL import Image

    side = spec["size"]
    image = _opened(cell, draft=2 * side)
    width, height = image.size
    image = image.convert("L" if spec["channels"] == 1 else "RGB")
    if image.size != (side, side):
        image = image.resize((side, side), Image.Resampling.BILINEAR)  # Pillow's filters do not alias
    array = np.asarray(image)
    return (array[None] if array.ndim == 2 else array.transpose(2, 0, 1)), (height, width)


def decode_array(values: np.ndarray, spec: Mapping[str, Any]) -> np.ndarray | None:
    """A whole uint8 array (N, H, W[, C]) that already has the stored size, or None if it must go picture by picture."""
    if values.dtype != np.uint8 or values.ndim not in (3, 4) or len(values) == 0:
        return None
    if values.ndim == 3:
        values = values[..., None]
    elif values.shape[1] in (1, 3) and values.shape[3] not in (1, 3):
        values = values.transpose(0, 2, 3, 1)
    if values.shape[1:] != (spec["size"], spec["size"], spec["channels"]):
        return None
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def _opened(cell: Any, draft: int | None = None) -> Image.Image:
    """The picture in a cell, upright, in mode L or RGB; raises `BadCell`."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    if cell is None:
        raise BadCell("is empty")
    if isinstance(cell, np.ndarray):
        return Image.fromarray(_as_bytes(cell))
    if isinstance(cell, dict):
        cell = cell["bytes"] if cell.get("bytes") is not None else Path(cell.get("path") or "")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes are judged here, by MAX_PIXELS
            image = cell if isinstance(cell, Image.Image) else Image.open(_stream(cell), formats=FORMATS)
            if image.size[0] * image.size[1] > MAX_PIXELS:
                raise BadCell(f"declares {image.size[0]} × {image.size[1]} pixels, which is too many")
            if draft and image.format == "JPEG":
                image.draft("RGB", (draft, draft))
            image.load()
            return _plain(ImageOps.exif_transpose(image))
    except Image.DecompressionBombError as e:
        raise BadCell("declares too many pixels") from e
    except UnidentifiedImageError as e:
        raise BadCell("is no picture in a format that is read (JPEG, PNG, WebP, GIF, BMP, TIFF, PPM)") from e
    except PermissionError as e:
        raise BadCell("may not be read (permission)") from e
    except FileNotFoundError as e:
        raise BadCell("is missing") from e
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, OverflowError) as e:
        raise BadCell(f"is damaged ({e})") from e


def _stream(cell: Any) -> Any:
    if isinstance(cell, bytes):
        if not cell:
            raise BadCell("is empty")
        return io.BytesIO(cell)
    path = Path(cell)
    if path.stat().st_size == 0:
        raise BadCell("is empty")
    return path


def _plain(image: Image.Image) -> Image.Image:
    """Mode L or RGB, whatever the mode was."""
    from PIL import Image

    if image.mode in ("L", "RGB"):
        return image
    if image.mode == "1":
        return image.convert("L")
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_as_bytes(np.asarray(image)))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _as_bytes(array: np.ndarray) -> np.ndarray:
    """uint8 (H, W) or (H, W, 3) of any numeric array: 16 bits are divided, floats are in [0, 1] or up to 255."""
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise BadCell(f"is an array of shape {array.shape}, not a picture of one or three channels")
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise BadCell("has numbers that are not finite")
    top = values.max(initial=0)
    if np.issubdtype(array.dtype, np.floating):
        values = values * 255 if top <= 1 else values
    elif top > 255:
        values = values / 257
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


def _is_grey(image: Image.Image) -> bool:
    if image.mode == "L":
        return True
    small = np.asarray(image.resize((16, 16)), dtype=np.int16)
    return bool(
        (np.abs(small[..., 0] - small[..., 1]) <= 2).all() and (np.abs(small[..., 0] - small[..., 2]) <= 2).all()
    )


def views(
    values: torch.Tensor, geometry: torch.Tensor | None, recipe: tuple[Any, ...], draws: Any, spec: Mapping[str, Any]
) -> torch.Tensor:
    """One random view of each picture, as the encoder takes it: float32 (N, C, S, S), channels last."""
    from nearfar.transforms.recipe import apply

    return _standardised(apply(recipe, values, draws, geometry=geometry, size=spec["size"]))


def neutral(values: torch.Tensor, geometry: torch.Tensor | None, spec: Mapping[str, Any]) -> torch.Tensor:
    """The whole picture, without any change."""
    return _standardised(values.float().mul_(1 / 255))


def _standardised(x: torch.Tensor) -> torch.Tensor:
    import torch

    return x.sub_(MIDDLE).mul_(1 / SPREAD).contiguous(memory_format=torch.channels_last)


def recipes(name: str, spec: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> tuple[Any, ...]:
    """The recipes of the views, with changed numbers."""
    from nearfar.transforms.recipe import override
    from nearfar.transforms.recipes import named

    try:
        found = named(name, spec["size"], spec["channels"])
        return override(found, overrides or {})
    except (ValueError, TypeError) as e:
        raise ConfigError(f"{e}.", where="views") from e


def default_recipe(spec: Mapping[str, Any]) -> str:
    """Colour pictures and photographs as SimCLR; small grey ones as digits."""
    return "digits" if spec["channels"] == 1 and spec["size"] <= 32 else "simclr"


def default_encoder(spec: Mapping[str, Any]) -> str:
    """Quick on a processor."""
    return "small_cnn"


def encoder_shape(spec: Mapping[str, Any]) -> dict[str, int]:
    """What an encoder's ``build`` is told."""
    return {"channels": spec["channels"], "size": spec["size"]}


def raw_features(values: np.ndarray, spec: Mapping[str, Any]) -> np.ndarray:
    """Pixels, averaged down to at most 32 × 32: float32 (N, F)."""
    side = spec["size"]
    step = max(1, side // 32)
    pixels = values[:, :, : side - side % step, : side - side % step]
    if step > 1:
        n, c, h, w = pixels.shape
        pixels = pixels.reshape(n, c, h // step, step, w // step, step).mean((3, 5), dtype=np.float32)
    return pixels.reshape(len(pixels), -1).astype(np.float32) / 255


def thumbnail(values: np.ndarray, geometry: np.ndarray | None, spec: Mapping[str, Any]) -> Image.Image:
    """One stored picture (C, S, S) in its own proportions."""
    from PIL import Image

    array = values.transpose(1, 2, 0)
    image = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    if geometry is None or geometry[0] == geometry[1]:
        return image
    height, width = (int(v) for v in geometry)
    scale = spec["size"] / max(height, width)
    return image.resize((max(1, round(width * scale)), max(1, round(height * scale))))


def describe(spec: Mapping[str, Any]) -> str:
    """In words."""
    return f"{'grey' if spec['channels'] == 1 else 'colour'} pictures stored at {spec['size']} × {spec['size']}"
