"""The floors of a set of histories, with the numbers that suit its validation interactions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, Protocol

import numpy as np

from nearfar.data.histories import TEST, TRAIN, VALIDATION, Histories
from nearfar.evaluation.protocols import Ranked, ranking
from nearfar.evaluation.recommend.floors import Ease, ItemNeighbours, Popularity, Transitions, content_rows

PENALTIES = (50.0, 150.0, 400.0, 1000.0)
WEIGHTS = (1.0, 3.0, 5.0)  # of rows of content beside those of users
DECAYS = (0.1, 0.2, 0.5)
STEPS = (1, 10)


class Scorer(Protocol):
    """What gives scores of all items for users: a floor, or a model of users and items."""

    name: str

    def scores(self, histories: Histories) -> np.ndarray:
        """Float32 (B, I), higher for what a user is likelier to take."""


def ranked(histories: Histories, scorer: Any, part: int = TEST) -> Ranked:
    """What is measured of a model or a floor: events of `part`, of users of whom all that is before it is known."""
    known = histories.of(*range(TRAIN, part))
    taken = np.bincount(histories.of(TRAIN).indices, minlength=len(histories.items))
    return Ranked(known, histories.of(part), taken, scorer.scores)


def floors(histories: Histories) -> Iterator[tuple[Scorer, dict[str, Any]]]:
    """Every floor that fits the data, learnt from the training part, and what was chosen on the validation part.

    Where the times are known, those by order as well; where something is known of the items, EASE with that.
    """
    train = histories.of(TRAIN)
    yield Popularity(train), {}
    yield ItemNeighbours(train), {"neighbours": 100}
    ease, penalty = _best(histories, [(Ease, {"penalty": p}) for p in PENALTIES])
    yield ease, penalty
    if (content := content_rows(histories)) is not None:
        tried = [(Ease, {**penalty, "content": content * w}) for w in WEIGHTS]
        best, found = _best(histories, tried)
        yield best, {**penalty, "weight": float(found["content"].max())}
    if histories.time is not None:
        for steps in STEPS:
            yield Transitions(train, steps), {"steps": steps, "last": 5}
        tried = [(Ease, {"penalty": p, "recency": d}) for p, d in product(PENALTIES, DECAYS)]
        yield _best(histories, tried)


def _best(histories: Histories, tried: list[tuple[Any, dict[str, Any]]]) -> tuple[Scorer, dict[str, Any]]:
    """The one of highest nDCG at 10 on the validation part, or the first of the middle where there is none."""
    train = histories.of(TRAIN)
    if len(histories.of(VALIDATION).indices) == 0 or len(tried) == 1:
        kind, options = tried[len(tried) // 2 - (len(tried) > 1)]
        return kind(train, **options), options
    best: tuple[float, Any, dict[str, Any]] | None = None
    for kind, options in tried:
        floor = kind(train, **options)
        found = ranking.measure(ranked(histories, floor, VALIDATION))["ndcg"][str(ranking.HEADLINE_AT)]
        if best is None or found > best[0]:
            best = found, floor, options
    return best[1], best[2]
