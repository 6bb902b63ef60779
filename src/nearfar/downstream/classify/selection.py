"""Which classifier labelled vectors ask for: its kind, its setting, its temperature, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nearfar.data.splits import LEAST
from nearfar.downstream.classify.out_of_fold import Candidate, candidates
from nearfar.evaluation.protocols import few_labels, linear_probe

KINDS = ("auto", "logistic", "knn")
TITLES = {"logistic": "logistic regression (C {:g})", "knn": "kNN (k {:.0f}, cosine)"}
ENOUGH = 5  # rows in the median class, to choose the kind and to calibrate by
FOR_C = 10  # rows in the median class, to choose C by
MANY = 500  # classes; beyond, auto does not fit that many weights
K = 20


@dataclass(frozen=True)
class Choice:
    """What was chosen; see `nearfar.downstream.classify.classifier.Classifier` for what the words mean."""

    kind: str
    setting: float
    temperature: float
    calibrated: bool
    out_of_fold: Mapping[str, Any] | None
    notes: tuple[str, ...]


def choose(
    x: np.ndarray, y: np.ndarray, counts: np.ndarray, kind: str = "auto", seed: int = 0,
    groups: np.ndarray | None = None, taught: np.ndarray | None = None,
) -> Choice:  # fmt: skip
    """Kind and setting by the rows that are right out of fold, as far as there are enough to tell.

    Parameters
    ----------
    x : ndarray of float32 (N, D)
    y : ndarray of int64 (N,)
        Classes 0 … C − 1, each with a row.
    counts : ndarray of int (C,)
        Rows of each class. Their median decides what there are enough rows for, so that a few rare classes do not.
    kind : {"auto", "logistic", "knn"}
    seed : int
        Of the folds.
    groups : ndarray of int64 (N,), optional
        Rows of equal number are in one fold.
    taught : ndarray of bool (N,), optional
        Rows that taught the model whose vectors these are. Since it knows them, only the others are scored, if they
        are `LEAST` or more.
    """
    ground = _ground(y, counts, groups, taught)
    kinds = _kinds(kind, len(counts), ground.rows)
    k = min(K, int(np.median(counts)))
    cs = linear_probe.CS if ground.rows >= FOR_C else (few_labels.C,)
    tried = [] if not ground.rows else candidates(
        x, y, len(counts), cs=cs if "logistic" in kinds else (), k=k if "knn" in kinds else None, seed=seed,
        groups=groups, taught=taught,
    )  # fmt: skip
    best = {c.kind: c for c in sorted(tried, key=lambda c: (c.hits, -c.loss))}  # the best of a kind comes last
    order = sorted(best.values(), key=lambda c: (-c.hits, c.kind != "logistic"))
    if not order:
        order = [Candidate(kinds[0], few_labels.C if kinds[0] == "logistic" else k, 0, 0, 1.0, 0.0)]
    first, calibrated = order[0], bool(tried) and ground.rows >= ENOUGH
    found = {"accuracy": first.accuracy, "interval": first.interval, "rows": first.rows} if tried else None
    if taught is not None:
        found = (found or {"accuracy": None, "interval": None, "rows": 0}) | {"taught": int(taught.sum())}
    notes = (_about_kind(order, kind, len(counts), ground), _about_temperature(first, calibrated, ground))
    return Choice(first.kind, first.setting, first.temperature if calibrated else 1.0, calibrated, found, notes)


@dataclass(frozen=True)
class _Ground:
    """How many rows of a class there are to choose by, and the words for too few, for none, and for those."""

    rows: int
    few: str
    none: str
    scored: str = ""


def _ground(y: np.ndarray, counts: np.ndarray, groups: np.ndarray | None, taught: np.ndarray | None) -> _Ground:
    middle = int(np.median(counts))
    if taught is not None:
        fresh = int((~taught).sum())
        few = f"only {fresh:,} of the {len(y):,} rows did not teach the model"
        enough = min(middle, fresh // min(len(counts), LEAST)) if fresh >= LEAST else 0
        return _Ground(enough, few, few, " on rows that did not teach the model")
    several = " of different groups" if groups is not None and len(np.unique(groups)) < len(y) else ""
    return _Ground(middle, f"the median class has {_rows(middle)}", f"no class has two rows{several}")


def _kinds(kind: str, classes: int, middle: int) -> tuple[str, ...]:
    """Those to compare."""
    if kind != "auto":
        return (kind,)
    if classes > MANY:
        return ("knn",)
    return ("logistic",) if middle < ENOUGH else ("logistic", "knn")


def _about_kind(order: Sequence[Candidate], kind: str, classes: int, ground: _Ground) -> str:
    first, *others = order
    titles = [TITLES[c.kind].format(c.setting) for c in order]
    if others:
        why = f"{titles[1]} {others[0].accuracy:.3f}" if first.rows else ""
    elif kind != "auto":
        why = "as asked"
    elif classes > MANY:
        why = f"there are more than {MANY} classes"
    else:
        why = f"{ground.few}, too few to choose by" if ground.rows < ENOUGH else ""
    if first.rows == 0:
        why = f" ({why})" if why else ""
        left = "so its accuracy is not known" if ground.scored else "so none can be left out to measure it"
        return f"Classifier: {titles[0]}{why}; {ground.none}, {left}."
    low, high = first.interval
    figure = f"out-of-fold accuracy {first.accuracy:.3f} [{low:.3f}, {high:.3f}]{ground.scored}"
    return f"Classifier: {titles[0]}, {figure}; {why}."


def _about_temperature(first: Candidate, calibrated: bool, ground: _Ground) -> str:
    if calibrated:
        return f"Probabilities are calibrated: temperature {first.temperature:.3g}, fitted out of fold{ground.scored}."
    if ground.rows >= ENOUGH:
        return f"Probabilities are not calibrated: {ground.none}."
    return f"Probabilities are not calibrated: {ground.few}, too few for it."


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"
