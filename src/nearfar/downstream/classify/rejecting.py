"""From which similarity on a row is none of the classes, and what becomes of rows of other classes then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nearfar.data.splits import LEAST
from nearfar.downstream.classify import left_out_classes
from nearfar.vectors import rejection
from nearfar.vectors.basics import unit

SHARES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)  # of known rows that may be refused, to propose
WORTH = 0.02  # more of the mean share that is decided rightly, to propose another


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
    """The threshold that refuses a share of rows like the labelled ones, and how many of other classes it refuses.

    Parameters
    ----------
    x : ndarray of float32 (N, D)
    y : ndarray of int64 (N,)
        Classes 0 … C − 1, each with a row.
    kind, setting : str, float
        Of the classifier.
    reject : float
        The share.
    seed : int
        Which classes are left out together, where there are many.
    groups : ndarray of int64 (N,), optional
        Rows of equal number are left out together.
    taught : ndarray of bool (N,), optional
        Rows that taught the model: they are nearer to their class than new rows are, and their classes are known to it.
    """
    known = rejection.leave_one_out(unit(x), y, groups)
    enough = taught is None or int((~np.isnan(known[~taught])).sum()) >= LEAST
    if taught is not None and enough:
        known[taught] = np.nan
    known = np.sort(known[~np.isnan(known)])
    near = rejection.threshold(known, reject)
    if near is None:
        several = "" if groups is None or len(np.unique(groups)) == len(y) else " of different groups"
        why = "--reject is 0" if len(known) else f"no class has two rows{several} to say how near is near"
        return Rejection(None, None, (f"No row is refused: {why}.",))
    notes = [_about(near, reject, len(known), taught, enough)]
    unseen = np.ones(int(y.max()) + 1, bool)
    if taught is not None:
        unseen[y[taught]] = False
    if unseen.sum() < 2:
        notes.append("How many rows of other classes are refused is not known: the model has learnt these classes.")
        return Rejection(near, None, tuple(notes))
    other = left_out_classes.similarities(x, y, kind, setting, seed=seed, tested=unseen[y])
    tested = ~np.isnan(other)
    found = figures(known, other[tested], y[tested], reject)
    return Rejection(near, found, (*notes, _about_others(found)))


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
        low = other < rejection.threshold(known, share)
        return {"reject": share, **left_out_classes.mean_share(low, labels)}

    def balance(found: Mapping[str, Any]) -> float:
        return (1 - found["reject"] + found["refused"]) / 2

    now, best = at(reject), max(map(at, SHARES), key=balance)
    return {
        **now, "classes": len(np.unique(labels)), "rows": len(other), "auroc": _auroc(known, other),
        "proposed": best if balance(best) > balance(now) + WORTH else None,
    }  # fmt: skip


def _auroc(known: np.ndarray, other: np.ndarray) -> float:
    """Chance that a row of a known class is nearer to its class than one of another to its likeliest."""
    below, upto = (np.searchsorted(known, other, side) for side in ("left", "right"))
    return float(1 - (below + upto).mean() / (2 * len(known)))


def _about(threshold: float, reject: float, rows: int, taught: np.ndarray | None, enough: bool) -> str:
    those = "the labelled ones" if taught is None or not enough else f"the {rows:,} that did not teach the model"
    said = (
        f"None of these: rows below cosine {threshold:.3f} with their likeliest class, "
        f"as are {100 * reject:.3g} % of {those} with theirs."
    )
    if not enough:
        said += " These taught the model and are nearer to their class than new rows, of which more are refused."
    if reject * rows < 1:
        said += f" With {rows:,} rows, about one in {rows + 1:,} like them will be refused."
    return said


def _about_others(f: Mapping[str, Any]) -> str:
    said = f"Rows of other classes: about {_share(f)} are refused (classes left out in turn; AUROC {f['auroc']:.2f})."
    if best := f["proposed"]:
        known = f"{100 * best['reject']:g} % of rows like the labelled ones"
        said += f" --reject {best['reject']:g} refuses about {_share(best)} of them and {known}."
    return said


def _share(found: Mapping[str, Any]) -> str:
    low, high = found["interval"]
    return f"{100 * found['refused']:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
