"""Spoken digits, pictures of digits and their names, as one model.

    OMP_NUM_THREADS=1 python benchmarks/spoken.py DATA --seed 0 [--three]

DATA holds free_spoken_digits and mnist. The rows are the recordings of the official splits (2,700 and 300), each beside
its name and a picture of the same digit, drawn from the split of the same name. One training, or two:

- sound and name: digits of the test split are told by their names alone (zero-shot: `digit`, sound->word, is the share
  whose nearest of the ten names is right), and found by them;
- with `--three`, picture, sound and name at once: retrieval in all six directions among the test rows. Recordings and pictures of one
  digit are no copies of each other, so that the right answer is the one of the same row; beside it, `digit` counts any
  item of the same digit as right, at the first place.

Everything else is the default of the command.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from written import machine

import nearfar
from nearfar.core import files
from nearfar.vectors.basics import unit

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COLUMNS = ("picture", "sound", "word")
OUT = Path("docs/results/spoken")


def table(data: Path, split: str, seed: int) -> pa.Table:
    """Recordings with their names, and pictures of the same digits."""
    spoken = parquet.read_table(data / "free_spoken_digits" / f"{split}.parquet")
    drawn = parquet.read_table(data / "mnist" / f"{split}.parquet")
    digit, shown = (np.asarray(t["label"].to_pylist()) for t in (spoken, drawn))
    draw = np.random.default_rng(seed)
    rows = np.empty(len(digit), np.int64)
    for d in range(10):
        wanted = np.flatnonzero(digit == d)
        rows[wanted] = draw.choice(np.flatnonzero(shown == d), len(wanted), replace=False)
    return pa.table({
        "picture": drawn["image"].take(pa.array(rows)), "sound": spoken["audio"],
        "word": [NAMES[d] for d in digit], "label": [NAMES[d] for d in digit],
    })  # fmt: skip


def found(model: Any, test: Path, columns: tuple[str, ...]) -> dict[str, float]:
    """Share of queries of each direction whose nearest item is of the same digit."""
    rows = parquet.read_table(test)
    digit = np.asarray(rows["label"].to_pylist())
    vectors = {c: unit(model.encode(rows[c].to_pylist(), column=c)) for c in columns}
    nearest = {(a, b): (vectors[a] @ vectors[b].T).argmax(1) for a, b in permutations(columns, 2)}
    return {f"{a}->{b}": float((digit[n] == digit).mean()) for (a, b), n in nearest.items()}


def measured(folder: Path, columns: tuple[str, ...], seed: int) -> dict[str, Any]:
    """One training, and what its model does on the test rows."""
    begun = time.process_time()
    trained = nearfar.train(folder, column=columns, label="label", out=folder.parent / "-".join(columns),
                            overwrite=True, seed=seed, threads=1, quiet=True)  # fmt: skip
    seconds = time.process_time() - begun
    model = nearfar.load(trained.path)
    of_pairs = nearfar.evaluate(model, quiet=True).results[0]["retrieval"]
    return {
        "cpu_seconds": seconds, "digit": found(model, folder / "test.parquet", columns),
        "recall_at_1": {way: of["recall"]["1"] for way, of in of_pairs.items()},
        "chance_at_1": {way: of["chance"]["1"] for way, of in of_pairs.items()},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--three", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "rows"
        folder.mkdir()
        for split in ("train", "test"):
            parquet.write_table(table(args.data, split, args.seed), folder / f"{split}.parquet")
        made = {"named": measured(folder, ("sound", "word"), args.seed)}
        if args.three:
            made["three"] = measured(folder, COLUMNS, args.seed)
    said = f"python benchmarks/spoken.py DATA --seed {args.seed}{' --three' * args.three}"
    OUT.mkdir(parents=True, exist_ok=True)
    files.write_json(OUT / f"seed{args.seed}.json", {**machine(), "command": said, "seed": args.seed, **made})
    print(made)


if __name__ == "__main__":
    main()
