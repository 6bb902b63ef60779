"""What docs/results/text.md shows."""

from __future__ import annotations

import statistics
from functools import cache
from typing import Any

import tables
from tables import over

ASKED = {"agnews_small": "≥ 0.76", "subj": "≥ 0.86", "trec": "target 0.58", "sst2": "target 0.62"}
LABELLED, DEFAULTS = "-labels", "-defaults"
LEARNT = {
    "words": ("document frequencies of all sentences", "> 0.713"),
    "translations": ("and translations: no pair of English sentences", "> 0.713"),
    "pairs": ("and English pairs that belong together", "≥ 0.76"),
    "scores": ("and the scores of training pairs", "≥ 0.76"),
    "three": ("`scores` of three seeds as one model", "≥ 0.76"),
}

Seeds = list[dict[str, Any]]


@cache
def by_case(folder: str) -> dict[str, Seeds]:
    """The seeds of every case in a folder, in order."""
    cases: dict[str, Seeds] = {}
    for name, d in tables.read(folder).items():
        cases.setdefault(name.rpartition("-seed")[0], []).append(d)
    return cases


def of_kind(ending: str) -> dict[str, Seeds]:
    """The cases of texts of one ending; those of none are neither of the two."""
    found = by_case("text").items()
    if not ending:
        return {c: s for c, s in found if not c.endswith((LABELLED, DEFAULTS))}
    return {c.removesuffix(ending): s for c, s in found if c.endswith(ending)}


def minutes(seeds: Seeds) -> str:
    """Training time of the quickest seed in seconds, on a shared machine."""
    return f"{min(d['training_seconds'] for d in seeds):.0f}"


def few() -> str:
    """One line a set: few labels and all, beside TF-IDF."""
    body = []
    for case, seeds in of_kind("").items():
        runs = [d["results"][0] for d in seeds]
        under = [r["floors"]["untrained_encoder"] for r in runs]
        body.append([
            case, over([r["shots"]["8"]["mean"] for r in runs]), ASKED.get(case, "–"),
            over([d["tfidf"]["shots"]["8"]["mean"] for d in seeds]), over([u["shots"]["8"]["mean"] for u in under]),
            over([r["shots"]["16"]["mean"] for r in runs]), over([r["linear_probe"]["accuracy"] for r in runs]),
            over([d["tfidf"]["all"] for d in seeds]), minutes(seeds),
        ])  # fmt: skip
    head = ["set", "8 labels", "asked", "TF-IDF, 8 labels", "untrained, 8 labels", "16 labels", "all labels, linear probe",
            "TF-IDF, all labels", "seconds"]  # fmt: skip
    return tables.rows(head, body)


def chosen() -> str:
    """What numbers were chosen by."""
    found = tables.read("fixed")
    cases, variants = list(found), list(next(iter(found.values()))["found"])
    body = []
    for name in variants:
        for part in ("weight 1.0", "trained", "fixed") if name == variants[0] else ("weight 1.0",):
            lines = [found[c]["found"][name][part] for c in cases]
            label = {"trained": "the trained part alone", "fixed": "the fixed part alone"}.get(part, name)
            body.append([label, *(f"{x['8 labels a class']:.3f}, {x['knn']:.3f}" for x in lines)])
    for part in ("weight 0.5", "weight 0.7"):
        lines = [found[c]["found"][variants[0]][part] for c in cases]
        body.append([f"fixed part of {part}", *(f"{x['8 labels a class']:.3f}, {x['knn']:.3f}" for x in lines)])
    return tables.rows(["changed", *cases], body)


