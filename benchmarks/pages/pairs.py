"""What docs/results/pairs.md shows."""

from __future__ import annotations

import tables
from tables import over

from pages.text import Seeds, by_case, minutes


def recall(seeds: Seeds, who: str, where: str, way: int) -> str:
    """Recall at 1 one way."""
    return over([list(d["results"][who][where].values())[way]["recall"]["1"] for d in seeds])


def of_kind(texts: bool) -> dict[str, Seeds]:
    """Translations, or pictures and captions."""
    return {c: s for c, s in by_case("pairs").items() if ("languages" in s[0]) == texts}


def translations() -> str:
    """One line a pair of languages and way."""
    body = []
    for seeds in of_kind(texts=True).values():
        d = seeds[0]
        a, b = d["languages"]
        for way, name in enumerate((f"{a} → {b}", f"{b} → {a}")):
            margin = over([list(s["results"]["run"]["bitext"].values())[way]["margin"]["accuracy"] for s in seeds])
            interval = list(d["results"]["run"]["retrieval"].values())[way]["interval"]
            body.append([
                name, f"{d['pairs']:,}", recall(seeds, "run", "retrieval", way), f"[{interval[0]:.3f}, {interval[1]:.3f}]",
                margin, recall(seeds, "run", "with_distractors", way), recall(seeds, "untrained", "retrieval", way),
                recall(seeds, "raw", "retrieval", way), minutes(seeds),
            ])  # fmt: skip
    head = ["", "training pairs", "R@1", "interval, seed 0", "nearest by margin", "R@1 with distractors", "untrained R@1",
            "hashed counts R@1", "seconds"]  # fmt: skip
    return tables.rows(head, body)


def captions() -> str:
    """One line a set and way."""
    body = []
    for case, seeds in of_kind(texts=False).items():
        ways = list(seeds[0]["results"]["run"]["retrieval"])
        for way, name in zip(ways, ("picture → caption", "caption → picture"), strict=True):
            of = [d["results"]["run"]["retrieval"][way] for d in seeds]
            under = [d["results"]["untrained"]["retrieval"][way] for d in seeds]
            body.append([
                case, name, *(over([r["recall"][k] for r in of]) for k in ("1", "5", "10")),
                over([r["median_rank"] for r in of]), over([r["recall"]["1"] for r in under]),
                f"{of[0]['chance']['1']:.3f}", minutes(seeds),
            ])  # fmt: skip
    head = ["set", "", "R@1", "R@5", "R@10", "median rank", "untrained R@1", "chance R@1", "seconds"]
    return tables.rows(head, body)


def about() -> str:
    """How they were trained."""
    knobs = next(iter(of_kind(texts=False).values()))[0]["knobs"]
    return ", ".join(f"{k} {knobs[k]}" for k in ("epochs", "batch_size") if k in knobs)


def truth() -> str:
    """How well true sentences are told from false ones, where a set has such."""
    said = []
    for case, seeds in of_kind(texts=False).items():
        if "pair_classification" in seeds[0]["results"]["run"]:
            run, under = ([d["results"][w]["pair_classification"]["at_threshold"] for d in seeds] for w in ("run", "untrained"))
            trained, untrained = (over([r["accuracy"] for r in rs]) for rs in (run, under))
            said.append(f"{case}: accuracy {trained}, untrained {untrained}, majority {run[0]['majority']:.3f}")
    return "; ".join(said)


def commands() -> str:
    return tables.commands({f"{c}-{d['seed']}": d for c, s in by_case("pairs").items() for d in s})
