"""Vectors per second of one model by several engines on one thread, and what int8 costs.

    python benchmarks/engines.py ../shared/data MODELS [--peer COMMAND] [--out docs/results/pretrained/engines.json]

DATA holds trec, agnews_small (title and text) and stsb, and clothing_small; MODELS holds minilm, a folder of
sentence-transformers, and efficientnet_lite0/model.safetensors. Each engine is a process of one thread; they take turns on
the same rows, with nothing kept of the vectors, from strings (or files of pictures) to unit vectors. The seconds are the
process's own of the processor, the median of the rounds. COMMAND is a Python with ``sentence-transformers[onnx]``, for its
own ONNX backend: its library optimum does not go with the transformers that nearfar's tests have. Quality: logistic
regression (C 30) of 8 labels a class, ten draws from 2,500 training rows, the same for all engines; and Spearman's rank
correlation of cosine and score on stsb's test split.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROWS, ROUNDS, PICTURES, DRAWS, A_CLASS, POOL = 300, 3, 64, 10, 8, 2500
ENGINES = {
    "sentence-transformers, torch": "st", "sentence-transformers, ONNX": "st-onnx", "nearfar, torch": "torch",
    "nearfar, onnx": "onnx", "nearfar, onnx-int8": "onnx-int8",
}  # fmt: skip
OF_PICTURES = {"timm, torch": "timm", "nearfar, torch": "torch", "nearfar, onnx": "onnx"}
LITE = "tf_efficientnet_lite0"


# --- one engine -----------------------------------------------------------------------------------------------------


def encoder(engine: str, model: str) -> Callable[[list[str]], Any]:
    """What makes unit vectors of texts, or of files of pictures."""
    if engine in ("st", "st-onnx"):
        from sentence_transformers import SentenceTransformer

        export = {"provider": "CPUExecutionProvider", "export": True}
        more = {"backend": "onnx", "model_kwargs": export} if engine == "st-onnx" else {}
        made = SentenceTransformer(model, device="cpu", **more)
        return lambda rows: made.encode(rows, normalize_embeddings=True, show_progress_bar=False)
    if engine == "timm":
        return _timm(model.partition("@")[2])
    import nearfar

    ours = nearfar.load(model, cache=False, engine=engine)
    return lambda rows: ours.encode(rows)


def _timm(weights: str) -> Callable[[list[str]], Any]:
    import timm
    import torch
    from PIL import Image
    from safetensors.torch import load_file

    net = timm.create_model(LITE)
    net.load_state_dict(load_file(weights))
    net.reset_classifier(0)
    prepare = timm.data.create_transform(**timm.data.resolve_data_config({}, model=net.eval()), is_training=False)

    @torch.no_grad()
    def encode(files: list[str]) -> Any:
        x = torch.stack([prepare(Image.open(f).convert("RGB")) for f in files])
        return torch.nn.functional.normalize(net(x)).numpy()

    return encode


def work(engine: str, model: str) -> None:
    """Encode the rows of each request, a line with a file of them and one for the vectors; answer with the seconds."""
    import numpy as np

    encode, answers = encoder(engine, model), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        rows, out = json.loads(line)
        rows = json.loads(Path(rows).read_text())
        start = time.process_time()
        vectors = encode(rows)
        seconds = time.process_time() - start
        if out:
            np.save(out, np.asarray(vectors))
        answers.write(json.dumps(seconds) + "\n")
        answers.flush()


class Worker:
    """An engine in a process of its own."""

    def __init__(self, engine: str, model: str, command: list[str]) -> None:
        one = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        self.process = subprocess.Popen([*command, __file__, "work", engine, model], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=one)  # fmt: skip

    def seconds(self, rows: Path, out: Path | None = None) -> float:
        self.process.stdin.write(json.dumps([str(rows), str(out) if out else None]) + "\n")
        self.process.stdin.flush()
        if not (line := self.process.stdout.readline()):
            raise RuntimeError("an engine ended")
        return json.loads(line)

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


# --- all of them ----------------------------------------------------------------------------------------------------


def speeds(workers: dict[str, Worker], rows: list[str], work: Path) -> dict[str, Any]:
    """Rows per second, and how far vectors are from those of torch by nearfar."""
    import numpy as np

    file = work / "rows.json"
    file.write_text(json.dumps(rows))
    vectors, seconds = {}, {name: [] for name in workers}
    for name, worker in workers.items():  # also warms them up
        worker.seconds(file, work / "z.npy")
        vectors[name] = np.load(work / "z.npy")
    for _ in range(ROUNDS):
        for name, worker in workers.items():
            seconds[name].append(worker.seconds(file))
    base = vectors["nearfar, torch"]
    return {name: {
        "per_second": len(rows) / statistics.median(s), "rounds": [len(rows) / t for t in s],
        "ratio": {other: statistics.median(b / a for a, b in zip(s, seconds[other], strict=True)) for other in seconds},
        "largest_difference": float(np.abs(vectors[name] - base).max()),
        "least_cosine": float((vectors[name] * base).sum(1).min()),
    } for name, s in seconds.items()}  # fmt: skip


def few_labels(z: Any, y: Any, test: Any, truth: Any) -> list[float]:
    """Accuracies on the test rows by `A_CLASS` labels a class, by draws that depend on the seed alone."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    found = []
    for seed in range(DRAWS):
        draw = np.random.default_rng(seed)
        some = np.concatenate([draw.permutation(np.flatnonzero(y == c))[:A_CLASS] for c in np.unique(y)])
        fitted = LogisticRegression(C=30, max_iter=2000).fit(z[some], y[some])
        found.append(float((fitted.predict(test) == truth).mean()))
    return found


