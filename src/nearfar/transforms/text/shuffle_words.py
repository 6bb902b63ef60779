"""Words in another order."""

from dataclasses import dataclass

import torch

from nearfar.transforms.draws import Draws
from nearfar.transforms.text import _words


@dataclass(frozen=True)
class ShuffleWords:
    """Let each word move by up to `reach` places (noise of Lample et al. 2018, arXiv 1711.00043).

    The parts of a word stay together and in their order. A bag of words sees no difference.
    """

    reach: float = 3.0
    kind = "words"

    def apply(self, ids: torch.Tensor, draws: Draws) -> torch.Tensor:
        length = ids.shape[1]
        moved = _words.word(ids) + _words.of_words(ids, draws.uniform(0.0, self.reach + 1.0, length))
        # Empty places sort behind every word that can have moved, so the row has no gaps.
        key = torch.where(ids == 0, torch.full_like(moved, 2.0 * length + self.reach), moved)
        return ids.gather(1, key.argsort(dim=1, stable=True))
