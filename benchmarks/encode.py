"""Sentences per second from strings to vectors, beside sentence-transformers' StaticEmbedding and TF-IDF.

    python benchmarks/encode.py ../shared/data [--out docs/results/speed/encode.json]

DATA holds multi30k/train.csv, whose English column is taken, and sst2/train.csv: 35,920 sentences. `nearfar` is `encode`
of the default encoder of texts (static, hashed words and n-grams), and of the same with byte pairs; StaticEmbedding has
random weights of the same dimensions, byte pairs learnt on the same sentences, and gives unit vectors too, at its default
of 32 rows a batch and at 1,024. TF-IDF is fitted on the same sentences beforehand. What is fitted or trained does not
change how long encoding takes. Each number of threads has a process of its own that may use so many cores; in it blocks of
all take turns, a block is all sentences once, and the ratio is the median over the blocks. "new words" is nearfar with an
empty memory of words.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

DIMENSIONS, PIECES, BATCH = (256, 512), 8000, 1024


def sentences(data: Path) -> list[str]:
    """The texts, in their order."""
    import pyarrow.csv as csv

    parse, found = csv.ParseOptions(newlines_in_values=True), []
    for file, column in (("multi30k/train.csv", "en"), ("sst2/train.csv", "text")):
        found += csv.read_csv(data / file, parse_options=parse)[column].to_pylist()
    return found


def ours(texts: list[str], dim: int, tokens: str) -> Callable[[], Any]:
    """What encodes with nearfar, with random weights too."""
    from nearfar.core.config import assemble
    from nearfar.models import branches
    from nearfar.models.embedder import Embedder
    from nearfar.training import train

    config, _ = assemble(None, (), method="random", encoder="static", tokens=tokens, fixed="none", encoder_options={"dim": dim})
    plan = train.plan(config, source=texts)
    model = Embedder(plan.config, plan.table.kinds, branches.fresh(plan.config, plan.table.kinds))
    assert model.encode(texts[:2]).shape == (2, dim)
    return lambda: model.encode(texts)


def peer(texts: list[str], dim: int, batch: int) -> Callable[[], Any]:
    """What encodes with StaticEmbedding."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=dim)], device="cpu")
    assert model.encode(texts[:2]).shape == (2, dim)
    return lambda: model.encode(texts, batch_size=batch, normalize_embeddings=True, show_progress_bar=False)


def tfidf(texts: list[str], **options: Any) -> Callable[[], Any]:
    """What counts with scikit-learn; its vectors are sparse."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    fitted = TfidfVectorizer(**options).fit(texts)
    return lambda: fitted.transform(texts)


def forgotten(encode: Callable[[], Any]) -> Callable[[], Any]:
    """The same with no word known."""
    from nearfar.modalities.text.tokenisers import hashed

    def run() -> Any:
        hashed.forget()
        return encode()

    return run


def measure(data: Path, threads: int, blocks: int) -> dict[str, Any]:
    """Rates of all, in this process, on so many cores."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    os.sched_setaffinity(0, cores)
    import torch

    torch.set_num_threads(threads)
    texts = sentences(data)
    ways: dict[str, Callable[[], Any]] = {}
    for dim in DIMENSIONS:
        ways[f"nearfar, {dim}"] = ours(texts, dim, "hashed")
        ways[f"StaticEmbedding, {dim}"] = peer(texts, dim, BATCH)
    ways[f"nearfar, {dim}, new words"] = forgotten(ways[f"nearfar, {dim}"])
    ways[f"nearfar, {dim}, byte pairs"] = ours(texts, dim, f"bpe:{PIECES}")
    ways[f"StaticEmbedding, {dim}, its default batch"] = peer(texts, dim, 32)
    ways["TF-IDF, words"] = tfidf(texts)
    ways["TF-IDF, char_wb 3–5"] = tfidf(texts, analyzer="char_wb", ngram_range=(3, 5))
    clocks = {"wall": time.perf_counter, "processor": time.process_time}
    seconds: dict[str, dict[str, list[float]]] = {c: {name: [] for name in ways} for c in clocks}
    for block in range(blocks + 1):
        for name, encode in ways.items():
            began = {c: clock() for c, clock in clocks.items()}
            encode()
            if block:  # the first is a warm-up
                for c, clock in clocks.items():
                    seconds[c][name].append(clock() - began[c])
    return {"sentences": len(texts), "load": os.getloadavg()[0]} | {
        clock: {
            "per_second": {name: len(texts) / statistics.median(s) for name, s in of.items()},
            "seconds": of, "ratios": ratios(of),
        } for clock, of in seconds.items()
    }  # fmt: skip


def ratios(seconds: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """How many times the peer's rate each of ours has, of equal dimensions: median over blocks, least and most."""
    found = {}
    for name, own in seconds.items():
        if name.startswith("nearfar"):
            dim = next(d for d in DIMENSIONS if f", {d}" in name)
            by = [p / s for s, p in zip(own, seconds[f"StaticEmbedding, {dim}"], strict=True)]
            found[name] = {"median": statistics.median(by), "least": min(by), "most": max(by)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--threads", type=int, help="Measure here, with so many; by default 1 and 2, each apart.")
    args = parser.parse_args()
    if args.threads:
        print(json.dumps(measure(args.data, args.threads, args.blocks)))
        return
    found: dict[str, Any] = {"command": "python " + " ".join(sys.argv)}
    for threads in (1, 2):
        own = {"OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true",
               "OMP_WAIT_POLICY": "passive"}  # fmt: skip
        command = [sys.executable, __file__, str(args.data), "--threads", str(threads), "--blocks", str(args.blocks)]
        child = subprocess.run(command, env=os.environ | own, stdout=subprocess.PIPE, check=True)
        found[f"{threads} thread{'s' if threads > 1 else ''}"] = json.loads(child.stdout.splitlines()[-1])
    found |= about()
    for threads in ("1 thread", "2 threads"):
        for clock in ("wall", "processor"):
            of = found[threads][clock]
            for name, rate in of["per_second"].items():
                print(threads, clock, f"{name:40} {rate:10,.0f}", of["ratios"].get(name, {}).get("median", ""))
    if args.out:
        from nearfar.core import files

        args.out.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(args.out, found)


def about() -> dict[str, Any]:
    import sentence_transformers
    import sklearn
    import tokenizers
    import torch

    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}",
        "torch": torch.__version__, "sentence_transformers": sentence_transformers.__version__,
        "scikit_learn": sklearn.__version__, "tokenizers": tokenizers.__version__,
    }  # fmt: skip


if __name__ == "__main__":
    main()
