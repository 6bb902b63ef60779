"""What an objective takes, gives and declares about itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

Views = Sequence[torch.Tensor]
Scalar = float | torch.Tensor
Compared = tuple[torch.Tensor, dict[str, torch.Tensor]]  # the loss, and numbers worth logging

TAKES = {
    "views": "views: V tensors (N, D) of the same rows, relation",
    "sides": "left (N, D), right (N, D), relation: the two columns of a pair",
    "scored pairs": "left (N, D), right (N, D), relation with a score for each pair",
    "two sides": "predicted: P tensors (N, D), targets: P tensors (N, D), relation",
    "classes": "views, relation whose groups are classes, weight (C, D)",
    "scores": "scores: V tensors (N, C), relation whose groups are classes",
    "triplets": "anchor (N, D), positive (N, D), negative (N, K, D)",
    "steps": "views: V tensors (N, T, D) of the steps of the same rows, there: V bool tensors (N, T)",
    "prototypes": "scores: V tensors (N, K) of the online views, targets: V tensors (N, K) of the target views",
}

DATA = ("one column", "labels", "pairs", "pairs with scores", "triplets", "a measurement")


@dataclass(frozen=True)
class Objective:
    """Read by the contract tests, by the collapse monitor and by the page that says which loss is for which data.

    Parameters
    ----------
    function : str
        Name of the function in the same file: ``function(*inputs, **parameters, world=…) → (loss, numbers)``.
    formula, paper, arxiv : str
    takes : str
        Kind of its inputs, a key of `TAKES`.
    symmetries : tuple of {"rows", "views", "groups", "sides"}
        What may be permuted, renamed or exchanged without changing the loss.
    data : tuple of str
        What a user must bring: of `DATA`.
    neighbours : str
        How it relates to other objectives, in a sentence.
    min_rows : int or callable
        Fewest rows of a batch (over all processes), or that number from the dimensions; see `least_rows`.
    degenerate : {"finite", "error"} or callable
        What a batch of equal rows gives: a finite loss, a ValueError, or the value from (rows, views).
    scores : {"order", "sign"}
        What it reads from the scores of pairs: which is higher, or which are above 0 and so belong together.
    no_learning : callable
        Loss of an embedding that has learnt nothing (all similarities equal), from (rows, views, negatives); None
        where there is no such level.
    """

    function: str
    formula: str
    paper: str
    arxiv: str
    takes: str
    symmetries: tuple[str, ...] = ("rows", "views", "groups")
    data: tuple[str, ...] = ("one column",)
    neighbours: str = ""
    min_rows: int | Callable[[int], int] = 1
    degenerate: str | Callable[[int, int], float] = "finite"
    scores: str = "order"
    no_learning: Callable[[int, int, int], float] | None = None

    def least_rows(self, dimensions: int) -> int:
        """Fewest rows of a batch of embeddings of so many dimensions."""
        return self.min_rows(dimensions) if callable(self.min_rows) else self.min_rows


def mean_of_pairs(compared: Sequence[Compared]) -> Compared:
    """The mean of what pairs of views or sides gave: of their losses, and of each of their numbers."""
    losses, numbers = zip(*compared, strict=True)
    return torch.stack(losses).mean(), {k: torch.stack([n[k].float() for n in numbers]).mean() for k in numbers[0]}
