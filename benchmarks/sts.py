"""How alike two sentences are: STS-B from random weights, with and without pairs to learn from.

    OMP_NUM_THREADS=1 python benchmarks/sts.py DATA CASE --seed 0 --out docs/results/sts

DATA is the folder with stsb, sick, multi30k, sst2, mr, subj, trec and agnews_small. Cases:

words         no pairs and no scores: random vectors, and document frequencies of all training sentences of DATA
translations  goes on from `words` (of the same seed) with multi30k's translations: nobody judged two English sentences
pairs         goes on from `words` with the translations, SICK's entailments, and the training pairs of STS-B that score
              4 or more, as pairs that belong together; scores are not used beyond that
scores        goes on from `pairs` with the scores of STS-B's training pairs, by CoSENT
three         the runs of `scores` of seeds 0, 1 and 2 as one model

Training sentences equal to a sentence of STS-B's dev or test pairs, but for case and signs, are left out and counted.
Numbers are chosen with `--on dev`, which leaves the test pairs alone.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as csv
from sklearn.feature_extraction.text import TfidfVectorizer
from written import machine, of_training

import nearfar
from nearfar.core import files
from nearfar.evaluation import floors
from nearfar.evaluation.protocols import Sides, sts
from nearfar.models.embedder import Embedder
from nearfar.models.ensemble import Ensemble
from nearfar.training import train

COMMON: dict[str, Any] = {"holdout": 0.0, "monitor_rows": 0, "threads": 1, "encoder": "static"}
BATCHES = {"epochs": 2, "batch_size": 256, "mix": 0.5, "sets": "set", "interpolate": 0.6}
CASES: dict[str, dict[str, Any]] = {
    "words": {"epochs": 0, "tokens": "hashed:2-3", "encoder_options": {"dim": 1024, "idf_power": 1.25}},
    "translations": BATCHES,
    "pairs": BATCHES,
    "scores": {
        "epochs": 4, "batch_size": 64, "method": "cosent", "score": "score", "lr": 1e-3, "temperature": 1.0,
        "overrides": {"drop_tokens": {"rate": 0.3}}, "interpolate": 0.3,
    },
}  # fmt: skip
BEFORE = {"translations": "words", "pairs": "words", "scores": "pairs"}  # whose weights a case begins with
PLAIN = {"sst2": "text", "mr": "text", "subj": "text", "trec": "text", "agnews_small": "text"}
LANGUAGES = ("de", "fr", "cs")
ALIKE = 4.0  # of 5: pairs of STS-B from here on belong together


def normalised(text: str) -> str:
    """The words of a sentence."""
    return " ".join(re.findall(r"\w+", text.lower()))


def rows(path: Path) -> dict[str, list[Any]]:
    """The columns of a file."""
    return csv.read_csv(path, parse_options=csv.ParseOptions(newlines_in_values=True)).to_pydict()


def together(sets: dict[str, list[tuple[str, str]]]) -> dict[str, list[str]]:
    """Pairs of several sets as columns."""
    whole = [(a, b, name) for name, pairs in sets.items() for a, b in pairs]
    return dict(zip(("sentence1", "sentence2", "set"), map(list, zip(*whole, strict=True)), strict=True))


class Sentences:
    """The training sentences and pairs of the folder, less those that dev or test hold."""

    def __init__(self, data: Path) -> None:
        self.data, self.dropped = data, {}
        held = [rows(data / "stsb" / f"{s}.csv") for s in ("dev", "test")]
        self.held = {normalised(t) for d in held for k in ("sentence1", "sentence2") for t in d[k]}

    def kept(self, name: str, *columns: list[Any]) -> list[tuple[Any, ...]]:
        """The rows none of whose texts is a held-out one; the others are counted."""
        found = [
            r
            for r in zip(*columns, strict=True)
            if not any(normalised(t) in self.held for t in r if isinstance(t, str))
        ]
        self.dropped[name] = len(columns[0]) - len(found)
        return found

    def words(self) -> dict[str, list[str]]:
        """All training sentences."""
        found = [t for name, column in PLAIN.items()
                 for (t,) in self.kept(name, rows(self.data / name / "train.csv")[column])]  # fmt: skip
        for name in ("stsb", "sick"):
            d = rows(self.data / name / "train.csv")
            found += [t for (t,) in self.kept(name, d["sentence1"] + d["sentence2"])]
        return {"text": found + [t for (t,) in self.kept("multi30k", rows(self.data / "multi30k" / "train.csv")["en"])]}

    def translations(self) -> dict[str, list[Any]]:
        """Sentences in two languages, and which."""
        m = rows(self.data / "multi30k" / "train.csv")
        return together({f"en-{k}": self.kept(f"multi30k en-{k}", m["en"], m[k]) for k in LANGUAGES})

    def pairs(self) -> dict[str, list[Any]]:
        """Pairs that belong together, and the set of each."""
        sick, stsb = (rows(self.data / n / "train.csv") for n in ("sick", "stsb"))
        entailed = self.kept("sick", sick["sentence1"], sick["sentence2"], sick["entailment"])
        alike = self.kept("stsb", stsb["sentence1"], stsb["sentence2"], stsb["score"])
        own = together({
            "sick": [(a, b) for a, b, e in entailed if e == "ENTAILMENT"],
            "stsb": [(a, b) for a, b, s in alike if s >= ALIKE],
        })  # fmt: skip
        return {k: own[k] + others for k, others in self.translations().items()}

    def scores(self) -> dict[str, list[Any]]:
        """The training pairs of STS-B."""
        d = rows(self.data / "stsb" / "train.csv")
        found = self.kept("stsb", d["sentence1"], d["sentence2"], d["score"])
        return dict(zip(("sentence1", "sentence2", "score"), map(list, zip(*found, strict=True)), strict=True))


def measured(encode: Callable[[list[str]], Any], asked: dict[str, list[Any]], seed: int) -> dict[str, Any]:
    """Rank correlation of cosines with the scores of pairs."""
    left, right = (encode(asked[k]) for k in ("sentence1", "sentence2"))
    left, right = (np.asarray(x.todense() if hasattr(x, "todense") else x, np.float32) for x in (left, right))
    own = np.arange(len(left))
    return sts.measure(Sides(left, right, own, own, ("sentence1", "sentence2"), np.asarray(asked["score"])), seed=seed)


def by_source(encode: Callable[[list[str]], Any], asked: dict[str, list[Any]], seed: int) -> dict[str, float]:
    """The same within the pairs of each source."""
    found = {}
    for source in sorted(set(asked["source"])):
        some = [i for i, s in enumerate(asked["source"]) if s == source]
        part = {name: [asked[name][i] for i in some] for name in ("sentence1", "sentence2", "score")}
        found[source] = measured(encode, part, seed)["spearman"]
    return found


def learnt(
    case: str, sentences: Sentences, args: argparse.Namespace
) -> tuple[Embedder, dict[str, Embedder], dict[str, Any]]:
    """The model of a case, the same untrained, and what is said of the training."""
    knobs = COMMON | CASES[case] | {"seed": args.seed}
    table = getattr(sentences, case)()
    column = tuple(k for k in table if k not in ("set", "score"))
    print({k: len(v) for k, v in table.items()}, "left out, as dev or test hold them:", sentences.dropped)
    if case in BEFORE:
        run = args.runs / f"sts-{BEFORE[case]}-seed{args.seed}"
        knobs["init_from"] = ",".join(f"{k}={run}" for k in column)
    start = time.perf_counter()
    trained = train.train(table, column=column, out=args.runs / f"sts-{case}-seed{args.seed}", overwrite=True, fixed="none", **knobs)
    about = of_training(trained, time.perf_counter() - start)
    untrained = floors.untrained(trained.model, trained.plan.table, trained.plan.train)
    return trained.model, {"untrained": untrained}, about | {
        "knobs": CASES[case], "rows": len(trained.plan.table), "left_out": sentences.dropped,
    }  # fmt: skip


def three(args: argparse.Namespace) -> tuple[Ensemble, dict[str, Embedder], dict[str, Any]]:
    """The runs of three seeds as one model."""
    runs = [args.runs / f"sts-scores-seed{seed}" for seed in range(3)]
    return nearfar.ensemble(runs), {}, machine() | {"members": [run.name for run in runs]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("case", choices=(*CASES, "three"))
    parser.add_argument("--on", default="test", choices=("dev", "test"), help="dev: leave the test pairs alone.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=Path("docs/results/sts"))
    args = parser.parse_args()
    sentences = Sentences(args.data)
    model, others, about = three(args) if args.case == "three" else learnt(args.case, sentences, args)
    side = {"column": "sentence1"} if len(model.columns) > 1 else {}  # both columns have one encoder
    words = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    words.fit(Sentences(args.data).words()["text"])
    ways = {name: partial(m.encode, **side) for name, m in {"run": model, **others}.items()} | {
        "tfidf": words.transform
    }
    results: dict[str, dict[str, Any]] = {}
    for on in dict.fromkeys(("dev", args.on)):
        asked = rows(args.data / "stsb" / f"{on}.csv")
        results[on] = {name: measured(encode, asked, args.seed) for name, encode in ways.items()}
        for name, f in results[on].items():
            print(f"{on}: {name} {f['spearman']:.4f} [{f['interval'][0]:.3f}, {f['interval'][1]:.3f}]")
    args.out.mkdir(parents=True, exist_ok=True)
    files.write_json(args.out / f"{args.case}{'' if args.on == 'test' else '-dev'}-seed{args.seed}.json", {
        **about, "case": args.case, "on": args.on, "seed": args.seed,
        "results": files.finite(results[args.on]), "dev": files.finite(results["dev"]),
        "dev_by_source": by_source(ways["run"], rows(args.data / "stsb" / "dev.csv"), args.seed),
    })  # fmt: skip


if __name__ == "__main__":
    main()
