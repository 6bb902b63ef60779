"""A recurrent network that reads a text from both ends."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nearfar.encoders.text.pooling import checked, pooled

MODALITIES = ("text",)
TOKENS = "bpe"
SUMMARY = "bidirectional GRU or LSTM; sees the order of the whole text"

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}
POOLINGS = ("mean", "max", "last")


class TextRnn(nn.Module):
    """Token vectors, a recurrent network in both directions, and one vector of its states.

    Parameters
    ----------
    vocabulary : int
        Largest id; 0 is nothing.
    dim, width, layers : int
        Of the token vectors; of the states of each direction; recurrent layers.
    cell : {"gru", "lstm"}
    pooling : {"mean", "max", "last"}
        ``last``: where each direction ends, which is at the first token for the backward one.
    dropout : float
        Of token vectors, between layers and of the features, in training.
    """

    def __init__(
        self, vocabulary: int, dim: int, width: int, layers: int, cell: str, pooling: str, dropout: float
    ) -> None:
        super().__init__()
        self.vectors = nn.Embedding(vocabulary + 1, dim, padding_idx=0)
        self.recurrent = CELLS[cell](
            dim, width, layers, batch_first=True, bidirectional=True, dropout=dropout if layers > 1 else 0.0
        )
        self.dropout, self.pooling = nn.Dropout(dropout), pooling
        self.out_features = 2 * width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Ids (N, L) to features (N, D); a row without tokens gives zeros."""
        ids = x.abs()
        there = ids > 0
        lengths = there.sum(1).clamp(min=1).cpu()  # a row without tokens is read as one zero vector, and left out below
        packed = pack_padded_sequence(self.dropout(self.vectors(ids)), lengths, batch_first=True, enforce_sorted=False)
        states, end = self.recurrent(packed)
        if self.pooling == "last":
            end = end[0] if isinstance(end, tuple) else end  # an LSTM also gives its cells
            found = torch.where(there[:, :1], torch.cat((end[-2], end[-1]), 1), 0)
        else:
            states, _ = pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])
            found = pooled(states, there, self.pooling)
        return self.dropout(found)


def build(
    *, vocabulary: int, length: int, dim: int = 128, width: int = 128, layers: int = 1, cell: str = "gru",
    pooling: str = "mean", dropout: float = 0.1,
) -> TextRnn:  # fmt: skip
    """The network for ids up to `vocabulary`, with D = 2 `width` (Schuster & Paliwal 1997; Cho et al. 2014, 1406.1078).

    Raises
    ------
    ValueError
        `cell` is neither "gru" nor "lstm", or `pooling` not one of "mean", "max" and "last".
    """
    if cell not in CELLS:
        raise ValueError(f"cell: expected 'gru' or 'lstm', got {cell!r}")
    return TextRnn(vocabulary, dim, width, layers, cell, checked(pooling, POOLINGS), dropout)
