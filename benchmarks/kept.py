"""What it is worth that freed memory stays with the process, in a step over a table of 65,536 words.

    OMP_NUM_THREADS=1 python benchmarks/kept.py [--out docs/results/speed/kept.json]

Steps of `simcse` with the encoder `static` (512 dimensions) on made-up texts, 256 rows. Blocks of 10 steps with
`nearfar.training.allocator.kept` and without take turns; medians of 7 blocks.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from written import machine

from nearfar.core import files
from nearfar.core.config import assemble
from nearfar.core.console import QUIET
from nearfar.training import allocator
from nearfar.training.plan.prepare import prepare
from nearfar.training.trainer import Trainer

BLOCKS, STEPS, ROWS = 7, 10, 2560
WAYS = {"kept": allocator.kept, "returned": nullcontext}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    drawn = np.random.default_rng(0)
    words = np.array(["".join(map(chr, w)) for w in drawn.integers(97, 123, (20_000, 7))])
    texts = [" ".join(words[drawn.zipf(1.3, 20) % len(words)]) for _ in range(ROWS)]
    config, _ = assemble(None, (), batch_size=256, epochs=100, holdout=0.0, threads=1, fixed="none")
    trainer = Trainer(prepare(config, texts, console=QUIET), None, QUIET)
    trainer.learner.train()
    order = trainer.sampler.order(0)
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for block in range(BLOCKS + 1):
        for name, way in WAYS.items():
            with way():
                began = time.perf_counter()
                for i in range(STEPS):
                    trainer.step(trainer.sampler.batch(0, i, order), 0, i)
                if block:  # the first is a warm-up
                    seconds[name].append((time.perf_counter() - began) / STEPS)
    median = {name: statistics.median(s) for name, s in seconds.items()}
    ratios = [r / k for k, r in zip(seconds["kept"], seconds["returned"], strict=True)]
    found = machine() | {
        "seconds": median, "ratio": median["returned"] / median["kept"], "ratio_by_block": [min(ratios), max(ratios)],
        "blocks": BLOCKS, "steps": STEPS, "threads": torch.get_num_threads(),
    }  # fmt: skip
    print(found)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(args.out, found)


if __name__ == "__main__":
    main()
