"""What several runs together are worth on digits: seeds, ensembles, weight averaging.

    python benchmarks/several.py [--out docs/results/several/digits.json] [--epochs 20] [--seeds 3]

The demonstration's settings with fewer epochs, one thread, linear probe and kNN fitted on the training rows and scored
once on the test third. Weight averaging does not change the training, so each run gives all models: the last weights,
the averaged ones (the last fifth of the steps), and, since these take batch norm's statistics anew, the last weights
with statistics taken so as well. The schedule is the demonstration's, whose rate falls to zero, and
one that falls to half of its peak, where averaging has more to do. "three times as long" is one run that costs as much
as the three of an ensemble.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nearfar.core import files
from nearfar.core.config import Config
from nearfar.core.console import QUIET
from nearfar.data.read import read
from nearfar.data.splits import evaluation_plan
from nearfar.downstream import demo
from nearfar.evaluation import floors
from nearfar.evaluation.protocols import Features, knn, linear_probe
from nearfar.models.embedder import Embedder
from nearfar.models.ensemble import Ensemble
from nearfar.training.job import with_knobs
from nearfar.training.plan.prepare import prepare
from nearfar.training.trainer import Trainer
from nearfar.training.weight_averaging import renew_statistics

SHARE = 0.2
SCHEDULES = {"to zero": 0.0, "to half": 0.5}


class Measure:
    """Linear probe and kNN of a model on the digits."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.table = read(data)
        self.rows = evaluation_plan(self.table)

    def __call__(self, model: Any) -> dict[str, Any]:
        both = np.concatenate([self.rows.train, self.rows.test])
        x, y, cut = model.features(self.table.first, both), self.table.labels[both], len(self.rows.train)
        fit, score = (Features(x[part], y[part], 10) for part in (slice(cut), slice(cut, None)))
        found = {"linear_probe": linear_probe.measure(fit, score), "knn": knn.measure(fit, score)}
        return {k: {"accuracy": v["accuracy"], "interval": v["interval"]} for k, v in found.items()} | {
            "dimensions": int(x.shape[1])
        }


def trained(data: dict[str, Any], seed: int, epochs: int, final_lr: float) -> tuple[dict[str, Embedder], float]:
    """The models of one training, and its seconds."""
    knobs = demo.RECIPE | {"epochs": epochs, "seed": seed, "final_lr": final_lr, "average": SHARE, "threads": 1}
    plan = prepare(with_knobs(Config(), None, knobs), data)
    trainer, began = Trainer(plan, None, QUIET), time.perf_counter()
    trainer.fit()
    seconds = time.perf_counter() - began
    anew = copy.deepcopy(trainer.learner)
    renew_statistics(anew, trainer.viewer, trainer.sampler, plan.config)
    learners = {"last weights": trainer.learner, "last weights, statistics anew": anew, "averaged": trainer.finished()}
    return {
        n: Embedder.of(learner, plan.config, plan.columns, name=f"seed{seed}") for n, learner in learners.items()
    }, seconds


def ensembles(singles: list[Embedder], measured: Measure) -> dict[str, Any]:
    """All pairs and all of them together, in each way."""
    column, train = measured.table.first, measured.rows.train
    found: dict[str, Any] = {}
    for size in sorted({2, len(singles)}):
        for way in ("concat", "average", "average, not aligned"):
            cases = []
            for members in itertools.combinations(singles, size):
                made = Ensemble(members, way.split(",")[0])
                agreement = made.align(column, train) if way == "average" else []
                cases.append({"members": [m.name for m in members], "agreement": agreement, **measured(made)})
            found[f"{way} of {size}"] = cases
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/results/several/digits.json"))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    data = demo.digits()
    measured, seconds = Measure(data), []
    single: dict[str, dict[str, list[Any]]] = {}
    kept: list[Embedder] = []
    for schedule, final_lr in SCHEDULES.items():
        single[schedule] = {}
        for seed in range(args.seeds):
            models, took = trained(data, seed, args.epochs, final_lr)
            seconds.append(took)
            for name, model in models.items():
                single[schedule].setdefault(name, []).append({"seed": seed, **measured(model)})
            if schedule == "to zero":
                kept.append(models["last weights"])
            print(schedule, seed, {k: v[-1] for k, v in single[schedule].items()}, f"{took:.0f} s", flush=True)
    found = ensembles(kept, measured)
    print(found, flush=True)
    longer = []
    for seed in range(args.seeds):
        longer.append({"seed": seed, **measured(trained(data, seed, args.seeds * args.epochs, 0.0)[0]["last weights"])})
        print("longer", longer[-1], flush=True)
    fresh = [floors.untrained(m, measured.table, measured.rows.train) for m in kept]
    files.write_json(args.out, {
        "command": "python " + " ".join(sys.argv), "seeds": list(range(args.seeds)), "epochs": args.epochs,
        "share": SHARE, "schedules": SCHEDULES, "recipe": demo.RECIPE, "single": single, "longer": longer,
        "ensembles": found, "untrained": [{"seed": s, **measured(m)} for s, m in enumerate(fresh)],
        "raw": measured(floors.RawInput()), "test_rows": len(measured.rows.test),
        "train_rows": len(measured.rows.train), "training_seconds": float(np.median(seconds)),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
    })  # fmt: skip


if __name__ == "__main__":
    main()
