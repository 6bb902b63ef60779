"""What docs/recommend.md shows."""

from __future__ import annotations

from typing import Any

import tables
from tables import over

Seeds = list[dict[str, Any]]


def seeds(protocol: str) -> Seeds:
    """The results of a protocol, by seed."""
    return [d for d in tables.read("recommend").values() if d["protocol"] == protocol]


def table(protocol: str) -> str:
    """One line for the model, each floor and each peer."""
    found = seeds(protocol)
    named = {"nearfar": [d["model"] for d in found]}
    for group in ("floors", "others"):
        named |= {name: [d[group][name] for d in found] for name in found[0][group]}
    body = []
    for name, several in named.items():
        of = [s["ranking"] for s in several]
        figures = [over([f[key]["10"] for f in of]) for key in ("ndcg", "recall", "hit")]
        rest = [over([f["mrr"] for f in of]), over([f["coverage"] for f in of])]
        popular = over([f["popularity"]["recommended"] for f in of]).partition(" ±")[0].partition(".")[0]
        body.append([name, *figures, *rest, popular])
    head = ["", "nDCG@10", "recall@10", "hit@10", "MRR", "coverage@10", "popularity@10"]
    return tables.rows(head, body)


def above(protocol: str) -> str:
    """Paired differences from each floor, a seed each."""
    found = seeds(protocol)
    body = []
    for floor in found[0]["model"]["ranking"]["above"]:
        lines = [d["model"]["ranking"]["above"][floor] for d in found]
        for figure in ("ndcg", "recall"):
            each = "; ".join(
                f"{line[figure]['mean']:+.3f} [{line[figure]['interval'][0]:+.3f}, {line[figure]['interval'][1]:+.3f}]"
                for line in lines
            )
            body.append([floor, f"{'nDCG' if figure == 'ndcg' else 'recall'}@10", each])
    return tables.rows(["above", "", "difference by seed, 95 % over users"], body)


def table_random() -> str:
    """All figures of the protocol random."""
    return table("random")


def table_next() -> str:
    """All figures of the protocol next."""
    return table("next")


def table_new() -> str:
    """All figures of the protocol new."""
    return table("new")


def above_random() -> str:
    """Differences of the protocol random."""
    return above("random")


def above_next() -> str:
    """Differences of the protocol next."""
    return above("next")


def above_new() -> str:
    """Differences of the protocol new."""
    return above("new")


def seconds() -> str:
    """Seconds of a training and of a whole protocol with its floors and peers, by protocol."""
    body = []
    for protocol, name in (("random", "8:1:1"), ("next", "next item"), ("new", "new items")):
        found = seeds(protocol)
        trained, whole = (over([d[k] for d in found]).partition(".")[0] for k in ("training_seconds", "seconds"))
        body.append([name, trained, whole])
    return tables.rows(["", "training", "with floors and peers"], body)


def commands() -> str:
    """What was typed."""
    return tables.commands(tables.read("recommend"))
