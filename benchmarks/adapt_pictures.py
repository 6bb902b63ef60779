"""A pretrained picture encoder as it is, and adapted with few labels: EfficientNet-Lite0 on clothes and faces.

    OMP_NUM_THREADS=1 python benchmarks/adapt_pictures.py MODELS DATA frozen
    OMP_NUM_THREADS=1 python benchmarks/adapt_pictures.py MODELS DATA regression
    OMP_NUM_THREADS=1 python benchmarks/adapt_pictures.py MODELS DATA adapted --draws 5

MODELS is where models/get.py put the model, DATA holds ``clothing_small`` and ``orl_faces``. ``frozen`` measures the model
as `nearfar eval` does: on clothes the linear probe and few labels on the test split; on faces, whose test split has other
people, images 6 to 10 of all forty people with images 1 to 5 as training rows. ``regression`` measures it on clothes as
the floors were: a logistic regression (C 30) on unit vectors. ``adapted`` draws labelled training rows of each class, trains
on them with the defaults (or `--settings`), and fits that regression on the vectors of the same rows, of the frozen model
and of the adapted one; the test rows are scored once a draw. `--on held` scores training rows that are in no draw: settings
are chosen there. The JSON of all cases is one file, which each run completes.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy import stats
from sklearn.linear_model import LogisticRegression
from written import machine

import nearfar
from nearfar.core import files
from nearfar.evaluation import evaluate
from nearfar.evaluation.protocols import few_labels
from nearfar.training import train

OUT = Path(__file__).parents[1] / "docs" / "results" / "pretrained" / "pictures.json"
HELD = 900  # training rows that settings are scored on
Rows = tuple[list[bytes], np.ndarray]


def of(data: Path, name: str, split: str) -> Rows:
    table = pq.read_table(data / name / f"{split}.parquet").to_pylist()
    return [row["image"]["bytes"] for row in table], np.array([row["label"] for row in table])


def faces(data: Path) -> dict[str, Rows]:
    """All forty people in both splits: by the number in the file's name, s7/3.png."""
    tables = [pq.read_table(data / "orl_faces" / f"{split}.parquet").to_pylist() for split in ("train", "test")]
    rows = [row for table in tables for row in table]
    later = np.array([int(Path(row["image"]["path"]).stem) > 5 for row in rows])
    cells, y = [row["image"]["bytes"] for row in rows], np.array([row["label"] for row in rows])
    return {n: ([cells[i] for i in np.flatnonzero(k)], y[k]) for n, k in (("train", ~later), ("test", later))}


def frozen(word: str, data: Path) -> dict[str, Any]:
    """What `nearfar eval` measures, without floors."""
    model, found = nearfar.load(word, "cpu"), {}
    for name, source in (("clothing_small", data / "clothing_small"), ("orl_faces", faces(data))):
        start = time.process_time()
        measured = evaluate.evaluate(
            model, source, protocols=["linear_probe", "few_labels", "knn"], floors=False, quiet=True
        )  # fmt: skip
        found[name] = measured.results[0] | {"cpu_seconds": time.process_time() - start}
    return found


def regression(word: str, data: Path) -> dict[str, Any]:
    """The regression of the case ``adapted`` on clothes, with all labels and with 20 draws of 5 and of 10 a class."""
    model = nearfar.load(word, "cpu")
    (cells, y), (unseen, truth) = (of(data, "clothing_small", split) for split in ("train", "test"))
    z, t = model.encode(cells), model.encode(unseen)
    found: dict[str, Any] = {"all": accuracy(z, y, t, truth)}
    for count in (5, 10):
        drawn = few_labels.draws(y, int(y.max()) + 1, count, 0, 20)
        found[str(count)] = [accuracy(z[r], y[r], t, truth) for r in drawn]
    return found


def accuracy(z: np.ndarray, y: np.ndarray, t: np.ndarray, truth: np.ndarray) -> float:
    return float(LogisticRegression(C=30, max_iter=2000).fit(z, y).score(t, truth))


def adapted(word: str, data: Path, name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Draws of labelled rows: the frozen and the adapted model on the same."""
    (cells, y), (unseen, truth) = (of(data, name, split) for split in ("train", "test"))
    if name == "orl_faces":
        (cells, y), (unseen, truth) = faces(data).values()
    pool = np.arange(len(y))
    if args.on == "held":
        order = np.random.default_rng(0).permutation(len(y))
        pool, held = order[: len(y) // 2], order[len(y) // 2 :][:HELD]
        unseen, truth = [cells[i] for i in held], y[held]
    model = nearfar.load(word, "cpu")
    before, after, notes, seconds = [], [], [], []
    test = model.encode(unseen)
    for draw in range(args.draws):
        generator = np.random.default_rng((0, args.labels, draw))
        rows = [generator.choice(m, args.labels, replace=False) for c in np.unique(y) if len(m := pool[y[pool] == c])]
        rows = np.concatenate(rows)
        some = [cells[i] for i in rows]
        before.append(accuracy(model.encode(some), y[rows], test, truth))
        start = time.process_time()
        run = train.train((some, y[rows]), init_from=word, seed=draw, quiet=True, **json.loads(args.settings))
        seconds.append(time.process_time() - start)
        after.append(accuracy(run.model.encode(some), y[rows], run.model.encode(unseen), truth))
        notes, config = list(run.plan.notes), run.plan.config
        print(name, draw, f"{before[-1]:.4f} {after[-1]:.4f} {seconds[-1]:.0f} s", flush=True)
    gains = np.subtract(after, before)
    error = stats.t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / np.sqrt(len(gains))
    return {
        "labels": args.labels, "scored": args.on, "rows": len(truth), "frozen": before, "adapted": after,
        "gain": float(gains.mean()), "interval": [float(gains.mean() - error), float(gains.mean() + error)],
        "cpu_seconds": seconds, "settings": json.loads(args.settings), "notes": notes,
        "config": {"method": config.model.method, "encoder_options": config.model.encoder_options, "epochs": config.train.epochs,
                   "batch_size": config.train.batch_size, "lr": config.optim.lr, "recipe": config.views.recipe},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("case", choices=("frozen", "regression", "adapted"))
    parser.add_argument("--set", dest="name", default="clothing_small", choices=("clothing_small", "orl_faces"))
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--labels", type=int, default=10, help="of each class")
    parser.add_argument("--on", choices=("test", "held"), default="test")
    parser.add_argument("--settings", default="{}", help="of the training, as JSON")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    word = f"timm:tf_efficientnet_lite0@{args.models / 'efficientnet_lite0' / 'model.safetensors'}"
    whole = files.read_json(args.out) if args.out.exists() else {}
    if args.case == "frozen":
        whole["frozen"] = frozen(word, args.data) | {"machine": machine()}
    elif args.case == "regression":
        whole["regression"] = regression(word, args.data) | {"machine": machine()}
    else:
        entry = adapted(word, args.data, args.name, args) | {"machine": machine()}
        whole[f"{args.name}, {args.labels} labels, {args.on}"] = entry
        print(f"gain {entry['gain']:+.4f} {entry['interval']}")
    text = json.dumps(whole)
    for folder, called in ((args.models, "MODELS"), (args.data, "DATA")):
        text = text.replace(str(folder.resolve()), called).replace(str(folder), called)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(args.out, json.loads(text))


if __name__ == "__main__":
    main()
