"""From which similarity on a row is none of the classes, and what becomes of rows of unknown classes then.

Rows of unknown classes (out of distribution) are made by leaving out classes that are known. Arguments are those that
`nearfar.downstream.classify.selection` describes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nearfar.data.splits import LEAST
from nearfar.downstream.classify.selection import ROWS, knn_scores
from nearfar.evaluation.protocols import linear_probe
from nearfar.vectors import rejection
from nearfar.vectors.basics import scaled, unit
from nearfar.vectors.intervals import wilson
from nearfar.vectors.logistic import Problem

SHARES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)  # of known rows that may be refused, to propose
WORTH = 0.02  # more of the mean share that is decided rightly, to propose another
PARTS = 10  # of the classes; each part is left out in turn, which is each class where there are no more


@dataclass(frozen=True)
class Rejection:
    """A threshold; see `nearfar.downstream.classify.classifier.Classifier` for `figures`."""

    threshold: float | None
    figures: Mapping[str, Any] | None
    notes: tuple[str, ...]


def decide(
    x: np.ndarray, y: np.ndarray, kind: str, setting: float, reject: float, *, seed: int = 0,
    groups: np.ndarray | None = None, taught: np.ndarray | None = None,
) -> Rejection:  # fmt: skip
    """The threshold that refuses the share `reject` of rows like the labelled ones, and of how many unknown ones.

    Rows that `taught` the model are nearer to their class than new rows are, and their classes are known to it.
    """
    known = rejection.leave_one_out(unit(x), y, groups)
    if taught is not None:
        fresh = int((~np.isnan(known[~taught])).sum())
        # By rows that taught the model, half or more of all new ones would be refused: they are nearer to their class.
        if reject and fresh < LEAST:
            why = f"{int(taught.sum()):,} of the labelled rows taught the model"
            said = f"No row is refused: how near new rows are to their class is not known, since {why}."
            return Rejection(None, None, (said,))
        known[taught] = np.nan
    known = np.sort(known[~np.isnan(known)])
    near = rejection.threshold(known, reject)
    if near is None:
        several = "" if groups is None or len(np.unique(groups)) == len(y) else " of different groups"
        why = "--reject is 0" if len(known) else f"no class has two rows{several} to say how near is near"
        return Rejection(None, None, (f"No row is refused: {why}.",))
    those = "the labelled ones" if taught is None else f"the {len(known):,} that did not teach the model"
    known_rows = (
        f"None of these: rows below cosine {near:.3f} with their likeliest class, "
        f"as are {100 * reject:.3g} % of {those} with theirs."
    )
    if reject * len(known) < 1:
        known_rows += f" With {len(known):,} rows, about one in {len(known) + 1:,} like them will be refused."
    unseen = np.ones(int(y.max()) + 1, bool)
    if taught is not None:
        unseen[y[taught]] = False
    if unseen.sum() < 2:
        unknown = "How many rows of other classes are refused is not known: the model has learnt these classes."
        return Rejection(near, None, (known_rows, unknown))
    other = similarities(x, y, kind, setting, seed=seed, tested=unseen[y])
    tested = ~np.isnan(other)
    measured = figures(known, other[tested], y[tested], reject)
    about = f"Rows of other classes: about {_share(measured)} are refused (classes left out in turn; "
    about += f"AUROC {measured['auroc']:.2f})."
    if best := measured["proposed"]:
        share = f"{100 * best['reject']:g} % of rows like the labelled ones"
        about += f" --reject {best['reject']:g} refuses about {_share(best)} of them and {share}."
    return Rejection(near, measured, (known_rows, about))


def figures(known: np.ndarray, other: np.ndarray, labels: np.ndarray, reject: float) -> dict[str, Any]:
    """What a share of refused known rows does to rows of other classes, and which share would part both best.

    Parameters
    ----------
    known : ndarray (N,)
        Similarities of rows to their class, sorted.
    other : ndarray (M,)
        Those of rows whose class was left out.
    labels : ndarray of int64 (M,)
        Their classes, over which the interval is.
    reject : float
    """

    def at(share: float) -> dict[str, Any]:
        return {"reject": share, **mean_share(other < rejection.threshold(known, share), labels)}

    def balance(share: Mapping[str, Any]) -> float:
        return (1 - share["reject"] + share["refused"]) / 2

    now, best = at(reject), max(map(at, SHARES), key=balance)
    # AUROC: the chance that a row of a known class is nearer to its class than one of another to its likeliest.
    below, upto = (np.searchsorted(known, other, side) for side in ("left", "right"))
    return {
        **now, "classes": len(np.unique(labels)), "rows": len(other),
        "auroc": float(1 - (below + upto).mean() / (2 * len(known))),
        "proposed": best if balance(best) > balance(now) + WORTH else None,
    }  # fmt: skip


def similarities(
    x: np.ndarray, y: np.ndarray, kind: str, setting: float, *, seed: int = 0, tested: np.ndarray | None = None
) -> np.ndarray:
    """Mean cosine of each row with the likeliest class of those that are left without its own, float32 (N,).

    Only classes of rows that are `tested`, bool (N,), are left out; all by default. NaN for other rows, and for those
    that are not drawn where there are more than 10,000.
    """
    generator, similar = np.random.default_rng(seed), np.full(len(y), np.nan, np.float32)
    rows = np.sort(generator.permutation(len(y))[:ROWS])
    x, y, units = x[rows], y[rows], unit(x[rows])
    classes = generator.permutation(np.unique(y if tested is None else y[tested[rows]]))
    for part in np.array_split(classes, min(PARTS, len(classes))):
        out = np.isin(y, part)
        present, left = np.unique(y[~out], return_inverse=True)
        if len(present) > 1 and kind == "knn":
            scores = knn_scores(x[~out], left, x[out], len(present), setting)
        elif len(present) > 1:
            train, test = scaled(x[~out], x[out])
            scores = linear_probe.scores(Problem(train, left, len(present)).solve(setting).weights, test).numpy()
        elif len(present):
            scores = np.zeros((int(out.sum()), 1))
        else:
            continue
        similar[rows[out]] = rejection.to_class(units[~out], left, units[out], scores.argmax(1))
    return similar


def mean_share(hits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """``refused``, the mean over the classes of each one's share of hits, and its 95 % ``interval``.

    Rows of one class are alike, so that they count for fewer independent ones: for as many as would have a share vary
    as the classes' shares do, no fewer than there are classes (Kish 1965); the interval is Wilson's of these.
    """
    number, count = np.unique(labels, return_inverse=True, return_counts=True)[1:]
    shares = np.bincount(number, hits) / count
    mean, rows = float(shares.mean()), float(len(shares))
    if 0 < mean < 1 and len(shares) > 1:
        variance = float(shares.var(ddof=1)) / len(shares)
        rows = float(np.clip(mean * (1 - mean) / max(variance, 1e-12), len(shares), len(labels)))
    return {"refused": mean, "interval": wilson(mean * rows, rows)}


def _share(measured: Mapping[str, Any]) -> str:
    low, high = measured["interval"]
    return f"{100 * measured['refused']:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
