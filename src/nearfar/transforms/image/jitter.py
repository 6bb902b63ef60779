import math
from dataclasses import dataclass
from functools import cache

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow and torchvision
# RGB → YIQ; its second and third axes span the plane of colour in which hue is the angle.
YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass(frozen=True)
class Jitter:
    """Brightness, contrast, saturation and hue, each by a factor of its own (Chen et al. 2020, arXiv 2002.05709).

    Parameters
    ----------
    brightness, contrast, saturation : float
        Factor drawn from [max(0, 1 − x), 1 + x].
    hue : float
        Turn of the colour circle, drawn from [−hue, hue] turns (at most 0.5).

    Notes
    -----
    torchvision shuffles the order of the four for every image; here they come in the order above, or, for half of
    the rows, with contrast last, which keeps all four linear. Hue turns the YIQ plane instead of HSV's hexagon: it
    is a matrix, so everything is one product, and it keeps the luma, which HSV does not. Values are cut to [0, 1]
    once, at the end, not after each step. Pictures of other than three channels get brightness and contrast only.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    p: float = knob(0.8, low=0, high=1)
    kind = "colour"

    def matrix(self, draws: Draws, mean: torch.Tensor) -> torch.Tensor:
        factors = [draws.uniform(max(0.0, 1 - x), 1 + x) for x in (self.brightness, self.contrast, self.saturation)]
        turn, late, on = draws.uniform(-self.hue, self.hue), draws.bernoulli(0.5), draws.bernoulli(self.p)
        return jitter_matrix(mean, *factors, turn, late, on)


def jitter_matrix(
    mean: torch.Tensor, brightness: torch.Tensor, contrast: torch.Tensor, saturation: torch.Tensor,
    turn: torch.Tensor, late: torch.Tensor, on: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """The matrix for given factors (N,): brightness, contrast, saturation, hue; contrast last where `late`.

    Where the channels are not three they are no colours: brightness and contrast only, and contrast is about each
    channel's own mean.
    """
    n, channels = mean.shape
    scaled = mean * brightness[:, None]
    if channels == 3:
        luma, yiq, back = constants(mean.device)
        colour = saturation[:, None, None] * torch.eye(3, device=mean.device)
        colour = colour + (1 - saturation)[:, None, None] * luma.expand(3, 3)
        angle = 2 * math.pi * turn
        rotation = torch.zeros(n, 3, 3, device=mean.device)
        rotation[:, 0, 0] = 1
        rotation[:, 1, 1] = rotation[:, 2, 2] = angle.cos()
        rotation[:, 1, 2], rotation[:, 2, 1] = -angle.sin(), angle.sin()
        colour = back @ rotation @ yiq @ colour
        # Contrast mixes with the mean luma of the image as it then is; luma survives saturation and hue, so it is
        # the same before and after them up to rounding, and only the offset's way through the matrix differs.
        grey = (scaled * luma).sum(1)
        after = ((colour @ scaled[:, :, None])[:, :, 0] * luma).sum(1)
        offset = torch.where(late, after, grey)[:, None] * (1 - contrast)[:, None]
        offset = offset.expand(n, channels)
        moved = torch.where(late[:, None], offset, (colour @ offset[:, :, None])[:, :, 0])
    else:
        colour = torch.eye(channels, device=mean.device)
        moved = scaled * (1 - contrast)[:, None]
    linear = colour * (brightness * contrast)[:, None, None]
    matrix = torch.cat((linear, moved[:, :, None]), 2)
    return torch.where(on[:, None, None], matrix, identity(mean))


@cache
def constants(device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Luma, RGB → YIQ and its inverse on the device; found once, for each copy and inverse would wait for it."""
    yiq = torch.tensor(YIQ)
    return tuple(t.to(device) for t in (torch.tensor(LUMA), yiq, torch.linalg.inv(yiq)))


def identity(mean: torch.Tensor) -> torch.Tensor:
    """The matrix that changes nothing, (N, C, C + 1)."""
    n, channels = mean.shape
    return torch.eye(channels, channels + 1, device=mean.device).repeat(n, 1, 1)
