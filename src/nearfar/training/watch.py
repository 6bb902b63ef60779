"""What a training looks at while it goes: held-out rows of the training data, and nothing of the test rows.

The figures are those of docs/metrics.md. The networks are looked at in evaluation mode and without gradient, and what
is drawn has generators of its own, so that a training has the same weights with looks and without. Views are the same
at every look.
"""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from nearfar.core import devices
from nearfar.core.randomness import generator
from nearfar.core.registry import MODALITIES
from nearfar.data.table import Column
from nearfar.evaluation import floors
from nearfar.evaluation.directions import both
from nearfar.evaluation.protocols import Sides, linear_probe, sts
from nearfar.models import setup
from nearfar.models.encoding import encoded
from nearfar.objectives.kernel.world import ONE
from nearfar.training import distributed, health, weight_averaging
from nearfar.training.gradient_cache import chunks, joined
from nearfar.training.learner import Learner
from nearfar.training.plan.prepare import Plan
from nearfar.training.plan.resolve import least_rows
from nearfar.training.positives import Positives, own
from nearfar.training.viewer import Viewer
from nearfar.vectors import geometry, label_free
from nearfar.vectors.basics import chosen, standardised
from nearfar.vectors.knn import online_knn
from nearfar.vectors.logistic import Problem

ROWS = 1000  # held-out rows that are measured without labels, at most
FEWEST = 20  # of them, below which nothing is measured
EVERY = 0.02  # share of the epochs between two looks, at least
COST = 0.1  # share of the work of training that looks may take, where ten of them or more are left
EARLIEST = 10  # steps before the first look, at least
FORWARD = 3  # rows that are looked at cost as much as one that is trained on, which goes back too
STATISTICS_ROWS, STATISTICS_BATCH = 2000, 500  # training rows that batch norm takes its first statistics from
PROBE_C = 0.1  # of the logistic regression, as scikit-learn's C, on standardised features
TOGETHER = 500  # rows whose views are made at once


def watches(plan: Plan) -> bool:
    """Whether a training looks at held-out rows. Process 0 alone does, so shards of a network cannot be looked at."""
    return bool(plan.config.train.monitor_rows) and plan.config.train.wrap != "shard" and plan.steps > 0


