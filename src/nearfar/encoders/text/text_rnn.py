"""Bidirectional GRU or LSTM; sees the order of the whole text."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nearfar.encoders.text.sequences import check_pooling, pooled

MODALITIES = ("text",)
TOKENS = "bpe"

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}
POOLINGS = ("mean", "max", "last")


class TextRnn(nn.Module):
    """Token vectors, a recurrent network in both directions, and one vector of its states: D = 2 `width`.

    Schuster & Paliwal 1997; Cho et al. 2014 (arXiv 1406.1078).

    Parameters
    ----------
    cell : {"gru", "lstm"}
    pooling : {"mean", "max", "last"}
        ``last``: where each direction ends, which is at the first token for the backward one.
    dropout : float
        Of token vectors, between layers and of the features.
    """

    def __init__(
        self, *, vocabulary: int, length: int, dim: int = 128, width: int = 128, layers: int = 1, cell: str = "gru",
        pooling: str = "mean", dropout: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"cell: expected 'gru' or 'lstm', got {cell!r}")
        self.pooling = check_pooling(pooling, POOLINGS)
        self.vectors = nn.Embedding(vocabulary + 1, dim, padding_idx=0)
        self.recurrent = CELLS[cell](
            dim, width, layers, batch_first=True, bidirectional=True, dropout=dropout if layers > 1 else 0.0
        )
        self.dropout, self.out_features = nn.Dropout(dropout), 2 * width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ids = x.abs()
        there = ids > 0
        lengths = there.sum(1).clamp(min=1).cpu()  # a row without tokens is read as one zero vector, and left out below
        packed = pack_padded_sequence(self.dropout(self.vectors(ids)), lengths, batch_first=True, enforce_sorted=False)
        states, end = self.recurrent(packed)
        if self.pooling == "last":
            end = end[0] if isinstance(end, tuple) else end  # an LSTM also gives its cells
            return self.dropout(torch.where(there[:, :1], torch.cat((end[-2], end[-1]), 1), 0))
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])
        return self.dropout(pooled(states, there, self.pooling))


build = TextRnn
