"""The floors of a set of histories, with the numbers that suit its validation interactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, Protocol

import numpy as np

from nearfar.data.histories import TEST, TRAIN, VALIDATION, Histories, at_random
from nearfar.evaluation.protocols import Ranked, ranking
from nearfar.evaluation.recommend.floors import Ease, ItemNeighbours, Popularity, Transitions, content_rows

# What is tried; the first where there is no validation part.
PENALTIES = (150.0, 50.0, 250.0, 500.0)
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
    train, content = histories.of(TRAIN), content_rows(histories)
    # What goes in at the test holds interactions that were not learnt from (the validation part), so numbers are chosen
    # in the same situation: by floors that have not seen a tenth of what goes in. Else EASE takes too small a penalty.
    inner = train.only(at_random(train, seed=0) != TEST)
    yield Popularity(train), {}
    yield ItemNeighbours(train), {"neighbours": NEIGHBOURS}
    solved = {p: Ease(inner, p) for p in PENALTIES}
    penalty = _best(histories, {p: lambda p=p: solved[p] for p in PENALTIES})
    ease = Ease(train, penalty)
    yield ease, {"penalty": penalty}
    if content is not None:
        weight = _best(histories, {w: lambda w=w: Ease(inner, penalty, content * w) for w in WEIGHTS})
        yield Ease(train, penalty, content * weight), {"penalty": penalty, "weight": weight}
    if histories.time is not None:
        for steps in STEPS:
            yield Transitions(train, steps, LAST), {"steps": steps, "last": LAST}
        tried = {(p, d): lambda p=p, d=d: solved[p].recent(d) for p, d in product(PENALTIES, DECAYS)}
        own, decay = _best(histories, tried)
        yield (ease if own == penalty else Ease(train, own)).recent(decay), {"penalty": own, "decay": decay}


def _best(histories: Histories, tried: dict[Any, Callable[[], Scorer]]) -> Any:
    """The key of the highest nDCG at 10 on the validation part, the first where there is none."""
    if len(tried) == 1 or len(histories.of(VALIDATION).indices) == 0:
        return next(iter(tried))
    found = {key: ranking.measure(ranked(histories, make(), VALIDATION)) for key, make in tried.items()}
    return max(found, key=lambda key: found[key]["ndcg"][str(ranking.HEADLINE_AT)])
