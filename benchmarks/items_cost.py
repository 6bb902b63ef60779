"""What a training step costs by the number of items: time, and memory beside the table.

    OMP_NUM_THREADS=1 python benchmarks/items_cost.py --out docs/results/items_cost.json

100,000 users with 50 items each on average, both drawn by power laws; encoder `history` of 64 dimensions, method
`mult_dae`, batches of 256 users. Of more than 16,384 items so many are drawn in a step. Sizes take turns in one run, each
in a process of its own, so that the peak of memory is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from nearfar.core import files
from nearfar.core.randomness import generator
from nearfar.encoders.ids.history import History
from nearfar.methods import record
from nearfar.methods.embeddings import View, ViewBatch
from nearfar.modalities import ids
from nearfar.objectives.kernel.relation import Relation
from nearfar.training import optim
from nearfar.training.distributed import World
from nearfar.training.learner import Learner
from nearfar.transforms.draws import Draws
from nearfar.transforms.frame import role
from nearfar.transforms.recipes import RECIPES

SIZES = (10_000, 100_000, 1_000_000)
USERS, EVENTS, DIM, BATCH, STEPS = 100_000, 50, 64, 256, 30


def histories(items: int) -> torch.Tensor:
    """Events of all users, int32 (USERS, L, 2): item i is taken about as often as 1/(i + 10)."""
    random = np.random.default_rng(0)
    lengths = np.clip((random.pareto(1.5, USERS) + 1) * EVENTS / 3, 5, 400).astype(int)
    shares = np.cumsum(1 / (np.arange(items) + 10.0))
    values = np.zeros((USERS, lengths.max(), 2), np.int32)
    place = np.arange(lengths.max()) < lengths[:, None]
    drawn = np.searchsorted(shares, random.random(int(lengths.sum())) * shares[-1])
    values[place] = np.stack([np.minimum(drawn, items - 1) + 1, np.full(len(drawn), ids.UNIT)], 1)
    return torch.from_numpy(values)


def memory() -> float:
    """The most that this process has taken so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(items: int) -> dict[str, float]:
    """Median seconds of a step; MiB of the table and its moments, and of all else at its peak, the data among it."""
    torch.manual_seed(0)
    x = histories(items)
    encoder = History(items=items, dim=DIM)
    super(History, encoder).setup(x)  # counts alone: the start takes part in no step
    learner = Learner(record.resolve("mult_dae"), {"items": encoder}, World()).train()
    optimizer = optim.build(learner, "adamw", 1e-3, 0.0)
    seconds = []
    for step in range(STEPS):
        rows = torch.randint(USERS, (BATCH,), generator=generator(0, "rows", step))
        start = time.perf_counter()
        views = []
        for i, recipe in enumerate(RECIPES["items"]):
            draws = Draws(generator(0, step, i), BATCH, common=generator(0, step))
            views.append(View(ids.views(x[rows], None, recipe, draws, {}), "items", role(recipe)))
        optimizer.zero_grad(set_to_none=True)
        learner(ViewBatch(tuple(views), Relation(torch.arange(BATCH)), step=step))[0].backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    tables = 3 * encoder.items.numel() * 4 / 2**20  # with the two moments of AdamW
    return {"seconds": float(np.median(seconds[5:])), "tables_mib": tables, "beside_mib": memory() - tables}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--items", type=int)
    asked = parser.parse_args()
    if asked.items:
        print(json.dumps(measured(asked.items)))
        return
    runs: dict[str, list[dict[str, float]]] = {str(n): [] for n in SIZES}
    for _ in range(2):
        for n in SIZES:
            command = [sys.executable, __file__, "--items", str(n)]
            made = subprocess.run(command, capture_output=True, text=True, check=True)
            runs[str(n)].append(json.loads(made.stdout))
            print(n, runs[str(n)][-1], flush=True)
    middle = {n: {k: float(np.median([r[k] for r in own])) for k in own[0]} for n, own in runs.items()}
    base = middle[str(SIZES[1])]["seconds"]
    found = {"users": USERS, "dim": DIM, "batch": BATCH, "steps": STEPS, "drawn": 16384,
             "items": {n: m | {"of_100000": m["seconds"] / base} for n, m in middle.items()}}  # fmt: skip
    if asked.out:
        files.write_text(asked.out, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