def default_few() -> str:
    """A training that is told nothing, with few labels, beside every floor."""
    body = []
    for name, seeds in of_kind(DEFAULTS).items():
        runs = [d["results"][0] for d in seeds]
        own = [r["shots"]["8"]["mean"] for r in runs]
        below = {
            "TF-IDF": [d["tfidf"]["shots"]["8"]["mean"] for d in seeds],
            "LSA": [d["lsa"]["shots"]["8"]["mean"] for d in seeds],
            "untrained": [r["floors"]["untrained_encoder"]["shots"]["8"]["mean"] for r in runs],
        }
        best = max(below, key=lambda name: statistics.mean(below[name]))
        lead = statistics.mean(own) - statistics.mean(below[best])
        body.append([name, over(own), *(over(v) for v in below.values()), f"{lead:+.3f} ({best})"])
    return tables.rows(["set", "8 labels", "TF-IDF", "LSA, 100 dimensions", "untrained", "above the best floor"], body)


def default_others() -> str:
    """The same with other measures."""
    body = []
    for name, seeds in of_kind(DEFAULTS).items():
        runs = [d["results"][0] for d in seeds]
        beside = [runs, *([r["floors"][key] for r in runs] for key in ("untrained_encoder", "raw_input"))]
        figures = [over([r[p]["accuracy"] for r in rows]) for p in ("knn", "linear_probe") for rows in beside]
        kept = ", ".join(f"{d['kept']} of {d['steps']}" for d in seeds)
        body.append([name, *figures, kept, minutes(seeds)])
    head = ["set", "kNN", "untrained", "raw input", "linear probe", "untrained", "raw input", "kept after steps", "seconds"]
    return tables.rows(head, body)


def labels() -> str:
    """Embeddings learnt from all labels."""
    body = []
    for case, seeds in of_kind(LABELLED).items():
        probes = [d["results"][0]["linear_probe"] for d in seeds]
        (tfidf,) = {d["tfidf"]["all"] for d in seeds}
        mean = statistics.mean(p["accuracy"] for p in probes)
        low, high = probes[0]["interval"]
        body.append([case, over([p["accuracy"] for p in probes]), f"[{low:.3f}, {high:.3f}]", f"{tfidf:.3f}",
                     f"{mean - tfidf:+.3f}", minutes(seeds)])  # fmt: skip
    return tables.rows(["set", "all labels, linear probe", "interval, seed 0", "TF-IDF", "difference", "seconds"], body)


def commands() -> str:
    every = by_case("text")
    trained = {f"{c}-{d['seed']}": d for c, s in every.items() for d in s}
    return tables.commands({**trained, **{d["command"]: d for d in tables.read("fixed").values()}})


def similarity() -> str:
    """STS-B."""
    cases, body = by_case("sts"), []
    for case, (what, asked) in LEARNT.items():
        seeds = cases[case]
        low, high = seeds[0]["results"]["run"]["interval"]
        trained = "training_seconds" in seeds[0]
        body.append([
            f"`{case}`: {what}", f"{seeds[0]['rows']:,}" if trained else "", spearman(seeds), f"[{low:.3f}, {high:.3f}]",
            asked, spearman(seeds, "untrained") if trained else "", spearman(seeds, on="dev"),
            minutes(seeds) if trained else "",
        ])  # fmt: skip
    head = ["learnt from", "rows", "test, Spearman", "interval, seed 0", "asked", "same rows, untrained", "dev", "seconds"]
    return tables.rows(head, body)


def left_out() -> str:
    return ", ".join(f"{v} of {k}" for k, v in by_case("sts")["words"][0]["left_out"].items() if v)


def tried() -> str:
    return "; ".join(f"`{name}` {spearman(seeds)}" for name, seeds in by_case("sts-tried").items())


def sources() -> str:
    """Dev pairs by source, mean over the seeds."""
    cases = by_case("sts")
    names = list(cases["words"][0]["dev_by_source"])
    body = [[f"`{c}`", *(over([d["dev_by_source"][n] for d in cases[c]]) for n in names)] for c in LEARNT]
    return tables.rows(["dev pairs by source", *names], body)


def sts_commands() -> str:
    return tables.commands({f"{c}-{d['seed']}": d for c in LEARNT for d in by_case("sts")[c]})


def spearman(seeds: Seeds, who: str = "run", on: str = "results") -> str:
    """Rank correlation over the seeds."""
    return over([d[on][who]["spearman"] for d in seeds])
