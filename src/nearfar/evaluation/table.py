"""The figures as a table of plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.console import table
from nearfar.core.registry import PROTOCOLS

if TYPE_CHECKING:
    from types import ModuleType

    from nearfar.evaluation.measurement import Evaluation

BUILT_IN = ("knn", "linear_probe", "few_labels", "shots", "shares", "clustering", "retrieval", "bitext", "zero_shot",
            "sts", "pair_classification")  # fmt: skip


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
    if "majority" in first and shown(rows[0][1]):
        cells.append(
            ["majority class", *[f"{first['majority']:.3f}" if i < 1 else "" for i, _ in enumerate(cells[0][1:])]]
        )
    lines = min(_lines(cells), _lines([list(row) for row in zip(*cells, strict=True)]), key=_width)
    lines += ["", *evaluation.below] if evaluation.below else []
    lines += ["", about_rows(evaluation.data)]
    if evaluation.summary:
        lines.append("Over seeds: mean ± standard deviation between them.")
    lines += [f"note: {w}" for w in evaluation.warnings]
    return "\n".join(lines)


def about_rows(data: Mapping[str, Any]) -> str:
    """Which rows were scored, and what was fitted on."""
    fitted = f"{data['train_rows']:,} to fit on" if data["train_rows"] else "nothing is fitted"
    said = f"{data['test_rows']:,} test rows, {fitted}; {data['split']}."
    if other := data.get("not_fitted"):
        said += f" {', '.join(other['protocols'])}: {other['test_rows']:,} test rows; {other['split']}."
    return said


def _lines(cells: list[list[str]]) -> list[str]:
    return table(cells).splitlines()


def _width(lines: list[str]) -> int:
    return max(map(len, lines))


def _heads(result: dict[str, Any]) -> list[str]:
    return [*shown(result), "effective rank"]


def _figures(result: dict[str, Any], like: dict[str, Any]) -> list[str]:
    own = {_title(head): figure for head, figure in shown(result).items()}
    rank = result.get("geometry", {}).get("effective_rank")
    return [*(own.get(_title(head), "–") for head in shown(like)), _number(rank, 1) if rank is not None else "–"]


def _title(head: str) -> str:
    """A head without what is said of its settings, which figures over seeds have none of, or as means."""
    return head.partition(" (")[0]


def shown(result: Mapping[str, Any]) -> dict[str, str]:
    """Every figure as people read it, by what it is called."""
    found = _of_built_in(result)
    for protocol in result:
        if protocol not in BUILT_IN and protocol in PROTOCOLS:
            found |= _headline(PROTOCOLS.get(protocol), protocol, result[protocol])
    return found


def _headline(protocol: ModuleType, name: str, r: Any) -> dict[str, str]:
    """The figure that a protocol's file calls its headline, or all at the top where it names none or another."""
    title = getattr(protocol, "TITLE", name.replace("_", " "))
    if _is_figure(r):
        return {title: _number(r, 3)}
    inner = r if isinstance(r, dict) else {}
    head = getattr(protocol, "HEADLINE", "accuracy")
    if _is_figure(inner.get(head)):
        return {title: _accuracy({**inner, "accuracy": inner[head]})}
    found = {f"{title}: {key}": _number(v, 3) for key, v in inner.items() if _is_figure(v)}
    for key, v in inner.items():  # by column or direction
        if isinstance(v, dict) and _is_figure(v.get(head)):
            found[f"{title} {key}"] = _accuracy({**v, "accuracy": v[head]})
    return found or {title: "no figure"}


def _is_figure(value: Any) -> bool:
    """Whether it is a number, or its mean over seeds."""
    if isinstance(value, dict):
        return value.keys() == {"n", "mean", "sd"}
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _of_built_in(result: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    if "knn" in result:
        s = result["knn"].get("settings", {})  # k is bounded by the rows, so equal for all that stand together
        found[f"kNN (k {s['k']}, cosine)" if s else "kNN"] = _accuracy(result["knn"])
    if "linear_probe" in result:
        found["linear probe"] = _accuracy(result["linear_probe"])
    for protocol in ("few_labels", "shots", "shares"):
        for n, r in result.get(protocol, {}).items():
            spread = f" ± {r['std']:.3f}" if not isinstance(r["std"], dict) else ""
            found[counted(n)] = _number(r["mean"], 3) + spread
    if "clustering" in result:
        r = result["clustering"]
        found["v-measure"] = f"{_number(r['mean'], 3)} (chance {_number(r['chance'], 3)})"
    for way, r in result.get("retrieval", {}).items():
        for k, recall in r["recall"].items():
            found[f"R@{k} {way}"] = _accuracy({**r, "accuracy": recall}) if k == "1" else _number(recall, 3)
        found[f"median rank {way}"] = _number(r["median_rank"], 1)
    for way, r in result.get("bitext", {}).items():
        found[f"nearest by margin {way}"] = _accuracy(r["margin"])
    for column, r in result.get("zero_shot", {}).items():
        chance, most = _number(r["chance"], 3), _number(r["majority"], 3)
        found[f"zero-shot {column} (chance {chance}, most frequent {most})"] = _accuracy(r)
    if "sts" in result:
        found["Spearman"] = _accuracy({**result["sts"], "accuracy": result["sts"]["spearman"]})
    if "pair_classification" in result:
        r = result["pair_classification"]
        said = f" (positive: {r['positive']})" if "positive" in r else ""
        found[f"average precision{said}"] = _accuracy({**r, "accuracy": r["average_precision"]})
    return found


def counted(n: str) -> str:
    """What so many labels per class, or such a share of them, are called."""
    return f"{n} of the labels" if "%" in n else f"{n} label{'s' if n != '1' else ''} per class"


def _accuracy(r: dict[str, Any]) -> str:
    spread = f" [{_number(r['interval'][0], 3)}, {_number(r['interval'][1], 3)}]" if "interval" in r else ""
    return f"{_number(r['accuracy'], 3)}{spread}"


def _number(value: Any, digits: int) -> str:
    """A number; over seeds the mean and the standard deviation between them. One that is not finite is none in JSON."""
    if value is None:
        return "–"
    if isinstance(value, dict):
        return f"{value['mean']:.{digits}f} ± {value['sd']:.{digits}f}"
    return f"{value:.{digits}f}"
