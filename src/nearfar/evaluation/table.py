"""The figures of results, and those as a table of plain text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nearfar.core.console import table as lines_of
from nearfar.core.registry import PROTOCOLS
from nearfar.evaluation.protocols import Figure, is_figure
from nearfar.evaluation.protocols import shown as shown_number

OF_VECTORS = ("untrained_encoder", "raw_input", "majority")  # floors with lines of their own; others have their names


def figures(result: Mapping[str, Any]) -> list[Figure]:
    """All figures of a result, or of a floor."""
    measured = sorted((p for p in result if p in PROTOCOLS), key=lambda p: getattr(PROTOCOLS.get(p), "PLACE", math.inf))
    return [figure for p in measured for figure in _of_protocol(p, result[p])]


def _of_protocol(name: str, r: Any) -> Iterator[Figure]:
    """What the protocol's file says, or its headline, or all figures at the top where it names none or another."""
    protocol = PROTOCOLS.get(name)
    if hasattr(protocol, "figures"):
        yield from protocol.figures(r)
        return
    title, head = getattr(protocol, "TITLE", name.replace("_", " ")), getattr(protocol, "HEADLINE", "accuracy")
    inner: Mapping[str, Any] = {"": r} if is_figure(r) else r if isinstance(r, Mapping) else {}
    if is_figure(inner.get(head)):
        rest = {key: inner.get(key) for key in ("interval", "draws", "chance")}
        yield Figure(title, inner[head], **rest, compared=head == "accuracy")  # of others, more may be worse
        return
    several = [
        Figure(f"{title}: {key}" if key else title, v, compared=False) for key, v in inner.items() if is_figure(v)
    ]
    for key, v in inner.items():  # by column or direction
        if isinstance(v, Mapping) and is_figure(v.get(head)):
            several.append(Figure(f"{title} {key}", v[head], interval=v.get("interval"), compared=False))
    yield from several or [Figure(title, "no figure", compared=False)]


def cells(result: Mapping[str, Any], like: Mapping[str, Any] | None = None) -> dict[str, tuple[str, str]]:
    """Every figure as people read it, and what stands beside it, by the heading of its column in a table of `like`.

    Figures over seeds have no settings and those of floors may have others, so figures go by their names.
    """
    found = {f.name: f for f in figures(result)}
    heads = {f.name: f"{f.name} ({f.about})" if f.about else f.name for f in figures(like or result)}
    return {head: _cell(found[name]) if name in found else ("–", "") for name, head in heads.items()}


def _cell(f: Figure) -> tuple[str, str]:
    between = f"[{shown_number(f.interval[0])}, {shown_number(f.interval[1])}]" if f.interval else f.beside
    return shown_number(f.value, f.digits), between


def render(
    data: Mapping[str, Any], results: Sequence[Mapping[str, Any]], summary: Sequence[Mapping[str, Any]],
    warnings: Sequence[str], below: Sequence[str],
) -> str:  # fmt: skip
    """The parts of an `Evaluation` as text.

    One line per model and floor and one column per figure, or the other way round if that is narrower.
    """
    together = {run for s in summary for run in s["runs"]}  # whose floors have one line
    rows = [(r["run"], r) for r in results] + [(s["name"], s["figures"]) for s in summary]
    for r in results:
        if "untrained_encoder" in r["floors"] and r["run"] not in together:
            name = f"{r['run']} untrained" if len(results) > 1 else "untrained encoder"
            rows.append((name, r["floors"]["untrained_encoder"]))
    for s in summary:
        if under := s["figures"].get("floors", {}).get("untrained_encoder"):
            rows.append((f"{s['name']} untrained", under))
    first, floors = results[0], results[0]["floors"]
    if "raw_input" in floors:
        rows.append(("raw input", floors["raw_input"]))
    rows += [(name, floor) for name, floor in floors.items() if name not in OF_VECTORS]
    shapes = ["effective rank"] if any("geometry" in r for _, r in rows) else []
    table = [["", *cells(first), *shapes]]
    for name, r in rows:
        ranks = [shown_number(r.get("geometry", {}).get("effective_rank"), 1)] if shapes else []
        table.append([name, *(" ".join(filter(None, c)) for c in cells(r, first).values()), *ranks])
    if "majority" in floors and len(table[0]) > 2:
        table.append(["majority class", f"{floors['majority']:.3f}", *[""] * (len(table[0]) - 2)])
    lines = min((lines_of(t).splitlines() for t in (table, list(zip(*table, strict=True)))), key=_width)
    lines += ["", *below] if below else []
    lines += ["", about_rows(data)]
    if summary:
        lines.append("Over seeds: mean ± standard deviation between them.")
    return "\n".join([*lines, *(f"note: {w}" for w in warnings)])


def about_rows(data: Mapping[str, Any]) -> str:
    """Which rows were scored, and what was fitted on."""
    if data.get("users"):
        return f"{data['test_rows']:,} interactions of {data['users']:,} users are to be found; {data['split']}."
    fitted = f"{data['train_rows']:,} to fit on" if data["train_rows"] else "nothing is fitted"
    said = f"{data['test_rows']:,} test rows, {fitted}; {data['split']}."
    if other := data.get("not_fitted"):
        said += f" {', '.join(other['protocols'])}: {other['test_rows']:,} test rows; {other['split']}."
    return said


def _width(lines: list[str]) -> int:
    return max(map(len, lines))
