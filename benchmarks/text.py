"""Few labels of texts: an embedding learnt from unlabelled training rows, beside TF-IDF on the same draws.

    OMP_NUM_THREADS=1 python benchmarks/text.py DATA CASE --seed 0 --out docs/results/text

DATA holds train.csv and test.csv with the columns ``text`` and ``label``. The encoder (a bag of hashed words and
n-grams, random at first) sees the training rows without labels for ten epochs. Then 8 and 16 labelled training rows of
each class, ten draws, are what logistic regression is fitted on, and all of them once; the test rows are scored once.
TF-IDF (scikit-learn's defaults, words) with its logistic regression gets the same draws. The rate of the method was chosen
on held-out training rows of AG News and Subj, its temperature on those of five sets (fixed.py).

With `--labels` the embedding learns from all labels of the training rows instead, by cross entropy, and only the probe
with all labels is measured: two bags, one of words and pairs of neighbours, one of words and their n-grams in random
halves of each text, and their vectors side by side. `--on held` scores a fifth of the training rows and trains on the
others: numbers are chosen there.

With `--defaults` nothing is said to the training but its seed: the fixed features beside, a tenth of the rows held out,
the best state kept. Beside it stand a kNN, and the same draws with TF-IDF brought to 100 dimensions by a singular value
decomposition (latent semantic analysis, as scikit-learn has it).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from written import of_training

import nearfar
from nearfar.core import files
from nearfar.evaluation import evaluate
from nearfar.evaluation.protocols import few_labels, shots
from nearfar.training import train

KNOBS: dict[str, Any] = {"epochs": 10, "batch_size": 256, "holdout": 0.0, "monitor_rows": 0, "threads": 1}
LSA_DIMENSIONS = 100
ALONE: dict[str, Any] = {"fixed": "none"}  # without the fixed features, which are a default since

SUPERVISED = KNOBS | {"method": "supervised", "batch_size": 64, "encoder_options": {"idf_power": 0.0}}
LABELLED: tuple[dict[str, Any], ...] = (
    SUPERVISED | {"tokens": "word_pairs", "recipe": "tokens"},
    SUPERVISED | {"tokens": "hashed", "recipe": "words"},
)


def tfidf(train: list[str], y: np.ndarray, test: list[str], truth: np.ndarray, seed: int) -> dict[str, Any]:
    """Accuracy of TF-IDF and logistic regression with all labels, and on the draws of `shots`."""
    words = TfidfVectorizer()
    return regressed(words.fit_transform(train), y, words.transform(test), truth, seed)


def lsa(train: list[str], y: np.ndarray, test: list[str], truth: np.ndarray, seed: int) -> dict[str, Any]:
    """The same of unit vectors of TF-IDF's leading singular vectors."""
    steps = make_pipeline(TfidfVectorizer(), TruncatedSVD(LSA_DIMENSIONS, random_state=seed), Normalizer())
    return regressed(steps.fit_transform(train), y, steps.transform(test), truth, seed)


def regressed(x: Any, y: np.ndarray, t: Any, truth: np.ndarray, seed: int) -> dict[str, Any]:
    """Accuracy of logistic regression with all labels, and on the draws of `shots`."""
    found: dict[str, Any] = {
        "all": float(LogisticRegression(max_iter=1000, C=10).fit(x, y).score(t, truth)), "shots": {},
    }  # fmt: skip
    for count in shots.SHOTS.amounts:
        drawn = few_labels.draws(y, int(y.max()) + 1, count, seed, shots.SHOTS.draws)
        scores = [float(LogisticRegression(max_iter=1000, C=10).fit(x[r], y[r]).score(t, truth)) for r in drawn]
        found["shots"][str(count)] = {
            "mean": float(np.mean(scores)),
            "std": float(np.std(scores, ddof=1)),
            "draws": scores,
        }
    return found


def texts(path: Path) -> tuple[list[str], np.ndarray]:
    """Texts and labels of a file."""
    import pyarrow.csv as csv

    table = csv.read_csv(path, parse_options=csv.ParseOptions(newlines_in_values=True))
    return table["text"].to_pylist(), np.asarray(table["label"].to_pylist())


def parts(folder: Path, on: str) -> dict[str, tuple[list[str], np.ndarray]]:
    """The rows that are learnt from and the rows that are scored."""
    whole = texts(folder / "train.csv")
    if on == "test":
        return {"train": whole, "test": texts(folder / "test.csv")}
    order = np.random.default_rng(0).permutation(len(whole[0]))
    held, rest = order[: len(order) // 5], order[len(order) // 5 :]
    return {s: ([whole[0][i] for i in r], whole[1][r]) for s, r in (("train", rest), ("test", held))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("case")
    parser.add_argument("--labels", action="store_true", help="Learn from all labels.")
    parser.add_argument("--defaults", action="store_true", help="As a training does that is told nothing.")
    parser.add_argument("--on", default="test", choices=("held", "test"), help="Rows that are scored.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/results/text"))
    args = parser.parse_args()
    rows = parts(args.data / args.case, args.on)
    without = {"threads": 1} if args.defaults else KNOBS | ALONE
    start = time.perf_counter()
    given = rows["train"] if args.labels else rows["train"][0]
    trained = [train.train(given, seed=args.seed, **knobs) for knobs in (LABELLED if args.labels else [without])]
    seconds = time.perf_counter() - start
    model = trained[0].model if len(trained) == 1 else nearfar.ensemble([t.model for t in trained])
    protocols = ["linear_probe"] if args.labels else ["shots", "linear_probe", *["knn"] * args.defaults]
    evaluation = evaluate.evaluate(model, rows, protocols=protocols, floors=not args.labels, seed=args.seed)
    print(evaluation.table())
    y, truth = (np.unique(rows[s][1], return_inverse=True)[1] for s in ("train", "test"))
    floor = tfidf(rows["train"][0], y, rows["test"][0], truth, args.seed)
    print("TF-IDF", {"all": floor["all"], **{k: v["mean"] for k, v in floor["shots"].items()}})
    more = {}
    if args.defaults:
        more = {"lsa": lsa(rows["train"][0], y, rows["test"][0], truth, args.seed), "kept": trained[0].kept,
                "steps": trained[0].metrics[-1]["step"], "said": trained[0].verdict and trained[0].verdict.as_dict()}  # fmt: skip
        print("LSA", {"all": more["lsa"]["all"], **{k: v["mean"] for k, v in more["lsa"]["shots"].items()}})
    args.out.mkdir(parents=True, exist_ok=True)
    kind = "".join(f"-{name}" for name in ("labels", "defaults") if getattr(args, name))
    files.write_json(args.out / f"{args.case}{kind}{'-held' * (args.on == 'held')}-seed{args.seed}.json", more | {
        **of_training(trained[0], seconds), "case": args.case, "on": args.on, "seed": args.seed,
        "knobs": list(LABELLED) if args.labels else without,
        "temperature": trained[0].plan.record.temperature,
        "train_rows": len(y), "test_rows": len(truth), "tfidf": floor,
        "results": evaluation.as_dict()["results"],
    })  # fmt: skip


if __name__ == "__main__":
    main()
