"""Whether five small trainings still give the same weights, to the bit: what a change of the house must not change.

    OMP_NUM_THREADS=1 python benchmarks/five_runs.py [--write]

SimCLR, MoCo v2 and SwAV on scikit-learn's digits, CLIP on pairs of short texts, and cross entropy on short texts; two
epochs each, one thread, float32. The SHA-256 of the tensors of each model is compared with docs/results/five_runs.json,
or written there. Bits depend on the processor and on torch, which the file names: on another machine write it first, with
the state that is to be compared with.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

from written import machine

from nearfar.core import files
from nearfar.downstream import demo
from nearfar.training import train

OUT = Path(__file__).parents[1] / "docs" / "results" / "five_runs.json"
COMMON: dict[str, Any] = {
    "epochs": 2, "batch_size": 64, "threads": 1, "precision": "fp32", "seed": 0, "quiet": True, "select": "last",
}  # fmt: skip
NARROW = {"encoder_options": {"widths": [8, 16, 32, 64]}, "size": 16}
WORDS = ("red", "green", "blue", "old", "new", "small"), ("car", "house", "tree", "dog"), ("runs", "stands", "grows", "sleeps")
TEXTS = [f"a {a} {b} {c}" for a in WORDS[0] for b in WORDS[1] for c in WORDS[2]]


def trainings() -> dict[str, dict[str, Any]]:
    """What is trained, by method."""
    pictures = {"data": tuple(a[:512] for a in demo.digits()["train"]), **NARROW}
    pairs = {"first": TEXTS, "second": [f"{t} again, {len(t)}" for t in TEXTS]}
    return {
        **{name: {"method": name, **pictures} for name in ("simclr", "moco_v2", "swav")},
        "clip": {"method": "clip", "data": pairs, "column": ("first", "second"), "batch_size": 32},
        "supervised": {"method": "supervised", "data": (TEXTS, [t.split()[1] for t in TEXTS]), "batch_size": 32},
    }


def sha256(model: Any) -> str:
    """Of the names, shapes and bytes of all tensors of a model."""
    found = hashlib.sha256()
    for name, tensor in sorted(model.tensors().items()):
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="Write the hashes instead of comparing with them.")
    args = parser.parse_args()
    found = {}
    for name, given in trainings().items():
        knobs = COMMON | {k: v for k, v in given.items() if k != "data"}
        found[name] = sha256(train.train(given["data"], **knobs).model)
        print(name, found[name], flush=True)
    if args.write:
        files.write_json(OUT, machine() | {"sha256": found})
        return
    before = json.loads(OUT.read_text(encoding="utf-8"))["sha256"]
    if changed := [name for name in found if found[name] != before.get(name)]:
        raise SystemExit(f"other weights than before: {', '.join(changed)}")
    print("the same weights as before")


if __name__ == "__main__":
    main()
