"""What tells without labels how good an embedding is while it trains, beside figures with labels.

    OMP_NUM_THREADS=1 python benchmarks/stopping.py DATA [CASE ...] --out docs/results/stopping

DATA is a folder of data sets. Each case is trained three times: as by default, with ten times the learning rate, and
with a quarter of the batch. A fifth of its training rows is held out; test rows are never read. At steps that double
from 1 % of the training on, what needs no labels is measured on the held-out rows (src/nearfar/training/watch.py, and here
LiDAR, arXiv 2312.04000, and how many of the ten nearest rows are those of the raw input), and with labels a kNN and
logistic regression on 8 rows a class and on up to 2,000 rows, which are fitted on the training rows and scored on those
held out; where the model has fixed features, also with these beside. Of pairs recall at 1 stands for all. One JSON file
a case.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from text import texts
from written import machine

from nearfar.core import files
from nearfar.core.console import SILENT
from nearfar.downstream import demo
from nearfar.evaluation.floors import RawInput
from nearfar.evaluation.protocols import Features, few_labels, knn, linear_probe
from nearfar.models import setup
from nearfar.training import train, watch
from nearfar.training.trainer import Trainer
from nearfar.vectors.logistic import Problem

LOOKS = (0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0)  # shares of all steps
SETTINGS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "default": lambda plan: {},
    "lr x 10": lambda plan: {"lr": 10 * plan.config.optim.lr},
    "batch / 4": lambda plan: {"batch_size": plan.config.train.batch_size // 4, "lr": plan.config.optim.lr},
}
NEIGHBOURS = 10
DRAWS = 5
LINEAR_ROWS, C = 2000, 30.0  # of the regression on many rows: how many, and its inverse penalty
VIEWS = 10  # of each row, for LiDAR


@dataclass(frozen=True)
class Case:
    """A data set, what is said beside it, and how many steps are trained."""

    read: Callable[[Path], Any]
    steps: int
    knobs: dict[str, Any]


def _texts(name: str) -> Callable[[Path], Any]:
    return lambda folder: texts(folder / name / "train.csv")


def _file(name: str) -> Callable[[Path], Any]:
    return lambda folder: str(folder / name / "train.parquet")


def _rows(folder: Path) -> Any:
    found = np.load(folder / "ts_pendigits" / "train.npz")
    return found["X"].reshape(len(found["X"]), -1)[::2], found["y"][::2]


def _captions(folder: Path) -> Any:
    import pyarrow.csv as csv

    table = csv.read_csv(folder / "multi30k" / "train.csv", parse_options=csv.ParseOptions(newlines_in_values=True))
    return {name: table[name].to_pylist()[:5000] for name in ("en", "de")}


NARROW = {"encoder_options": {"widths": [32, 64, 128]}}  # of the pictures' network: quick
CASES = {
    **{name: Case(_texts(name), 800, {}) for name in ("trec", "sst2", "subj", "mr", "agnews_small")},
    "digits": Case(lambda _: demo.digits()["train"], 300, NARROW),
    "cifar10": Case(_file("cifar10"), 200, NARROW | {"limit": 3000}),
    "clothing_small": Case(_file("clothing_small"), 200, NARROW | {"size": 32}),
    "pendigits": Case(_rows, 800, {}),
    "multi30k": Case(_captions, 800, {"column": ("en", "de")}),
}


def trained(source: Any, case: Case, setting: str, seed: int) -> dict[str, Any]:
    """One training, and its figures at each look."""
    knobs = {"holdout": 0.2, "seed": seed, "threads": 1, "precision": "fp32", **case.knobs}
    knobs |= SETTINGS[setting](train.rehearse(source, quiet=True, **knobs))
    plan = train.rehearse(source, quiet=True, epochs=1, **knobs)
    knobs["epochs"] = -(-case.steps // plan.steps)
    plan = train.rehearse(source, quiet=True, **knobs)
    trainer = Trainer(plan, None, SILENT)
    steps = sorted({round(share * plan.steps) for share in LOOKS})
    looks, spent = [], 0.0
    for at in steps:
        began = time.process_time()
        if at:
            trainer.watch.looks = False  # at its own times
            trainer.fit(lambda step, at=at: step == at)
            trainer.watch.looks = True
        spent += time.process_time() - began
        begun = trainer.learner if at else trainer.watch.begun(trainer.learner, trainer.sampler)
        own = trainer.watch.look(begun)
        looks.append({"step": at, "seconds": round(spent, 1)} | own | measured(trainer, seed))
        print(setting, looks[-1], flush=True)
    return {"knobs": {k: v for k, v in knobs.items() if k != "column"}, "steps": plan.steps, "looks": looks}


def measured(trainer: Trainer, seed: int) -> dict[str, float]:
    """What the watch does not measure."""
    plan, on = trainer.plan, (trainer.device, trainer.config.train.precision)
    columns = list(trainer.viewer.columns.values())
    held = watch.encode_rows(trainer.learner, columns[0], plan.heldout, *on).numpy()
    found = {"raw_neighbours": shared(held, RawInput().features(columns[0], plan.heldout)), "lidar": lidar(trainer)}
    if plan.table.labels is None or len(columns) > 1:
        return found
    found |= labelled(trainer, "encoder", "", seed)
    if trainer.config.model.fixed == "none":
        return found
    setup.scale(trainer.learner.branches, plan.columns, plan.train, on[1])
    return found | labelled(trainer, "features", "_beside", seed)


def labelled(trainer: Trainer, layer: str, suffix: str, seed: int) -> dict[str, float]:
    """Figures with labels of a layer: fitted on training rows, scored on those held out."""
    plan, on = trainer.plan, (trainer.device, trainer.config.train.precision)
    column, classes = next(iter(trainer.viewer.columns.values())), len(plan.table.label_names)

    def features(rows: np.ndarray) -> Features:
        x = watch.encode_rows(trainer.learner, column, rows, *on, layer=layer).numpy()
        return Features(unit(x), plan.table.labels[rows], classes)

    fit, some, score = features(plan.train), features(plan.train[:LINEAR_ROWS]), features(plan.heldout)
    few = few_labels.FewLabels((8,), DRAWS, c=1.0, features=few_labels.UNIT, smaller=True)
    weights = Problem(some.x, some.y, classes).solve(C).weights
    found = {
        "knn": knn.measure(fit, score, seed=seed)["accuracy"],
        "few": few.measure(fit, score, seed=seed)["8"]["mean"],
        "linear": linear_probe.accuracy(weights, score.x, score.y),
    }
    return {f"accuracy_{name}{suffix}": value for name, value in found.items()}


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(1e-12, np.linalg.norm(x, axis=1, keepdims=True))


def shared(x: np.ndarray, raw: np.ndarray, most: int = 1000) -> float:
    """Share of the ten nearest rows, by cosines, that are so in both."""
    near = []
    for part in (unit(x[:most]), unit(raw[:most])):
        cosines = part @ part.T
        np.fill_diagonal(cosines, -np.inf)
        near.append(np.argpartition(-cosines, NEIGHBOURS, axis=1)[:, :NEIGHBOURS])
    return float(np.mean([len(np.intersect1d(a, b)) / NEIGHBOURS for a, b in zip(*near, strict=True)]))


def lidar(trainer: Trainer, most: int = 500) -> float:
    """Effective rank of what tells rows apart, as a share of what tells a row's views apart (Thilak et al. 2023)."""
    rows = trainer.watch.rows[:most]
    sides = []
    for i in range(VIEWS // 2):
        pair = trainer.watch.pair
        with torch.no_grad():
            batch = pair.batch(rows, 1 + i, 0)
            trainer.learner.eval()
            sides += [trainer.learner.branches[v.column].encoder(v.values).float() for v in batch.views]
            trainer.learner.train()
    z = torch.stack(sides, 1).double()  # (rows, views, D)
    means = z.mean(1)
    between = torch.cov(means.T)
    within = (z - means[:, None]).flatten(0, 1)
    within = within.T @ within / len(within) + 1e-4 * torch.eye(z.shape[2], dtype=z.dtype)
    values, vectors = torch.linalg.eigh(within)
    white = vectors @ torch.diag(values.clamp(min=1e-12).rsqrt()) @ vectors.T
    spectrum = torch.linalg.eigvalsh(white @ between @ white).clamp(min=0)
    p = spectrum / spectrum.sum().clamp(min=1e-12) + 1e-7
    return float(torch.exp(-(p * p.log()).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("cases", nargs="*", help=f"by default all: {', '.join(CASES)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/results/stopping"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.cases or CASES:
        source = CASES[name].read(args.data)
        found = {s: trained(source, CASES[name], s, args.seed) for s in SETTINGS}
        files.write_json(args.out / f"{name}.json", machine() | {"case": name, "seed": args.seed, "settings": found})


if __name__ == "__main__":
    main()
