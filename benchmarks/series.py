"""Time series: learnt without labels, beside raw series, dynamic time warping and MiniROCKET, on the default splits.

    OMP_NUM_THREADS=1 python benchmarks/series.py DATA [SET ...] --out docs/results/series --seeds 5

DATA is a folder of data sets; SET one of ts_gun_point, ts_italy_power_demand, ts_basic_motions, ts_pendigits. One
configuration for all sets: that which `nearfar train` takes where nothing is asked for, with no rows held out. An
encoder learns from the training rows without their labels. A classifier on its vectors of the training rows, logistic
regression or an RBF-SVM, each with its penalty, is chosen by cross-validation on training rows; test rows are seen once.
With few labels, ten rows a class are drawn ten times for each seed, the same for all that is compared.

Floors: the nearest training row by Euclidean distance and by dynamic time warping without a window, of series in their
own units, as the archive's figures are; and, where `aeon` is installed, MiniROCKET's features with a ridge classifier. One JSON file a set.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from written import machine

from nearfar.core import files
from nearfar.core.console import SILENT
from nearfar.training import train

SETS = ("ts_gun_point", "ts_italy_power_demand", "ts_basic_motions", "ts_pendigits")
MOST = 1500  # training rows that penalties are chosen on
LABELS, DRAWS = 10, 10
PAIRS = 400_000  # of series that are warped at once


def of_set(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Series (N, C, T) and labels to train on, and those of the test, in their own units."""
    parts = [np.load(folder / f"{split}.npz") for split in ("train", "test")]
    x, y, t, z = (part[name] for part in parts for name in ("X", "y"))
    return x, y, t, z


