"""Translations find each other: multi30k in two languages, from random weights, with floors and distractors.

    OMP_NUM_THREADS=1 python benchmarks/pairs.py DATA en de --seed 0 --out docs/results/pairs

DATA is the folder of multi30k with train.csv, val.csv and test_2016_flickr.csv. One bag of hashed words and n-grams for
both languages learns from the 29,000 training pairs (or `--pairs` of them) by CLIP's loss; number of epochs, dimensions
and batch were chosen on val.csv. The 1,000 pairs of test_2016 are scored once: retrieval both ways, also with all
training sentences as distractors.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from written import of_training

from nearfar.core import files
from nearfar.evaluation import floors
from nearfar.evaluation.protocols import Sides, bitext, retrieval
from nearfar.training import train as api

KNOBS: dict[str, Any] = {"epochs": 4, "batch_size": 512, "holdout": 0.0, "monitor_rows": 0, "threads": 1}
FEW = {"epochs": 40, "batch_size": 128}  # for at most 2,000 pairs


def sentences(path: Path, languages: tuple[str, str]) -> dict[str, list[str]]:
    """Both columns of a file."""
    import pyarrow.csv as csv

    table = csv.read_csv(path, parse_options=csv.ParseOptions(newlines_in_values=True))
    return {name: table[name].to_pylist() for name in languages}


def measured(model: Any, table: Any, train: Any, layer: str | None) -> dict[str, Any]:
    """Retrieval and bitext accuracy among the test pairs, and with the training sentences as distractors."""
    options = {} if layer is None else {"layer": layer}
    a, b = table.columns.values()
    rows = np.arange(len(table))
    left, right = (model.features(c, rows, **options) for c in (a, b))
    ids = [np.unique(c.hashes, return_inverse=True)[1] for c in (a, b)]
    sides = Sides(left, right, *ids, (a.name, b.name))
    more = []
    for column, own in zip(train.columns.values(), (a, b), strict=True):
        others = np.flatnonzero(~np.isin(column.hashes, own.hashes))  # an equal sentence would be a tie
        more.append(model.features(column, others, **options))
    return {
        "retrieval": retrieval.measure(sides), "bitext": bitext.measure(sides),
        "with_distractors": retrieval.measure(sides, distractors=more[1], left_distractors=more[0]),
        "distractors": [len(m) for m in more],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("languages", nargs=2)
    parser.add_argument("--pairs", type=int, help="Train on the first so many pairs only.")
    parser.add_argument("--on", default="test_2016_flickr", help="File that is scored; val to choose on.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/results/pairs"))
    args = parser.parse_args()
    languages = tuple(args.languages)
    given = sentences(args.data / "train.csv", languages)
    given = {k: v[: args.pairs] for k, v in given.items()}
    knobs = KNOBS | (FEW if args.pairs and args.pairs <= 2000 else {})
    start = time.perf_counter()
    trained = api.train(given, column=languages, seed=args.seed, **knobs)
    seconds, model = time.perf_counter() - start, trained.model
    table = model.read(sentences(args.data / f"{args.on}.csv", languages), data_column=languages)
    train = trained.plan.table
    found = {"run": measured(model, table, train, model.keeps)}
    found["untrained"] = measured(floors.untrained(model, train, trained.plan.train), table, train, model.keeps)
    found["raw"] = measured(floors.RawInput(), table, train, None)
    for name, f in found.items():
        print(
            name, [{w: round(r["recall"]["1"], 3) for w, r in f[k].items()} for k in ("retrieval", "with_distractors")]
        )
    args.out.mkdir(parents=True, exist_ok=True)
    few = f"-{args.pairs}pairs" if args.pairs else ""
    files.write_json(args.out / f"{'-'.join(languages)}{few}-seed{args.seed}.json", {
        **of_training(trained, seconds), "languages": languages, "pairs": len(given[languages[0]]),
        "seed": args.seed, "knobs": knobs, "on": args.on,
        "dimensions": int(model.branches[languages[0]].encoder.out_features),
        "results": files.finite(found),
    })  # fmt: skip


if __name__ == "__main__":
    main()
