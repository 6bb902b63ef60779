"""What a small encoder learns from a pretrained model's vectors of unlabelled rows.

    OMP_NUM_THREADS=1 python benchmarks/distil.py texts DATA MODELS [--peer FOLDER] [--seeds 3] [--on held]
    OMP_NUM_THREADS=1 python benchmarks/distil.py pictures DATA MODELS

Texts: the teacher is all-MiniLM-L6-v2 (MODELS/minilm), the encoder the bag of words and n-grams, the unlabelled texts
the training splits of five sets: each set's own, and all together. Then 8 labelled training rows of each class, ten
draws, are what logistic regression (C 30, unit vectors) is fitted on, as in the floors of the teacher; the test rows are
scored once. Beside it, on the same draws: the teacher, the same encoder trained without a teacher (its defaults, on each
set's own texts), the vectors of both side by side, and model2vec's own `distill` of the same teacher (a folder with that package: --peer). Texts per second
are from strings to vectors, all test texts at once, one thread, the median of blocks that take turns.
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
from collections.abc import Callable
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
from nearfar.training.positives import teacher as positives
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


def once() -> None:
    """Let a teacher encode a text once in all trainings."""
    known: dict[str, np.ndarray] = {}
    vectors = positives.ByTeacher.vectors

    def remembered(self: Any, rows: np.ndarray) -> np.ndarray:
        cells = [str(self.context.table.first.cells[int(r)]) for r in rows]
        new = np.asarray([r for r, c in zip(rows, cells, strict=True) if c not in known], np.int64)
        if len(new):
            known.update(
                {str(self.context.table.first.cells[int(r)]): x for r, x in zip(new, vectors(self, new), strict=True)}
            )
        return np.stack([known[c] for c in cells])

    positives.ByTeacher.vectors = remembered


def of_peer(folder: Path, teacher: Path) -> Any:
    """What model2vec makes of the teacher by itself."""
    sys.path.append(str(folder))
    from model2vec.distill import distill

    return distill(str(teacher))


def texts(args: argparse.Namespace) -> dict[str, Any]:
    """Few labels of five sets, by what encodes them."""
    folder, data = args.models / "minilm", {s: parts(args.data / s, args.on) for s in args.sets}
    word, found, seconds = f"st:{folder}", {}, {}
    once()
    teacher = nearfar.load(word, "cpu")
    found["teacher"] = {s: [scored(teacher.encode, d)] for s, d in data.items()}
    knobs = DISTIL | {"positives": f"teacher:{word}"}
    everything = [t for (texts, _), _ in data.values() for t in texts]
    first: dict[str, Any] = {}
    for seed in range(args.seeds):

        def trained(way: str, texts: list[str], more: dict[str, Any], seed: int = seed) -> Any:
            start = time.process_time()
            model = train.train(texts, seed=seed, **more).model
            seconds.setdefault(way, []).append(time.process_time() - start)
            return model

        def measured(way: str, s: str, model: Any, seed: int = seed) -> None:
            found.setdefault(way, {}).setdefault(s, []).append(scored(model.encode, data[s]))
            print(seed, way, s, round(float(np.mean(found[way][s][-1])), 4), flush=True)

        for s in args.sets:
            own = trained("own", data[s][0][0], knobs)
            scratch = trained("scratch", data[s][0][0], {"threads": 1})
            first.setdefault("own", own)
            for way, model in {"own": own, "scratch": scratch, "both": nearfar.ensemble([own, scratch])}.items():
                measured(way, s, model)
        if seed < args.together:
            model = trained("all", everything, knobs)
            for s in args.sets:
                measured("all", s, model)
    encoders = {"teacher": teacher.encode, "own": first["own"].encode}
    if args.peer:
        peer = of_peer(args.peer, folder)
        encoders["model2vec"] = peer.encode
        found["model2vec"] = {s: [scored(peer.encode, d)] for s, d in data.items()}
    sample = [t for _, (texts, _) in data.values() for t in texts][:: args.every]
    return {
        "on": args.on, "labels": LABELS, "draws": DRAWS, "knobs": knobs | {"positives": "teacher:st:MODELS/minilm"},
        "dimensions": {n: int(e(["a text"]).shape[1]) for n, e in encoders.items()},
        "unlabelled": {s: len(d[0][0]) for s, d in data.items()}, "seconds": seconds, "accuracies": found,
        "texts_per_second": speeds(encoders, sample), "timed": len(sample),
        "means": {n: float(np.mean([np.mean(v) for v in by.values()])) for n, by in found.items()},
    }  # fmt: skip


def pictures(args: argparse.Namespace) -> dict[str, Any]:
    """A linear probe of clothing_small, by what encodes the pictures."""
    folder = args.data / "clothing_small"
    word = f"timm:tf_efficientnet_lite0@{args.models}/efficientnet_lite0/model.safetensors"
    given: dict[str, dict[str, Any]] = {
        "scratch": {"epochs": args.epochs}, "distilled": {**DISTIL, "positives": f"teacher:{word}", "epochs": args.epochs},
    }  # fmt: skip
    found, seconds = {}, {}
    with tempfile.TemporaryDirectory() as out:
        for seed in range(args.seeds):
            for name, knobs in given.items():
                start = time.perf_counter()
                run = train.train(folder, out=f"{out}/{name}{seed}", seed=seed, threads=1, **knobs)
                seconds.setdefault(name, []).append(time.perf_counter() - start)
                measured = nearfar.evaluate(run.model, folder, protocols=["linear_probe", "knn"]).as_dict()["results"][
                    0
                ]
                found.setdefault(name, []).append({p: measured[p]["accuracy"] for p in ("linear_probe", "knn")})
                print(seed, name, found[name][-1], flush=True)
        measured = nearfar.evaluate(word, folder, protocols=["linear_probe", "knn"]).as_dict()["results"][0]
        found["teacher"] = [{p: measured[p]["accuracy"] for p in ("linear_probe", "knn")}]
    return {"epochs": args.epochs, "seconds": seconds, "accuracies": found, "knobs": DISTIL}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("texts", "pictures"))
    parser.add_argument("data", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("--peer", type=Path, help="Folder that model2vec was installed into.")
    parser.add_argument("--on", default="test", choices=("held", "test"), help="Rows that are scored.")
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--together", type=int, default=1, help="Seeds that learn from all texts together.")
    parser.add_argument("--epochs", type=int, default=20, help="Of pictures.")
    parser.add_argument("--every", type=int, default=4, help="Of texts that are timed, one of so many.")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    found = machine() | {"texts": texts, "pictures": pictures}[args.what](args)
    args.out.mkdir(parents=True, exist_ok=True)
    name = {"texts": "distil", "pictures": "distil_pictures"}[args.what]
    files.write_json(args.out / f"{name}{'-held' * (args.on == 'held')}.json", found)
    print({k: v for k, v in found.items() if k in ("means", "texts_per_second")})


if __name__ == "__main__":
    main()
