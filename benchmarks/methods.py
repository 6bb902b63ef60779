"""Every method on the same 10,000 pictures of CIFAR-10, with the same number of views through the network.

    OMP_NUM_THREADS=1 python benchmarks/methods.py DATA METHOD --out docs/results/methods

DATA holds train.parquet and test.parquet with the columns ``image`` and ``label``. 1,000 training rows of each class,
drawn by a fixed seed; 200,000 views (ten epochs of two views; methods with more views get fewer epochs, a small crop
counts by its area, what the twin does with the same views is not counted); the default network, batch, rate and decay are the same for all, and none was tuned for a method.
The probe and kNN are fitted on the training rows with all their labels and scored once on the 10,000 test rows. One
thread, so that several methods may run side by side. Leaves one JSON a method.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nearfar import __version__
from nearfar.core import files
from nearfar.core.console import Console
from nearfar.core.registry import METHODS
from nearfar.data.read import read
from nearfar.evaluation import evaluate
from nearfar.models import loading
from nearfar.models.run import Run
from nearfar.training import train as training
from nearfar.transforms.frame import side
from nearfar.transforms.recipes import named

EACH, VIEWS, SIDE = 1000, 200_000, 32
COMMON: dict[str, Any] = {
    "batch_size": 128, "holdout": 0.0, "lr": 2e-3, "weight_decay": 0.05, "threads": 1, "monitor_rows": 0, "size": SIDE,
}  # fmt: skip


def arrays(source: str) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Pictures and labels of the training rows that count, and of the test rows."""
    table = read(source)
    train, labels = table.splits["train"], table.labels
    drawn = np.random.default_rng(0).permutation(train)
    rows = np.sort(np.concatenate([drawn[labels[drawn] == c][:EACH] for c in range(len(table.label_names))]))
    return tuple((np.asarray(table.first.values[r]), labels[r]) for r in (rows, table.splits["test"]))


def epochs(name: str, rows: int) -> int:
    """Epochs in which about `VIEWS` views are made; a small crop counts by its area."""
    r = METHODS.get(name).RECORD
    if not r.trains:
        return 0
    recipes = named(r.views or "simclr", SIDE, 3)
    views = sum((side(recipes[v % len(recipes)], SIDE) / SIDE) ** 2 for v in range(r.count))
    return max(1, round(VIEWS / (rows * views)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("method", choices=list(METHODS))
    parser.add_argument("--out", type=Path, default=Path("docs/results/methods"))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measure", action="store_true", help="measure the run that is there, without training")
    args = parser.parse_args()
    train, test = arrays(args.data)
    knobs = COMMON | {"method": args.method, "seed": args.seed, "epochs": epochs(args.method, len(train[0]))}
    if not isinstance(METHODS.get(args.method).RECORD.weight_decay, float):
        del knobs["weight_decay"]  # it has a schedule of its own
    run = args.runs / f"methods-{args.method}-seed{args.seed}"
    peak = None
    if not args.measure:
        training.train({"train": train}, out=run, overwrite=True, console=Console(), **knobs)
        peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    model, stored, metrics = loading.load(run), Run.open(run).config, Run.open(run).metrics()
    evaluation = evaluate.evaluate(
        model, {"train": train, "test": test}, protocols=["linear_probe", "knn"],
        floors=args.method == "random",
    )  # fmt: skip
    print(evaluation.table())
    t = stored["config"]["train"]
    args.out.mkdir(parents=True, exist_ok=True)
    files.write_json(args.out / f"{args.method}-seed{args.seed}.json", {
        "command": "python " + " ".join(a for a in sys.argv if a != "--measure"),
        "method": args.method, "seed": args.seed, "knobs": knobs,
        "train_rows": len(train[0]), "epochs": t["epochs"], "steps": t["epochs"] * (len(train[0]) // t["batch_size"]),
        "views": stored["config"]["method"]["count"], "encoder": stored["config"]["model"]["encoder"],
        "training_seconds": metrics[-1]["seconds"] if metrics else 0.0, "peak_mib": peak,
        "notes": stored["notes"],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, one thread, "
                   f"{t['precision']}, load average {os.getloadavg()[0]:.1f}",
        "nearfar": __version__, "results": evaluation.as_dict()["results"],
    })  # fmt: skip


if __name__ == "__main__":
    main()
