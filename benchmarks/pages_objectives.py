"""The tables of docs/losses.md, out of what the objectives declare, and the rows about losses of the speed page."""

from __future__ import annotations

import json
from pathlib import Path

from nearfar.core.registry import OBJECTIVES
from nearfar.objectives.kernel.info import DATA

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- losses: written by benchmarks/tables.py -->", "<!-- /losses -->"


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


def losses() -> str:
    """docs/losses.md with its tables written anew."""
    text = (ROOT / "docs" / "losses.md").read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n\n{which_loss()}\n\n{rest[rest.index(END) :]}"


def speed_rows() -> list[list[str]]:
    """(claim, ratio, asked, figures) of benchmarks/objectives.py."""
    file = ROOT / "docs" / "results" / "speed" / "objectives.json"
    if not file.exists():
        return []
    found, rows = json.loads(file.read_text(encoding="utf-8")), []
    asked = {"nt_xent": "≤ 0.35 of the time, ≤ 0.06 of the memory"}
    for case, entry in found["cases"].items():
        shown = []
        for name, f in entry["contestants"].items():
            version = found["versions"].get(name) or found["versions"].get(f"{name}_torch")
            label = f"{name} {version}" if version else name
            if "seconds" in f:
                shown.append(f"{label}: {f['seconds']:.2f} s, {f['MiB']:,.0f} MiB")
            elif "failed" in f:
                shown.append(f"{label}: {'out of memory' if 'memory' in f['failed'] else 'failed'}")
        ratio = (
            f"{entry['time / plain']:.2f} of the time, {entry['memory / plain']:.3f} of the memory"
            if "time / plain" in entry
            else "runs"
        )
        claim = f"{case}, {entry['rows']:,} × {entry['dimensions']}: ours / the plain form"
        rows.append(
            [
                claim,
                ratio,
                asked.get(
                    case, "≤ 1 of the time, memory linear" if "plain" in entry["contestants"] else "runs in 24 GiB"
                ),
                "; ".join(shown),
            ]
        )
    return rows
