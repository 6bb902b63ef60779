"""Pictures and their captions find each other, from random weights, beside the untrained networks and chance.

    OMP_NUM_THREADS=1 python benchmarks/captions.py DATA/twemoji_captions caption --seed 0 --out docs/results/pairs
    OMP_NUM_THREADS=1 python benchmarks/captions.py DATA/nlvr_captions sentence --truth label --seed 0

DATA holds train.parquet and test.parquet with a column ``image`` and one of captions. A convolutional network and a bag
of words learn by CLIP's loss; the test rows are scored once. With `--truth`, rows of which that column says false are
left out of training and of retrieval, and telling true from false is measured on all test rows: the threshold is
chosen on the training rows.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from written import of_training

from nearfar.core import files
from nearfar.evaluation import floors
from nearfar.evaluation.protocols import Sides, pair_classification, retrieval
from nearfar.training import train

KNOBS: dict[str, Any] = {"epochs": 20, "batch_size": 256, "holdout": 0.0, "monitor_rows": 0, "threads": 1, "flip": None}
TRUE = ("true", "1", "yes")


def sides(model: Any, table: Any, label: np.ndarray | None, columns: tuple[str, str]) -> Sides:
    """The two sides of all rows as the model sees them."""
    a, b = (table.columns[c] for c in columns)
    rows = np.arange(len(table))
    left, right = (model.features(c, rows, model.keeps) for c in (a, b))
    ids = [np.unique(c.hashes, return_inverse=True)[1] for c in (a, b)]
    return Sides(left, right, *ids, columns, label=label)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("caption")
    parser.add_argument("--truth")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/results/pairs"))
    args = parser.parse_args()
    columns = ("image", args.caption)
    arrow = {s: pq.read_table(args.data / f"{s}.parquet") for s in ("train", "test")}
    true = {s: None for s in arrow}
    if args.truth:
        true = {
            s: np.isin([str(v).lower() for v in t[args.truth].to_pylist()], TRUE).astype(np.int64)
            for s, t in arrow.items()
        }
    kept = {s: t if true[s] is None else t.filter(pc.equal(true[s], 1)) for s, t in arrow.items()}
    start = time.perf_counter()
    trained = train.train(kept["train"].select(list(columns)), column=columns, seed=args.seed, **KNOBS)
    seconds, model = time.perf_counter() - start, trained.model
    fresh = floors.untrained(model, trained.plan.table, trained.plan.train)
    found: dict[str, Any] = {}
    for name, m in (("run", model), ("untrained", fresh)):
        table = model.read(kept["test"].select(list(columns)), data_column=columns)
        found[name] = {"retrieval": retrieval.measure(sides(m, table, None, columns))}
        if args.truth:
            both = {s: model.read(t.select(list(columns)), data_column=columns) for s, t in arrow.items()}
            dev, test = (sides(m, both[s], true[s], columns) for s in ("train", "test"))
            found[name]["pair_classification"] = pair_classification.measure(test, dev=dev, seed=args.seed)
        print(name, {w: (r["recall"], r["median_rank"]) for w, r in found[name]["retrieval"].items()})
        print({k: v for k, v in found[name].get("pair_classification", {}).items() if k != "settings"})
    args.out.mkdir(parents=True, exist_ok=True)
    files.write_json(args.out / f"{args.data.name}-seed{args.seed}.json", {
        **of_training(trained, seconds), "case": args.data.name, "seed": args.seed, "knobs": KNOBS,
        "train_rows": len(trained.plan.table), "test_rows": kept["test"].num_rows,
        "results": files.finite(found),
    })  # fmt: skip


if __name__ == "__main__":
    main()
