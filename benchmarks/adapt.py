"""Few labels and a pretrained model of texts: as it is, adapted by nearfar's defaults, and by SetFit.

    OMP_NUM_THREADS=1 python benchmarks/adapt.py DATA MODEL CASE --labels 8 --draws 0 1 2 --out docs/results/pretrained

DATA holds the folders trec, sst2, subj, mr and agnews_small, MODEL is a folder of sentence-transformers. CASE is "frozen",
"adapted" (`nearfar.train` with nothing but the encoder and the labels) or "setfit" (the package, its defaults; it may live in
an environment of its own). Labelled rows are drawn from 2,500 training rows, the same for all cases; texts are cut at 64
tokens. Each set of vectors is measured on the whole test split by `nearfar classify` and by scikit-learn's logistic regression
(C 30, unit vectors, as the floors were); SetFit besides by its own head. CPU seconds are those of getting the model and
training it, without imports. What is there already of a draw is left; test rows chose nothing.

By default SetFit makes all pairs of the labelled rows, of 64 a class up to 120,000; `--iterations 20` is what its authors
did (arXiv 2209.11055): so many pairs of each kind for every row. `--max-steps` ends it early. Results say so.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from written import machine

import nearfar
from nearfar.core import files
from nearfar.downstream.classify.classifier import Classifier
from nearfar.evaluation.protocols import few_labels

SETS = ("trec", "sst2", "subj", "mr", "agnews_small")
POOL = 2500  # training rows that the labelled ones are drawn from
LENGTH = 64  # tokens, with the two that frame a text
C = 30.0


def read(folder: Path, split: str) -> tuple[list[str], list[str]]:
    """Texts and labels of a split; news are title and text."""
    with open(folder / f"{split}.csv", newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return [f"{r['title']} {r['text']}" if "title" in r else r["text"] for r in rows], [r["label"] for r in rows]


def drawn(folder: Path, labels: int, draw: int) -> tuple[list[str], np.ndarray, list[str], np.ndarray]:
    """So many labelled training rows of every class, and the test rows."""
    (texts, names), (test, truth) = read(folder, "train"), read(folder, "test")
    classes = sorted(set(names))
    y = np.asarray([classes.index(n) for n in names])
    pool = np.random.default_rng(0).permutation(len(texts))[:POOL]
    rows = pool[few_labels.draws(y[pool], len(classes), labels, draw, 1)[0]]
    return [texts[i] for i in rows], y[rows], test, np.asarray([classes.index(n) for n in truth])


def measured(x: np.ndarray, y: np.ndarray, t: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Accuracy of the two classifiers of these vectors."""
    x, t = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (x, t))
    by_classify = Classifier.fit(x, y, [str(c) for c in range(int(y.max()) + 1)], reject=0.0).predict(t).labels
    regression = LogisticRegression(C=C, max_iter=3000).fit(x, y)
    return {"classify": float((by_classify == truth).mean()), "regression": float(regression.score(t, truth))}


def frozen(model: str, texts: list[str], y: np.ndarray, draw: int, options: Any) -> tuple[Any, dict[str, Any]]:
    """The model as it is."""
    return nearfar.load(f"st:{model}").encode, {}


def adapted(model: str, texts: list[str], y: np.ndarray, draw: int, options: Any) -> tuple[Any, dict[str, Any]]:
    """What `nearfar train LABELLED --encoder st:MODEL` makes of it."""
    data = {"text": texts, "label": [f"class {c}" for c in y]}
    trained = nearfar.train(data, label="label", encoder=f"st:{model}", length=LENGTH - 2, seed=draw, quiet=True)
    config = trained.plan.config
    said = {"method": config.model.method, "lr": config.optim.lr, "steps": trained.plan.steps, "kept": trained.kept,
            "batch_size": config.train.batch_size, "temperature": trained.plan.record.temperature,
            "precision": config.train.precision}  # fmt: skip
    return trained.model.encode, said


def setfit(model: str, texts: list[str], y: np.ndarray, draw: int, options: Any) -> tuple[Any, dict[str, Any]]:
    """SetFit with its defaults, but for the length of texts and, where that is said, an earlier end."""
    import setfit
    from datasets import Dataset

    network = setfit.SetFitModel.from_pretrained(model)
    network.model_body.max_seq_length = LENGTH
    given = {"max_steps": options.max_steps, "num_iterations": options.iterations}
    more = {k: v for k, v in given.items() if v}
    arguments = setfit.TrainingArguments(
        seed=draw, report_to="none", save_strategy="no", output_dir=options.scratch, **more
    )
    rows = Dataset.from_dict({"text": texts, "label": y.tolist()})
    setfit.Trainer(model=network, args=arguments, train_dataset=rows).train()
    said = {"setfit": setfit.__version__, **more, "head": lambda test: np.asarray(network.predict(test)).astype(int)}
    return network.model_body.encode, said


def command(options: argparse.Namespace, results: dict[str, Any]) -> str:
    """What makes the whole file, which may have been made in parts."""
    draws = sorted({d for of_set in results.values() for d in of_set}, key=int)
    sets = [] if len(results) == len(SETS) else ["--sets", *results]
    given = {"--max-steps": options.max_steps, "--iterations": options.iterations}
    more = [word for key, value in given.items() if value for word in (key, str(value))]
    words = ["DATA", "MODEL", options.case, "--labels", str(options.labels), "--draws", *draws, *sets, *more]
    return " ".join(["python benchmarks/adapt.py", *words])


def main() -> None:
    """One case: a file with the draws of every set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("model")
    parser.add_argument("case", choices=("frozen", "adapted", "setfit"))
    parser.add_argument("--labels", type=int, default=8)
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--max-steps", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=0)
    parser.add_argument("--scratch", default="setfit")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    file = options.out / f"few-{options.labels}-{options.case}.json"
    found: dict[str, Any] = files.read_json(file) if file.exists() else {}
    results = found.setdefault("sets", {})
    if options.case == "setfit":
        importlib.import_module("setfit")
    else:  # imports what loading and training a model needs
        nearfar.load(f"st:{options.model}").encode(["a text"])
    kept: dict[str, Any] = {}  # vectors of test rows that no training changes
    for draw in options.draws:
        for name in options.sets:
            if str(draw) in results.setdefault(name, {}):
                continue
            texts, y, test, truth = drawn(options.data / name, options.labels, draw)
            began = time.process_time()
            encode, said = globals()[options.case](options.model, texts, y, draw, options)
            spent = time.process_time() - began
            if options.case != "frozen" or name not in kept:
                kept[name] = encode(test)
            head = said.pop("head", None)
            said |= {"head": float((head(test) == truth).mean())} if head else {}
            results[name][str(draw)] = {
                **measured(encode(texts), y, kept[name], truth), **said, "cpu_seconds": round(spent, 2),
                "labelled_rows": len(y), "test_rows": len(truth),
            }  # fmt: skip
            print(options.case, name, draw, results[name][str(draw)], flush=True)
            found |= machine() | {"case": options.case, "labels": options.labels, "command": command(options, results)}
            options.out.mkdir(parents=True, exist_ok=True)
            files.write_json(file, found)


if __name__ == "__main__":
    main()