def warped(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances by dynamic time warping (N, M) of series (N, C, T) and (M, C, T); channels warp together."""
    rows, steps = max(1, PAIRS // len(b)), a.shape[2]
    if len(a) > rows:
        return np.concatenate([warped(a[i : i + rows], b) for i in range(0, len(a), rows)])
    a, b = a.astype(np.float32), b.astype(np.float32)
    above = [np.full((len(a), len(b)), np.inf, np.float32)] * (steps + 1)
    above[0] = np.zeros((len(a), len(b)), np.float32)
    for i in range(steps):
        row = [np.full((len(a), len(b)), np.inf, np.float32)]
        for j in range(steps):
            cost = sum((a[:, None, c, i] - b[None, :, c, j]) ** 2 for c in range(a.shape[1]))
            row.append(cost + np.minimum(np.minimum(above[j + 1], row[j]), above[j]))
        above = row
    return above[-1]


def euclidean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances (N, M) of series."""
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    return (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T


def nearest(distances: np.ndarray, y: np.ndarray, z: np.ndarray) -> float:
    """Accuracy of the label of the nearest."""
    return float((y[distances.argmin(1)] == z).mean())


def classified(x: np.ndarray, y: np.ndarray, t: np.ndarray, z: np.ndarray) -> dict[str, Any]:
    """Test accuracy of the classifier that cross-validation on training rows prefers, and which that is."""
    some = np.random.default_rng(0).permutation(len(y))[:MOST]
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    widths = [v / x.shape[1] for v in (0.1, 0.3, 1.0)]
    kinds: list[tuple[str, Any, dict[str, Any]]] = [
        ("logistic regression", LogisticRegression(max_iter=300), {"logisticregression__C": [0.01, 0.1, 1, 10]}),
        ("RBF-SVM", SVC(), {"svc__C": [1, 10, 100, 1000], "svc__gamma": widths}),
    ]
    found = [(GridSearchCV(_scaled(kind), grid, cv=folds).fit(x[some], y[some]), name) for name, kind, grid in kinds]
    best, name = max(found, key=lambda f: f[0].best_score_)
    return {"accuracy": float(best.best_estimator_.fit(x, y).score(t, z)), "cross_validated": float(best.best_score_),
            "classifier": name}  # fmt: skip


def _scaled(kind: Any) -> Pipeline:
    return make_pipeline(StandardScaler(), kind)


def minirocket(x: np.ndarray, y: np.ndarray, t: np.ndarray, z: np.ndarray, seed: int) -> float | None:
    """Test accuracy of a ridge classifier on MiniROCKET's features; None without aeon."""
    try:
        from aeon.transformations.collection.convolution_based import MiniRocket
    except ImportError:
        return None
    # It takes no series shorter than its kernels of 9 steps.
    x, t = (np.pad(v, ((0, 0), (0, 0), (0, max(0, 9 - v.shape[2]))), mode="edge").astype(np.float32) for v in (x, t))
    features = MiniRocket(random_state=seed).fit(x)
    model = make_pipeline(StandardScaler(with_mean=False), RidgeClassifierCV(np.logspace(-3, 3, 10)))
    return float(model.fit(features.transform(x), y).score(features.transform(t), z))


def few(y: np.ndarray, seed: int) -> list[np.ndarray]:
    """Draws of ten rows a class."""
    draw = np.random.default_rng(seed)
    return [
        np.concatenate([draw.choice(np.flatnonzero(y == c), LABELS, False) for c in np.unique(y)]) for _ in range(DRAWS)
    ]


def with_few(x: np.ndarray, y: np.ndarray, t: np.ndarray, z: np.ndarray, seed: int) -> list[float]:
    """Test accuracy of logistic regression by draw; vectors are standardised by all training rows, as labels are few."""
    scale = StandardScaler().fit(x)
    x, t = scale.transform(x), scale.transform(t)
    return [float(LogisticRegression(C=0.1, max_iter=300).fit(x[r], y[r]).score(t, z)) for r in few(y, seed)]


def above(ours: list[float], others: list[float]) -> dict[str, float]:
    """Mean difference over paired draws, and its 95 % interval by the normal distribution."""
    d = np.subtract(ours, others)
    half = 1.96 * d.std(ddof=1) / len(d) ** 0.5
    return {"mean": float(d.mean()), "low": float(d.mean() - half), "high": float(d.mean() + half)}


def measured(folder: Path, seeds: int, knobs: dict[str, Any]) -> dict[str, Any]:
    """All figures of a set."""
    x, y, t, z = of_set(folder)
    straight, bent = euclidean(t, x), warped(t, x)
    enough = np.bincount(y).min() > 2 * LABELS
    runs: list[dict[str, Any]] = []
    rockets: list[float | None] = []
    shots: dict[str, list[float]] = {"ours": [], "raw": [], "euclidean": [], "dtw": []}
    for seed in range(seeds):
        began = time.process_time()
        trained = train.train(str(folder), seed=seed, holdout=0.0, threads=1, console=SILENT, **knobs)
        seconds = time.process_time() - began  # of one thread; others may use the machine
        table, column = trained.plan.table, trained.plan.table.first
        vectors, test = (trained.model.features(column, table.splits[s]) for s in ("train", "test"))
        labels = [table.labels[table.splits[s]] for s in ("train", "test")]
        runs.append({**classified(vectors, labels[0], test, labels[1]), "seconds": round(seconds, 1), "seed": seed})
        rockets.append(minirocket(x, y, t, z, seed))
        if enough:
            shots["ours"] += with_few(vectors, labels[0], test, labels[1], seed)
            shots["raw"] += with_few(x.reshape(len(x), -1), y, t.reshape(len(t), -1), z, seed)
            shots["euclidean"] += [nearest(straight[:, r], y[r], z) for r in few(y, seed)]
            shots["dtw"] += [nearest(bent[:, r], y[r], z) for r in few(y, seed)]
        print(folder.name, runs[-1], rockets[-1], flush=True)
    config = trained.plan.config
    found = {
        "set": folder.name, "runs": runs, "accuracy": float(np.mean([r["accuracy"] for r in runs])),
        "deviation": float(np.std([r["accuracy"] for r in runs])), "seconds": float(np.mean([r["seconds"] for r in runs])),
        "euclidean": nearest(straight, y, z), "dtw": nearest(bent, y, z),
        "minirocket": None if None in rockets else float(np.mean(rockets)),
        "rows": {"train": len(x), "test": len(t)}, "channels": x.shape[1], "steps": x.shape[2],
        "method": config.model.method, "batch": config.train.batch_size, "epochs": config.train.epochs,
        "machine": machine(),
    }  # fmt: skip
    if enough:
        found["few"] = {k: float(np.mean(v)) for k, v in shots.items()}
        found["above"] = {k: above(shots["ours"], v) for k, v in shots.items() if k != "ours"}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--method", default="default")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for name in asked.sets:
        found = measured(asked.data / name, asked.seeds, {"method": asked.method})
        files.write_json(asked.out / f"{name}.json", found)


if __name__ == "__main__":
    main()
