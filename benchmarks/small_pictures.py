"""Small sets of pictures and rows: fixed features beside trained ones, a whitened first layer, features by place.

    OMP_NUM_THREADS=1 python benchmarks/small_pictures.py DATA [CASE ...] --out docs/results/pictures

DATA is a folder of data sets; ``cifar10@1000`` is the first 1,000 training rows. A fifth of the training rows is held out,
the others train the default encoder without labels: as it is, with a first layer that begins whitened, with the mean of
each quarter of the picture in place of one mean, and with views that mirror nothing. Before the first step, after a quarter of the steps and
after all of them, features are fitted on the training rows and scored on those held out: a kNN, logistic regression on 8
rows a class (10 draws, as `shots`) and on all. Of the encoder as it is, so are the fixed features alone and beside the
trained ones with several weights; a linear probe scales features itself, so that weights mean nothing to it. The learning
rate is 0.001 for 256 rows, or four times that (variants with `rate`); with `--share` the epochs are a share of the default
ones. Test rows are never read. One JSON file a case and variant.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from itertools import product
from pathlib import Path
from types import MethodType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from written import machine

from nearfar.core import files
from nearfar.core.console import SILENT
from nearfar.data.read import read
from nearfar.downstream import demo
from nearfar.encoders.image import pooled_cnn, small_cnn
from nearfar.evaluation.protocols import Features, knn, linear_probe, shots
from nearfar.models import setup
from nearfar.training import train, watch, weight_averaging
from nearfar.training.learner import Learner
from nearfar.training.trainer import Trainer
from nearfar.vectors.basics import unit

LOOKS = (0.0, 0.25, 1.0)  # shares of all steps
WEIGHTS = (0.35, 0.5, 0.7, 1.0)
GRID = {"encoder_options": {"grid": 2}}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {}, "whitened": {}, "grid": GRID, "unmirrored": {"flip": False}, "rate": {}, "grid-rate": GRID
}  # fmt: skip
RATE, FASTER = 1e-3, 4e-3  # for 256 rows
BESIDE = ("plain", "rate", "grid-rate")  # variants of which the fixed features are measured
NETWORKS = (small_cnn, pooled_cnn)
EPSILON = 5e-4  # added to the variances of patches
KNOBS: dict[str, Any] = {"batch_size": 128, "holdout": 0.2, "monitor_rows": 0, "threads": 1, "fixed": "pca", "fixed_weight": 1.0,
                         "flip": None}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A data set, how many steps are trained, and what is said beside it."""

    read: Callable[[Path], Any]
    steps: int
    knobs: dict[str, Any]
    variants: tuple[str, ...]


def _file(name: str) -> Callable[[Path], Any]:
    return lambda folder: str(folder / name / "train.parquet")


def _rows(folder: Path) -> Any:
    found = np.load(folder / "ts_pendigits" / "train.npz")
    return found["X"].reshape(len(found["X"]), -1)[::2], found["y"][::2]


def _pixels(folder: Path) -> Any:
    column = (table := read(str(folder / "mnist" / "train.parquet"), limit=4000)).first
    return np.asarray(column.values).reshape(len(table), -1).astype(np.float32), table.labels


def _flat(pictures: np.ndarray, labels: np.ndarray) -> Any:
    return pictures.reshape(len(pictures), -1).astype(np.float32), labels


def _cells(_: Path) -> Any:
    from sklearn.datasets import load_breast_cancer

    return load_breast_cancer(return_X_y=True)


DEMO = {k: v for k, v in demo.RECIPE.items() if k in ("lr", "temperature", "batch_size", "encoder_options")}
CASES = {
    "pendigits": Case(_rows, 2000, {"batch_size": 256}, ("plain", "rate")),
    "mnist_pixels": Case(_pixels, 3000, {"batch_size": 256}, ("plain", "rate")),
    "digits_pixels": Case(lambda _: _flat(*demo.digits()["train"]), 3000, {"batch_size": 239}, ("plain", "rate")),
    "breast_cancer": Case(_cells, 3000, {"batch_size": 113}, ("plain",)),
    "digits": Case(lambda _: demo.digits()["train"], 320, {"batch_size": 64}, ("plain", "whitened", "grid", "rate")),
    "digits_demo": Case(lambda _: demo.digits()["train"], 900, DEMO, ("plain",)),
    "orl_faces": Case(_file("orl_faces"), 200, {"batch_size": 59}, ("plain", "grid", "unmirrored", "rate")),
    "cifar10@1000": Case(_file("cifar10"), 240, {"limit": 1000}, ("plain", "grid")),
    "clothing_small": Case(_file("clothing_small"), 240, {}, ("plain", "whitened", "grid", "unmirrored", "rate", "grid-rate")),
    "cifar10@5000": Case(_file("cifar10"), 400, {"limit": 5000}, ("plain", "whitened", "grid", "rate")),
}


