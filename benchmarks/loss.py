"""NT-Xent forward and backward at 4,096 pairs: our tiles beside the plain N×N form, and lightly's where installed.

    python benchmarks/loss.py [--out docs/results/speed/loss.json]

The same embeddings (4,096 pairs, 128 dimensions, float32) for all; they take turns; medians of 7 rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from nearfar import files
from nearfar.objectives.info_nce import info_nce
from nearfar.objectives.relation import Relation

PAIRS, DIM, TAU = 4096, 128, 0.2


def eager(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    z = F.normalize(torch.cat((a, b)), dim=1)
    s = (z @ z.T / TAU).masked_fill(torch.eye(2 * len(a), dtype=torch.bool), -torch.inf)
    return F.cross_entropy(s, (torch.arange(2 * len(a)) + len(a)) % (2 * len(a)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    torch.manual_seed(0)
    a, b = (torch.randn(PAIRS, DIM, requires_grad=True) for _ in range(2))
    relation = Relation(torch.arange(PAIRS))
    contestants = {"ours": lambda: info_nce([a, b], relation, temperature=TAU)[0], "eager": lambda: eager(a, b)}
    try:
        from lightly.loss import NTXentLoss

        theirs = NTXentLoss(temperature=TAU)
        contestants["lightly"] = lambda: theirs(a, b)
    except ImportError:
        pass
    values, times = {}, {name: [] for name in contestants}
    for i in range(args.rounds + 1):
        for name, function in contestants.items():
            a.grad = b.grad = None
            began = time.perf_counter()
            loss = function()
            loss.backward()
            if i:
                times[name].append(time.perf_counter() - began)
            values[name] = (float(loss.detach()), a.grad.clone())
    gap = max(float((g - values["ours"][1]).norm() / g.norm()) for _, g in values.values())
    seconds = {k: statistics.median(v) for k, v in times.items()}
    found = {
        "claim": "seconds of the eager form / ours", "command": "python " + " ".join(sys.argv), "pairs": PAIRS,
        "dimensions": DIM, "seconds": seconds, "ratio": seconds["eager"] / seconds["ours"],
        "largest relative gap of a gradient": gap, "rounds": args.rounds, "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }  # fmt: skip
    print(json.dumps(found, indent=2))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(args.out, found)


if __name__ == "__main__":
    main()
