"""From one matrix per row to pixels: the resampling that consecutive geometric transforms share.

Positions are in [−1, 1] across the image, pixel centres at ±(1 − 1/side), as in torch's ``grid_sample`` with
``align_corners=False``.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F


def as_float(values: torch.Tensor) -> torch.Tensor:
    """A float copy in [0, 1] of stored values, uint8 or float: the chain may write into it."""
    return values.float().mul_(1 / 255) if values.dtype == torch.uint8 else values.to(torch.float32, copy=True)


def centres(size: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """Positions of `size` pixel centres, (size,)."""
    return torch.linspace(-1, 1, size, device=device) * (size - 1) / size


def grid(matrix: torch.Tensor, size: int, projective: bool = False) -> torch.Tensor:
    """Where each pixel of a square view lies in the image: (N, size, size, 2), last axis x and y.

    It is torch's ``affine_grid``, to the bit, as a product of (N, 2, 3) and (3, size²), which takes a tenth of the
    time of torch's (N, size², 3) and (N, 3, 2) on a CPU; and it divides by the third row where that is not (0, 0, 1).
    """
    x = centres(size, matrix.device)
    base = torch.stack((x.expand(size, size), x[:, None].expand(size, size), torch.ones_like(x).expand(size, size)))
    rows = matrix if projective else matrix[:, :2]
    at = torch.bmm(rows, base.view(1, 3, -1).expand(len(rows), -1, -1)).view(len(rows), -1, size, size)
    if projective:
        at = at[:, :2] / at[:, 2:]
    return torch.view_as_real(torch.complex(at[:, 0], at[:, 1]))


FILLS = ("reflection", "border", "zeros")  # what may lie outside of an image


def sample(images: torch.Tensor, matrix: torch.Tensor, size: int, fill: str, projective: bool = False) -> torch.Tensor:
    """Bilinear samples at the places that any matrix (N, 3, 3) says; (N, C, size, size)."""
    return F.grid_sample(
        images, grid(matrix, size, projective), mode="bilinear", padding_mode=fill, align_corners=False
    )


def sample_shrunk(
    images: torch.Tensor, matrix: torch.Tensor, size: int, fill: str, projective: bool = False
) -> torch.Tensor:
    """The same where a view's pixel may cover several of the image: these are averaged 2 × 2, 4 × 4 … first.

    torchvision's affine, rotation and perspective do not average, they alias. (Which rows need which average is read
    back from the device: the one place of this folder that waits for it.)
    """
    shrink = matrix[:, :2, :2].norm(dim=1).amax(1) * (images.shape[-1] / size)
    levels = shrink.clamp(min=1).log2().round().int()
    out = images.new_empty(len(images), images.shape[1], size, size)
    for level in levels.unique().tolist():
        rows = (levels == level).nonzero()[:, 0]
        small = F.avg_pool2d(images[rows], 2**level) if level else images[rows]
        out[rows] = sample(small, matrix[rows], size, fill, projective)
    return out


def sample_aligned(images: torch.Tensor, matrix: torch.Tensor, size: int, fill: str | None) -> torch.Tensor:
    """The same for matrices that only stretch by at most 1, mirror and move: one axis after the other, antialiased.

    The filter is the triangle of torchvision's and Pillow's bilinear resize with antialiasing: half as wide as one
    pixel of the view, or of the image where that is wider. `fill` is None where nothing of the outside is seen: the
    filter is cut at the image's edge.
    """
    images = along_height(images, *_triangle(matrix[:, 1, 1], matrix[:, 1, 2], images.shape[-2], size, fill))
    return along_width(images, *_triangle(matrix[:, 0, 0], matrix[:, 0, 2], images.shape[-1], size, fill))


def _triangle(
    stretch: torch.Tensor, offset: torch.Tensor, side: int, size: int, fill: str | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels that each pixel of the view is made of, and their weights: (N, size, taps) both."""
    position = ((stretch[:, None] * centres(size, stretch.device) + offset[:, None] + 1) * side - 1) / 2
    reach = (stretch.abs() * (side / size)).clamp(min=1)[:, None, None]
    taps = torch.arange(math.ceil(2 * max(1.0, side / size)), device=stretch.device)
    index = (position[:, :, None] - reach).floor().add_(1) + taps
    weight = (1 - (index - position[:, :, None]).abs() / reach).clamp_(min=0)
    inside = (index >= 0) & (index < side)
    if fill is None:
        weight *= inside
    weight /= weight.sum(2, keepdim=True)
    if fill == "zeros":
        weight *= inside
    if fill == "reflection":
        index = index.remainder(2 * side)
        index = torch.minimum(index, 2 * side - 1 - index)
    return index.clamp_(0, side - 1).int(), weight


def along_height(
    images: torch.Tensor, index: torch.Tensor, weight: torch.Tensor, rows: torch.Tensor | None = None
) -> torch.Tensor:
    """Lines of pixels as weighted sums of lines: out[m, c, i] = Σₖ weight[m, i, k] · image[m, c, index[m, i, k]].

    `images` (N, C, H, W), or their `rows` (M,), to (M, C, size, W); `index`, int32 in [0, H), and `weight` are
    (M, size, taps). It is a sparse matrix product, of which torch's ``embedding_bag`` is the quickest.
    """
    n, c, h, w = images.shape
    first = torch.arange(0, n * c * h, h, device=images.device, dtype=torch.int32).view(n, c, 1, 1)
    lines = ((first if rows is None else first[rows]) + index[:, None]).flatten(0, 2)
    weights = weight[:, None].expand(-1, c, -1, -1).reshape(lines.shape)
    sums = F.embedding_bag(lines, images.reshape(-1, w), mode="sum", per_sample_weights=weights)
    return sums.view(-1, c, index.shape[1], w)


def along_width(
    images: torch.Tensor, index: torch.Tensor, weight: torch.Tensor, rows: torch.Tensor | None = None
) -> torch.Tensor:
    """The same for columns. What comes back lies column by column in memory, which costs nothing if that goes on."""
    return along_height(images.mT.contiguous(), index, weight, rows).mT
