"""What an objective declares about itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Objective:
    """Read by the contract tests and by the collapse monitor.

    Parameters
    ----------
    function : str
        Name of the function in the same file.
    formula, paper, arxiv : str
    takes : {"views", "two sides", "queries and keys"}
        Kind of its first arguments.
    symmetries : tuple of {"rows", "views", "groups"}
        What may be permuted or renamed without changing the loss.
    min_rows : int
        Fewest rows of a batch.
    no_learning : callable
        Loss of an embedding that has learnt nothing (all similarities equal), from (rows, views, negatives); None
        where there is no such level.
    """

    function: str
    formula: str
    paper: str
    arxiv: str
    takes: str
    symmetries: tuple[str, ...]
    min_rows: int = 1
    no_learning: Callable[[int, int, int], float] | None = None
