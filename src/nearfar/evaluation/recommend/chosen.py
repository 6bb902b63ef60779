"""The floors of a set of histories, with the numbers that suit its validation interactions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from nearfar.data.histories import TEST, TRAIN, VALIDATION, Histories
from nearfar.evaluation.protocols import Ranked, ranking
from nearfar.evaluation.recommend.floors import Ease, ItemNeighbours, Popularity, Transitions, content_rows

# What is tried; the first where there is no validation part.
PENALTIES = (150.0, 50.0, 400.0, 1000.0)
WEIGHTS = (3.0, 1.0, 5.0)  # of rows of content beside those of users
DECAYS = (0.2, 0.1, 0.5)
NEIGHBOURS = 100
STEPS = (1, 10)  # of floors that know the order
LAST = 5  # events of a history that these look at


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


def floors(histories: Histories) -> Iterator[tuple[Scorer, dict[str, float]]]:
    """Every floor that fits the data, learnt from the training part, and its numbers, chosen on the validation part.

    Where the times are known, those by order as well; where something is known of the items, EASE with that.
    """
    train = histories.of(TRAIN)
    yield Popularity(train), {}
    yield ItemNeighbours(train), {"neighbours": NEIGHBOURS}
    solved = [(Ease(train, p), {"penalty": p}) for p in PENALTIES]
    ease, numbers = _best(histories, solved)
    yield ease, numbers
    if (content := content_rows(histories)) is not None:
        yield _best(
            histories, ((Ease(train, **numbers, content=content * w), numbers | {"weight": w}) for w in WEIGHTS)
        )
    if histories.time is not None:
        for steps in STEPS:
            yield Transitions(train, steps, LAST), {"steps": steps, "last": LAST}
        yield _best(histories, ((e.recent(d), about | {"decay": d}) for e, about in solved for d in DECAYS))


def _best(histories: Histories, tried: Iterable[tuple[Any, dict[str, float]]]) -> tuple[Any, dict[str, float]]:
    """The one of highest nDCG at 10 on the validation part, the first where there is none."""
    tried = iter(tried)
    if len(histories.of(VALIDATION).indices) == 0:
        return next(tried)
    best, highest = None, -1.0
    for floor, numbers in tried:
        found = ranking.measure(ranked(histories, floor, VALIDATION))["ndcg"][str(ranking.HEADLINE_AT)]
        if found > highest:
            best, highest = (floor, numbers), found
    return best  # type: ignore[return-value]