@torch.no_grad()
def whiten(network: nn.Module, x: torch.Tensor) -> None:
    """Let the first convolution begin with eigenvectors of its patches of pictures (N, C, S, S), of either sign.

    Over the roots of their variances, the largest first; filters beyond these stay as they were drawn (Jordan 2024,
    arXiv 2404.00498, where the layer stays as it begins).
    """
    layer = network.stem[0]
    patches = F.unfold(x.float(), layer.kernel_size, stride=layer.stride).transpose(1, 2).flatten(0, 1)
    variances, vectors = torch.linalg.eigh(torch.cov(patches.T.double()))
    found = (vectors / (variances + EPSILON).sqrt()).T.flip(0).view(-1, *layer.weight.shape[1:])
    most = min(len(found), len(layer.weight) // 2)
    layer.weight[: 2 * most] = torch.cat([found[:most], -found[:most]]).to(layer.weight)


def whitening(build: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """An encoder's `build` whose networks begin so; a bound method, so that a copy of a network has its own."""

    @wraps(build)
    def built(**shape: Any) -> nn.Module:
        network = build(**shape)
        network.setup, network.setup_rows = MethodType(whiten, network), 1000
        return network

    return built


@contextmanager
def encoders(variant: str) -> Iterator[None]:
    """Within this context encoders are built with what a variant changes."""
    own = [module.build for module in NETWORKS]
    for module, build in zip(NETWORKS, own, strict=True):
        module.build = whitening(build) if variant == "whitened" else build
    yield
    for module, build in zip(NETWORKS, own, strict=True):
        module.build = build


def scored(
    x: np.ndarray, y: np.ndarray, held: np.ndarray, truth: np.ndarray, linear: bool = True
) -> dict[str, float]:
    """Figures of features (N, D) with labels on those held out (M, D)."""
    classes = int(max(y.max(), truth.max())) + 1
    fit, score = (Features(unit(z), labels, classes) for z, labels in ((x, y), (held, truth)))
    found = {
        "knn": knn.measure(fit, score, seed=0)["accuracy"],
        "8 labels a class": shots.measure(fit, score, seed=0)["8"]["mean"],
    }
    return found | ({"linear": linear_probe.measure(fit, score, seed=0)["accuracy"]} if linear else {})


def trained(
    source: Any, case: Case, variant: str, seed: int, until: float, share: float | None
) -> list[dict[str, Any]]:
    """The figures of one training at each look."""
    knobs = KNOBS | {"seed": seed} | case.knobs | VARIANTS[variant]
    knobs["lr"] = case.knobs.get("lr", (FASTER if "rate" in variant else RATE) * knobs["batch_size"] / 256)
    if share is None:
        epochs = -(-case.steps // train.rehearse(source, quiet=True, epochs=1, **knobs).steps)
    else:
        epochs = max(1, round(share * train.rehearse(source, quiet=True, **knobs).config.train.epochs))
    plan = train.rehearse(source, quiet=True, epochs=epochs, **knobs)
    with encoders(variant):
        trainer = Trainer(plan, None, SILENT)
    looks, spent = [], 0.0
    for at in [round(share * plan.steps) for share in LOOKS if share <= until]:
        began = time.process_time()
        if at:
            trainer.fit(lambda step, at=at: step == at)
        spent += time.process_time() - began
        learner = trainer.learner if at else with_statistics(trainer)
        looks.append({"step": at, "seconds": round(spent, 1)} | looked(trainer, learner, variant))
        print(variant, looks[-1], flush=True)
    return looks


def with_statistics(trainer: Trainer) -> Learner:
    """A copy of the networks whose batch norms have seen some training rows."""
    learner, sampler = copy.deepcopy(trainer.learner), trainer.sampler
    norms = [m for m in learner.modules() if isinstance(m, _BatchNorm)]
    order = sampler.order(0)
    some = min(sampler.steps_per_epoch, max(1, watch.STATISTICS_ROWS // sampler.batch_size))
    batches = (trainer.viewer.batch(sampler.batch(0, i, order), 0, i) for i in range(some))
    with torch.no_grad():
        weight_averaging.take_statistics(learner, norms, batches, trainer.config)
    return learner


def looked(trainer: Trainer, learner: Learner, variant: str) -> dict[str, Any]:
    """The figures of the networks as they are."""
    plan, on = trainer.plan, (trainer.device, trainer.config.train.precision)
    column = plan.table.first
    branch = learner.branches[column.name]
    setup.scale(learner.branches, plan.columns, plan.train, on[1])
    rows = [r[plan.table.labels[r] >= 0] for r in (plan.train, plan.heldout)]
    x, held = (watch.encode_rows(learner, column, r, *on, layer="features").numpy() for r in rows)
    y, truth = (plan.table.labels[r] for r in rows)
    at = branch.encoder.out_features
    found = {"dimensions": at, "trained": scored(x[:, :at], y, held[:, :at], truth)}
    if variant in BESIDE:
        found["fixed"] = scored(x[:, at:], y, held[:, at:], truth)
        for w in WEIGHTS:
            a, b = (np.hstack([z[:, :at], w * z[:, at:]]) for z in (x, held))
            found[f"weight {w}"] = scored(a, y, b, truth, linear=w == WEIGHTS[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("cases", nargs="*", help=f"by default all: {', '.join(CASES)}")
    parser.add_argument("--variants", nargs="+", default=tuple(VARIANTS), choices=tuple(VARIANTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, help="epochs as a share of the default, in place of the case's steps")
    parser.add_argument("--until", type=float, default=1.0, help="share of the steps after which a training is left")
    parser.add_argument("--out", type=Path, default=Path("docs/results/pictures"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for variant, name in product(args.variants, args.cases or CASES):
        case = CASES[name]
        if variant not in case.variants:
            continue
        looks = trained(case.read(args.data), case, variant, args.seed, args.until, args.share)
        length = "" if args.share is None else f"-share{args.share:g}"
        files.write_json(args.out / f"{name.replace('@', '-')}-{variant}{length}.json", machine() | {
            "case": name, "variant": variant, "seed": args.seed, "share": args.share, "knobs": case.knobs, "looks": looks,
        })  # fmt: skip


if __name__ == "__main__":
    main()
