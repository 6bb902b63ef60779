"""How far mirrored pictures are from the others of a set, and how long it takes to see it: src/nearfar/training/plan/mirroring.py.

    OMP_NUM_THREADS=1 python benchmarks/mirrored.py DATA --out docs/results/pictures/mirrored.json

Training rows alone, 2,000 at most: as they are, 300 of them, and, as a control, with half of them mirrored at random.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from written import machine

from nearfar.core import files
from nearfar.core.registry import MODALITIES
from nearfar.data.read import read
from nearfar.downstream import demo
from nearfar.training.plan.mirroring import ASKED, HANDED, ROWS, handed

SETS = ("cifar10", "nlvr_captions", "clothing_small", "twemoji_captions", "mnist", "orl_faces", "digits")
FEW = 300


def pictures(folder: Path, name: str) -> torch.Tensor:
    """Pictures of a set as an encoder takes them, (N, C, S, S)."""
    table = read(demo.digits()["train"]) if name == "digits" else read(
        str(folder / name / "train.parquet"), column=("image",), limit=ROWS
    )  # fmt: skip
    column = table.first
    return MODALITIES.get("image").neutral(*column.take(np.arange(len(table)), "cpu"), column.spec)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/results/pictures/mirrored.json"))
    args = parser.parse_args()
    found = {}
    for name in SETS:
        x = pictures(args.data, name)
        began = time.process_time()
        share = handed(x)
        seconds = time.process_time() - began
        some = torch.rand(len(x), generator=torch.Generator().manual_seed(0)) < 0.5
        control = torch.where(some[:, None, None, None], x.flip(-1), x)
        found[name] = {
            "rows": len(x), "share": round(share, 3), "few": round(handed(x[:FEW]), 3),
            "control": round(handed(control), 3), "cpu_seconds": round(seconds, 2),
        }  # fmt: skip
        print(name, found[name], flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(args.out, machine() | {"few": FEW, "asked": ASKED, "handed": HANDED, "found": found})


if __name__ == "__main__":
    main()
