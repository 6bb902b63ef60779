"""CIFAR-10 for ten epochs: labels with SupCon, no labels with SimCLR, cross entropy, and an untrained encoder.

    python benchmarks/cifar10.py DATA supcon --out docs/results/cifar10

DATA holds train.parquet and test.parquet with the columns ``image`` and ``label``. Trained on all 50,000 training
rows, measured once on the 10,000 test rows; nothing was chosen on the latter. Leaves one JSON per case.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path
from typing import Any

import torch

from nearfar import __version__
from nearfar.core import files
from nearfar.core.console import Console
from nearfar.downstream.ensemble import combine
from nearfar.evaluation import evaluate
from nearfar.evaluation.report import of_run
from nearfar.models import loading
from nearfar.models.embedder import Embedder
from nearfar.models.run import Run
from nearfar.training import train

COMMON = {"epochs": 10, "batch_size": 128, "holdout": 0.0, "lr": 2e-3, "weight_decay": 0.05}
# Chosen on training rows only (25,000 trained on for three epochs, 5,000 others measured) with `small_cnn`: with labels
# weak views and more steps of smaller batches gain; wider networks and other temperatures do not.
PROTOCOLS = ["knn", "linear_probe", "few_labels", "shares"]
MILD = {"crop": {"scale": [0.6, 1.0]}, "jitter": None}
CASES = {
    "supcon": {"method": "supcon", "recipe": "light", "overrides": MILD, "temperature": 0.1},
    "simclr": {"method": "simclr", "recipe": "simclr", "temperature": 0.2},
    "supervised": {
        "method": "supervised",
        "recipe": "light",
        "overrides": MILD,
        "parts": {"classifier": {"classes": 10}},
    },
    # As measured on 10,000 rows (benchmarks/methods.py), nothing chosen anew.
    "byol": {"method": "byol"},
    "vicreg": {"method": "vicreg"},
    # Patches of 16 pixels at their own size, a quarter of the work each. Widths chosen on training rows (20,000 trained
    # on for two epochs, 5,000 others measured): 64, 128, 256 gave 0.626, 96, 192, 384 at 2.3 times the time 0.653.
    "emp_ssl": {
        "method": "emp_ssl",
        "recipe": "emp_small",
        "count": 8,
        "encoder": "patches:pooled_cnn",
        "encoder_options": {"widths": [80, 160, 384], "grid": 0},
    },
    "untrained": {"method": "simclr", "epochs": 0},
    # Their vectors side by side. Each is trained on one core, so the longer one's time is that of both.
    "together": {"members": ["emp_ssl", "vicreg"]},
}


def of_patches(model: Embedder, data: str, console: Console) -> dict[str, Any]:
    """The same figures of the mean of the features of 3 × 3 patches of each picture; untouched it is one view."""
    for member in model.members:
        for branch in member.branches.values():
            if hasattr(branch.encoder, "grid"):
                branch.encoder.grid = 3
    evaluation = evaluate.evaluate(model, data, protocols=PROTOCOLS, floors=False, console=console)
    print(evaluation.table())
    return {"grid": 3, "results": evaluation.as_dict()["results"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--out", type=Path, default=Path("docs/results/cifar10"))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--resume", action="store_true", help="go on with a training that was stopped")
    parser.add_argument("--measure", action="store_true", help="measure the run that is there, without training")
    args = parser.parse_args()
    knobs = (
        COMMON | CASES[args.case] | {"seed": args.seed} | ({"epochs": args.epochs} if args.epochs is not None else {})
    )
    console = Console()
    name = f"{args.case}-seed{args.seed}"
    run = args.runs / f"cifar10-{name}"
    members = [args.runs / f"cifar10-{m}-seed{args.seed}" for m in knobs.get("members", [])]
    if members:
        knobs = {k: knobs[k] for k in ("members", "seed")}
        combine([str(m) for m in members], out=run, overwrite=True, console=console)
    elif args.resume:
        train.train(args.data, out=run, resume=True, console=console)
    elif not args.measure:
        train.train(args.data, out=run, overwrite=True, console=console, **knobs)
    model = loading.load(run)
    seconds = max(metrics[-1]["seconds"] if (metrics := Run.open(r).metrics()) else 0.0 for r in members or [run])
    branches = [b for m in model.members for b in m.branches.values()]
    evaluation = evaluate.evaluate(
        model, args.data, protocols=PROTOCOLS, floors=args.case == "untrained", console=console
    )
    print(evaluation.table())
    found = evaluation.as_dict()
    averaged = of_patches(model, args.data, console) if any(hasattr(b.encoder, "grid") for b in branches) else None
    found["data"]["source"] = args.data
    args.out.mkdir(parents=True, exist_ok=True)
    files.write_json(args.out / f"{name}.json", {
        "command": "python " + " ".join(a for a in sys.argv if a not in ("--measure", "--resume")), "case": args.case, "seed": args.seed, "knobs": knobs,
        "training_seconds": seconds,
        "encoder": " + ".join(m.config.model.encoder for m in model.members),
        "parameters": sum(p.numel() for b in branches for p in b.encoder.parameters()),
        "dimensions": evaluation.results[0]["geometry"]["dimensions"],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, "
                   f"{model.config.train.precision}, load average {os.getloadavg()[0]:.1f}",
        "nearfar": __version__, "evaluation": found,
        **({"averaged": averaged} if averaged else {}),
    })  # fmt: skip
    of_run.keep(model, evaluation)


if __name__ == "__main__":
    main()
