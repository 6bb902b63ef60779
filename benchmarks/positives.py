"""What each kind of positives does to the linear probe at equal steps.

    python benchmarks/positives.py DATA CASE --out docs/results/positives

DATA holds train.parquet and test.parquet with the columns ``image`` and ``label``. 10,000 training rows drawn by a
fixed seed, ten epochs of 40 steps, a narrow network; every case has the same rows, views, network, steps, temperature
and seed. The probe is fitted on the training rows with all their labels and scored once on the test rows; nothing was
chosen on these. Cases named ``teacher_…`` need the run that the case ``views`` left. Leaves one JSON per set and case.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nearfar import __version__
from nearfar.core import files
from nearfar.core.console import Console
from nearfar.data.read import read
from nearfar.evaluation import evaluate
from nearfar.models.run import Run
from nearfar.training import train

ROWS, SHARE, CLUSTERS, NEIGHBOURS = 10_000, 0.1, 100, 5
COMMON: dict[str, Any] = {
    "epochs": 10, "batch_size": 250, "temperature": 0.2, "holdout": 0.0, "encoder_options": {"widths": [16, 32, 64]},
    "threads": 1, "monitor_rows": 0,
}  # fmt: skip
SETS = {
    "mnist": {"recipe": "digits", "encoder": "small_cnn"},
    "cifar10": {"recipe": "simclr", "encoder": "pooled_cnn"},
}
GROUPS = {"method": "supcon"}  # one row alone in its group makes it simclr's loss
CASES: dict[str, dict[str, Any]] = {
    "untrained": {"method": "simclr", "epochs": 0},
    "views": {"method": "simclr", "positives": "views"},
    "labels": GROUPS | {"positives": "labels"},
    "labels_balanced": GROUPS | {"positives": "labels", "balance": "10x25"},
    "labels10": GROUPS | {"positives": "labels"},
    "labels10_balanced": GROUPS | {"positives": "labels", "balance": "10x12"},
    "clusters": GROUPS | {"positives": f"clusters:{CLUSTERS}"},
    "clusters_late": GROUPS | {"positives": f"clusters:{CLUSTERS}", "positives_options": {"warmup": 5}},
    "teacher_clusters": GROUPS | {"positives": f"teacher:{{views}}:clusters:{CLUSTERS}"},
    "teacher_neighbours": {"method": "simclr", "positives": f"teacher:{{views}}:neighbours:{NEIGHBOURS}"},
}


def arrays(source: str) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Pictures and labels of the training rows that count, and of the test rows."""
    table = read(source)
    train = np.sort(np.random.default_rng(0).permutation(table.splits["train"])[:ROWS])
    return tuple((np.asarray(table.first.values[rows]), table.labels[rows]) for rows in (train, table.splits["test"]))


def hidden(labels: np.ndarray) -> np.ndarray:
    """Labels of a share of the rows; nan on the others."""
    kept = np.random.default_rng(1).permutation(len(labels))[: round(SHARE * len(labels))]
    found = np.full(len(labels), np.nan)
    found[kept] = labels[kept]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--out", type=Path, default=Path("docs/results/positives"))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    name = Path(args.data).name
    (images, labels), test = arrays(args.data)
    knobs = COMMON | SETS[name] | {"seed": args.seed} | CASES[args.case]
    run = args.runs / f"positives-{name}-{{}}-seed{args.seed}"
    if "positives" in knobs:
        knobs["positives"] = knobs["positives"].format(views=str(run).format("views"))
    given = hidden(labels) if args.case.startswith("labels10") else labels
    console = Console()
    trained = train.train(
        {"train": (images, given)}, out=str(run).format(args.case), overwrite=True, console=console, **knobs
    )
    floors = args.case == "untrained"
    evaluation = evaluate.evaluate(
        trained.model, {"train": (images, labels), "test": test}, protocols=["linear_probe", "knn"], floors=floors
    )
    print(evaluation.table())
    metrics = Run.open(trained.path).metrics()
    args.out.mkdir(parents=True, exist_ok=True)
    files.write_json(args.out / f"{name}-{args.case}-seed{args.seed}.json", {
        "command": "python " + " ".join(sys.argv), "data": name, "case": args.case, "seed": args.seed, "knobs": knobs,
        "train_rows": len(images), "steps": trained.plan.steps,
        "training_seconds": metrics[-1]["seconds"] if metrics else 0.0,
        "clusters_moved": [m["clusters_moved"] for m in metrics if "clusters_moved" in m],
        "notes": list(trained.plan.notes),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, one thread, "
                   f"{trained.plan.config.train.precision}, load average {os.getloadavg()[0]:.1f}",
        "nearfar": __version__, "results": evaluation.as_dict()["results"],
    })  # fmt: skip


if __name__ == "__main__":
    main()
