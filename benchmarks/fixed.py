"""Fixed features beside trained ones, and how long to train: texts, on held-out rows of the training data.

    OMP_NUM_THREADS=1 python benchmarks/fixed.py DATA [CASE ...] --out docs/results/fixed

DATA holds a folder a case with train.csv (``text``, ``label``); ``agnews_small@500`` is its first 500 training rows. A
fifth of the rows is held out. The others train the default encoder without labels for some numbers of epochs, 0 for
none; then its vectors, in which the fixed part has several weights, and the fixed part alone are scored on the held-out
rows: logistic regression on 8 labelled rows a class (10 draws, as `shots`) and a kNN. Test rows are never read.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from text import parts
from written import machine

from nearfar import api, files
from nearfar.evaluation import knn, shots
from nearfar.evaluation.features import Features, unit

CASES = ("trec", "agnews_small", "subj", "sst2", "mr", "agnews_small@500")
EPOCHS = (0, 10, 40)
WEIGHTS = (0.0, 0.5, 0.7, 1.0)
KNOBS: dict[str, Any] = {"holdout": 0.0, "monitor_rows": 0, "threads": 1, "quiet": True, "fixed_weight": 1.0}


def scored(x: np.ndarray, y: np.ndarray, held: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Figures of vectors (N, D) with labels on those held out (M, D)."""
    classes = int(y.max()) + 1
    fit, score = (Features(unit(z), labels, classes) for z, labels in ((x, y), (held, truth)))
    few = shots.measure(fit, score, seed=0)["8"]["mean"]
    return {"8 labels a class": few, "knn": knn.measure(fit, score, seed=0)["accuracy"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("cases", nargs="*", default=CASES)
    parser.add_argument("--out", type=Path, default=Path("docs/results/fixed"))
    args = parser.parse_args()
    for case in args.cases:
        name, _, limit = case.partition("@")
        rows = parts(args.data / name, "held")
        texts, labels = (part[: int(limit) if limit else None] for part in rows["train"])
        classes, y = np.unique(labels, return_inverse=True)
        truth = np.searchsorted(classes, rows["test"][1])
        found = []
        for epochs in EPOCHS:
            began = time.process_time()
            # a rate of next to nothing leaves the encoder as it begins
            given = {"epochs": epochs} if epochs else {"epochs": 1, "lr": 1e-12}
            model = api.train(texts, **given, **KNOBS).model
            seconds = round(time.process_time() - began, 1)
            x, held = (model.encode(t, normalize=False) for t in (texts, rows["test"][0]))
            at = x.shape[1] - next(iter(model.branches.values())).fixed.out_features
            line = {"epochs": epochs, "cpu_seconds": seconds, "fixed alone": scored(x[:, at:], y, held[:, at:], truth)}
            for w in WEIGHTS:
                a, b = (np.hstack([z[:, :at], w * z[:, at:]]) for z in (x, held))
                line[f"weight {w}"] = scored(a, y, b, truth)
            print(case, line, flush=True)
            found.append(line)
        args.out.mkdir(parents=True, exist_ok=True)
        files.write_json(args.out / f"{case.replace('@', '-')}.json", machine() | {
            "case": case, "train_rows": len(y), "heldout_rows": len(truth), "found": found,
        })  # fmt: skip


if __name__ == "__main__":
    main()
