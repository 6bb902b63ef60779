from dataclasses import dataclass

import torch

from nearfar.transforms.draws import Draws, check_range

ATTEMPTS = 4  # draws per row until a crop fits, as torchvision tries ten one by one


@dataclass(frozen=True)
class Crop:
    """Random resized crop: a part of the image, stretched to the whole view (Szegedy et al. 2014, arXiv 1409.4842).

    Parameters
    ----------
    scale : (float, float)
        Share of the image's area.
    ratio : (float, float)
        Width by height of the crop in the *original* image; drawn uniformly in the logarithm.

    Notes
    -----
    Where none of four draws fits inside the image the last one is cut to fit, where torchvision, after ten, takes
    the centre. With ratio 3/4 … 4/3 that happens to fewer than one square image in a thousand.
    """

    scale: tuple[float, float] = (0.2, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    kind = "geometry"
    aligned = True

    def __post_init__(self) -> None:
        check_range("crop.scale", self.scale, most=1)
        check_range("crop.ratio", self.ratio)

    def matrix(self, draws: Draws, geometry: torch.Tensor | None) -> torch.Tensor:
        aspect = 1.0 if geometry is None else (geometry[:, 1] / geometry[:, 0])[:, None]  # width by height
        area = draws.uniform(*self.scale, ATTEMPTS)
        ratio = draws.log_uniform(*self.ratio, ATTEMPTS)
        width, height = (area * ratio / aspect).sqrt(), (area / ratio * aspect).sqrt()  # as shares of the image
        fits = (width <= 1) & (height <= 1)
        first = torch.where(fits.any(1), fits.int().argmax(1), ATTEMPTS - 1)[:, None]
        w, h = width.gather(1, first)[:, 0].clamp(max=1), height.gather(1, first)[:, 0].clamp(max=1)
        x, y = (draws.uniform(-1, 1) * (1 - w), draws.uniform(-1, 1) * (1 - h))
        matrix = torch.zeros(len(draws), 3, 3, device=w.device)
        matrix[:, 0, 0], matrix[:, 1, 1], matrix[:, 0, 2], matrix[:, 1, 2], matrix[:, 2, 2] = w, h, x, y, 1
        return matrix
