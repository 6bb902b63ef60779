"""Convolutions of 3, 4 and 5 tokens and their maximum; sees short phrases, quick."""

import torch
from torch import nn

from nearfar.encoders.text.sequences import in_buckets, pooled

MODALITIES = ("text",)
TOKENS = "bpe"


class TextCnn(nn.Module):
    """Token vectors, convolutions of several widths side by side, the maximum of each filter over the text.

    Kim 2014 (arXiv 1408.5882); the paper has 100 filters a width, pretrained vectors of 300 dimensions and a dropout
    of 0.5, which here is of the features. D = `filters` for each of the `widths`.

    Parameters
    ----------
    widths : tuple of int
        Tokens that a filter sees. Filters are centred on a token and see zeros beyond the ends, so that a text may be
        shorter than a filter.
    filters : int
        Of each width.
    """

    def __init__(
        self, *, vocabulary: int, length: int, dim: int = 128, widths: tuple[int, ...] = (3, 4, 5), filters: int = 128,
        dropout: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        if not widths or min(widths) < 1:
            raise ValueError(f"widths: expected whole numbers from 1 on, got {widths!r}")
        self.vectors = nn.Embedding(vocabulary + 1, dim, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(dim, filters, width) for width in widths)
        self.dropout = nn.Dropout(dropout)
        self.out_features = filters * len(widths)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dropout(in_buckets(self._features, x.abs()))

    def _features(self, ids: torch.Tensor) -> torch.Tensor:
        there = ids > 0
        x = torch.where(there[:, :, None], self.vectors(ids), 0).transpose(1, 2)
        features = []
        for convolution in self.convolutions:
            (width,) = convolution.kernel_size
            states = convolution(nn.functional.pad(x, ((width - 1) // 2, width // 2)))
            features.append(pooled(states.transpose(1, 2).relu(), there, "max"))
        return torch.cat(features, 1)


build = TextCnn
