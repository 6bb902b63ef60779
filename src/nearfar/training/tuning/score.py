"""Which rows trials train on and are scored on, and the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from nearfar.core.errors import DataError
from nearfar.data import splits
from nearfar.training.plan.prepare import Plan
from nearfar.training.positives import Positives, own
from nearfar.training.trainer import Trainer
from nearfar.training.watch import encode_rows, view_features
from nearfar.vectors import knn, label_free
from nearfar.vectors.intervals import wilson

SHARE = 0.25  # of the training rows, held out to score trials on
MOST = 5000  # rows held out at most
FEWEST = 40  # training rows below which there is nothing to tune on
GALLERY = 10_000  # labelled rows that neighbours are looked for among, at most
LABELLED = 20  # held-out labelled rows below which their labels decide nothing
WITHOUT = 2500  # held-out rows that are measured without labels, at most
FOLDS = 5  # parts of them that are also measured by themselves, to see how much the score scatters


@dataclass(frozen=True)
class Parts:
    """Row numbers of the table, int64: parts of the training rows, none in both."""

    train: np.ndarray  # trained on in trials
    held: np.ndarray  # scored on
    spared: int = 0  # training rows left out because `nearfar eval` would score on them


def parts(plan: Plan) -> Parts:
    """The rows of the trials, out of those that the plan trains on; raises a `DataError` where they are too few.

    A quarter is held out by content hash, so what belongs together (`nearfar.data.groups.together`) stays on one side.
    """
    d, table, pool = plan.config.data, plan.table, plan.train
    if table.labels is not None:
        # Where there is no split to measure on, `nearfar eval` draws test rows from all rows. Settings that were chosen
        # on these would be measured on them.
        later = splits.evaluation_plan(table, train_split=d.train_split, test_split=d.test_split).test
        pool = np.setdiff1d(pool, later)
    train, held = splits.by_order(table, pool, min(SHARE, MOST / max(1, len(pool))))
    if len(pool) < FEWEST or len(held) < FEWEST // 4 or len(train) < FEWEST // 2:
        raise DataError(
            f"{len(pool):,} rows are too few to tune on.",
            hint=f"A part of the training rows is held out to score trials on; bring {FEWEST} or more that differ, "
            "and several groups if they have groups.",
        )
    return Parts(train, held, len(plan.train) - len(pool))


class Scorer:
    """Measures a trial on the held-out rows: with labels if there are, else without.

    With labels the score is the accuracy of the kNN of `nearfar.vectors.knn` at its first setting, on the encoder's
    features, over all labelled held-out rows; the gallery is labelled rows that the trial trained on. Without, it is
    the mean rank of `nearfar.vectors.label_free.scores` among the trials that got as far. All trials are measured with
    the views of `plan`, the defaults: a trial with weaker views would else agree better.
    """

    def __init__(self, plan: Plan, rows: Parts) -> None:
        labels, drawn = plan.table.labels, np.random.default_rng(plan.config.train.seed)
        self.plan, self.labels = plan, labels
        self.gallery = self.queries = rows.held[:0]
        if labels is not None:
            self.gallery = np.sort(drawn.permutation(rows.train[labels[rows.train] >= 0])[:GALLERY])
            self.queries = rows.held[labels[rows.held] >= 0]
        self.labelled = len(self.queries) >= LABELLED and len(np.unique(labels[self.gallery])) > 1
        self.held = self.queries if self.labelled else drawn.permutation(rows.held)[:WITHOUT]
        if not self.labelled and len(self.held) < 4 * FOLDS:
            raise DataError(f"{len(self.held)} held-out rows are too few to score trials on without labels.")

    @property
    def words(self) -> str:
        """What is measured, in words."""
        rows = f"{len(self.held):,} held-out training rows"
        if self.labelled:
            return f"kNN accuracy on {rows}"
        return f"mean rank of RankMe, alpha and agreement of views on {rows}, without labels"

    def __call__(self, trainer: Trainer) -> np.ndarray | None:
        """Measure the encoder as it is now.

        Returns
        -------
        ndarray or None
            With labels float64 (Q,): the probability that each row is predicted right. Without float64 (1 + FOLDS, 3):
            the three measures of all rows, then of each fold. None where the features are not finite.
        """
        rows = np.concatenate([self.gallery, self.queries]) if self.labelled else self.held
        column, on = next(iter(trainer.viewer.columns.values())), (trainer.device, trainer.config.train.precision)
        x = encode_rows(trainer.learner, column, rows, *on).cpu()
        if not self.labelled:
            apart = Positives(own(len(self.plan.table)))
            viewer = replace(trainer.viewer, recipes=self.plan.recipes, count=2, positives=apart, ignore=None)
            views = view_features(trainer.learner, viewer, self.held, *on)
            a, b = (z.cpu() for z in views)
            if not all(torch.isfinite(z).all() for z in (x, a, b)):
                return None
            folds = [slice(None), *(slice(f, None, FOLDS) for f in range(FOLDS))]
            return np.stack([label_free.measure_views(x[rows], a[rows], b[rows]) for rows in folds])
        if not torch.isfinite(x).all():
            return None
        y, (k, tau) = self.labels, knn.SETTINGS[0]
        fit, asked = x[: len(self.gallery)].numpy(), x[len(self.gallery) :].numpy()
        classes, k = len(self.plan.table.label_names), min(k, len(fit))
        return knn.hits(fit, y[self.gallery], asked, y[self.queries], classes, k, tau)

    def scores(self, measured: Sequence[np.ndarray | None]) -> np.ndarray:
        """One score for each of several trials at the same rung, higher is better; −inf for None."""
        out, good = np.full(len(measured), -np.inf), [i for i, m in enumerate(measured) if m is not None]
        if good:
            finite = [measured[i] for i in good]
            out[good] = self.draws(finite).mean(1) if self.labelled else _ranks(finite, 0)
        return out

    def draws(self, measured: Sequence[np.ndarray]) -> np.ndarray:
        """The scores by row (labels) or by fold (none), to tell a difference from chance: float64 (trials, draws)."""
        if self.labelled:
            return np.stack(measured).astype(np.float64)
        return np.stack([_ranks(measured, 1 + fold) for fold in range(FOLDS)], 1)

    def interval(self, measured: np.ndarray | None) -> list[float] | None:
        """95 % interval of an accuracy (Wilson); None without labels."""
        return wilson(float(measured.sum()), len(measured)) if self.labelled and measured is not None else None


def _ranks(measured: Sequence[np.ndarray], part: int) -> np.ndarray:
    return label_free.scores(np.stack([m[part] for m in measured]))
