"""What docs/results/stopping.md shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import tables
from scipy import stats

from nearfar.evaluation import verdict

Look = dict[str, Any]

# what needs no labels, as a number of which more should be better
CANDIDATES: dict[str, Callable[[Look], float]] = {
    "agreement of views × √(effective rank)": verdict.label_free,
    "agreement of views": lambda x: x["heldout_agreement"],
    "loss of held-out rows": lambda x: -x["heldout_loss"],
    "alignment of views": lambda x: -x["heldout_alignment"],
    "recall between views": lambda x: x["heldout_views"],
    "uniformity": lambda x: -x["heldout_uniformity"],
    "effective rank": lambda x: x["heldout_rank"],
    "RankMe": lambda x: x["heldout_rankme"],
    "α-ReQ, nearness of α to 1": lambda x: -abs(math.log(max(1e-6, x["heldout_alpha"]))),
    "LiDAR": lambda x: x["lidar"],
    "nearest rows that are so in the raw input": lambda x: x["raw_neighbours"],
}
FIGURES = ("knn", "few", "linear")
WORDS = {"knn": "kNN", "few": "8 labels a class", "linear": "linear"}


def trainings(found: dict[str, dict[str, Any]], key: str = "accuracy_knn") -> Iterator[tuple[str, list[Look]]]:
    """(case, looks) of every training that has a figure: those of one column with labels, or ``retrieval`` of pairs."""
    for case, d in found.items():
        for training in d["settings"].values():
            if key in training["looks"][0]:
                yield case, training["looks"]


def figure(look: Look, name: str) -> float:
    """A figure with labels of the vectors as they are used: with fixed features beside where the model has them."""
    key = f"accuracy_{name}"
    return look[name] if name == "retrieval" else look.get(f"{key}_beside", look[key])


def best(looks: list[Look], measure: Callable[[Look], float]) -> Look:
    """The look with the most of a measure, the latest of equals."""
    return max(enumerate(looks), key=lambda pair: (measure(pair[1]), pair[0]))[1]


def kept(looks: list[Look], labels: bool) -> Look:
    """What a training without labels keeps: of what is as good as the best, the latest; labels may forbid a state."""
    seen = [x if labels else {k: v for k, v in x.items() if k != "knn"} for x in looks]
    worth = [verdict.worth(verdict.LABEL_FREE, x, seen[0]) for x in seen]
    least = verdict.enough(verdict.LABEL_FREE, max(worth), worth[0])
    return looks[max(i for i, w in enumerate(worth) if w >= least)]


def correlation(found: dict[str, dict[str, Any]], measure: Callable[[Look], float], name: str) -> str:
    """Mean over the trainings of the rank correlation of a measure with a figure, from the first look to the last."""
    try:
        each = [
            stats.spearmanr([measure(x) for x in looks], [figure(x, name) for x in looks]).statistic
            for _, looks in trainings(found, name if name == "retrieval" else "accuracy_knn")
        ]
    except KeyError:  # not measured of pairs
        return "–"
    return f"{np.nanmean(each):+.2f}"


def chosen(found: dict[str, dict[str, Any]], pick: Callable[[list[Look]], Look]) -> list[str]:
    """What a rule picks: by figure the mean gain over the start; the most that was lost; how far from the best look."""
    gains, missed = {n: [] for n in FIGURES}, []
    for _, looks in trainings(found):
        look = pick(looks)
        for name in FIGURES:
            gains[name].append(figure(look, name) - figure(looks[0], name))
            missed.append(max(figure(x, name) for x in looks) - figure(look, name))
    every = [g for of in gains.values() for g in of]
    below = sum(g < -0.003 for g in every)
    return [*(f"{np.mean(gains[n]):+.3f}" for n in FIGURES), f"{below} of {len(every)}", f"{min(every):+.3f}",
            f"{np.mean(missed):.3f}"]  # fmt: skip


@cache
def found() -> dict[str, dict[str, Any]]:
    return tables.read("stopping")


def picked() -> str:
    """What each rule gives."""
    rules = {"the last state": lambda looks: looks[-1], "the start": lambda looks: looks[0]}
    rules["what trainings choose"] = lambda looks: kept(looks, labels=False)
    rules["the same, where labels forbid some"] = lambda looks: kept(looks, labels=True)
    rules |= {name: lambda looks, m=m: best(looks, m) for name, m in CANDIDATES.items()}
    head = ["measure", *WORDS.values(), "below the start", "worst", "below the best look"]
    return tables.rows(head, [[name, *chosen(found(), pick)] for name, pick in rules.items()])


def correlations() -> str:
    """Rank correlations of each measure with the figures."""
    body = [[name, *(correlation(found(), m, n) for n in (*FIGURES, "retrieval"))] for name, m in CANDIDATES.items()]
    return tables.rows(["measure", *WORDS.values(), "recall at 1"], body)


def count() -> str:
    return str(len(list(trainings(found()))))


def cases() -> str:
    return ", ".join(f"`{c}`" for c in sorted({c for c, _ in trainings(found())}))


def found_times() -> str:
    return f"{verdict.FOUND:g}"


def commands() -> str:
    return tables.commands({d["command"]: d for d in found().values()})


def planted() -> str:
    """What trainings that must go wrong leave."""
    body = []
    for d in tables.read("stopping/planted").values():
        state = "the start" if d["kept_step"] == 0 else f"after {d['kept_step']:,} of {d['last_step']:,} steps"
        figures = ["; ".join(f"{name} {f[name]:.3f}" for name in f)
                   for f in (d["figures"][n] for n in ("start", "kept", "last"))]  # fmt: skip
        body.append([d["case"], state, *figures])
    return tables.rows(["training", "kept", "start", "the model", "last weights"], body)


def planted_fine() -> str:
    """In how many of them the model is not below its start."""
    ends = tables.read("stopping/planted").values()
    fine = [d for d in ends if d["kept_step"] == 0
            or all(d["figures"]["kept"][name] >= start for name, start in d["figures"]["start"].items())]  # fmt: skip
    return f"{len(fine)} of {len(ends)}"


def planted_command() -> str:
    first = next(iter(tables.read("stopping/planted").values()))
    return tables.commands({"": first})
