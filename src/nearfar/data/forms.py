"""A column that was decoded for one model, as another model takes it: equal arrays may mean different things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nearfar.core.errors import ConfigError
from nearfar.core.registry import MODALITIES
from nearfar.data.table import Column

TELLING = {"beside", "cut", "names"}  # what a spec says of its data without changing how they are decoded


def same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether cells decoded by one spec are what the other makes of them."""
    named = a.get("names"), b.get("names")
    alike = all(a.get(k) == b.get(k) for k in {*a, *b} - TELLING)
    return alike and (None in named or named[0] == named[1])


def for_model(column: Column, rows: np.ndarray, modality: str, spec: Mapping[str, Any]) -> tuple[Column, np.ndarray]:
    """Rows of a column in the form that a model with this spec was trained on, and their numbers there.

    Texts are tokenised again; rows of numbers are given back their units and standardised as the model's were, columns
    by their names.

    Raises
    ------
    ConfigError
        They cannot be brought into that form: they have to be read for the model.
    """
    if column.modality == modality and same(column.spec, spec):
        return column, rows
    values = None
    if column.modality == modality == "text" and column.cells is not None:
        values, _ = MODALITIES.get("text").decode_many([column.cells[int(r)] for r in rows], spec)
    elif column.modality == modality == "vector":
        values = _standardised_again(np.asarray(column.values[rows], np.float64), column.spec, spec)
    if values is None:
        there = MODALITIES.get(column.modality).describe(column.spec)
        raise ConfigError(
            f"the model takes {MODALITIES.get(modality).describe(spec)}, the column {column.name!r} holds {there} that "
            "were decoded for another one.", hint="Let the model read the data: give it the file, or model.read(…).",
        )  # fmt: skip
    return replace(column, values=values, geometry=None, hashes=None, spec=spec, cells=None), np.arange(len(rows))


def _standardised_again(x: np.ndarray, there: Mapping[str, Any], spec: Mapping[str, Any]) -> np.ndarray | None:
    """Rows standardised by one spec, as another standardises them; None where their columns are not the same."""
    names, wanted = there.get("names"), spec.get("names")
    if there["features"] != spec["features"] or (names and wanted and set(names) != set(wanted)):
        return None
    x = x * there["spread"] + there["mean"]
    if names and wanted:
        x = x[:, [names.index(n) for n in wanted]]
    return ((x - spec["mean"]) / spec["spread"]).astype(np.float32)
