"""Recipes by name, as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nearfar.core.errors import ConfigError, UnknownName
from nearfar.transforms.frame import Frame
from nearfar.transforms.ids.drop_items import DropItems
from nearfar.transforms.ids.next_items import NextItems
from nearfar.transforms.image.affine import Affine
from nearfar.transforms.image.blur import Blur
from nearfar.transforms.image.crop import Crop
from nearfar.transforms.image.erase import Erase
from nearfar.transforms.image.flip import Flip
from nearfar.transforms.image.greyscale import Greyscale
from nearfar.transforms.image.jitter import Jitter
from nearfar.transforms.image.noise import Noise
from nearfar.transforms.image.perspective import Perspective
from nearfar.transforms.image.sharpness import Sharpness
from nearfar.transforms.image.solarise import Solarise
from nearfar.transforms.image.window import Window
from nearfar.transforms.recipe import Recipe
from nearfar.transforms.rows.corrupt import Corrupt
from nearfar.transforms.series.change_spectrum import ChangeSpectrum
from nearfar.transforms.series.common_crop import CommonCrop
from nearfar.transforms.series.crop_steps import CropSteps
from nearfar.transforms.series.drop_channels import DropChannels
from nearfar.transforms.series.mask_steps import MaskSteps
from nearfar.transforms.series.noise_steps import NoiseSteps
from nearfar.transforms.series.scale_steps import ScaleSteps
from nearfar.transforms.series.warp_size import WarpSize
from nearfar.transforms.series.warp_steps import WarpSteps
from nearfar.transforms.sound.crop_time import CropTime
from nearfar.transforms.sound.mix_sounds import MixSounds
from nearfar.transforms.sound.resize_crop import ResizeCrop
from nearfar.transforms.sound.spec_augment import SpecAugment
from nearfar.transforms.sound.tilt import Tilt
from nearfar.transforms.sound.warp_mel import WarpMel
from nearfar.transforms.sound.warp_time import WarpTime
from nearfar.transforms.text.crop_words import CropWords
from nearfar.transforms.text.cut_words import CutWords
from nearfar.transforms.text.drop_tokens import DropTokens
from nearfar.transforms.text.drop_words import DropWords
from nearfar.transforms.text.shuffle_words import ShuffleWords

BLUR_FROM = 64  # pixels; smaller pictures have no detail to spare, and no CIFAR recipe of the peers blurs

_COLOUR = (Jitter(0.4, 0.4, 0.4, 0.1, p=0.8), Greyscale(0.2))
_SWAV = (Flip(), Jitter(0.8, 0.8, 0.8, 0.2, p=0.8), Greyscale(0.2), Blur(p=0.5))
_DINO = (Flip(), Jitter(0.4, 0.4, 0.2, 0.1, p=0.8), Greyscale(0.2))
_LOCAL = Frame(3 / 7, "local")  # 96 of 224 pixels
_ANSWER = Frame(1.0, "answer")

_EMP = (
    Crop((0.25, 0.25), ratio=(1.0, 1.0)),
    Flip(),
    Jitter(0.4, 0.4, 0.4, 0.2, p=0.8),
    Greyscale(0.2),
    Blur(p=0.1),
    Solarise(p=0.1),
)

# One recipe per view, cycled.
RECIPES: dict[str, tuple[Recipe, ...]] = {
    # Chen et al. 2020 (2002.05709) with the smallest crop and the weaker jitter that CIFAR-size runs of few epochs
    # use (dkobak/simclr-cifar10: scale 0.2, jitter 0.4, greyscale 0.1).
    "simclr": ((Crop((0.2, 1.0)), Flip(), Jitter(0.4, 0.4, 0.4, 0.1, p=0.8), Greyscale(0.1), Blur(p=0.5)),),
    # The same for pictures of which a mirrored one is something else: letters, signs.
    "oriented": ((Crop((0.2, 1.0)), Jitter(0.4, 0.4, 0.4, 0.1, p=0.8), Greyscale(0.1), Blur(p=0.5)),),
    # Chen et al. 2020 (2003.04297).
    "moco": ((Crop((0.2, 1.0)), Flip(), *_COLOUR, Blur(p=0.5)),),
    # Grill et al. 2020 (2006.07733): the views differ in blur and solarisation; crop scale as "simclr".
    "byol": (
        (Crop((0.2, 1.0)), Flip(), Jitter(0.4, 0.4, 0.2, 0.1, p=0.8), Greyscale(0.2), Blur(p=1.0)),
        (Crop((0.2, 1.0)), Flip(), Jitter(0.4, 0.4, 0.2, 0.1, p=0.8), Greyscale(0.2), Blur(p=0.1), Solarise(p=0.2)),
    ),
    # Caron et al. 2020 (2006.09882): two global views and six small crops.
    "swav": ((Crop((0.14, 1.0)), *_SWAV),) * 2 + ((_LOCAL, Crop((0.05, 0.14)), *_SWAV),) * 6,
    # Caron et al. 2021 (2104.14294): as "byol", with eight small crops.
    "dino": (
        (Crop((0.4, 1.0)), *_DINO, Blur(p=1.0)),
        (Crop((0.4, 1.0)), *_DINO, Blur(p=0.1), Solarise(p=0.2)),
        *((_LOCAL, Crop((0.05, 0.4)), *_DINO, Blur(p=0.5)),) * 8,
    ),
    # Tong et al. 2023 (2304.03977): many patches of one size; the method says how many.
    "emp": (_EMP,),
    # The same at the patch's own resolution, a quarter of the work; for the encoder "patches".
    "emp_small": ((Frame(0.5, "global"), *_EMP),),
    # Zheng et al. 2021 (2107.09282): a strong view for the student, a weak one for its target.
    "ressl": (
        (Crop((0.2, 1.0)), Flip(), Jitter(0.4, 0.4, 0.4, 0.1, p=0.8), Greyscale(0.2), Blur(p=0.5)),
        (Crop((0.2, 1.0)), Flip()),
    ),
    # Henaff et al. 2019 (1905.09272): a grid of overlapping patches, each changed by itself; here 3 × 3, half the side.
    "cpc": tuple(
        (Frame(0.5, "global"), Window(top / 4, left / 4), Flip(), *_COLOUR) for top in range(3) for left in range(3)
    ),
    # With labels the views need less: they only have to keep the network from learning rows by heart.
    "light": ((Crop((0.4, 1.0)), Flip(), Jitter(0.3, 0.3, 0.3, 0.05, p=0.5)),),
    # A digit mirrored is another sign, or none.
    "digits": ((Affine(degrees=30, scale=(0.6, 1.3), shear=25, shift=0.15, fill="zeros"), Erase((0.02, 0.15), p=0.3)),),
    # A face is upright, fills the picture, and is known by its proportions: mild geometry, and something in front.
    "faces": (
        (
            Crop((0.6, 1.0), ratio=(0.9, 1.1)),
            Flip(),
            Affine(degrees=10, shift=0.05),
            Jitter(0.4, 0.4, 0.3, 0.03, p=0.8),
            Greyscale(0.1),
            Blur(p=0.3),
            Erase((0.02, 0.15), p=0.3),
        ),
    ),
    # Photographed or scanned pages: never mirrored, a little askew, any light, out of focus, grain.
    "documents": (
        (
            Crop((0.5, 1.0), ratio=(0.8, 1.25)),
            Affine(degrees=4, scale=(0.9, 1.1), shear=3, fill="border"),
            Perspective(0.1, p=0.5, fill="border"),
            Jitter(0.3, 0.4, 0.1, 0.0, p=0.8),
            Sharpness(0.9, p=0.3),
            Blur((0.1, 1.2), p=0.4),
            Noise(0.04, p=0.3),
        ),
    ),
    # Bahri et al. 2021 (2106.15147): the row as it is, and a corrupted copy.
    "vector": ((), (Corrupt(0.6),)),
    # Of texts: two random halves of the words, of which some n-grams are missing too.
    "words": ((DropWords(0.5), DropTokens(0.1)),),
    # Gao et al. 2021 (2104.08821): the text as it is, twice; the encoder's dropout tells the views apart.
    "simcse": ((),),
    # A run of the words, for long texts (Giorgi et al. 2021, 2006.03659).
    "spans": ((CropWords((0.3, 0.7)), DropTokens(0.1)),),
    # Shen et al. 2020 (2009.13818): tokens and a run of words cut out; and words a little out of order.
    "cutoff": ((CutWords((0.0, 0.3)), DropTokens(0.1), ShuffleWords(3.0)),),
    # Another voice, pace and place say the same: chosen on held-out speakers and rows (docs/results/sound.md).
    "sound": ((MixSounds((0.0, 0.25)), CropTime((0.7, 1.0)), WarpTime(0.45), WarpMel(0.2), Tilt(0.85)),),
    # For pairs, and with labels.
    "sound_light": ((CropTime((0.9, 1.0)), WarpMel(0.1), Tilt(0.3)),),
    # Park et al. 2019 (1904.08779), after a crop in time.
    "spec_augment": ((CropTime((0.8, 1.0)), SpecAugment()),),
    # Niizumi et al. 2021 (2103.06695): mixtures of log-mel spectrograms, and crops of both axes.
    "byol_a": ((MixSounds((0.0, 0.4)), ResizeCrop()),),
    # For pairs of texts, whose two sides are views already.
    "tokens": ((DropTokens(0.1),),),
    # Liang et al. 2018 (1802.05814): a user is known by half of the items; what was left out, and what was not.
    "items": (
        (DropItems(0.5),),
        (_ANSWER, DropItems(0.5, rest=True)),
        (_ANSWER, DropItems(0.5)),
    ),
    # Two halves of a history that have nothing in common, for methods that compare views.
    "halves": ((DropItems(0.5),), (DropItems(0.5, rest=True),)),
    # Kang & McAuley 2018 (1808.09781): a stretch of a history, and what follows each of its events.
    "next": ((NextItems(),), (_ANSWER, NextItems(answer=True))),
    # Of series: overlapping crops, some steps hidden (Yue et al. 2022, 2106.10466), a little noise and another scale.
    "series": ((CropSteps((0.5, 1.0), p=0.5), ScaleSteps(0.1), NoiseSteps(0.1), MaskSteps(0.1)),),
    # Franceschi et al. 2019 (1901.10738): a part of the series, and a part of that part.
    "subseries": ((CommonCrop((0.5, 1.0)),), (CommonCrop((0.5, 1.0)), CropSteps((0.1, 1.0)))),
    # Um et al. 2017 (1706.00527): for methods that compare whole series, since time is bent as well.
    "warps": ((CropSteps((0.7, 1.0)), WarpSteps(0.3), WarpSize(0.2), NoiseSteps(0.1), DropChannels(0.1)),),
    # Zhang et al. 2022 (2206.08496): the series with noise, and the series with another spectrum.
    "spectrum": ((ScaleSteps(0.2), NoiseSteps(0.1)), (ChangeSpectrum(0.1, 0.1),)),
    # For pairs of columns, whose two sides are views already.
    "jitter": ((ScaleSteps(0.1), NoiseSteps(0.1)),),
    "none": ((),),
}


def for_kind(name: str, kind: str) -> tuple[Recipe, ...]:
    """The recipe called `name`, if all its transforms are of this kind, such as "rows" or "words", or say a role.

    Raises
    ------
    UnknownName, ConfigError
        There is none of that name, or it is for something else; those that fit are named.
    """
    return of_kinds(name, (kind, "frame"), kind)


def of_kinds(name: str, kinds: Sequence[str], what: str, size: int = 0, channels: int = 0) -> tuple[Recipe, ...]:
    """The same for transforms of several kinds, which `what` names together; size and channels are those of `named`."""
    found = named(name, size, channels)
    if all(t.kind in kinds for recipe in RECIPES[name] for t in recipe):
        return found
    fitting = [n for n, r in RECIPES.items() if all(t.kind in kinds for v in r for t in v)]
    raise ConfigError(f"the recipe {name!r} is not for {what}.", where="views.recipe",
                      hint=f"These are: {', '.join(fitting)}.")  # fmt: skip


def named(name: str, size: int, channels: int) -> tuple[Recipe, ...]:
    """The recipe called `name`, for images of this size and number of channels.

    Left out is what makes no sense for them: greyscale for other than three channels, solarisation for other than
    one or three, blur for small images.

    Raises
    ------
    UnknownName
        There is none of that name; the nearest is proposed.
    """
    if name not in RECIPES:
        raise UnknownName("recipe", name, RECIPES, where="views.recipe")
    return tuple(tuple(t for t in recipe if fits(t, size, channels)) for recipe in RECIPES[name])


def fits(transform: Any, size: int, channels: int) -> bool:
    """Whether a transform makes sense for images of this side and number of channels."""
    if isinstance(transform, Blur) and size < BLUR_FROM:
        return False
    return channels in getattr(transform, "channels", (channels,))
