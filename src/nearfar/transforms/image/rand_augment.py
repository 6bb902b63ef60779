import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from nearfar.transforms.draws import Draws
from nearfar.transforms.image.equalise import equalised
from nearfar.transforms.image.jitter import jitter_matrix
from nearfar.transforms.image.posterise import posterised
from nearfar.transforms.image.resample import sample
from nearfar.transforms.image.sharpness import sharpened

MOST = 100  # changes of a row; more would take minutes and leave nothing of it

Change = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class RandAugment:
    """Some changes out of a list, chosen for each row by itself (Cubuk et al. 2019, arXiv 1909.13719).

    Parameters
    ----------
    count : int
        Changes of each row, one after the other.
    strength : float
        In [0, 1]; torchvision's default, 9 of 30, is 0.3. Changes that have two directions take either.
    changes : tuple of str
        Out of `CHANGES`, by default those of the paper: "identity" stands for none.

    Notes
    -----
    The ranges are torchvision's ``RandAugment``'s (see `CHANGES`), empty places are black. Colour and geometry are
    computed in float and bilinear, where torchvision rounds to 256 levels and takes the nearest pixel by default.
    Mirroring is not in the list.
    """

    count: int = 2
    strength: float = 0.3
    changes: tuple[str, ...] = (
        "identity", "shear_x", "shear_y", "move_x", "move_y", "rotate", "brightness", "saturation", "contrast",
        "sharpness", "posterise", "solarise", "autocontrast", "equalise",
    )  # fmt: skip
    kind = "pixels"
    channels = (1, 3)

    def __post_init__(self) -> None:
        if unknown := set(self.changes) - set(CHANGES):
            raise ValueError(f"rand_augment.changes: there is no {min(unknown)!r}; there are {', '.join(CHANGES)}")
        if not self.changes or not 1 <= self.count <= MOST or not 0 <= self.strength <= 1:
            raise ValueError(f"rand_augment: expected a count of 1 to {MOST}, a strength from 0 to 1, and changes")

    def apply(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        for _ in range(self.count):
            amount = (1 - 2 * draws.bernoulli(0.5).float()) * self.strength
            for name, rows in zip(self.changes, draws.dealt(len(self.changes)), strict=True):
                if len(rows) and name != "identity":
                    images.index_copy_(0, rows, CHANGES[name](images[rows], amount[rows]))
        return images


def _geometric(matrix: Callable[[torch.Tensor], dict[tuple[int, int], torch.Tensor]]) -> Change:
    """A change from the entries of its sampling matrix that are not the identity's."""

    def change(images: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
        full = torch.eye(3, device=amount.device).repeat(len(amount), 1, 1)
        for (i, j), value in matrix(amount).items():
            full[:, i, j] = value
        return sample(images, full, images.shape[-1], "zeros")

    return change


def _rotation(amount: torch.Tensor) -> dict[tuple[int, int], torch.Tensor]:
    angle = amount * math.radians(30)
    return {(0, 0): angle.cos(), (0, 1): -angle.sin(), (1, 0): angle.sin(), (1, 1): angle.cos()}


def _colour(which: int) -> Change:
    """Brightness, contrast or saturation by 1 + 0.9 · amount."""

    def change(images: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
        one = torch.ones_like(amount)
        factors = [1 + 0.9 * amount if i == which else one for i in range(3)]
        matrix = jitter_matrix(images.mean((2, 3)), *factors, one * 0, one < 0, one > 0)
        pixels = torch.baddbmm(matrix[:, :, -1:], matrix[:, :, :-1], images.flatten(2))
        return pixels.clamp_(0, 1).view_as(images)

    return change


def _solarise(images: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
    return torch.where(images >= 1 - amount.abs()[:, None, None, None], 1 - images, images)


def _autocontrast(images: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    return torch.where(high > low, (images - low) / (high - low).clamp(min=1e-6), images)


CHANGES: dict[str, Change] = {
    "identity": lambda images, amount: images,
    "shear_x": _geometric(lambda a: {(0, 1): 0.3 * a}),
    "shear_y": _geometric(lambda a: {(1, 0): 0.3 * a}),
    "move_x": _geometric(lambda a: {(0, 2): 2 * 150 / 331 * a}),  # 150 pixels of 331, as torchvision
    "move_y": _geometric(lambda a: {(1, 2): 2 * 150 / 331 * a}),
    "rotate": _geometric(_rotation),  # up to 30 degrees
    "brightness": _colour(0),  # these four by factors of 1 ± 0.9
    "contrast": _colour(1),
    "saturation": _colour(2),
    "sharpness": lambda images, amount: sharpened(images, 1 + 0.9 * amount),
    "posterise": lambda images, amount: posterised(images, 8 - (4 * amount.abs()).round()),  # down to 4 bits
    "solarise": _solarise,  # threshold from 1 down to 0
    "autocontrast": _autocontrast,
    "equalise": lambda images, amount: equalised(images),
}