def quality(workers: dict[str, Worker], data: Path, work: Path) -> dict[str, Any]:
    import numpy as np
    from scipy.stats import spearmanr

    def encoded(worker: Worker, rows: list[str]) -> Any:
        (work / "rows.json").write_text(json.dumps(rows))
        worker.seconds(work / "rows.json", work / "z.npy")
        return np.load(work / "z.npy")

    found: dict[str, Any] = {}
    for name, worker in workers.items():
        found[name] = {}
        for of in ("trec", "agnews_small"):
            (train, y), (test, truth) = (texts(data, of, split) for split in ("train", "test"))
            kept = np.random.default_rng(0).permutation(len(train))[:POOL]
            some = [train[i] for i in kept]
            found[name][of] = few_labels(encoded(worker, some), np.array(y)[kept], encoded(worker, test), np.array(truth))
        pairs = table(data / "stsb/test.csv")
        a, b = (encoded(worker, pairs[c]) for c in ("sentence1", "sentence2"))
        found[name]["stsb"] = float(spearmanr((a * b).sum(1), np.array(pairs["score"], float)).statistic)
    base = found["nearfar, torch"]
    return {name: {
        **{of: {"mean": statistics.mean(f[of]), "sd": statistics.stdev(f[of]),
                "change": statistics.mean(a - b for a, b in zip(f[of], base[of], strict=True))}
           for of in ("trec", "agnews_small")},
        "stsb": {"spearman": f["stsb"], "change": f["stsb"] - base["stsb"]},
    } for name, f in found.items()}  # fmt: skip


def table(path: Path) -> dict[str, list[Any]]:
    import pyarrow.csv as csv

    return csv.read_csv(path, parse_options=csv.ParseOptions(newlines_in_values=True)).to_pydict()


def texts(data: Path, of: str, split: str) -> tuple[list[str], list[Any]]:
    read = table(data / of / f"{split}.csv")
    if of == "trec":
        return read["text"], read["label"]
    return [f"{a} {b}" for a, b in zip(read["title"], read["text"], strict=True)], read["label"]


def pictures(path: Path, work: Path) -> list[str]:
    """Files of the first pictures of a table."""
    import pyarrow.parquet as parquet

    files = [work / f"{i}.jpg" for i in range(PICTURES)]
    for file, cell in zip(files, parquet.read_table(path)["image"].to_pylist(), strict=False):
        file.write_bytes(cell["bytes"] if isinstance(cell, dict) else cell)
    return [str(f) for f in files]


def main(data: Path, models: Path, peer: str | None) -> dict[str, Any]:
    import nearfar

    own, minilm, lite = [sys.executable], str(models / "minilm"), models / "efficientnet_lite0/model.safetensors"
    found: dict[str, Any] = {"texts": {}, "pictures": None}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        workers = {name: Worker(e, minilm, shlex.split(peer) if e == "st-onnx" else own)
                   for name, e in ENGINES.items() if peer or e != "st-onnx"}  # fmt: skip
        for of in ("trec", "agnews_small"):
            found["texts"][of] = speeds(workers, texts(data, of, "test")[0][:ROWS], work)
        compared = {n: w for n, w in workers.items() if n.startswith("nearfar")}
        found["quality"] = quality(compared, data, work)
        for worker in workers.values():
            worker.end()
        files = pictures(data / "clothing_small/validation.parquet", work)
        workers = {name: Worker(e, f"timm:{LITE}@{lite}", own) for name, e in OF_PICTURES.items()}
        found["pictures"] = {"clothing_small": speeds(workers, files, work)}
        for worker in workers.values():
            worker.end()
    versions = {n: __import__(n).__version__ for n in ("torch", "onnxruntime", "sentence_transformers", "timm")}
    return {
        "command": shlex.join(["python", "benchmarks/engines.py", "../shared/data", "MODELS", *(["--peer", "PYTHON"] if peer else [])]),
        "machine": f"{platform.machine()}, {_processor()}, one thread", "nearfar": nearfar.__version__, "versions": versions,
        "peer": _peer(peer) if peer else None, "rows": ROWS, "pictures_rows": PICTURES, "rounds": ROUNDS, "draws": DRAWS,
        "labels_a_class": A_CLASS, **found,
    }  # fmt: skip


def _peer(command: str) -> str:
    code = "import sentence_transformers as s, optimum.version as o; print(s.__version__, 'with optimum', o.__version__)"
    said = subprocess.run([*shlex.split(command), "-c", code], capture_output=True, text=True, check=True)
    return f"sentence-transformers {said.stdout.strip().splitlines()[-1]}"


def _processor() -> str:
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = next((line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), platform.processor())
    return name + (" with VNNI" if "vnni" in info else "")


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        work(*sys.argv[2:])
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("data", type=Path)
        parser.add_argument("models", type=Path)
        parser.add_argument("--peer")
        parser.add_argument("--out", type=Path)
        given = parser.parse_args()
        text = json.dumps(main(given.data, given.models, given.peer), indent=1)
        given.out.write_text(text + "\n") if given.out else print(text)
