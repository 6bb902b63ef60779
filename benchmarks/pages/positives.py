"""What docs/results/positives.md shows."""

from __future__ import annotations

from typing import Any

import tables

SETS = {"mnist": "MNIST", "cifar10": "CIFAR-10"}
WORDS = {
    "untrained": "untrained network",
    "views": "views",
    "teacher_neighbours": "5 neighbours by the `views` run",
    "teacher_clusters": "100 clusters of the `views` run",
    "clusters": "100 clusters of its own, from the second epoch",
    "clusters_late": "100 clusters of its own, from the sixth epoch",
    "labels10": "10 % of the labels",
    "labels10_balanced": "10 % of the labels, batches of 10 × 12 labelled rows and 130 others",
    "labels": "labels",
    "labels_balanced": "labels, batches of 10 × 25 rows",
}


def probe(d: dict[str, Any]) -> dict[str, Any]:
    """The linear probe's figures."""
    return d["results"][0]["linear_probe"]


def by_set(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """The JSON of each set by case, sets and cases in the order of this file."""
    return {
        s: {c: f for c in WORDS for f in found.values() if (f["data"], f["case"], f["seed"]) == (s, c, 0)} for s in SETS
    }


def beside(d: dict[str, Any], base: dict[str, Any] | None) -> str:
    """How far the probe is from that of `views`; bold where their intervals do not overlap."""
    if base is None or d is base:
        return "–"
    a, b = probe(d), probe(base)
    text = f"{a['accuracy'] - b['accuracy']:+.3f}".replace("-", "−")
    apart = a["interval"][0] > b["interval"][1] or a["interval"][1] < b["interval"][0]
    return f"**{text}**" if apart else text


def table(cases: dict[str, dict[str, Any]]) -> str:
    """A row for each case of one set."""
    body = [
        [
            f"`{c}`",
            WORDS[c],
            tables.share(probe(d)),
            beside(d, cases.get("views")),
            tables.share(d["results"][0]["knn"]),
        ]
        for c, d in cases.items()
    ]
    if floors := cases.get("untrained", {}).get("results", [{}])[0].get("floors"):
        raw = floors["raw_input"]
        body.insert(0, ["–", "raw pixels", tables.share(raw["linear_probe"]), "–", tables.share(raw["knn"])])
    return tables.rows(["case", "who belongs together", "linear probe", "− views", "kNN (20, τ 0.07)"], body)


def said(name: str, cases: dict[str, dict[str, Any]]) -> str:
    """What one set shows, in a sentence, from its numbers alone."""
    if "views" not in cases:
        return ""
    base = probe(cases["views"])["accuracy"]
    words: dict[str, list[str]] = {"more": [], "less": [], "overlapping": []}
    for case, d in cases.items():
        if case in ("views", "untrained"):
            continue
        text = beside(d, cases["views"])
        kind = "overlapping" if "*" not in text else "more" if "+" in text else "less"
        words[kind].append(f"`{case}` ({text.strip('*')})")
    parts = [f"{kind}: {', '.join(named)}" for kind, named in words.items() if named]
    return f"Beside views alone ({base:.3f}) on {SETS[name]}, by whether the intervals overlap: {'; '.join(parts)}."


def made(cases: dict[str, dict[str, Any]]) -> str:
    """Encoder and views of one set."""
    knobs = next(iter(cases.values()))["knobs"]
    return f"Encoder `{knobs['encoder']}`, views of the recipe `{knobs['recipe']}`."


def moved(cases: dict[str, dict[str, Any]]) -> str:
    """How much the clusters changed from one refresh to the next."""
    lines = [f"`{c}`: " + ", ".join(f"{m:.2f}" for m in cases[c]["clusters_moved"])
             for c in ("clusters", "clusters_late") if c in cases]  # fmt: skip
    return (
        "Share of the rows that changed their cluster, refresh by refresh: " + "; ".join(lines) + "." if lines else ""
    )


def sections() -> str:
    """A section a set."""
    return "\n\n".join(
        "\n\n".join(filter(None, (f"## {SETS[s]}", table(cases), made(cases), said(s, cases), moved(cases))))
        for s, cases in by_set(tables.read("positives")).items() if cases
    )  # fmt: skip


def knobs() -> str:
    """Numbers that all trainings had."""
    given = next(d for d in tables.read("positives").values() if d["case"] == "views")["knobs"]
    return ", ".join(f"{k} {given[k]}" for k in ("epochs", "batch_size", "temperature", "encoder_options", "threads"))


def commands() -> str:
    return tables.commands(tables.read("positives"))
