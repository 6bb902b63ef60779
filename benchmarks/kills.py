"""Trainings of every method and modality, and verbs that write, killed at random instants and gone on with.

    python benchmarks/kills.py [--seed 0] [--kills 200] [--out docs/results/reliability/kills.json]

A kill is SIGKILL at a drawn operation of the training's start, of a step, of a line of metrics, of a checkpoint
(within the write, too) or of its end, or at an instant of the clock; of several processes it hits one, or that which
started them. Afterwards the same is said again, and everything that was written is compared with what an undisturbed
process wrote: weights byte for byte. The same walk is tests/faults/test_random_kills.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from written import machine

sys.path.insert(0, str(Path(__file__).parents[1]))  # the trainings are those of the tests

from tests.faults.random_kills import House, chosen

from nearfar.core import files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    by: dict[str, Counter[str]] = {what: Counter() for what in ("method", "modality", "place", "training")}
    wrong, began = {}, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))
        for name, kills in chosen(args.seed, args.kills):
            found = house.killed(name, kills, np.random.default_rng([args.seed, *name.encode()]))
            print(found, flush=True)
            if found.differences:
                wrong[name] = found.differences
            for instant in found.instants:
                by["method"][found.training.method] += 1
                by["modality"][found.training.modality] += 1
                by["place"][instant.place] += 1
                by["training"][name] += 1
    found = machine() | {
        "seed": args.seed, "kills": by["place"].total(), "trainings": len(by["training"]), "different": len(wrong),
        "wrong": wrong, "by": {what: dict(sorted(count.items())) for what, count in by.items() if what != "training"},
        "seconds": round(time.perf_counter() - began),
    }  # fmt: skip
    print(found)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(args.out, found)


if __name__ == "__main__":
    main()
