"""What a whole training step costs beside the bare network.

    python benchmarks/step.py [--out docs/results/speed/step.json]

Claim: views, objective, optimiser and bookkeeping together add at most 8 % to the forward and backward pass of
encoder and projector over the same two views (default network, 256 rows of 32×32, default precision and memory format).
Blocks of 20 steps of either kind take turns; medians of 7 blocks.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

from nearfar.core import devices, files
from nearfar.core.config import assemble
from nearfar.core.console import QUIET
from nearfar.training.plan.prepare import prepare
from nearfar.training.trainer import Trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--method", default="simclr")
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    images = np.random.default_rng(0).integers(0, 256, (5120, 32, 32, 3), dtype=np.uint8)
    config, _ = assemble(None, (), method=args.method, batch_size=256, epochs=100, holdout=0.0)
    trainer = Trainer(prepare(config, images, console=QUIET), None, QUIET)
    trainer.learner.train()
    order = trainer.sampler.order(0)
    batch = trainer.viewer.batch(order[:256], 0, 0)
    both = torch.cat([v.values for v in batch.views]).contiguous(memory_format=torch.channels_last)
    branch, device, precision = trainer.learner.branches["x"], trainer.device, trainer.config.train.precision

    def bare(_: int) -> None:
        for p in trainer.parameters:
            p.grad = None
        with devices.autocast(device, precision):
            z = branch(both)[1]
        z.float().sum().backward()

    def whole(i: int) -> None:
        trainer.step(trainer.sampler.batch(0, i, order), 0, i)

    times: dict[str, list[float]] = {"bare": [], "whole": []}
    for block in range(args.blocks + 1):
        for name, function in (("bare", bare), ("whole", whole)):
            began = time.perf_counter()
            for i in range(args.steps):
                function(i)
            if block:  # the first is a warm-up
                times[name].append((time.perf_counter() - began) / args.steps)
    median = {k: statistics.median(v) for k, v in times.items()}
    ratios = [w / b for w, b in zip(times["whole"], times["bare"], strict=True)]
    found = {
        "claim": "whole step / bare forward+backward <= 1.08", "command": "python " + " ".join(sys.argv),
        "ours_seconds": median["whole"], "peer_seconds": median["bare"], "ratio": median["whole"] / median["bare"],
        "ratio_by_block": [min(ratios), statistics.median(ratios), max(ratios)], "blocks": args.blocks,
        "steps": args.steps, "method": args.method, "precision": precision, "threads": torch.get_num_threads(),
        "machine": platform.machine(), "torch": torch.__version__,
    }  # fmt: skip
    print(json.dumps(found, indent=2))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(args.out, found)


if __name__ == "__main__":
    main()
