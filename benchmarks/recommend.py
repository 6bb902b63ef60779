"""Users and items: a model as `nearfar train` makes it, floors without training, and peers, measured by one function.

    OMP_NUM_THREADS=1 python benchmarks/recommend.py DATA/movielens_latest_small random --seed 0
    OMP_NUM_THREADS=1 python benchmarks/recommend.py DATA/movielens_latest_small next --seed 0
    OMP_NUM_THREADS=1 python benchmarks/recommend.py DATA/movielens_latest_small new --seed 0

DATA holds ratings.csv (user_id, item_id, rating, timestamp) and items.csv. All interactions count, and all items are
ranked but those that the user had taken before.

random: of every user a tenth is for test and a tenth for validation.
next: of every user the last item is for test, the one before for validation.
new: a tenth of the items is never seen in training; who takes which of them is to be found by what is known of them,
ranked among themselves.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from written import of_training

import nearfar
from nearfar.core import files
from nearfar.data.histories import TEST, TRAIN, VALIDATION, Histories
from nearfar.evaluation.protocols import Ranked, ranking
from nearfar.evaluation.recommend.chosen import ranked
from nearfar.evaluation.recommend.floors import Chance, ContentRidge, Ease, Popularity, Transitions
from nearfar.evaluation.recommend.measured import measured_on
from nearfar.vectors.intervals import difference

ASKED: dict[str, dict[str, Any]] = {  # beside the data; all else is as it is by default
    "random": {"rating": "rating", "leave_out": "random"},
    "next": {
        "time": "timestamp", "leave_out": "last", "method": "next_item", "lr": 1e-3, "epochs": 4, "batch_size": 32,
        "encoder_options": {"recent": 11, "first": 50, "tied": False}, "set": {"method.parts.candidates.drawn": 1024},
    },
    "new": {"encoder": "towers", "leave_out": "none"},
}  # fmt: skip
NEW = 0.1  # of the items
FACTORS = (16, 32, 64, 128)
PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0)  # of the regression on content


class Factors:
    """A model of `implicit` with the number of factors that suits the validation part best."""

    def __init__(self, name: str, make: Callable[[int], Any], histories: Histories) -> None:
        self.name, best = name, -1.0
        for factors in FACTORS:
            model = make(factors)
            model.fit(histories.of(TRAIN).matrix().tocsr(), show_progress=False)
            users = {user: i for i, user in enumerate(histories.users)}

            def scores(some: Histories, model: Any = model, users: dict[str, int] = users) -> np.ndarray:
                return model.user_factors[[users[u] for u in some.users]] @ model.item_factors.T

            self.scores = scores
            found = ranking.measure(ranked(histories, self, VALIDATION))["ndcg"]["10"]
            if found > best:
                best, chosen, self.numbers = found, scores, {"factors": factors}
        self.scores = chosen


def peers(histories: Histories, seed: int) -> dict[str, Any]:
    """BPR and ALS of the library implicit, as it has them but for the number of factors."""
    from implicit.als import AlternatingLeastSquares
    from implicit.bpr import BayesianPersonalizedRanking

    made = {}
    for name, kind in (("implicit BPR", BayesianPersonalizedRanking), ("implicit ALS", AlternatingLeastSquares)):
        start = time.perf_counter()
        peer = Factors(name, lambda n, kind=kind: kind(factors=n, random_state=seed, num_threads=1), histories)
        made[name] = figures(ranking.measure(ranked(histories, peer), seed=seed))
        made[name] |= {"numbers": peer.numbers, "seconds": time.perf_counter() - start}
    return made


def figures(result: dict[str, Any]) -> dict[str, Any]:
    """A measurement without what it says of every user."""
    return {"ranking": {k: v for k, v in result.items() if k != "by_user"}}


def learnt_from_more(histories: Histories, floors: dict[str, Any]) -> dict[str, Any]:
    """The floors that know the order, learnt from the validation part as well, which no trained model here is."""
    more, numbers = histories.of(TRAIN, VALIDATION), floors["EASE with recency"]["numbers"]
    made = {"Markov chain": Transitions(more), "EASE with recency": Ease(more, numbers["penalty"]).recent(numbers["decay"])}
    return {f"{n}, validation too": figures(ranking.measure(ranked(histories, f))) for n, f in made.items()}


def of_parts(data: Path, protocol: str, seed: int) -> dict[str, Any]:
    """Figures where interactions of known items are left out."""
    start = time.perf_counter()
    trained = nearfar.train(data / "ratings.csv", pair=("user_id", "item_id"), items=str(data / "items.csv"), seed=seed,
                            quiet=True, **ASKED[protocol])  # fmt: skip
    seconds = time.perf_counter() - start
    evaluation = nearfar.evaluate(trained.model, protocols=["ranking"], seed=seed, quiet=True)
    (result,), histories = evaluation.results, measured_on(trained.model, evaluation.table_of_rows)
    others = peers(histories, seed)
    if protocol == "next":
        others |= learnt_from_more(histories, result["floors"])
    return {**of_training(trained, seconds), "data": evaluation.data, "model": {"ranking": result["ranking"]},
            "floors": result["floors"], "others": others}  # fmt: skip


class Among:
    """A scorer for whom there are some items only."""

    def __init__(self, scorer: Any, items: np.ndarray) -> None:
        self.scorer, self.items = scorer, items

    def scores(self, histories: Histories) -> np.ndarray:
        """Float32 (B, I), minus infinity for the others."""
        return np.where(self.items, self.scorer.scores(histories), -np.inf)


def regression(histories: Histories, seed: int) -> ContentRidge:
    """Regression on content, whose penalty suits items of the training that it has not seen."""
    train = histories.of(TRAIN)
    taken = np.unique(train.indices)
    unseen = np.zeros(len(train.items), bool)
    unseen[np.random.default_rng(seed).permutation(taken)[: round(NEW * len(taken))]] = True
    parted = replace(train, part=np.where(unseen[train.indices], TEST, TRAIN).astype(np.int8))
    found = {}
    for penalty in PENALTIES:
        floor = ContentRidge(parted.of(TRAIN), penalty)
        found[penalty] = ranking.measure(ranked(parted, Among(floor, unseen)))["ndcg"]["10"]
    return ContentRidge(train, max(found, key=lambda p: found[p]))


def of_new_items(data: Path, seed: int) -> dict[str, Any]:
    """Figures of items that no user took in training."""
    with (data / "ratings.csv").open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    column = head.index("item_id")
    items = sorted({row[column] for row in rows})
    new = set(np.random.default_rng(seed).permutation(items)[: round(NEW * len(items))].tolist())
    with tempfile.TemporaryDirectory() as folder:
        paths = {known: Path(folder) / f"{'before' if known else 'after'}.csv" for known in (True, False)}
        for known, path in paths.items():
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([head, *(r for r in rows if (r[column] not in new) is known)])
        start = time.perf_counter()
        trained = nearfar.train(paths[True], pair=("user_id", "item_id"), items=str(data / "items.csv"), seed=seed,
                                out=Path(folder) / "run", quiet=True, **ASKED["new"])  # fmt: skip
        seconds = time.perf_counter() - start
        table = trained.model.read(str(paths[False]))
        histories = measured_on(trained.model, table, new=True)
    among = np.isin(histories.items, list(new))
    found = {"model": trained.model, "random": Chance(seed), "popularity": Popularity(histories.of(TRAIN)),
             "regression on content": regression(histories, seed)}  # fmt: skip
    measured = {}
    for name, scorer in found.items():
        task: Ranked = ranked(histories, Among(scorer, among))
        measured[name] = ranking.measure(task, seed=seed)
    above = {
        floor: {k: difference(v, measured[floor]["by_user"][k], seed) for k, v in measured["model"]["by_user"].items()}
        for floor in list(found)[1:]
    }
    measured["model"]["above"] = above  # where `nearfar eval` puts it
    model, *floors = (figures(m) for m in measured.values())
    about = {"users": measured["model"]["users"], "items": int(among.sum()), "interactions": len(histories.of(2).indices)}
    return {**of_training(trained, seconds), "data": about, "model": model,
            "floors": dict(zip(list(found)[1:], floors, strict=True)), "others": {}}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("protocol", choices=ASKED)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/results/recommend"))
    args = parser.parse_args()
    start = time.perf_counter()
    made = of_new_items(args.data, args.seed) if args.protocol == "new" else of_parts(args.data, args.protocol, args.seed)
    made |= {"protocol": args.protocol, "seed": args.seed, "set": args.data.name, "asked": ASKED[args.protocol],
             "seconds": time.perf_counter() - start}  # fmt: skip
    made["command"] = f"python benchmarks/recommend.py DATA/{args.data.name} {args.protocol} --seed {args.seed}"
    made["data"].pop("source", None)
    args.out.mkdir(parents=True, exist_ok=True)
    files.write_json(args.out / f"{args.protocol}-{args.seed}.json", files.finite(made))
    print({n: round(f["ranking"]["ndcg"]["10"], 4) for n, f in {"model": made["model"], **made["floors"], **made["others"]}.items()})


if __name__ == "__main__":
    main()
