"""The figures as a table of plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearfar.evaluation.run import Evaluation


def render(evaluation: Evaluation) -> str:
    """One line per model and floor and one column per figure, or the other way round if that is narrower."""
    rows: list[tuple[str, dict[str, Any]]] = []
    for result in evaluation.results:
        rows.append((result["run"], result))
    rows += [(s["name"], s["figures"]) for s in evaluation.summary]
    together = {run for s in evaluation.summary for run in s["runs"]}  # whose floors have one line
    for result in evaluation.results:
        several = len(evaluation.results) > 1
        if "untrained_encoder" in result["floors"] and result["run"] not in together:
            rows.append(
                (
                    f"{result['run']} untrained" if several else "untrained encoder",
                    result["floors"]["untrained_encoder"],
                )
            )
    for s in evaluation.summary:
        if under := s["figures"].get("floors", {}).get("untrained_encoder"):
            rows.append((f"{s['name']} untrained", under))
    first = evaluation.results[0]["floors"]
    if "raw_input" in first:
        rows.append(("raw input", first["raw_input"]))
    cells = [["", *_heads(rows[0][1])]] + [[name, *_figures(values, rows[0][1])] for name, values in rows]
    if "majority" in first:
        cells.append(
            ["majority class", *[f"{first['majority']:.3f}" if i < 1 else "" for i, _ in enumerate(cells[0][1:])]]
        )
    lines = min(_lines(cells), _lines([list(row) for row in zip(*cells, strict=True)]), key=_width)
    lines.append("")
    data = evaluation.data
    lines.append(f"{data['test_rows']:,} test rows, {data['train_rows']:,} to fit on; {data['split']}.")
    if evaluation.summary:
        lines.append("Over seeds: mean ± standard deviation between them.")
    lines += [f"note: {w}" for w in evaluation.warnings]
    return "\n".join(lines)


def _lines(cells: list[list[str]]) -> list[str]:
    """Columns under each other, a rule below the first line."""
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = [
        "  ".join(
            c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return [lines[0], "─" * _width(lines), *lines[1:]]


def _width(lines: list[str]) -> int:
    return max(map(len, lines))


def _heads(result: dict[str, Any]) -> list[str]:
    heads = []
    if "knn" in result:
        s = result["knn"]["settings"]
        heads.append(f"kNN (k {s['k']}, cosine)")
    if "linear_probe" in result:
        heads.append("linear probe")
    heads += [f"{n} label{'s' if n != '1' else ''} per class" for n in result.get("few_labels", {})]
    return [*heads, "effective rank"]


def _figures(result: dict[str, Any], like: dict[str, Any]) -> list[str]:
    out = []
    for protocol in ("knn", "linear_probe"):
        if protocol in like:
            r = result[protocol]
            spread = f" [{r['interval'][0]:.3f}, {r['interval'][1]:.3f}]" if "interval" in r else ""
            out.append(f"{_number(r['accuracy'], 3)}{spread}")
    for count in like.get("few_labels", {}):
        r = result["few_labels"].get(count)
        spread = f" ± {r['std']:.3f}" if r and not isinstance(r["std"], dict) else ""
        out.append(f"{_number(r['mean'], 3)}{spread}" if r else "–")
    rank = result.get("geometry", {}).get("effective_rank")
    return [*out, _number(rank, 1) if rank is not None else "–"]


def _number(value: Any, digits: int) -> str:
    """A number; over seeds the mean and the standard deviation between them."""
    if isinstance(value, dict):
        return f"{value['mean']:.{digits}f} ± {value['sd']:.{digits}f}"
    return f"{value:.{digits}f}"
