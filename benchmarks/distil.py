"""What a small encoder learns from a pretrained model's vectors of unlabelled rows.

    OMP_NUM_THREADS=1 python benchmarks/distil.py texts DATA MODELS [--peer FOLDER] [--seeds 3] [--on held]
    OMP_NUM_THREADS=1 python benchmarks/distil.py pictures DATA MODELS

Texts: the teacher is all-MiniLM-L6-v2 (MODELS/minilm), the encoder the bag of words and n-grams, the unlabelled texts
the training split of each of five sets. Then 8 labelled training rows of each class, ten
draws, are what logistic regression (C 30, unit vectors) is fitted on, as in the floors of the teacher; the test rows are
scored once. Beside it, on the same draws: the teacher, the same encoder trained without a teacher (its defaults, on the
same texts), and model2vec's own `distill` of the same teacher (a folder with that package: --peer). Texts per second are
from strings to vectors, all at once, one thread, the median of blocks that take turns.
`--on held` scores a fifth of the training rows, and learns from the others: numbers were chosen there.

Pictures: the teacher is EfficientNet-Lite0 with the weights of ImageNet (MODELS/efficientnet_lite0), the pictures are
those of clothing_small, the encoder is the small network that is the default for them, with its default method and with
the teacher. A linear probe is measured on the test split.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as csv
from sklearn.linear_model import LogisticRegression
from written import machine

import nearfar
from nearfar.core import files
from nearfar.evaluation.protocols import few_labels
from nearfar.training import train
from nearfar.vectors.basics import unit

SETS = ("trec", "sst2", "subj", "mr", "agnews_small")
LABELS, DRAWS, BLOCKS, C = 8, 10, 5, 30.0
DISTIL: dict[str, Any] = {"method": "distil", "threads": 1}
OUT = Path("docs/results/pretrained")

Split = tuple[list[str], np.ndarray]


def read(file: Path) -> Split:
    """Texts, with their titles where they have some, and labels."""
    table = csv.read_csv(file, parse_options=csv.ParseOptions(newlines_in_values=True))
    texts = table["text"].to_pylist()
    if "title" in table.column_names:
        texts = [f"{a} {b}" for a, b in zip(table["title"].to_pylist(), texts, strict=True)]
    return texts, np.unique(table["label"].to_pylist(), return_inverse=True)[1]


def parts(folder: Path, on: str) -> tuple[Split, Split]:
    """The rows that are learnt from, and those that are scored."""
    texts, y = read(folder / "train.csv")
    if on == "test":
        return (texts, y), read(folder / "test.csv")
    order = np.random.default_rng(0).permutation(len(texts))
    held, rest = order[: len(order) // 5], order[len(order) // 5 :]
    return ([texts[i] for i in rest], y[rest]), ([texts[i] for i in held], y[held])


def scored(encode: Callable[[list[str]], np.ndarray], data: tuple[Split, Split]) -> list[float]:
    """Accuracies with few labels, one a draw."""
    (texts, y), (others, truth) = data
    found, t = [], unit(encode(others))
    for rows in few_labels.draws(y, int(y.max()) + 1, LABELS, 0, DRAWS):
        x = unit(encode([texts[i] for i in rows]))
        found.append(float(LogisticRegression(C=C, max_iter=1000).fit(x, y[rows]).score(t, truth)))
    return found


def speeds(encoders: dict[str, Callable[[list[str]], np.ndarray]], texts: list[str]) -> dict[str, float]:
    """Texts per second of each, one thread."""
    taken: dict[str, list[float]] = {name: [] for name in encoders}
    for _ in range(BLOCKS):
        for name, encode in encoders.items():
            start = time.perf_counter()
            encode(texts)
            taken[name].append(time.perf_counter() - start)
    return {name: len(texts) / statistics.median(t) for name, t in taken.items()}


def of_peer(folder: Path, teacher: Path) -> Any:
    """What model2vec makes of the teacher by itself."""
    sys.path.append(str(folder))
    from model2vec.distill import distill

    return distill(str(teacher))


def texts(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Few labels of five sets, by what encodes them; so far, after every set."""
    folder, data = args.models / "minilm", {s: parts(args.data / s, args.on) for s in args.sets}
    word, found, seconds = f"st:{folder}", {}, {}
    teacher = nearfar.load(word, "cpu")
    encoders: dict[str, Callable[[list[str]], np.ndarray]] = {"teacher": teacher.encode}
    if args.peer:
        encoders["model2vec"] = of_peer(args.peer, folder).encode
    for name, encode in encoders.items():
        found[name] = {s: [scored(encode, d)] for s, d in data.items()}
    knobs = DISTIL | {"positives": f"teacher:{word}"}
    about = {
        "on": args.on, "labels": LABELS, "draws": DRAWS, "knobs": knobs | {"positives": "teacher:st:MODELS/minilm"},
        "unlabelled": {s: len(d[0][0]) for s, d in data.items()},
    }  # fmt: skip
    for seed in range(args.seeds):
        for s in args.sets:
            for way, more in {"own": knobs, "scratch": {"threads": 1}}.items():
                start = time.process_time()
                model = train.train(data[s][0][0], seed=seed, quiet=True, **more).model
                seconds.setdefault(way, []).append(time.process_time() - start)
                encoders.setdefault(way, model.encode)
                found.setdefault(way, {}).setdefault(s, []).append(scored(model.encode, data[s]))
                print(seed, way, s, round(float(np.mean(found[way][s][-1])), 4), flush=True)
            means = {n: float(np.mean([np.mean(v) for v in by.values()])) for n, by in found.items()}
            yield about | {"seconds": seconds, "accuracies": found, "means": means}
    # Of texts that no process has encoded before: what is kept of the teacher's vectors is not its speed.
    sample = [f"{t} ." for _, (texts, _) in data.values() for t in texts][:: args.every]
    teacher.cached = False
    yield about | {
        "seconds": seconds, "accuracies": found, "means": means, "timed": len(sample),
        "texts_per_second": speeds(encoders, sample),
        "dimensions": {n: int(e(["a text"]).shape[1]) for n, e in encoders.items()},
    }  # fmt: skip


