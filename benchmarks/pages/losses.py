"""The tables of docs/losses.md, out of what the objectives declare."""

from __future__ import annotations

from nearfar.core.registry import OBJECTIVES
from nearfar.objectives.kernel.info import DATA


def which_loss() -> str:
    """One table for each kind of data."""
    infos = {name: OBJECTIVES.get(name).INFO for name in OBJECTIVES}
    parts = []
    for kind in DATA:
        rows = [(n, i) for n, i in infos.items() if kind in i.data]
        lines = [
            f"### {kind[0].upper()}{kind[1:]}\n",
            "| loss | formula | paper | beside others |",
            "|---|---|---|---|",
        ]
        for name, i in rows:
            paper = f"{i.paper}, arXiv {i.arxiv}" if i.arxiv != "–" else i.paper
            formula = i.formula.replace("|", "\\|")
            lines.append(f"| [`{name}`](../src/nearfar/objectives/{name}.py) | {formula} | {paper} | {i.neighbours} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
