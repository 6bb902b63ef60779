"""Pretrained models: how fast they encode beside their own libraries, and what a second verb on the same rows takes.

    OMP_NUM_THREADS=1 python benchmarks/encode_once.py DATA MODELS [--out docs/results/pretrained/encode.json]

DATA holds trec, agnews_small and clothing_small, MODELS minilm (a sentence-transformers folder) and
efficientnet_lite0/model.safetensors. One thread.

**Rates**: the first texts of each training split through MiniLM, by nearfar with and without bfloat16 and by
sentence-transformers' own `encode` at its default of 32 rows a batch; pictures through EfficientNet-Lite0, by nearfar
and by timm's bare network, 32 at a time. All take turns; a rate is the median over the rounds, in rows per processor second, and
`difference` is the largest one between numbers of unit vectors. Nothing is kept.

**Verbs**: `nearfar eval` and `nearfar classify` as a user types them, twice with an empty folder of kept vectors at the
start; `start` is a process that opens the same model and encodes one row. `beyond` is what the second one takes more than that.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from written import machine

TEXTS = {"trec": 500, "agnews_small": 200}
PICTURES = 64
TIMM = "tf_efficientnet_lite0"


def rates(ways: dict[str, Callable[[], np.ndarray]], rows: int, peer: str, rounds: int) -> dict[str, Any]:
    """Rows per processor second of all, which take turns, and how far their vectors are from the peer's."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    vectors = {}
    for turn in range(rounds + 1):
        for name, encode in ways.items():
            began = time.process_time()
            vectors[name] = encode()
            if turn:  # the first is a warm-up
                seconds[name].append(time.process_time() - began)
    per_second = {name: rows / statistics.median(s) for name, s in seconds.items()}
    return {
        "rows": rows, "per_second": per_second, "seconds": seconds,
        "ratio": {name: rate / per_second[peer] for name, rate in per_second.items()},
        "difference": {name: float(np.abs(z - vectors[peer]).max()) for name, z in vectors.items()},
    }  # fmt: skip


def of_texts(file: Path, count: int, folder: Path, rounds: int) -> dict[str, Any]:
    """MiniLM on the first texts of a set."""
    from sentence_transformers import SentenceTransformer

    import nearfar

    with open(file, encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))[:count]
    texts = [" ".join(r[c] for c in ("title", "text") if r.get(c)) for r in rows]
    theirs = SentenceTransformer(str(folder), device="cpu")
    ours, short = (nearfar.load(folder, "cpu", False, precision) for precision in (None, "bf16"))
    return rates({
        "sentence-transformers": lambda: theirs.encode(texts, normalize_embeddings=True, show_progress_bar=False),
        "nearfar": lambda: ours.encode(texts),
        "nearfar, bf16": lambda: short.encode(texts),
    }, len(texts), "sentence-transformers", rounds)  # fmt: skip


def of_pictures(file: Path, weights: Path, rounds: int) -> dict[str, Any]:
    """EfficientNet-Lite0 on the first pictures of a set."""
    import pyarrow.parquet as parquet
    import timm
    import torch
    from PIL import Image
    from safetensors.torch import load_file

    import nearfar

    cells = parquet.read_table(file)["image"].to_pylist()[:PICTURES]
    pictures = [Image.open(io.BytesIO(c["bytes"])).convert("RGB") for c in cells]
    net = timm.create_model(TIMM, num_classes=0)
    net.load_state_dict(load_file(weights), strict=False)  # the file has the head of the classes too
    net = net.eval().to(memory_format=torch.channels_last)
    ready = timm.data.create_transform(**timm.data.resolve_data_config({}, model=net))
    prepared = torch.stack([ready(p) for p in pictures])

    def theirs() -> np.ndarray:
        with torch.inference_mode():
            z = torch.cat([net(part.contiguous(memory_format=torch.channels_last)) for part in prepared.split(32)])
        return torch.nn.functional.normalize(z, dim=1).numpy()

    ways: dict[str, Callable[[], np.ndarray]] = {"timm": theirs}
    for name, precision in (("nearfar", None), ("nearfar, bf16", "bf16")):
        model = nearfar.load(f"timm:{TIMM}@{weights}", "cpu", False, precision)
        column = model.read(pictures).first
        ways[name] = lambda m=model, c=column: m.features(c, np.arange(len(c)), normalize=True)
    return rates(ways, len(pictures), "timm", rounds)


def timed(command: list[str], home: Path) -> dict[str, float]:
    """Seconds of a command, on the clock and of the processor."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=os.environ | {"NEARFAR_HOME": str(home)}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": time.perf_counter() - began, "processor": used}


def of_verbs(word: str, data: Path, label: str, one: Path) -> dict[str, Any]:
    """Two times each verb on a set with a pretrained model."""
    python, found = [sys.executable, "-m", "nearfar"], {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        open_it = f"import nearfar; nearfar.load({word!r}).encode({str(one)!r})"
        start = [timed([sys.executable, "-c", open_it], home) for _ in range(3)]
        found["start"] = {clock: statistics.median(s[clock] for s in start) for clock in start[0]}
        for verb, more in (
            ("eval", [word, "--on", str(data), "--label", label]),
            ("classify", [word, str(data), "--label", label]),
        ):
            runs = [timed([*python, verb, *more], home) for _ in range(2)]
            beyond = {clock: runs[1][clock] - found["start"][clock] for clock in runs[1]}
            found[verb] = {"first": runs[0], "second": runs[1], "beyond": beyond, "command": " ".join([verb, *more])}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", choices=["rates", "verbs"], help="Measure this part alone; the other stays in --out.")
    args = parser.parse_args()
    import torch

    from nearfar.core import files

    torch.set_num_threads(1)
    found = json.loads(args.out.read_text()) if args.only and args.out.exists() else {}
    minilm, weights = args.models / "minilm", args.models / "efficientnet_lite0" / "model.safetensors"
    if args.only != "verbs":
        found["rates"] = {
            name: of_texts(args.data / name / "train.csv", n, minilm, args.rounds) for name, n in TEXTS.items()
        }
        found["rates"]["clothing_small"] = of_pictures(args.data / "clothing_small/train.parquet", weights, args.rounds)
        found["rates"]["about"] = machine()
    if args.only != "rates":
        with tempfile.TemporaryDirectory() as folder:
            text, picture = Path(folder) / "one.csv", Path(folder) / "one.png"
            text.write_text("text\na question of a few words\n")
            from PIL import Image

            Image.new("RGB", (224, 224)).save(picture)
            found["verbs"] = {
                "trec": of_verbs(str(minilm), args.data / "trec", "label", text),
                "clothing_small": of_verbs(f"timm:{TIMM}@{weights}", args.data / "clothing_small", "label", picture),
                "about": machine(),
            }  # fmt: skip
    print(json.dumps(found, indent=1))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(args.out, found)


if __name__ == "__main__":
    main()
