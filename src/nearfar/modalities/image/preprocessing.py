"""Pictures as a pretrained model wants them: resized, cropped and normalised as they were for it.

It is what ``timm.data.create_transform(is_training=False)`` does on Pillow's pictures, byte for byte until the
normalisation. The picture is first brought to ⌊size / crop⌋ pixels, then its centre of size × size is taken:

========== =========================================================================================
``mode``   what is so long
========== =========================================================================================
``center`` the shorter side; the longer one keeps the proportion, and what does not fit is cut off
``squash`` both sides: the picture is squeezed to a square
``border`` the longer side; beside the shorter one there is a border in the mean colour
========== =========================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

from nearfar.core.errors import BadCell
from nearfar.core.schema import above, within

if TYPE_CHECKING:
    from PIL import Image


class Preprocessing(TypedDict):
    """``crop``: share of the resized picture's side that is kept; ``mean``, ``std``: per channel, of values 0 … 1."""

    mean: list[float]
    std: list[Annotated[float, above(0)]]
    interpolation: Literal["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"]
    crop: Annotated[float, within(0.05, 2)]
    mode: Literal["center", "squash", "border"]


def prepared(image: Image.Image, side: int, wanted: Mapping[str, Any], most: int) -> Image.Image:
    """A picture of mode L or RGB as a square; raises `BadCell` where it has more than `most` pixels on the way."""
    from PIL import Image

    width, height = _resized(image.size, math.floor(side / wanted["crop"]), wanted["mode"])
    if width * height > most:
        raise BadCell(f"is too narrow: {image.size[0]} × {image.size[1]} pixels, for a model of {side} × {side}")
    image = image.resize((width, height), Image.Resampling[wanted["interpolation"].upper()])
    if width < side or height < side:
        colour = tuple(round(255 * m) * (wanted["mode"] == "border") for m in wanted["mean"])
        ground = Image.new(image.mode, (max(width, side), max(height, side)), colour if len(colour) > 1 else colour[0])
        ground.paste(image, (max(0, side - width) // 2, max(0, side - height) // 2))
        image = ground
    # Halves are rounded to even numbers, as torchvision does.
    left, top = (round((n - side) / 2) for n in image.size)
    return image.crop((left, top, left + side, top + side))


def _resized(size: tuple[int, int], side: int, mode: str) -> tuple[int, int]:
    """Width and height before the crop, rounded as timm and torchvision do."""
    if mode == "squash":
        return side, side
    if mode == "border":
        ratio = max(size) / side
        return tuple(max(1, round(n / ratio)) for n in size)
    return tuple(side if n == min(size) else int(side * n / min(size)) for n in size)


def changes(side: int, wanted: Mapping[str, Any]) -> bool:
    """Whether a square picture of that side is changed."""
    return math.floor(side / wanted["crop"]) != side
