"""Which classifier labelled vectors ask for: its kind, its setting, its temperature, and why.

Candidates are fitted side by side and scored out of fold, on rows that they have not seen. Arguments that several
functions of this package share:

x : ndarray of float32 (N, D)
y : ndarray of int64 (N,)
    Classes 0 … C − 1, each with a row.
kind, setting : str, float
    ``"logistic"`` and C of logistic regression, or ``"knn"`` and the k of kNN.
seed : int
    Of the folds, and of the rows or classes that are drawn where there are many.
groups : ndarray of int64 (N,), optional
    Rows of equal number are left out together.
taught : ndarray of bool (N,), optional
    Rows that taught the model whose vectors these are. It knows them, so they are learnt from, and not scored.
cache : bool
    What was found of the same vectors is taken from where it is kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nearfar.data.groups import by_first
from nearfar.data.splits import LEAST
from nearfar.evaluation.protocols import few_labels, linear_probe
from nearfar.models.kept_figures import figures
from nearfar.vectors import calibration, knn
from nearfar.vectors.basics import TIE, is_unit, right, scaled
from nearfar.vectors.intervals import wilson
from nearfar.vectors.logistic import Problem

KINDS = ("auto", "logistic", "knn")
TITLES = {"logistic": "logistic regression (C {:g})", "knn": "kNN (k {:.0f}, cosine)"}
ENOUGH = 5  # rows in the median class, to choose the kind and to calibrate by
FOR_C = 10  # rows in the median class, to choose C by
MANY = 500  # classes; beyond, auto does not fit that many weights
K = 20
FOLDS = 5
ROWS = 10_000  # at most so many are used, drawn by the seed
TAU = knn.SETTINGS[0][1]


@dataclass(frozen=True)
class Choice:
    """What was chosen; see `nearfar.downstream.classify.classifier.Classifier` for what the words mean."""

    kind: str
    setting: float
    temperature: float
    calibrated: bool
    out_of_fold: Mapping[str, Any] | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Candidate:
    """A classifier, and what it did on rows that it had not seen.

    Parameters
    ----------
    kind, setting
    hits : float
        Right ones; a row whose class has the best score together with others counts as its share.
    rows : int
        Among how many.
    temperature : float
        That calibrates its probabilities, see `nearfar.vectors.calibration.temperature`.
    loss : float
        Cross entropy at this temperature.
    """

    kind: str
    setting: float
    hits: float
    rows: int
    temperature: float
    loss: float

    @property
    def title(self) -> str:
        """Kind and setting in words."""
        return TITLES[self.kind].format(self.setting)

    @property
    def accuracy(self) -> float:
        """Share of right ones."""
        return self.hits / self.rows

    @property
    def error(self) -> float:
        """Standard error of the hits."""
        return math.sqrt(self.rows * self.accuracy * (1 - self.accuracy))

    @property
    def interval(self) -> list[float]:
        """Its 95 % interval (Wilson)."""
        return wilson(self.hits, self.rows)


def choose(
    x: np.ndarray, y: np.ndarray, counts: np.ndarray, kind: str = "auto", seed: int = 0,
    groups: np.ndarray | None = None, taught: np.ndarray | None = None, cache: bool = False,
) -> Choice:  # fmt: skip
    """Kind and setting by the rows that are right out of fold, as far as there are enough to choose by.

    The median of `counts`, the rows of each class, decides what there are enough rows for, so that a few rare classes
    do not. Where rows `taught` the model, only the others count, if they are `LEAST` or more.
    """
    middle, classes, scored = int(np.median(counts)), len(counts), ""
    enough, few = middle, f"the median class has {middle} row{'s' * (middle != 1)}"
    several = " of different groups" if groups is not None and len(np.unique(groups)) < len(y) else ""
    none = f"no class has two rows{several}"
    if taught is not None:
        fresh = int((~taught).sum())
        few = none = f"only {fresh:,} of the {len(y):,} rows did not teach the model"
        if not fresh:
            few = none = f"none of the {len(y):,} rows is new to the model"
        enough = min(middle, fresh // min(classes, LEAST)) if fresh >= LEAST else 0
        scored = " on rows that did not teach the model"
    if kind != "auto":
        kinds = (kind,)
    elif classes > MANY:
        kinds = ("knn",)
    else:
        kinds = ("logistic",) if enough < ENOUGH else ("logistic", "knn")
    usual = few_labels.C_OF_DIRECTIONS if is_unit(x) else few_labels.C
    k, cs = min(K, middle), linear_probe.CS if enough >= FOR_C else (usual,)
    settings = {"cs": cs if "logistic" in kinds else (), "k": k if "knn" in kinds else None, "seed": seed}
    settings |= {"groups": groups, "taught": taught}
    found = figures(values_of_candidates, x, y, classes, keep=cache, **settings) if enough else []
    tried = [Candidate(**c) for c in found]
    best = {c.kind: c for c in sorted(tried, key=lambda c: (c.hits, -c.loss))}  # the best of a kind comes last
    # Of few rows chance takes kNN where regression is better on new ones: on training rows of five sets with 8 a class
    # in one of five draws, which cost up to .017.
    order = sorted(best.values(), key=lambda c: (c.error * (c.kind == "knn") - c.hits, c.kind != "logistic"))
    if not order:
        order = [Candidate(kinds[0], usual if kinds[0] == "logistic" else k, 0, 0, 1.0, 0.0)]
    first, calibrated = order[0], bool(tried) and enough >= ENOUGH
    measured = {"accuracy": first.accuracy, "interval": first.interval, "rows": first.rows} if tried else None
    if taught is not None:
        measured = (measured or {"accuracy": None, "interval": None, "rows": 0}) | {"taught": int(taught.sum())}

    if len(order) > 1:
        why = f"{order[1].title} {order[1].accuracy:.3f}" if tried else ""
        why += ", which may be chance" * (order[1].hits > first.hits)
    elif kind != "auto":
        why = "as asked"
    elif classes > MANY:
        why = f"there are more than {MANY} classes"
    else:
        why = f"{few}, too few to choose by" if enough < ENOUGH else ""
    if tried:
        low, high = first.interval
        accuracy = f"out-of-fold accuracy {first.accuracy:.3f} [{low:.3f}, {high:.3f}]{scored}"
        about_kind = f"Classifier: {first.title}, {accuracy}; {why}."
    else:
        left = "so its accuracy is not known" if scored else "so none can be left out to measure it"
        about_kind = f"Classifier: {first.title}{f' ({why})' * bool(why)}; {none}, {left}."
    if calibrated:
        state = f"are calibrated: temperature {first.temperature:.3g}, fitted out of fold{scored}"
    else:
        state = f"are not calibrated: {none if enough >= ENOUGH else f'{few}, too few for it'}"
    return Choice(
        first.kind, first.setting, first.temperature if calibrated else 1.0, calibrated, measured,
        (about_kind, f"Probabilities {state}."),
    )  # fmt: skip


def values_of_candidates(*args: Any, **options: Any) -> list[dict[str, Any]]:
    """`candidates` as JSON values."""
    return [asdict(c) for c in candidates(*args, **options)]


def candidates(
    x: np.ndarray, y: np.ndarray, classes: int, *, cs: Sequence[float], k: int | None, seed: int = 0,
    groups: np.ndarray | None = None, taught: np.ndarray | None = None,
) -> list[Candidate]:  # fmt: skip
    """Logistic regression with each of `cs` and, unless `k` is None, kNN, each scored out of fold.

    Empty where no class has rows of two groups, so that none can be left out.
    """
    if len(y) > ROWS:
        kept = np.random.default_rng(seed).permutation(len(y))
        if taught is not None:
            kept = kept[np.argsort(taught[kept], kind="stable")]  # first those that can be scored
        kept = np.sort(kept[:ROWS])
        x, y = x[kept], y[kept]
        groups, taught = (None if a is None else a[kept] for a in (groups, taught))
    fold = folds(y, seed, groups)
    out = np.zeros(len(y), bool)
    for f in np.unique(fold[fold >= 0]):
        out[fold == f] = np.isin(y[fold == f], y[fold != f])
    out &= True if taught is None else ~taught
    if not out.any():
        return []
    logits = {("logistic", c): np.zeros((len(y), classes), np.float32) for c in sorted(cs)}
    if k is not None:
        logits["knn", k] = np.zeros((len(y), classes), np.float32)
    for f in np.unique(fold[out]):
        held, rest, weights = fold == f, fold != f, None
        train, test = scaled(x[rest], x[held]) if cs else (x, x)
        problem = Problem(train, y[rest], classes) if cs else None
        for kind, setting in logits:
            if kind == "logistic":
                weights = problem.solve(setting, weights).weights  # from those of the C before, which are near
                logits[kind, setting][held] = linear_probe.scores(weights, test).numpy()
            else:
                logits[kind, setting][held] = knn_scores(x[rest], y[rest], x[held], classes, setting)
    tried = []
    for (kind, setting), z in logits.items():
        z, labels = z[out], y[out]
        t = calibration.temperature(z, labels)
        hits = float(right(z, labels, TIE / TAU if kind == "knn" else TIE).sum())
        tried.append(Candidate(kind, setting, hits, len(labels), t, calibration.cross_entropy(z / t, labels)))
    return tried


def knn_scores(x: np.ndarray, y: np.ndarray, queries: np.ndarray, classes: int, k: float) -> np.ndarray:
    """Logits of queries (Q, classes) by their k nearest rows of `x`."""
    return knn.scores(x, y, queries, classes, min(int(k), len(y)), TAU).numpy()


def folds(y: np.ndarray, seed: int = 0, groups: np.ndarray | None = None) -> np.ndarray:
    """The fold of every row, int64 (N,): 0 … 4, each with its share of every class, or −1 for a class's only row.

    Rows of a class go to the folds in turn, the next class going on where the last one stopped. So whichever fold is
    left out, every class of two rows or more has one in the others. Where rows have `groups`, these stay whole, and
    may leave a fold without a class.
    """
    generator = np.random.default_rng(seed)
    if groups is not None and len(np.unique(groups)) < len(groups):
        return _of_groups(y, by_first(groups), generator)
    turn, fold = 0, np.full(len(y), -1, np.int64)
    for label in np.unique(y):
        members = generator.permutation(np.flatnonzero(y == label))
        if len(members) > 1:
            fold[members] = (turn + np.arange(len(members))) % FOLDS
            turn += len(members)
    return fold


def _of_groups(y: np.ndarray, groups: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Folds of whole groups, numbered 0 … G − 1: each, the largest first, goes where its classes have fewest rows.

    Groups all of whose classes have no other group are in no fold.
    """
    _, y, total = np.unique(y, return_inverse=True, return_counts=True)
    pairs, rows = np.unique(groups * len(total) + y, return_counts=True)
    owner, label = np.divmod(pairs, len(total))
    several = np.bincount(label, minlength=len(total)) > 1
    size = np.bincount(groups)
    order = generator.permutation(len(size))
    start = np.searchsorted(owner, np.arange(len(size) + 1))
    load, fold = np.zeros((FOLDS, len(total))), np.full(len(size), -1, np.int64)
    for g in order[np.argsort(-size[order], kind="stable")]:
        classes, count = label[start[g] : start[g + 1]], rows[start[g] : start[g + 1]]
        if several[classes].any():
            crowd = (load[:, classes] * count / total[classes]).sum(1).round(9)
            fold[g] = np.lexsort((load.sum(1), crowd))[0]
            load[fold[g], classes] += count
    return fold[groups]
