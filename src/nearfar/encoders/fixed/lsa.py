"""Latent semantic analysis: leading singular vectors of the training texts' TF-IDF, computed, not trained."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from nearfar.encoders.fixed._svd import leading
from nearfar.encoders.text.static import Static, check_ngram_weight, token_weights

MODALITIES = ("text",)


class Lsa(nn.Module):
    """The projection of a text's TF-IDF onto leading right singular vectors of that of the training texts.

    Deerwester, Dumais, Furnas, Landauer, Harshman 1990. Nothing of it is trained.
    """

    setup_rows = 30_000

    def __init__(
        self, *, vocabulary: int, length: int, dim: int = 256, idf_power: float = 1.0, ngram_weight: float = 1.0
    ) -> None:
        super().__init__()
        check_ngram_weight(ngram_weight)
        self.idf_power, self.ngram_weight = idf_power, ngram_weight
        self.register_buffer("vectors", torch.zeros(vocabulary + 1, dim))  # inverse document frequencies included
        self.register_buffer("log_weights", torch.zeros(vocabulary + 1))
        self.out_features = dim

    @torch.no_grad()
    def setup(self, x: torch.Tensor) -> None:
        """Compute the vectors of the tokens that occur in the rows (N, L); those of others are zero."""
        import scipy.sparse as sp

        ids = x.abs().cpu().numpy()
        row, place = np.nonzero(ids)
        live, column = np.unique(ids[row, place], return_inverse=True)
        weighted = sp.csr_array((np.ones(len(row), np.float32), (row, column)), shape=(len(ids), len(live)))
        weighted.sum_duplicates()
        weights = token_weights(x, len(self.vectors), self.idf_power, self.ngram_weight)
        idf = weights[live].astype(np.float32)
        weighted.data *= idf[weighted.indices]
        norms = np.sqrt(weighted.power(2).sum(1))
        weighted.data /= np.repeat(np.maximum(norms, 1e-12), np.diff(weighted.indptr)).astype(np.float32)
        self.vectors.zero_()
        self.log_weights.zero_()
        if len(live):
            directions = idf[:, None] * leading(weighted, self.out_features)
            self.log_weights[torch.from_numpy(live)] = torch.from_numpy(idf).log().to(self.vectors.device)
            self.vectors[torch.from_numpy(live)] = torch.from_numpy(directions).to(self.vectors.device)

    def follow(self, encoder: nn.Module) -> None:
        """Divide rows by the same number as an encoder that is a weighted bag does: both together are one bag then."""
        if isinstance(encoder, Static):
            self.log_weights.copy_(encoder.table("log_weights"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ids = x.abs()
        there = ids != 0
        counts = there.sum(1)
        with torch.autocast(x.device.type, enabled=False):
            total = F.embedding_bag(ids[there].long(), self.vectors, counts.cumsum(0) - counts, mode="sum")
            squares = (2 * self.log_weights[ids.long()]).exp().mul(there).sum(1)
            return total / squares.clamp(min=1e-12).sqrt()[:, None]


build = Lsa
