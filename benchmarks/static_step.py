"""Rows per second of training a table of words, beside sentence-transformers' StaticEmbedding.

    OMP_NUM_THREADS=1 python benchmarks/static_step.py ../shared/data [--out docs/results/speed/static_step.json]

DATA holds multi30k/train.csv, whose English column is taken, and sst2/train.csv. Both have a table of 65,536 rows of 512
dimensions, batches of 256 texts and two views of each, softmax over the batch and AdamW. `nearfar` is a whole step of
`simcse` (random parts of each text, decoded before, fixed features aside); "all rows" is the same where all rows of the
table are trained. StaticEmbedding has MultipleNegativesRankingLoss and fused AdamW; "its own tokens" are byte pairs,
which are tokenised in the step as its collator does, "our ids" those that nearfar's step has (both views are the whole
text), ready beforehand. One thread; blocks of steps of all take turns, and the first block is a warm-up.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from encode import PIECES, sentences
from written import machine

from nearfar.core import files
from nearfar.core.config import assemble
from nearfar.core.console import QUIET
from nearfar.training import allocator, narrowing
from nearfar.training.plan.prepare import Plan, prepare
from nearfar.training.trainer import Trainer

BLOCKS, STEPS, BATCH, TABLE, DIM = 7, 10, 256, 65_536, 512


def ours(plan: Plan, *, all_rows: bool = False) -> tuple[Callable[[int], Any], int]:
    """What makes a step, and how many rows are trained."""
    narrow = narrowing.narrow
    if all_rows:
        narrowing.narrow = lambda *_: None
    trainer = Trainer(plan, None, QUIET)
    narrowing.narrow = narrow
    trainer.learner.train()
    order = trainer.sampler.order(0)
    rows = len(next(iter(trainer.learner.branches.values())).encoder.vectors)
    return lambda i: trainer.step(trainer.sampler.batch(0, i, order), 0, i), rows


def peer(texts: list[str], ids: np.ndarray | None) -> Callable[[int], Any]:
    """A step of StaticEmbedding, with its own tokens or with these ids (N, L)."""
    from sentence_transformers import SentenceTransformer, losses
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(texts, trainer)
    table = np.random.default_rng(0).normal(size=(TABLE, DIM)).astype(np.float32)
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=table)], device="cpu")
    loss = losses.MultipleNegativesRankingLoss(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.0, fused=True)

    def features(rows: np.ndarray) -> dict[str, torch.Tensor]:
        if ids is None:
            return model.preprocess([texts[r] for r in rows])
        own = torch.from_numpy(np.abs(ids[rows])).long()
        counts = (own != 0).sum(1)
        return {"input_ids": own[own != 0] - 1, "offsets": counts.cumsum(0) - counts}

    def step(i: int) -> None:
        rows = np.arange(i * BATCH, (i + 1) * BATCH) % len(texts)
        optimizer.zero_grad()
        loss([features(rows), features(rows)], None).backward()
        optimizer.step()

    model.train()
    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    texts = sentences(args.data)
    config, _ = assemble(
        None, (), method="simcse", encoder="static", batch_size=BATCH, epochs=1, holdout=0.0, threads=1, precision="fp32"
    )
    plan = prepare(config, texts, console=QUIET)
    narrow, trained = ours(plan)
    ids = next(iter(plan.columns.values())).values
    ways = {
        "nearfar": narrow, "nearfar, all rows": ours(plan, all_rows=True)[0],
        "StaticEmbedding, its own tokens": peer(texts, None), "StaticEmbedding, our ids": peer(texts, ids),
    }  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with allocator.kept():  # as training does; the peer gains by it too
        for block in range(BLOCKS + 1):
            for name, step in ways.items():
                began = time.perf_counter()
                for i in range(block * STEPS, (block + 1) * STEPS):
                    step(i)
                if block:
                    seconds[name].append((time.perf_counter() - began) / STEPS)
    rates = {name: BATCH / statistics.median(s) for name, s in seconds.items()}
    ratios = {
        name: [p / o for o, p in zip(seconds["nearfar"], seconds[name], strict=True)]
        for name in ways if name != "nearfar"
    }  # fmt: skip
    found = machine() | {
        "claim": "rows per second / StaticEmbedding >= 1", "rows_per_second": rates,
        "ratio": {name: [min(r), statistics.median(r), max(r)] for name, r in ratios.items()},
        "rows_trained": trained, "texts": len(texts), "blocks": BLOCKS, "steps": STEPS, "batch": BATCH,
    }  # fmt: skip
    print(found)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(args.out, found)


if __name__ == "__main__":
    main()
