"""Where a model stands below what needs no training: said wherever its figures are shown, by this file alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from nearfar.core.registry import PROTOCOLS
from nearfar.evaluation.table import BUILT_IN, counted
from nearfar.evaluation.verdict import WHAT_TO_DO
from nearfar.vectors.intervals import paired

FLOORS = {"untrained_encoder": "its untrained encoder", "raw_input": "the raw input"}
MAJORITY, CHANCE = "always saying the most frequent class", "chance"
LONGER = (
    "Training helped too little: train longer (--epochs), on more rows or with other views (nearfar views), let "
    "nearfar tune look for better numbers, or use the raw input."
)
NEITHER = f"Nor did training help. {WHAT_TO_DO} Or use the raw input."
NOTHING = "There it tells nothing apart: see whether these data are like those of the training."


class Figure(NamedTuple):
    """A figure of which more is better, and what tells how far it may be off."""

    value: float
    interval: Sequence[float] | None = None
    draws: Sequence[float] | None = None
    error: float | None = None  # standard error of a mean over seeds
    chance: float | None = None


class Below(NamedTuple):
    """A figure that is below that of a floor; `well` by more than chance."""

    floor: str
    name: str
    value: float
    against: float
    well: bool


def sentences(results: Sequence[Mapping[str, Any]], summary: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """What to say of runs and of means over seeds, one or two sentences for each; nothing of those above all floors.

    Parameters
    ----------
    results : sequence of mapping
        Of `nearfar.evaluation.measurement.Evaluation`.
    summary : sequence of mapping
        Of runs that differ by their seed, which are spoken of together.
    """
    together = {run for s in summary for run in s["runs"]}
    those = [(r["run"], r) for r in results if r["run"] not in together]
    those += [(s["name"], s["figures"]) for s in summary]
    return [said for name, figures in those if (said := _said(name, find(figures)))]


def find(result: Mapping[str, Any]) -> list[Below]:
    """Every figure of a result that is below a floor's, rounded as it is shown; or no better than chance."""
    own, found, floors = figures(result), [], result.get("floors", {})
    for key, floor in FLOORS.items():
        for name, other in figures(floors.get(key, {})).items():
            if name in own and round(own[name].value, 3) < round(other.value, 3):
                found.append(Below(floor, name, own[name].value, other.value, _well(own[name], other)))
    majority = _number(floors.get("majority"))
    for name, figure in own.items():
        least, floor = (majority, MAJORITY) if name in ("kNN", "linear probe") else (figure.chance, CHANCE)
        if least is not None and round(figure.value, 3) <= round(least, 3):
            found.append(Below(floor, name, figure.value, least, True))
    return found


def figures(result: Mapping[str, Any]) -> dict[str, Figure]:
    """The figures of a result, or of a floor, by what the table calls them; those that are no numbers are left out."""
    return {name: f for name, f in _all(result) if f is not None}


def _all(result: Mapping[str, Any]) -> Iterator[tuple[str, Figure | None]]:
    for key, name in (("knn", "kNN"), ("linear_probe", "linear probe")):
        yield name, _figure(result.get(key, {}), "accuracy")
    for protocol in ("few_labels", "shots", "shares"):
        for count, r in result.get(protocol, {}).items():
            yield counted(count), _figure(r, "mean")
    yield "v-measure", _figure(result.get("clustering", {}), "mean")
    for way, r in result.get("retrieval", {}).items():
        yield f"R@1 {way}", _figure({**r, **r["recall"], "chance": r.get("chance", {}).get("1")}, "1")
    for way, r in result.get("bitext", {}).items():
        yield f"nearest by margin {way}", _figure({**r["margin"], "chance": r.get("chance")}, "accuracy")
    for column, r in result.get("zero_shot", {}).items():
        known = [x for x in map(_number, (r.get("chance"), r.get("majority"))) if x is not None]
        yield f"zero-shot {column}", _figure({**r, "chance": max(known, default=None)}, "accuracy")
    yield "Spearman", _figure(result.get("sts", {}), "spearman")
    yield "average precision", _figure(result.get("pair_classification", {}), "average_precision")
    for protocol in result:
        if protocol not in BUILT_IN and protocol in PROTOCOLS and isinstance(result[protocol], Mapping):
            module = PROTOCOLS.get(protocol)
            if getattr(module, "HEADLINE", "accuracy") == "accuracy":  # of others it is not known which way is up
                yield getattr(module, "TITLE", protocol.replace("_", " ")), _figure(result[protocol], "accuracy")


def _figure(r: Mapping[str, Any], key: str) -> Figure | None:
    value = _number(r.get(key))
    if value is None:
        return None
    seeds = r[key] if isinstance(r[key], Mapping) else None
    error = seeds["sd"] / math.sqrt(seeds["n"]) if seeds else None
    interval, draws = (None if seeds else r.get(part) for part in ("interval", "draws"))
    return Figure(value, interval, draws, error, _number(r.get("chance")))


def _number(value: Any) -> float | None:
    """A number, or the mean of one over seeds; None for what is neither."""
    if isinstance(value, Mapping):
        value = value.get("mean")
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def _well(own: Figure, floor: Figure) -> bool:
    """Whether it is lower by more than chance: over the same draws, over seeds, or by its interval."""
    if own.draws and floor.draws and len(own.draws) == len(floor.draws) > 1:
        return bool(paired(own.draws, floor.draws)["interval"][1] < 0)
    if own.error is not None:
        return floor.value - own.value > 2 * math.hypot(own.error, floor.error or 0.0)
    return own.interval is not None and None not in own.interval and floor.value > own.interval[1]


def _said(name: str, found: Sequence[Below]) -> str:
    """The sentences about a run; empty where it is above all."""
    parts = []
    for floor in dict.fromkeys(b.floor for b in found):
        well, little = ([b for b in found if b.floor == floor and b.well is much] for much in (True, False))
        words = [f"well below {floor} in {_listed(well)}"] * bool(well)
        words += [f"below {floor} in {_listed(little)}, which may be chance"] * bool(little)
        if floor in (MAJORITY, CHANCE):
            words = [f"no better than {floor} in {_listed(well)}"]
        parts.append(f"{name} is {', and '.join(words)}.")
    floors = {b.floor for b in found if b.well}
    if FLOORS["untrained_encoder"] in floors:
        parts.append(f"Training made it worse there. {WHAT_TO_DO}")
    elif FLOORS["raw_input"] in floors:
        parts.append(NEITHER if any(b.floor == FLOORS["untrained_encoder"] for b in found) else LONGER)
    elif floors:
        parts.append(NOTHING)
    return " ".join(parts)


def _listed(found: Sequence[Below]) -> str:
    return ", ".join(f"{b.name} ({b.value:.3f} against {b.against:.3f})" for b in found)
