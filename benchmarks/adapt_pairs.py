"""A pretrained model of texts adapted to scored pairs, and to texts without labels, by nearfar's defaults.

    OMP_NUM_THREADS=1 python benchmarks/adapt_pairs.py DATA MODEL CASE --seed 0 --out docs/results/pretrained

DATA is a folder with stsb, agnews_small, trec, subj, sst2 and mr, MODEL a folder of sentence-transformers. Cases:

scores  `nearfar.train` with the 5,749 scored training pairs of STS-B and nothing but the encoder and the columns. Spearman's
        correlation of cosines and scores of the development pairs, by which the defaults were chosen, and of the test
        pairs; those of the model as it is beside.
none    `nearfar.train` with 5,000 training texts of a set (`--set`), and nothing but the encoder. 8 and 64 labelled rows a
        class, ten draws, the same with and without (benchmarks/adapt.py), and logistic regression, on the test split.
states  Trainings without labels, of a set, at their own learning rate and at thirty times that: what needs no labels at
        each look, on a fifth of 1,250 training rows that is held out, and beside it, with labels, 8 rows a class and all.
        Which states a measure would choose follows from these; test rows are never read.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from adapt import LENGTH, C, drawn, read
from sklearn.linear_model import LogisticRegression
from stopping import labelled
from sts import measured, rows
from written import machine

import nearfar
from nearfar.core import files
from nearfar.core.console import SILENT
from nearfar.core.errors import NearfarWarning
from nearfar.training import train
from nearfar.training.trainer import Trainer

TEXTS = 5000
DRAWS = 10
STATES, HELD = 1250, 0.2  # rows of a training whose states are compared, and the share of them that is held out
LOOKS = (0.0, 0.3, 1.0)  # shares of the steps
TRAININGS: dict[str, dict[str, Any]] = {
    "SimCSE, dropout": {"method": "simcse", "recipe": "simcse", "temperature": 0.05},
    "SimCSE, half of the words": {"method": "simcse", "recipe": "words", "temperature": 0.05},
}
TIMES = (1, 30)  # the learning rate


def said(trained: Any) -> dict[str, Any]:
    """What the defaults came to."""
    config, spent = trained.plan.config, trained.metrics[-1] if trained.metrics else {}
    return {
        "method": config.model.method, "temperature": trained.plan.record.temperature, "lr": config.optim.lr,
        "batch_size": config.train.batch_size, "epochs": config.train.epochs, "steps": trained.plan.steps,
        "recipe": config.views.recipe, "fixed": config.model.fixed, "fixed_weight": config.model.fixed_weight,
        "precision": config.train.precision, "kept": trained.kept, "last_step": spent.get("step", 0),
        "training_rows": len(trained.plan.train),
    }  # fmt: skip


def scores(data: Path, model: str, args: argparse.Namespace) -> dict[str, Any]:
    """Scored pairs of STS-B."""
    parts = {split: rows(data / "stsb" / f"{split}.csv") for split in ("train", "dev", "test")}
    names = ("sentence1", "sentence2")
    given = {k: parts["train"][k] for k in (*names, "score")}
    began = time.process_time()
    trained = nearfar.train(given, column=names, score="score", encoder=f"st:{model}", seed=args.seed, quiet=True)
    spent = time.process_time() - began
    one, frozen = trained.model, nearfar.load(f"st:{model}")
    ways = {"frozen": frozen.encode, "adapted": lambda texts: one.encode(texts, column=names[0])}
    results = {
        split: {way: measured(encode, parts[split], args.seed) for way, encode in ways.items()}
        for split in ("dev", "test")
    }
    return {"seconds": spent, "training": said(trained), "results": results}


def none(data: Path, model: str, args: argparse.Namespace) -> dict[str, Any]:
    """Texts without labels."""
    texts = read(data / args.set, "train")[0]
    given = [texts[i] for i in np.random.default_rng(args.seed).permutation(len(texts))[:TEXTS]]
    began = time.process_time()
    trained = nearfar.train({"text": given}, encoder=f"st:{model}", length=LENGTH - 2, seed=args.seed, quiet=True)
    spent = time.process_time() - began
    ways = {"frozen": nearfar.load(f"st:{model}").encode, "adapted": trained.model.encode}
    test = read(data / args.set, "test")[0]
    whole = {way: unit(encode(test)) for way, encode in ways.items()}
    found: dict[str, Any] = {}
    for labels in (8, 64):
        of = found[str(labels)] = {way: [] for way in ways}
        for draw in range(DRAWS):
            few, y, _, truth = drawn(data / args.set, labels, draw)
            for way, encode in ways.items():
                regression = LogisticRegression(C=C, max_iter=3000).fit(unit(encode(few)), y)
                of[way].append(float(regression.score(whole[way], truth)))
        gain = np.subtract(of["adapted"], of["frozen"])
        of["gain"], of["error"] = float(gain.mean()), float(gain.std(ddof=1) / DRAWS**0.5)
        print(args.set, labels, {k: np.mean(v).round(4) for k, v in of.items()}, flush=True)
    return {"set": args.set, "texts": len(given), "seconds": spent, "training": said(trained), "results": found}


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(1e-12, np.linalg.norm(x, axis=1, keepdims=True))


def states(data: Path, model: str, args: argparse.Namespace) -> dict[str, Any]:
    """Looks at trainings without labels."""
    texts, names = read(data / args.set, "train")
    some = np.random.default_rng(args.seed).permutation(len(texts))[:STATES]
    given = {"text": [texts[i] for i in some], "label": [f"class {names[i]}" for i in some]}
    found = {}
    for training, knobs in TRAININGS.items():
        for times in TIMES:
            more = {"label": "label", "encoder": f"st:{model}", "length": LENGTH - 2, "holdout": HELD, "fixed": "none",
                    "seed": args.seed, "epochs": 1, "quiet": True, **knobs}  # fmt: skip
            lr = times * train.rehearse(given, **more).config.optim.lr
            trainer = Trainer(train.rehearse(given, **more | {"lr": lr}), None, SILENT)
            looks = [looked(trainer, round(share * trainer.plan.steps), args.seed) for share in LOOKS]
            found[f"{training}, rate x {times}"] = {"lr": lr, "steps": trainer.plan.steps, "looks": looks}
    return {"set": args.set, "trainings": found}


def looked(trainer: Trainer, at: int, seed: int) -> dict[str, Any]:
    """What is measured after so many steps."""
    if at:
        trainer.watch.looks = False  # at its own times
        trainer.fit(lambda step: step == at)
        trainer.watch.looks = True
    look = {"step": at} | trainer.watch.look(trainer.learner) | labelled(trainer, "encoder", "", seed)
    print(look, flush=True)
    return look


def main() -> None:
    """One case of one seed: a JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("model")
    parser.add_argument("case", choices=("scores", "none", "states"))
    parser.add_argument("--set", default="agnews_small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", NearfarWarning
        )  # a training that becomes worse is one of those that are measured
        found = globals()[args.case](args.data, args.model, args)
    print({k: v for k, v in found.items() if k != "trainings"})
    of = "" if args.case == "scores" else f"-{args.set}"
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / f"{args.case}{of}-seed{args.seed}.json"
    files.write_json(file, machine() | {"case": args.case, "seed": args.seed} | files.finite(found))


if __name__ == "__main__":
    main()
