"""What the default encoder of texts learns beside its fixed features, on held-out rows of the training data.

    OMP_NUM_THREADS=1 python benchmarks/fixed.py DATA [CASE ...] --out docs/results/fixed

DATA holds a folder a case with train.csv (``text``, ``label``); ``agnews_small@500`` is its first 500 training rows. A
fifth of the rows is held out. The others train the default encoder without labels for ten epochs, as it is and with one
number changed; then its vectors, in which the fixed part has several weights, and either part alone are scored on the
held-out rows: logistic regression on 8 labelled rows a class (10 draws, as `shots`) and a kNN. Test rows are never read.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from text import parts
from written import machine

from nearfar.core import files
from nearfar.evaluation.protocols import Features, knn, shots
from nearfar.training import train
from nearfar.vectors.basics import unit

CASES = ("trec", "agnews_small", "subj", "sst2", "mr")
WEIGHTS = (0.5, 0.7, 1.0)
KNOBS: dict[str, Any] = {
    "epochs": 10, "holdout": 0.0, "monitor_rows": 0, "threads": 1, "quiet": True, "fixed_weight": 1.0,
}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "untrained": {"epochs": 0},
    "40 epochs": {"epochs": 40},
    "temperature 0.5": {"temperature": 0.5},
    "temperature 1.3": {"temperature": 1.3},
    "half the rate": {"lr": 0.005},
    "a third of the words left out": {"views.overrides.drop_words.rate": 0.33},
    "n-grams as words": {"encoder_options": {"ngram_weight": 1.0}, "fixed_options": {"ngram_weight": 1.0}},
}


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
    args.out.mkdir(parents=True, exist_ok=True)
    for case in args.cases:
        name, _, limit = case.partition("@")
        rows = parts(args.data / name, "held")
        texts, labels = (part[: int(limit) if limit else None] for part in rows["train"])
        classes, y = np.unique(labels, return_inverse=True)
        truth = np.searchsorted(classes, rows["test"][1])
        found = {}
        for variant, changed in VARIANTS.items():
            began = time.process_time()
            model = train.train(texts, **KNOBS | changed).model
            line: dict[str, Any] = {"cpu_seconds": round(time.process_time() - began, 1)}
            x, held = (model.encode(t, normalize=False) for t in (texts, rows["test"][0]))
            at = x.shape[1] - next(iter(model.branches.values())).fixed.out_features
            line["trained"], line["fixed"] = (
                scored(x[:, part], y, held[:, part], truth) for part in (slice(at), slice(at, None))
            )
            for w in WEIGHTS:
                a, b = (np.hstack([z[:, :at], w * z[:, at:]]) for z in (x, held))
                line[f"weight {w}"] = scored(a, y, b, truth)
            print(case, variant, line, flush=True)
            found[variant] = line
        files.write_json(args.out / f"{case.replace('@', '-')}.json", machine() | {
            "case": case, "train_rows": len(y), "heldout_rows": len(truth), "found": found,
        })  # fmt: skip


if __name__ == "__main__":
    main()
