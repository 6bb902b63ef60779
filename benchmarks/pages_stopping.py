"""docs/results/stopping.md, from the JSON that benchmarks/stopping.py left.

    python benchmarks/pages_stopping.py

A test asserts that the page says what the JSON says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
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


def planted() -> str:
    """What trainings that must go wrong leave."""
    found = tables.read("stopping/planted")
    if not found:
        return ""
    body, fine = [], 0
    for d in found.values():
        kept, last, start = (d["figures"][name] for name in ("kept", "last", "start"))
        fine += d["kept_step"] == 0 or all(kept[name] >= start[name] for name in kept)
        state = "the start" if d["kept_step"] == 0 else f"after {d['kept_step']:,} of {d['last_step']:,} steps"
        figures = ["; ".join(f"{name} {f[name]:.3f}" for name in f) for f in (start, kept, last)]
        body.append([d["case"], state, *figures])
    return f"""## Trainings that must go wrong

Thirty times the learning rate; views that share next to nothing; labels, which teach, shuffled (`benchmarks/planted.py`).
Figures with the right labels, or pairs, of a fifth of the training rows that the training knew nothing of. In {fine} of
{len(found)} the model is the start or not below it in any figure.

{tables.rows(["training", "kept", "start", "the model", "last weights"], body)}

{tables.commands({next(iter(found.values()))["command"]: next(iter(found.values()))})}

"""


def page() -> str:
    """The page."""
    found = tables.read("stopping")
    rules = {"the last state": lambda looks: looks[-1], "the start": lambda looks: looks[0]}
    rules["what trainings choose"] = lambda looks: kept(looks, labels=False)
    rules["the same, where labels forbid some"] = lambda looks: kept(looks, labels=True)
    rules |= {name: lambda looks, m=m: best(looks, m) for name, m in CANDIDATES.items()}
    picked = [[name, *chosen(found, pick)] for name, pick in rules.items()]
    ranks = [[name, *(correlation(found, m, n) for n in (*FIGURES, "retrieval"))] for name, m in CANDIDATES.items()]
    head = [WORDS[n] for n in FIGURES]
    count, cases = len(list(trainings(found))), sorted({c for c, _ in trainings(found)})
    commands = {d["command"]: d for d in found.values()}
    return f"""# What tells without labels how good a training is

{count} trainings without labels of {", ".join(f"`{c}`" for c in cases)},
and three of the pairs of `multi30k`: as by default but for some steps more and, of pictures, a narrow network; with ten
times the learning rate; and with a quarter of the batch (`benchmarks/stopping.py`). A fifth of the training rows is held
out; test rows were never read. Each training was looked at nine times, from before its first step to its last. What needs
no labels is measured on held-out rows, and beside it, with labels, what the embedding is worth: a kNN, logistic
regression on 8 labelled rows a class (5 draws), and on up to 2,000. Texts have their fixed features beside.

A training without labels chooses its best state by the first measure (`nearfar.evaluation.verdict.label_free`), among states in
which one view of a row finds the other at least {verdict.FOUND:g} times as often as at the start: with thirty times the
learning rate a training of texts gains agreement within one epoch, and is worth less than before. States within half a
percent are equal, and the latest of them is kept. Labels of held-out rows, where there are any, forbid states of which a
kNN is lower than at the start by more than a standard error.

## If the best state by a measure were the model

The change of figures from the start to the state with most of a measure, mean over the trainings; how many of the figures
are more than 0.003 below the start, and by how much at most; and how far below the best look.

{tables.rows(["measure", *head, "below the start", "worst", "below the best look"], picked)}

## Rank correlations

Spearman, over the looks of a training; mean over the trainings. The last column is recall at 1 of the pairs, by which
trainings of pairs choose.

{tables.rows(["measure", *head, "recall at 1"], ranks)}

{tables.commands(commands)}

{planted()}
{next(iter(found.values()))["machine"]}.
"""


def main() -> None:
    (tables.ROOT / "stopping.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
