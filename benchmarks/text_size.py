"""How long a training of short texts takes by default, by their number.

    OMP_NUM_THREADS=1 python benchmarks/text_size.py DATA --out docs/results/speed/text_size.json

DATA is a folder of data sets. Captions of multi30k in four languages and news of AG News, in an order drawn once; the
first 2,000, 10,000 and 100,000 of them, without labels, nothing else said. Processor time from the texts to the model.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from text import texts
from written import machine

from nearfar.core import files
from nearfar.training import train

SIZES = (2_000, 10_000, 100_000)


def corpus(folder: Path) -> list[str]:
    """Short texts, in a drawn order."""
    import pyarrow.csv as csv

    table = csv.read_csv(folder / "multi30k" / "train.csv", parse_options=csv.ParseOptions(newlines_in_values=True))
    found = [t for name in ("en", "de", "fr", "cs") for t in table[name].to_pylist() if t]
    found += texts(folder / "agnews_small" / "train.csv")[0]
    return [found[i] for i in np.random.default_rng(0).permutation(len(found))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/results/speed/text_size.json"))
    args = parser.parse_args()
    every, found = corpus(args.data), []
    for size in SIZES:
        began = time.process_time()
        trained = train.train(every[:size], threads=1, quiet=True)
        seconds = time.process_time() - began
        found.append({
            "rows": size, "cpu_seconds": round(seconds, 1), "ms_per_row": round(1000 * seconds / size, 2),
            "epochs": trained.metrics[-1]["epoch"], "at_most": trained.plan.config.train.epochs,
            "steps": trained.metrics[-1]["step"], "kept": trained.kept,
        })  # fmt: skip
        print(found[-1], flush=True)
    files.write_json(args.out, machine() | {"sizes": found})


if __name__ == "__main__":
    main()
