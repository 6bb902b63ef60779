"""Ten trainings that must go wrong: what is kept, what is said, and whether the model is below its start.

    OMP_NUM_THREADS=1 python benchmarks/planted.py DATA [CASE ...] --out docs/results/stopping/planted

DATA is a folder of data sets. Thirty times the default learning rate; views that share next to nothing; and labels, or
sides of pairs, that are shuffled. A fifth of the training rows is set aside, of which the training knows nothing; a kNN
and logistic regression with the right labels, or recall at 1 of the right pairs, are measured on it for the model that
was kept, for the last weights, and for the start. Test rows are never read. One JSON file a case.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stopping import CASES as COMPARED
from stopping import LINEAR_ROWS, NARROW, C, unit
from written import machine

from nearfar.core import files
from nearfar.core.errors import NearfarWarning
from nearfar.evaluation import floors, verdict
from nearfar.evaluation.protocols import Features, knn, linear_probe
from nearfar.training import train
from nearfar.vectors.logistic import Problem

ASIDE = 5  # every fifth row
TIMES = 30  # of the default learning rate


@dataclass(frozen=True)
class Case:
    """Data as (inputs, labels), or as columns; what is changed, and whether labels or sides are shuffled."""

    read: Callable[[Path], Any]
    fast: bool = False
    shuffled: bool = False
    knobs: dict[str, Any] | None = None


_trec, _digits, _rows = (COMPARED[name].read for name in ("trec", "digits", "pendigits"))


def _captions(folder: Path) -> Any:
    import pyarrow.csv as csv

    table = csv.read_csv(folder / "multi30k" / "train.csv", parse_options=csv.ParseOptions(newlines_in_values=True))
    return tuple(np.asarray(table[name].to_pylist()[:4000], object) for name in ("en", "de"))


SHORT = NARROW | {"epochs": 40}  # of pictures, pairs and what learns from labels: a part of the default steps
NOISE = SHORT | {"views.add": "noise", "views.overrides.noise.sigma": 50.0, "views.overrides.noise.p": 1.0}
CASES = {
    "texts, rate": Case(_trec, fast=True),
    "pictures, rate": Case(_digits, fast=True, knobs=SHORT),
    "rows, rate": Case(_rows, fast=True),
    "pairs, rate": Case(_captions, fast=True, knobs={"column": ("en", "de"), "epochs": 10}),
    "texts, views": Case(_trec, knobs={"views.overrides.drop_words.rate": 1.0}),
    "pictures, views": Case(_digits, knobs=NOISE),
    "rows, views": Case(_rows, knobs={"views.overrides.corrupt.rate": 1.0}),
    "texts, labels": Case(_trec, shuffled=True, knobs={"method": "supcon", "epochs": 20}),
    "pictures, labels": Case(_digits, shuffled=True, knobs=SHORT | {"method": "supcon"}),
    "rows, labels": Case(_rows, shuffled=True, knobs={"method": "supcon", "epochs": 40}),
}


def measured(model: Any, known: Any, aside: Any) -> dict[str, float]:
    """Figures of rows set aside, with their right labels or sides."""
    if known[1].dtype == object:
        a, b = (model.encode(list(side), column=c) for side, c in zip(aside, ("en", "de"), strict=True))
        return {"recall at 1": float(((a @ b.T).argmax(1) == np.arange(len(a))).mean())}
    classes = int(known[1].max()) + 1
    fit, score = (Features(unit(model.encode(_inputs(x))), y, classes) for x, y in (known, aside))
    weights = Problem(fit.x[:LINEAR_ROWS], fit.y[:LINEAR_ROWS], classes).solve(C).weights
    return {
        "kNN": knn.measure(fit, score, seed=0)["accuracy"],
        "linear": linear_probe.accuracy(weights, score.x, score.y),
    }


def _inputs(x: np.ndarray) -> Any:
    return x.tolist() if x.dtype == object else x


def trained(case: Case, data: Any, **more: Any) -> train.Trained:
    """A training of the case, whose warnings are part of the plan."""
    given = {"threads": 1, "precision": "fp32", "seed": 0, "quiet": True} | (case.knobs or {}) | more
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NearfarWarning)
        if case.fast:
            given["lr"] = TIMES * train.rehearse(data, **given).config.optim.lr
        return train.train(data, **given)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("cases", nargs="*", help=f"by default all: {'; '.join(CASES)}")
    parser.add_argument("--out", type=Path, default=Path("docs/results/stopping/planted"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.cases or CASES:
        case = CASES[name]
        first, second = (np.asarray(part, object if isinstance(part[0], str) else None) for part in case.read(args.data))
        if "pairs" not in name:
            second = np.unique(second, return_inverse=True)[1]
        away = np.arange(len(first)) % ASIDE == 0
        known, aside = (first[~away], second[~away]), (first[away], second[away])
        taught = np.random.default_rng(0).permutation(known[1]) if case.shuffled else known[1]
        data = {"en": list(known[0]), "de": list(taught)} if "pairs" in name else (_inputs(known[0]), taught)
        kept = trained(case, data)
        figures = {
            "kept": measured(kept.model, known, aside),
            "last": measured(trained(case, data, select="last").model, known, aside),
            "start": measured(floors.untrained(kept.model, kept.plan.table, kept.plan.train), known, aside),
        }
        said = verdict.sentence(kept.metrics, kept.plan.config.as_dict()["train"], kept.kept)
        found = {"case": name, "kept_step": kept.kept, "last_step": kept.metrics[-1]["step"], "said": said}
        print(name, found, figures, flush=True)
        files.write_json(args.out / f"{name.replace(', ', '-')}.json", machine() | found | {"figures": figures})


if __name__ == "__main__":
    main()
