"""Images per second of SimCLR training beside lightly: same network, batch and device, in one run.

    pip install 'nearfar[bench]'
    python benchmarks/lightly_peer.py DATA [--out docs/results/speed/lightly.json]

DATA is CIFAR-10 as for benchmarks/cifar10.py. lightly runs its SimCLR transform (32 pixels, no blur), a torch
DataLoader over PIL images and its NTXentLoss, which is its documented way. Two comparisons: both in fp32, and each at
its defaults (ours: bf16 and channels last where the hardware has them). Blocks of either take turns.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from nearfar.core import files
from nearfar.core.config import assemble
from nearfar.core.console import QUIET
from nearfar.training.distributed import World
from nearfar.training.plan.prepare import prepare
from nearfar.training.plan.warm_start import make_learner
from nearfar.training.trainer import Trainer

ROWS, BATCH = 10_000, 256


class Pictures(Dataset):
    def __init__(self, values, transform) -> None:
        self.values, self.transform = values, transform

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, i: int):
        return self.transform(Image.fromarray(self.values[i].transpose(1, 2, 0)))


def peer_steps(plan, workers: int) -> Iterator[None]:
    """One training step of lightly's after the other."""
    from lightly.loss import NTXentLoss
    from lightly.transforms import SimCLRTransform

    torch.manual_seed(0)
    branch = make_learner(plan, World()).branches["image"]
    loss_function = NTXentLoss(temperature=0.2)
    optimizer = torch.optim.AdamW(branch.parameters(), lr=1e-3)
    values = plan.table.first.values[plan.train]
    data = Pictures(values, SimCLRTransform(input_size=32, gaussian_blur=0.0))
    loader = DataLoader(data, BATCH, shuffle=True, drop_last=True, num_workers=workers)
    while True:
        for views in loader:
            optimizer.zero_grad()
            loss = loss_function(branch(views[0])[1], branch(views[1])[1])
            loss.backward()
            optimizer.step()
            yield


def our_steps(plan) -> Iterator[None]:
    trainer = Trainer(plan, None, QUIET)
    trainer.learner.train()
    epoch = 0
    while True:
        order = trainer.sampler.order(epoch)
        for i in range(trainer.sampler.steps_per_epoch):
            trainer.step(trainer.sampler.batch(epoch, i, order), epoch, i)
            yield
        epoch += 1


def rate(make: Callable[[], Iterator[None]], count: int) -> float:
    """Images per second over a block; begun anew each time, so that no worker prefetches during another's block."""
    steps = make()
    next(steps)
    began = time.perf_counter()
    for _ in range(count):
        next(steps)
    found = count * BATCH / (time.perf_counter() - began)
    steps.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    args = parser.parse_args()

    def plan(precision: str):
        config, _ = assemble(
            None, (f"train.precision={precision}",), source=args.data, limit=ROWS, batch_size=BATCH, epochs=100
        )
        return prepare(config, console=QUIET)

    auto, fp32 = plan("auto"), plan("fp32")
    contestants = {
        "ours, defaults": lambda: our_steps(auto), "ours, fp32": lambda: our_steps(fp32),
        "lightly, main process": lambda: peer_steps(fp32, 0),
        f"lightly, {args.workers} workers": lambda: peer_steps(fp32, args.workers),
    }  # fmt: skip
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for block in range(args.blocks + 1):
        for name, steps in contestants.items():
            found = rate(steps, args.steps)
            if block:
                rates[name].append(found)
    median = {k: statistics.median(v) for k, v in rates.items()}
    best = max(v for k, v in median.items() if k.startswith("lightly"))
    result = {
        "claim": "images per second, ours at defaults / lightly's best >= 2.5", "command": "python " + " ".join(sys.argv),
        "images_per_second": median, "ratio_defaults": median["ours, defaults"] / best, "ratio_fp32": median["ours, fp32"] / best,
        "blocks": args.blocks, "steps": args.steps, "batch": BATCH, "lightly": importlib.metadata.version("lightly"),
        "torch": torch.__version__, "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }  # fmt: skip
    print(json.dumps(result, indent=2))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(args.out, result)


if __name__ == "__main__":
    main()