class Watch:
    """The held-out rows of a training, and what is measured on them, with the training's own viewer."""

    def __init__(self, plan: Plan, viewer: Viewer) -> None:
        self.config, labels = plan.config, plan.table.labels
        train = self.config.train
        count, drawn = train.monitor_rows, generator(train.seed, "monitor")

        def some(rows: np.ndarray, count: int) -> np.ndarray:
            return rows[torch.randperm(len(rows), generator=drawn)[:count].sort().values.numpy()]

        self.plan, self.columns, self.positives = plan, list(viewer.columns.values()), viewer.positives
        self.on = torch.device(train.device), train.precision
        # Besides the processor's, the generators of these devices are put back after a look.
        self._devices = [self.on[0]] if self.on[0].type == "cuda" else []
        self.gallery = self.queries = plan.heldout[:0]
        # Pretrained weights are adapted for a classifier, and a kNN gains from that where a classifier does not.
        self.probes = plan.record.positives == "labels" and any(c.pretrained for c in plan.by_column.values())
        if labels is not None:
            self.gallery = some(plan.train[labels[plan.train] >= 0], count if self.probes else 5 * count)
            self.queries = some(plan.heldout[labels[plan.heldout] >= 0], count)
        scored = plan.scores
        heldout = plan.heldout if scored is None else plan.heldout[np.isfinite(scored[plan.heldout])]
        self.rows = some(heldout, min(count, ROWS))
        self.looks = watches(plan) and distributed.world().is_main
        alone = {"world": distributed.World(), "positives": Positives(own(len(plan.table)))}
        seen = {name: _changing(c, viewer.recipes[name]) for name, c in viewer.columns.items()}
        self.viewer = replace(viewer, **alone)
        self.pair = replace(viewer, count=2, hard=(), recipes=seen, **alone)

    @cached_property
    def raw_nearest(self) -> torch.Tensor:
        """The rows that are nearest in the raw input."""
        column = next(iter(self.plan.columns.values()))
        return label_free.nearest(torch.from_numpy(floors.RawInput().features(column, self.rows)))

    @cached_property
    def taught_nearest(self) -> torch.Tensor:
        """The rows that are nearest by the teacher's vectors."""
        return label_free.nearest(torch.from_numpy(self.positives.targets[self.rows]))

    @cached_property
    def due(self) -> frozenset[int]:
        """The steps after which to look: a formula, so that a resumed run looks where it would."""
        if not watches(self.plan):
            return frozenset()
        train = self.config.train
        total, per_epoch = train.epochs, self.plan.steps // train.epochs
        views = len(self.columns) if len(self.columns) > 1 else self.viewer.count
        trained = per_epoch * train.batch_size * views
        looked = len(self.gallery) + len(self.queries) + (3 + views) * len(self.rows)
        dear = math.ceil(looked / (FORWARD * COST * trained))
        every = per_epoch * max(1, math.ceil(EVERY * total), min(dear, total // 10))
        # What is learnt first is learnt within so many steps, however many an epoch has: before the first of these
        # ends of epochs there is a look wherever the steps have doubled.
        early = itertools.takewhile(lambda step: step >= EARLIEST, (every >> k for k in itertools.count(1)))
        return frozenset([*range(every, self.plan.steps + 1, every), self.plan.steps, *early])

    @torch.no_grad()
    def look(self, learner: Learner) -> dict[str, float]:
        """The figures of the networks as they are, those that the data allow; none but on process 0."""
        if not self.looks:
            return {}
        was = learner.training
        with torch.random.fork_rng(self._devices):
            learner.eval()
            figures = self._labelled(learner) | self._unlabelled(learner)
            learner.train(was)
        return figures

    @torch.no_grad()
    def begun(self, learner: Learner, sampler: Any) -> Learner:
        """The learner to look at before the first step: itself, or a copy with statistics in its batch norms."""
        # Batch norms that have seen nothing would pass numbers on as they come, and the figures would be lower than
        # what the networks are worth: they take their statistics from some training rows. Those of encoders and
        # projectors take them from rows without views, as the floor of an evaluation does: views may be anything.
        if not self.looks or not any(_unseen(m) for m in learner.modules()):
            return learner
        with torch.random.fork_rng(self._devices):
            learner = distributed.alone(copy.deepcopy(learner))
            learner.eval()
            norms, branches = ([m for m in part.modules() if _unseen(m)] for part in (learner, learner.branches))
            if len(norms) > len(branches):  # of a twin or a predictor, which only see what views become
                steps = max(1, min(sampler.steps_per_epoch, STATISTICS_ROWS // sampler.batch_size))
                order = sampler.order(0)
                batches = (self.viewer.batch(sampler.batch(0, i, order), 0, i) for i in range(steps))
                weight_averaging.take_statistics(learner, norms, batches, self.config)
            rows = self.plan.train[:STATISTICS_ROWS]
            with setup.new_statistics(branches):
                for column in self.columns:
                    branch = learner.branches[column.name]
                    for _ in encoded(branch, column, rows, "projection", *self.on, batch_size=STATISTICS_BATCH):
                        pass  # the batch norms have seen it
        return learner

    def first(self, learner: Learner) -> dict[str, float]:
        """`look` before the first step, and the numbers of rows behind the figures."""
        figures = self.look(learner)
        if "knn" in figures:
            figures["knn_chance"] = float(np.bincount(self.plan.table.labels[self.queries]).max() / len(self.queries))
        sizes = dict.fromkeys(("knn", "probe"), self.queries)
        sizes |= dict.fromkeys(("retrieval", "spearman", "taught", "heldout_rank"), self.rows)
        return figures | {f"{k.partition('_')[0]}_rows": len(r) for k, r in sizes.items() if k in figures}

    def _labelled(self, learner: Learner) -> dict[str, float]:
        labels = self.plan.table.labels
        if len(self.queries) < 2 or len(np.unique(labels[self.gallery])) < 2:
            return {}
        setup.scale(learner.branches, self.plan.columns, self.plan.train, self.on[1])
        column = self.columns[0]
        x, y = (encode_rows(learner, column, r, *self.on, layer="features") for r in (self.gallery, self.queries))
        if not _finite(x, y):
            return {}
        found = {"knn": online_knn(x, labels[self.gallery], y, labels[self.queries])}
        return found | ({"probe": _probe(x, labels[self.gallery], y, labels[self.queries])} if self.probes else {})

    def _unlabelled(self, learner: Learner) -> dict[str, float]:
        rows = self.rows
        if len(rows) < FEWEST:
            return {}
        if len(self.columns) > 1:
            layer = "encoder" if self.plan.record.keep == "features" else "projection"  # what the loss sees
            sides = [encode_rows(learner, c, rows, *self.on, layer=layer).cpu() for c in self.columns]
            sides = sides if len({s.shape[1] for s in sides}) == 1 else sides[:1]
            x = torch.stack(sides, 1).flatten(0, 1)[:ROWS]
        else:
            x = encode_rows(learner, self.columns[0], rows, *self.on).cpu()
            sides = [z.cpu() for z in view_features(learner, self.pair, rows, *self.on)]
        if not _finite(x, *sides):
            return {}
        figures = {
            "heldout_rank": float(geometry.effective_rank(x)), "heldout_rankme": label_free.rankme(x),
            "heldout_alpha": label_free.alpha(x),
            "heldout_uniformity": float(geometry.uniformity(x[: health.SAMPLE])),
        }  # fmt: skip
        if self.positives.targets is not None:
            figures["taught"] = label_free.shared(label_free.nearest(x), self.taught_nearest)
        if len(sides) > 1:
            figures["heldout_alignment"] = float(geometry.alignment(*sides[:2]))
            figures["heldout_agreement"] = label_free.agreement(*sides[:2])
        return figures | self._between(x, sides) | self._loss(learner)

    def _between(self, x: torch.Tensor, sides: list[torch.Tensor]) -> dict[str, float]:
        """How well two sides of a row find each other, views or columns; and whether rows are near that were so."""
        rows = self.rows
        if len(sides) < 2:
            return {}
        ids = [np.unique(c.hashes[rows], return_inverse=True)[1].reshape(-1) for c in self.columns]  # of equal content
        if len(self.columns) == 1:
            return {
                "heldout_views": _recall(*sides, *ids * 2),
                "heldout_raw": label_free.shared(label_free.nearest(x), self.raw_nearest),
            }
        if self.plan.scores is not None:
            return {"spearman": _spearman(*sides, *ids, self.plan.scores[rows])}
        pairs = itertools.combinations(range(len(sides)), 2)
        return {"retrieval": float(np.mean([_recall(sides[i], sides[j], ids[i], ids[j]) for i, j in pairs]))}

    def _loss(self, learner: Learner) -> dict[str, float]:
        """The method's loss of held-out rows, where it needs to know nothing of them but their views."""
        record, train, positives = self.plan.record, self.config.train, self.plan.positives
        size = min(train.batch_size, len(self.rows))
        size -= size % max(1, record.bn_groups)
        known = record.positives == "views" and positives.partners is None and not positives.changes
        if not known or size < max(4, least_rows(record)):
            return {}
        losses = []
        try:
            for start in range(0, len(self.rows) - size + 1, size):
                batch = self.viewer.batch(self.rows[start : start + size], 0, start)
                with devices.autocast(*self.on):
                    parts = [learner.project(piece) for piece in chunks(batch, train.chunk or size)]
                    embeddings = replace(learner.embeddings(joined(parts), batch), world=ONE)
                    losses.append(float(learner.loss(embeddings, batch)[0]))
        except (ValueError, RuntimeError, LookupError):  # a method may want what these batches do not have
            return {}
        return {"heldout_loss": float(np.mean(losses))}


def encode_rows(
    learner: Learner, column: Column, rows: np.ndarray, device: torch.device, precision: str, batch_size: int = 1000,
    layer: str = "encoder",
) -> torch.Tensor:  # fmt: skip
    """A layer of rows of a column in evaluation mode, as `Branch.output` names it; float32 (len(rows), D)."""
    was = learner.training
    learner.eval()
    parts = list(encoded(learner.branches[column.name], column, rows, layer, device, precision, batch_size))
    learner.train(was)
    return torch.cat(parts)


@torch.no_grad()
def view_features(
    learner: Learner, viewer: Viewer, rows: np.ndarray, device: torch.device, precision: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of the first two views of rows in evaluation mode, float32 (len(rows), D) each; the same every time."""
    was, sides = learner.training, ([], [])
    learner.eval()
    for start in range(0, len(rows), TOGETHER):
        batch = viewer.batch(rows[start : start + TOGETHER], 0, start)
        for side, view in zip(sides, batch.views, strict=False):
            with devices.autocast(device, precision):
                side.append(learner.branches[view.column].encoder(view.values).float())
    learner.train(was)
    return torch.cat(sides[0]), torch.cat(sides[1])


def _recall(a: torch.Tensor, b: torch.Tensor, of_a: np.ndarray, of_b: np.ndarray) -> float:
    """Recall at 1 between two sides of the same rows, (N, D) each, mean of both directions.

    Rows of equal content, which `of_a` and `of_b` number, are one; of several that are equally near, any may be first.
    """
    hits = []
    for way in both(Sides(a.numpy(), b.numpy(), of_a, of_b, ("a", "b"))).values():
        right = [chosen(tile.scores)[tile.owner, tile.answer].sum() for tile in way.tiles()]
        hits.append(sum(right) / len(way.queries))
    return float(np.mean(hits))


def _probe(x: torch.Tensor, labels: np.ndarray, y: torch.Tensor, truth: np.ndarray) -> float:
    """Accuracy on rows `y` of logistic regression on rows `x`, with one penalty for all states that are compared."""
    fitted, scored = standardised(x.cpu().numpy(), y.cpu().numpy())
    weights = Problem(fitted, labels, int(max(labels.max(), truth.max())) + 1).solve(PROBE_C).weights
    return linear_probe.accuracy(weights, scored, truth)


def _spearman(a: torch.Tensor, b: torch.Tensor, of_a: np.ndarray, of_b: np.ndarray, scores: np.ndarray) -> float:
    """Rank correlation of the cosines of pairs with their scores; 0 where either are all equal."""
    once, cosines = np.ones((1, len(scores))), Sides(a.numpy(), b.numpy(), of_a, of_b, ("a", "b")).cosines()
    return float(sts.correlation(sts.ranks(cosines, once), sts.ranks(scores, once), once)[0])


def _changing(column: Column, recipe: tuple[Any, ...]) -> tuple[Any, ...]:
    """The recipe, or the modality's own for one whose views are the row as it is: without dropout these are equal."""
    modality = MODALITIES.get(column.modality)
    return recipe if any(recipe) else modality.recipes(modality.default_recipe(column.spec), column.spec)


def _finite(*tensors: torch.Tensor) -> bool:
    """Whether all numbers are; where they are not, nor will be the loss, which is an error by itself."""
    return all(bool(torch.isfinite(x).all()) for x in tensors)


def _unseen(module: torch.nn.Module) -> bool:
    """Whether it is a batch norm without statistics."""
    if not isinstance(module, _BatchNorm) or not module.track_running_stats:
        return False
    return not bool(module.num_batches_tracked) and not bool(module.running_mean.any())
