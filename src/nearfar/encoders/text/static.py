"""Weighted sum of a vector for each word and n-gram of a text; the quickest, order is lost."""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from nearfar.encoders.text.tables import Tables

MODALITIES = ("text",)
TOKENS = "hashed"
BESIDE = {"dim": 256}
# Both were chosen on held-out fifths of the training rows of five sets (benchmarks/fixed.py). Where a bag had been
# trained for four times as long, a kNN was worse on three of four sets of 4,000 to 7,600 texts; 400 texts want as many
# steps.
STEPS = 200
RATES = {"distil": 1e-2}
# What tells the texts apart by halves of them raised the accuracy with few labels on all of five sets (held-out
# training rows; weights of 1 and 3 are alike). Small networks on pictures became worse than untaught ones by it.
NUMBERS = {"distil": {"views": "words", "count": 2, "options": {"contrast": 1.0}}}
ONE_CHARACTER, MOSTLY = 2, 0.5  # n-grams of a word of one character; share of these where they are the words


class Static(Tables):
    """The sum of token vectors times token weights, over the root of the summed squares of the weights.

    With random vectors and the weights that `setup` gives, this is a random projection of TF-IDF, whose cosines it
    keeps (Johnson & Lindenstrauss 1984); training begins there. Both vectors and weights are learnt.
    """

    TABLES = ("vectors", "log_weights")

    def __init__(
        self, *, vocabulary: int, length: int, dim: int = 512, dropout: float = 0.0, idf_power: float = 1.0,
        ngram_weight: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        check_ngram_weight(ngram_weight)
        self.idf_power, self.ngram_weight = idf_power, ngram_weight
        self.vectors = nn.Parameter(torch.randn(vocabulary + 1, dim).div_(dim**0.5))
        self.log_weights = nn.Parameter(torch.zeros(vocabulary + 1))
        self.dropout = nn.Dropout(dropout)
        self.out_features = dim

    @torch.no_grad()
    def setup(self, x: torch.Tensor) -> None:
        weights = token_weights(x, len(self.log_weights), self.idf_power, self.ngram_weight)
        self.log_weights.copy_(torch.from_numpy(weights).log())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ids = x.abs()
        there = ids != 0
        counts = there.sum(1)
        tokens = ids[there].long()
        with torch.autocast(x.device.type, enabled=False):
            weights, total = self._summed(tokens, counts.cumsum(0) - counts)
            row = torch.repeat_interleave(torch.arange(len(x), device=x.device), counts, output_size=len(tokens))
            norm = weights.new_zeros(len(x)).index_add_(0, row, weights.square())
            norm = self.anchored(norm) if self.rest else norm
            return self.dropout(total / norm.clamp(min=1e-12).sqrt()[:, None])

    def _summed(self, tokens: torch.Tensor, offsets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The weights of the tokens, and the weighted sums of their vectors."""
        if self.rest:
            tokens = self.place[tokens]
        trained = len(self.vectors)
        bags = partial(F.embedding_bag, offsets=offsets, mode="sum")
        if not self.rest or self.training or (tokens < trained).all():  # views have no tokens but those that occur
            weights = self.log_weights[tokens].exp()
            return weights, bags(tokens, self.vectors, per_sample_weights=weights)
        others = self.rest["log_weights"] * self.left("log_weights")
        weights, other = torch.cat([self.log_weights, others])[tokens].exp(), tokens >= trained
        known = bags(tokens.clamp(max=trained - 1), self.vectors, per_sample_weights=weights * ~other)
        rest = bags((tokens - trained).clamp(min=0), self.rest["vectors"], per_sample_weights=weights * other)
        return weights, known + rest * self.left("vectors")


def token_weights(x: torch.Tensor, vocabulary: int, idf_power: float, ngram_weight: float) -> np.ndarray:
    """How much each token counts: its inverse document frequency (Spärck Jones 1972), less for what repeats a word.

    That frequency is (ln((1 + N)/(1 + n)) + 1) to the power `idf_power`, where n of the N rows hold the token.

    Parameters
    ----------
    x : Tensor of int (N, L)
        Ids as tokenisers give them: negative beside a word, 0 where there is none.
    vocabulary : int
        The largest id, and one.
    ngram_weight : float
        Of n-grams beside the word that they are of, where tokens repeat it as those of `hashed` do. Words of one
        character have it too, which are punctuation for the most part; not where most words are such, as in scripts
        without spaces.

    Returns
    -------
    ndarray of float64 (vocabulary,)
    """
    rows, words, times, one = (np.zeros(vocabulary, np.int64) for _ in range(4))
    for some in x.split(4096):
        ids = some.cpu().numpy()
        tokens = ids[ids != 0]
        begins = np.flatnonzero(tokens > 0)
        short = np.diff(np.append(begins, len(tokens))) - 1 <= ONE_CHARACTER
        for counts, which in ((words, begins[~short]), (one, begins[short])):
            counts += np.bincount(tokens[which], minlength=vocabulary)
        times += np.bincount(np.abs(tokens), minlength=vocabulary)
        ids = np.sort(np.abs(ids), 1)
        rows += np.bincount(ids[np.diff(ids, axis=1, prepend=0) > 0], minlength=vocabulary)  # each token once a row
    weights = (np.log((1 + len(x)) / (1 + rows)) + 1) ** idf_power
    if one.sum() > MOSTLY * (one.sum() + words.sum()):
        words += one
    share = words / np.maximum(times, 1)  # an id may be a word here and an n-gram there
    return weights * (ngram_weight + (1 - ngram_weight) * share)


def check_ngram_weight(weight: float) -> None:
    """Raise `ValueError` where it is no weight."""
    if not 0 < weight <= 1:
        raise ValueError(f"ngram_weight is {weight!r} and has to be above 0 and at most 1")


build = Static
