"""Full ranking of all items for every user: what a recommender shows first, against what the user took afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nearfar.core.errors import DataError
from nearfar.data.histories import Histories
from nearfar.evaluation.protocols import Figure, Ranked
from nearfar.evaluation.protocols.retrieval import First, met, reciprocal
from nearfar.vectors.intervals import interval

TITLE = "ranking"
PLACE = 12
TAKES = "histories"
FITS = False
AT = (5, 10, 20)
HEADLINE_AT = 10
TIE = 1e-6  # of the largest score of a user: what is rounding
CELLS = 1 << 24  # scores that are looked at together: 64 MiB
HEAD = 0.2  # share of the items that were taken, the most popular ones


def measure(ranked: Ranked, *, seed: int = 0) -> dict[str, Any]:
    """Recall, nDCG, hit rate, reciprocal rank, coverage and popularity of what is recommended.

    Every item that a user has not taken before is a candidate. Ranking the right item among a few sampled ones instead
    is quicker and misleads: figures of samples do not agree with those of the full ranking even in which of two models
    is better, since with few samples all of them become the area under the ROC curve (Krichene and Rendle 2020,
    "On Sampled Metrics for Item Recommendation"; Dallmann et al. 2021, arXiv 2107.13045). So there is no such option.

    Recall at k is the share of a user's right answers among the first k; nDCG (Järvelin and Kekäläinen 2002) has gains
    of 0 and 1 and is divided by the best that so many right answers allow; the hit rate is the share of users with a
    right answer among the first k; the reciprocal rank is that of the first right answer in the whole ranking. All are
    means over users with at least one right answer. Scores that differ by no more than 1e-6 of the user's largest may
    stand in any order, and every figure is its mean over all of them (McSherry and Najork 2008).

    Returns
    -------
    dict
        ``ndcg``, ``recall`` and ``hit`` by k; ``mrr``; ``interval``, 95 % of nDCG at 10 by bootstrap over users;
        ``coverage``, the share of all items that are among the first 10 of anyone; ``popularity``, the mean number of
        users who took an item in training, of what is ``recommended`` and of what was ``taken`` afterwards
        (Abdollahpouri et al. 2019, arXiv 1901.07555); ``groups``, recall at 10 over the right answers that are
        ``cold`` (no user took them in training), ``warm`` (the others), ``head`` (of these the most popular fifth) and
        ``tail``, each with their ``number``; ``by_user``, nDCG and recall at 10 of each user, for paired intervals.

    Raises
    ------
    DataError
        A score is not a number.
    """
    users = np.flatnonzero(np.diff(ranked.held.indptr))
    known, held = ranked.known.rows(users), ranked.held.rows(users)
    above, level, listed = _places(ranked, known, held, seed)
    owner, counts = held.owner, np.diff(held.indptr)

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(owner, values, minlength=len(users))

    discounts = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(max(AT)) + 2))])
    found = {k: np.clip((k - above) / level, 0, 1) for k in AT}  # the probability of each right answer
    recall = {k: total(found[k]) / counts for k in AT}
    gains = {k: (discounts[np.minimum(above + level, k)] - discounts[np.minimum(above, k)]) / level for k in AT}
    ndcg = {k: total(gains[k]) / discounts[np.minimum(counts, k)] for k in AT}
    first = _first(held, above, level)
    by_user = {"ndcg": ndcg[HEADLINE_AT], "recall": recall[HEADLINE_AT]}
    return {
        "ndcg": {str(k): float(v.mean()) for k, v in ndcg.items()},
        "recall": {str(k): float(v.mean()) for k, v in recall.items()},
        "hit": {str(k): float(met(first.right, first.level, np.maximum(k - first.above, 0)).mean()) for k in AT},
        "mrr": float(reciprocal(first).mean()),
        "interval": interval(lambda drawn: drawn @ by_user["ndcg"] / len(users), len(users), seed),
        "coverage": len(np.unique(listed[listed >= 0])) / len(held.items),
        "popularity": {
            "recommended": float(ranked.taken[listed[listed >= 0]].mean()),
            "taken": float(ranked.taken[held.indices].mean()),
        },
        "groups": _groups(ranked.taken, held.indices, found[HEADLINE_AT]),
        "users": len(users),
        "by_user": {name: values.tolist() for name, values in by_user.items()},
        "settings": {"candidates": "all items that the user has not taken before",
                     "ties": f"mean over all orders of scores within {TIE:g} of the user's largest"},
    }  # fmt: skip


def _places(
    ranked: Ranked, known: Histories, held: Histories, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Of each right answer how many items lie above it and level with it, itself included; and the first 10 by user."""
    above, level = np.empty((2, len(held.indices)), np.int64)
    items = len(held.items)
    listed = np.full((len(held), min(HEADLINE_AT, items)), -1)
    order = np.random.default_rng(seed).permutation(items)  # of what is tied in the lists that are shown
    step = max(1, CELLS // max(1, items))
    for start in range(0, len(held), step):
        rows = np.arange(start, min(start + step, len(held)))
        part = known.rows(rows)
        scores = np.array(ranked.scores(part), np.float32)
        if np.isnan(scores).any() or (scores == np.inf).any():
            raise DataError("the scores hold numbers that are not finite: the model is broken, or its input is.")
        scores[part.owner, part.indices] = -np.inf
        for user, line, masked in zip(rows.tolist(), scores, np.diff(part.indptr).tolist(), strict=True):
            own = slice(held.indptr[user], held.indptr[user + 1])
            finite = line[np.isfinite(line)]
            tie = TIE * float(np.abs(finite).max(initial=0))
            score, ordered = line[held.indices[own]].astype(np.float64), np.sort(line).astype(np.float64)
            not_above = np.searchsorted(ordered, score + tie, "right")
            above[own] = items - not_above
            level[own] = not_above - np.searchsorted(ordered, score - tie, "left") - masked * np.isneginf(score)
            some = order[np.argpartition(-line[order], listed.shape[1] - 1)[: listed.shape[1]]]
            listed[user] = np.where(np.isfinite(line[some]), some, -1)
    return above, level, listed


def _first(held: Histories, above: np.ndarray, level: np.ndarray) -> First:
    """The first right answer of each user; those as good as it are level with it."""
    starts = held.indptr[:-1]
    best = np.minimum.reduceat(above, starts)
    at_best = above == best[held.owner]
    right = np.add.reduceat(at_best.astype(np.int64), starts)
    return First(best, np.maximum(np.maximum.reduceat(np.where(at_best, level, 0), starts), right), right)


def _groups(taken: np.ndarray, right: np.ndarray, found: np.ndarray) -> dict[str, dict[str, Any]]:
    """Recall over the right answers of each group of items."""
    order = np.lexsort((np.arange(len(taken)), -taken))
    head = np.zeros(len(taken), bool)
    head[order[: round(HEAD * int((taken > 0).sum()))]] = True
    groups = {"cold": taken == 0, "warm": taken > 0, "head": head, "tail": (taken > 0) & ~head}
    members = {name: group[right] for name, group in groups.items()}
    return {name: {"recall": float(found[m].mean()), "number": int(m.sum())} for name, m in members.items() if m.any()}


def figures(result: Mapping[str, Any]) -> Iterator[Figure]:
    """nDCG, recall and hit rate at 10, coverage, and how popular what is recommended is."""
    at = str(HEADLINE_AT)
    yield Figure(f"nDCG@{at}", result["ndcg"][at], interval=result.get("interval"))
    yield Figure(f"recall@{at}", result["recall"][at])
    yield Figure(f"hit@{at}", result["hit"][at], compared=False)
    yield Figure("MRR", result["mrr"], compared=False)
    yield Figure(f"coverage@{at}", result["coverage"], compared=False)
    yield Figure(f"popularity@{at}", result["popularity"]["recommended"], digits=0, compared=False)
