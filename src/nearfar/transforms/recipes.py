"""Recipes by name, as data."""

from __future__ import annotations

import difflib

from nearfar.transforms.affine import Affine
from nearfar.transforms.blur import Blur
from nearfar.transforms.corrupt import Corrupt
from nearfar.transforms.crop import Crop
from nearfar.transforms.erase import Erase
from nearfar.transforms.flip import Flip
from nearfar.transforms.greyscale import Greyscale
from nearfar.transforms.jitter import Jitter
from nearfar.transforms.recipe import Recipe
from nearfar.transforms.solarise import Solarise

BLUR_FROM = 64  # pixels; smaller pictures have no detail to spare, and no CIFAR recipe of the peers blurs

_COLOUR = (Jitter(0.4, 0.4, 0.4, 0.1, p=0.8), Greyscale(0.2))

# One recipe per view, cycled.
RECIPES: dict[str, tuple[Recipe, ...]] = {
    # Chen et al. 2020 (2002.05709) with the smallest crop and the weaker jitter that CIFAR-size runs of few epochs
    # use (dkobak/simclr-cifar10: scale 0.2, jitter 0.4, greyscale 0.1).
    "simclr": ((Crop((0.2, 1.0)), Flip(), Jitter(0.4, 0.4, 0.4, 0.1, p=0.8), Greyscale(0.1), Blur(p=0.5)),),
    # Chen et al. 2020 (2003.04297).
    "moco": ((Crop((0.2, 1.0)), Flip(), *_COLOUR, Blur(p=0.5)),),
    # Grill et al. 2020 (2006.07733): the views differ in blur and solarisation; crop scale as "simclr".
    "byol": (
        (Crop((0.2, 1.0)), Flip(), Jitter(0.4, 0.4, 0.2, 0.1, p=0.8), Greyscale(0.2), Blur(p=1.0)),
        (Crop((0.2, 1.0)), Flip(), Jitter(0.4, 0.4, 0.2, 0.1, p=0.8), Greyscale(0.2), Blur(p=0.1), Solarise(p=0.2)),
    ),
    # With labels the views need less: they only have to keep the network from learning rows by heart.
    "light": ((Crop((0.4, 1.0)), Flip(), Jitter(0.3, 0.3, 0.3, 0.05, p=0.5)),),
    # A digit mirrored is another sign, or none.
    "digits": ((Affine(degrees=30, scale=(0.6, 1.3), shear=25, shift=0.15, fill="zeros"), Erase((0.02, 0.15), p=0.3)),),
    # Bahri et al. 2021 (2106.15147): the row as it is, and a corrupted copy.
    "vector": ((), (Corrupt(0.6),)),
    "none": ((),),
}


def named(name: str, size: int, channels: int) -> tuple[Recipe, ...]:
    """The recipe called `name`, for images of this size and number of channels.

    Colour transforms that need three channels are left out for others, blur for small images.

    Raises
    ------
    ValueError
        There is none of that name; the nearest is proposed.
    """
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=1)
        raise ValueError(
            f"there is no recipe named {name!r}; "
            + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(RECIPES)}")
        )
    small = size < BLUR_FROM
    return tuple(
        tuple(
            t
            for t in recipe
            if not (isinstance(t, Blur) and small) and not (isinstance(t, Greyscale) and channels != 3)
        )
        for recipe in RECIPES[name]
    )
