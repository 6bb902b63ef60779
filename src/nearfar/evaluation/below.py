"""Where a model stands below what needs no training: said wherever its figures are shown, by this file alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nearfar.evaluation.protocols import Figure, number
from nearfar.evaluation.table import OF_VECTORS, figures
from nearfar.evaluation.verdict import WHAT_TO_DO
from nearfar.vectors.intervals import paired

FLOORS = {"untrained_encoder": "its untrained encoder", "raw_input": "the raw input"}
MAJORITY, CHANCE = "always saying the most frequent class", "chance"
LONGER = (
    "Training helped too little: train longer (--epochs), on more rows or with other views (nearfar views), let "
    "nearfar tune look for better numbers, or use the raw input."
)
ADAPT = "Adapt it to rows like these (nearfar train DATA --init-from MODEL), take another model, or use the raw input."
NEITHER = f"Nor did training help. {WHAT_TO_DO} Or use the raw input."
NOTHING = "There it tells nothing apart: see whether these data are like those of the training."


class Below(NamedTuple):
    """A figure that is below that of a floor; `well` by more than chance."""

    floor: str
    name: str
    value: float
    against: float
    well: bool


def sentences(results: Sequence[Mapping[str, Any]], summary: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """One or two sentences for each run that is below a floor, and for those of a summary over seeds together."""
    together = {run for s in summary for run in s["runs"]}
    named = [(r["run"], r) for r in results if r["run"] not in together]
    named += [(s["name"], s["figures"]) for s in summary]
    return [said for name, r in named if (said := _said(name, find(r), r.get("trained", True)))]


def find(result: Mapping[str, Any]) -> list[Below]:
    """Every figure of a result that is below a floor's, rounded as it is shown; or no better than chance."""
    measured, below, floors = _compared(result), [], result.get("floors", {})
    named = FLOORS | {key: key for key in floors if key not in OF_VECTORS}
    for key, floor in named.items():
        for name, other in _compared(floors.get(key, {})).items():
            if name in measured:
                value, against = (number(f.value) for f in (measured[name], other))
                if round(value, 3) < round(against, 3):
                    below.append(Below(floor, name, value, against, _well(measured[name], other)))
    for name, figure in measured.items():
        majority = figure.majority and floors.get("majority") is not None
        least, floor = (floors["majority"], MAJORITY) if majority else (figure.chance, CHANCE)
        value, least = number(figure.value), number(least)
        if least is not None and round(value, 3) <= round(least, 3):
            below.append(Below(floor, name, value, least, True))
    return below


def _compared(result: Mapping[str, Any]) -> dict[str, Figure]:
    return {f.name: f for f in figures(result) if f.compared and number(f.value) is not None}


def _well(figure: Figure, floor: Figure) -> bool:
    """Whether it is lower by more than chance: over the same draws, over seeds, or by its interval."""
    if figure.draws and floor.draws and len(figure.draws) == len(floor.draws) > 1:
        return bool(paired(figure.draws, floor.draws)["interval"][1] < 0)
    if isinstance(figure.value, Mapping):  # over seeds: two standard errors
        error, other = (
            f.value["sd"] / math.sqrt(f.value["n"]) if isinstance(f.value, Mapping) else 0.0 for f in (figure, floor)
        )
        return number(floor.value) - number(figure.value) > 2 * math.hypot(error, other)
    return bool(figure.interval) and None not in figure.interval and number(floor.value) > figure.interval[1]


def _said(name: str, below: Sequence[Below], trained: bool) -> str:
    """The sentences about a run, or a model that nothing was trained of; empty where it is above all."""
    parts = []
    for floor in dict.fromkeys(b.floor for b in below):
        well, little = ([b for b in below if b.floor == floor and b.well is much] for much in (True, False))
        words = [f"well below {floor} in {_listed(well)}"] * bool(well)
        words += [f"below {floor} in {_listed(little)}, which may be chance"] * bool(little)
        if floor in (MAJORITY, CHANCE):
            words = [f"no better than {floor} in {_listed(well)}"]
        parts.append(f"{name} is {', and '.join(words)}.")
    floors = {b.floor for b in below if b.well}
    if not trained and FLOORS["raw_input"] in floors:
        parts.append(ADAPT)
    elif FLOORS["untrained_encoder"] in floors:
        parts.append(f"Training made it worse there. {WHAT_TO_DO}")
    elif FLOORS["raw_input"] in floors:
        parts.append(NEITHER if any(b.floor == FLOORS["untrained_encoder"] for b in below) else LONGER)
    elif floors & {MAJORITY, CHANCE}:
        parts.append(NOTHING)
    return " ".join(parts)


def _listed(below: Sequence[Below]) -> str:
    return ", ".join(f"{b.name} ({b.value:.3f} against {b.against:.3f})" for b in below)