def pictures(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A linear probe of clothing_small, by what encodes the pictures; so far, after every training."""
    folder = args.data / "clothing_small"
    word = f"timm:tf_efficientnet_lite0@{args.models}/efficientnet_lite0/model.safetensors"
    given: dict[str, dict[str, Any]] = {
        "scratch": {"epochs": args.epochs}, "distilled": {**DISTIL, "positives": f"teacher:{word}", "epochs": args.epochs},
    }  # fmt: skip
    found: dict[str, list[dict[str, float]]] = {}
    seconds: dict[str, list[float]] = {}
    protocols = ["linear_probe", "knn", "few_labels"]

    def measured(model: Any) -> dict[str, float]:
        r = nearfar.evaluate(model, folder, protocols=protocols, floors=False, quiet=True).results[0]
        few = {f"{n} labels": r["few_labels"][n]["mean"] for n in ("5", "10")}
        return {p: r[p]["accuracy"] for p in protocols[:2]} | few

    with tempfile.TemporaryDirectory() as out:
        found["teacher"] = [measured(word)]
        for seed in range(args.seeds):
            for name, knobs in given.items():
                start = time.process_time()
                run = train.train(folder, out=f"{out}/{name}{seed}", seed=seed, threads=1, quiet=True, **knobs)
                seconds.setdefault(name, []).append(time.process_time() - start)
                found.setdefault(name, []).append(measured(run.model))
                print(seed, name, found[name][-1], flush=True)
                yield {"epochs": args.epochs, "seconds": seconds, "accuracies": found, "knobs": DISTIL}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("texts", "pictures"))
    parser.add_argument("data", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("--peer", type=Path, help="Folder that model2vec was installed into.")
    parser.add_argument("--on", default="test", choices=("held", "test"), help="Rows that are scored.")
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20, help="Of pictures.")
    parser.add_argument("--every", type=int, default=4, help="Of texts that are timed, one of so many.")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    name = {"texts": "distil", "pictures": "distil_pictures"}[args.what]
    for found in {"texts": texts, "pictures": pictures}[args.what](args):
        files.write_json(args.out / f"{name}{'-held' * (args.on == 'held')}.json", machine() | found)
    print({k: v for k, v in found.items() if k in ("means", "texts_per_second")})


if __name__ == "__main__":
    main()
