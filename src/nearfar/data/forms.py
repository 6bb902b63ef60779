"""A column that was decoded for one model, as another model takes it: equal arrays may mean different things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nearfar.core.errors import BadCell, ConfigError, DataError
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

    What was decoded is decoded again, where it is still there; rows of numbers are given back their units and
    standardised as the model's were, columns by their names. Raises a `ConfigError` where they have to be read for the
    model.
    """
    if column.modality == modality and same(column.spec, spec):
        return column, rows
    values, lengths, there = None, None, column.spec
    names, wanted = there.get("names"), spec.get("names")
    alike = there.get("features") == spec.get("features") and (not (names and wanted) or set(names) == set(wanted))
    geometry = None
    if column.modality == modality and column.cells is not None:
        values, geometry = _again(column, rows, MODALITIES.get(modality), spec)
        lengths = (values != 0).sum(1, dtype=np.int32) if modality == "text" else None
    elif column.modality == modality == "vector" and alike:
        x = np.asarray(column.values[rows], np.float64) * there["spread"] + there["mean"]
        x = x[:, [names.index(n) for n in wanted]] if names and wanted else x
        values = ((x - spec["mean"]) / spec["spread"]).astype(np.float32)
    if values is None:
        held = MODALITIES.get(column.modality).describe(there)
        raise ConfigError(
            f"the model takes {MODALITIES.get(modality).describe(spec)}, the column {column.name!r} holds {held} that "
            "were decoded for another one.", hint="Let the model read the data: give it the file, or model.read(…).",
        )  # fmt: skip
    whole = {"values": values, "lengths": lengths, "geometry": geometry, "hashes": None, "cells": None}
    return replace(column, spec=spec, **whole), np.arange(len(rows))


def _again(column: Column, rows: np.ndarray, modality: Any, spec: Mapping[str, Any]) -> tuple[Any, np.ndarray | None]:
    """Values and geometry of rows of a column, decoded by another spec; raises a `DataError` where a cell is gone."""
    cells = [column.cells[int(r)] for r in rows]
    if hasattr(modality, "decode_many"):
        return modality.decode_many(cells, spec)[0], None
    try:
        values, geometry = zip(*(modality.decode(c, spec) for c in cells), strict=True)
    except BadCell as e:
        raise DataError(f"a row of the column {column.name!r} that was read before {e}.") from e
    return np.stack(values), None if geometry[0] is None else np.asarray(geometry)
