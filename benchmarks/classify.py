"""What `nearfar classify` makes of few labels on digits, and whether its probabilities and refusals hold.

    python benchmarks/classify.py --run RUN [--out docs/results/classify/digits.json] [--draws 10]

RUN is a training of the demonstration (`nearfar demo --out RUN`), which has seen the training rows without their labels.
So many labelled rows of every class are drawn from them, and all test rows, which are new, are classified. Once more
without any labelled row of two of the classes, whose test rows then are of unknown classes. The command itself is run once, on a
copy of RUN, and what it says and writes is kept.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nearfar.core import files
from nearfar.downstream import demo
from nearfar.downstream.classify.classifier import Classifier
from nearfar.models import loading

COUNTS = (1, 2, 5, 10, 20, 50, None)
STRANGERS = (8, 9)
EXAMPLE = 10  # labelled rows of each class in the example
NAMES = tuple(map(str, range(10)))


def rows_of(y: np.ndarray, count: int | None, draw: int) -> np.ndarray:
    """`count` rows of every class; all of them."""
    if count is None:
        return np.arange(len(y))
    generator = np.random.default_rng((draw, count))
    return np.concatenate([generator.choice(np.flatnonzero(y == c), count, replace=False) for c in range(10)])


def measured(made: Classifier, x: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Figures on the test rows, and the calibration error that there would be without a temperature."""
    found = made.predict(x).figures(truth)
    plain = dataclasses.replace(made, temperature=1.0).predict(x).figures(truth)
    return {
        "kind": made.kind, "setting": made.setting, "temperature": made.temperature, "calibrated": made.calibrated,
        "out_of_fold": made.out_of_fold["accuracy"] if made.out_of_fold else None,
        "strangers_expected": made.rejection["refused"] if made.rejection else None,
        "calibration_error_untempered": plain["calibration_error"], **found,
    }  # fmt: skip


def example(run: str, data: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """The command, what it says, and the first lines that it writes."""
    command = ["classify", "runs/digits", "labelled.npz", "new.npz", "--out", "predictions.csv"]
    (x, y), (new, truth) = data.values()
    rows = rows_of(y, EXAMPLE, 0)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(run, Path(folder) / "runs" / "digits")
        np.savez(Path(folder) / "labelled.npz", x=x[rows], y=y[rows])
        np.savez(Path(folder) / "new.npz", x=new, y=truth)
        done = subprocess.run(
            [sys.executable, "-m", "nearfar", *command], cwd=folder, capture_output=True, text=True, check=True
        )
        written = (Path(folder) / "predictions.csv").read_text(encoding="utf-8").splitlines()
    said = [line for line in done.stderr.splitlines() if not line.startswith(("Cache:", "encoding"))]
    return {"command": " ".join(["nearfar", *command]), "said": said, "written": written[:4]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/results/classify/digits.json"))
    parser.add_argument("--draws", type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    model, data = loading.load(args.run, "cpu"), demo.digits()
    (x, y), (new, truth) = (
        (model.encode(images, layer="features", normalize=False), labels) for images, labels in data.values()
    )
    few, strangers, seconds = {}, {}, 0.0
    for count in COUNTS:
        own, without = [], []
        for draw in range(1 if count is None else args.draws):
            rows, began = rows_of(y, count, draw), time.perf_counter()
            own.append(measured(Classifier.fit(x[rows], y[rows], NAMES, seed=draw), new, truth))
            seconds = time.perf_counter() - began
            known = rows[~np.isin(y[rows], STRANGERS)]
            part = Classifier.fit(x[known], y[known], NAMES, kind=own[-1]["kind"], seed=draw)
            without.append(measured(part, new, np.where(np.isin(truth, STRANGERS), -2, truth)))
        few[str(count or "all")], strangers[str(count or "all")] = own, without
        print(count, {k: np.mean([o[k] for o in own]) for k in ("accuracy", "coverage", "calibration_error")},
              np.mean([s["strangers_refused"] / s["strangers"] for s in without]), f"{seconds:.1f} s", flush=True)  # fmt: skip
    files.write_json(args.out, {
        "command": "python " + " ".join(sys.argv), "recipe": demo.RECIPE, "draws": args.draws, "few": few,
        "strangers": strangers, "stranger_classes": STRANGERS, "train_rows": len(y), "test_rows": len(truth),
        "example": example(args.run, data),
        "reject": 0.01, "seconds_with_all_rows": seconds,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
    })  # fmt: skip


if __name__ == "__main__":
    main()
