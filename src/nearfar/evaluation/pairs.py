"""Models side by side on rows of two or more columns: what belongs together is to be near."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import DataError, UnknownName
from nearfar.core.registry import PROTOCOLS
from nearfar.data import splits
from nearfar.data.table import Column, Table
from nearfar.evaluation import class_names, floors
from nearfar.evaluation.features import Features
from nearfar.evaluation.sides import Sides
from nearfar.vectors import geometry

if TYPE_CHECKING:
    from nearfar.core.console import Console

RAW = floors.RawInput()


def takes(protocol: str) -> str:
    """What a protocol measures on, see `nearfar.evaluation`."""
    return getattr(PROTOCOLS.get(protocol), "TAKES", "labels")


def fits(protocol: str) -> bool:
    """Whether a protocol fits something, for which rows have to be held back."""
    return getattr(PROTOCOLS.get(protocol), "FITS", takes(protocol) == "labels")


def protocols(models: Sequence[Any], table: Table, asked: Sequence[str]) -> list[str]:
    """The protocols to measure: those asked for, or what fits the data.

    Raises
    ------
    UnknownName, DataError
        There is no such protocol, or the data lack what it takes.
    """
    has = {"pairs": True, "scored pairs": table.scores is not None, "labelled pairs": table.labels is not None}
    if not asked:
        if has["scored pairs"] and len(table.columns) == 2:
            return ["sts"]
        same = len({(c.modality, str(c.spec)) for c in table.columns.values()}) == 1
        text = ["bitext"] if same and table.first.modality == "text" else []
        return ["retrieval", *text, *(["zero_shot"] if class_names.columns(models, table) else [])]
    for name in asked:
        if name not in PROTOCOLS:
            raise UnknownName("protocol", name, PROTOCOLS)
        if takes(name) == class_names.TAKES:
            class_names.check(models, table, name)
        elif not has.get(takes(name), False):
            raise DataError(f"{name} takes {takes(name)}, and these data have none.", where="--protocol")
        elif takes(name) != "pairs" and len(table.columns) > 2:
            raise DataError(
                f"{name} takes {takes(name)}, and of {len(table.columns)} columns it is not said which two are judged.",
                where="--protocol", hint="Name two with --pair A B.",
            )  # fmt: skip
    return list(asked)


def evaluate(
    models: Sequence[Any], tables: Sequence[Table], rows: splits.EvaluationPlan, asked: Sequence[str], *, seed: int,
    with_floors: bool, layer: str | None, templates: Sequence[str] | str, console: Console, positive: int | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """One result for each model on the data as it reads them, with floors; see
    `nearfar.evaluation.measurement.evaluate`.

    Where the label at `positive` says which sides belong together, no other pair is a right answer.
    """
    first, names = tables[0], asked
    of_sides, of_names = ([n for n in names if (takes(n) == class_names.TAKES) is read] for read in (False, True))

    def measured(model: Any, table: Table, label: str, layer: str | None) -> dict[str, Any]:
        console.say(f"Measuring {label} …")
        columns = list(table.columns.values())
        vectors = {c.name: model.features(c, rows.test, **({} if layer is None else {"layer": layer})) for c in columns}
        if of_sides and len({z.shape[1] for z in vectors.values()}) > 1:
            raise DataError(
                f"the {layer} of {', '.join(f'{n!r} have {z.shape[1]}' for n, z in vectors.items())} dimensions, so "
                "they cannot be compared.", where="--layer", hint="Take the projection.",
            )  # fmt: skip
        found: dict[str, Any] = {name: {} for name in names}
        for name in of_sides:
            for sides in _sides(table, rows.test, vectors, positive, scored=takes(name) == "scored pairs"):
                found[name] |= _by_direction(PROTOCOLS.get(name).measure(sides, seed=seed), sides.names)
        if model is not RAW:
            for column in class_names.columns([model], table) if of_names else ():
                score = class_names.features(model, column, _once(table, column, rows.test), table, templates)
                found |= {n: found[n] | {column.name: _named(n, score, seed)} for n in of_names}
        return found | {"geometry": geometry.describe(np.concatenate(list(vectors.values())), seed)}

    floor: dict[str, Any] = {}
    if with_floors and len({(c.modality, str(c.spec)) for c in first.columns.values()}) == 1:
        floor["raw_input"] = measured(RAW, first, "the raw input", None)
    results = []
    for model, table in zip(models, tables, strict=True):
        own, under = layer or model.keeps, dict(floor)
        if with_floors:
            fresh = floors.untrained(model, table, rows.train if len(rows.train) else rows.test)
            under["untrained_encoder"] = measured(fresh, table, f"{model.name} untrained", own)
        figures = measured(model, table, model.name, own)
        results.append({"run": model.name, "layer": own, "views": 1, **figures, "floors": under})
    return results


def _sides(
    table: Table, rows: np.ndarray, vectors: dict[str, np.ndarray], positive: int | None, *, scored: bool
) -> Iterator[Sides]:  # fmt: skip
    """All pairs of columns; `scored`: in the rows that have a score."""
    kept = ~np.isnan(table.scores[rows]) if scored else np.ones(len(rows), bool)
    rows, about = rows[kept], {"score": table.scores[rows[kept]]} if scored else {}
    if positive is not None:
        own = table.labels[rows]
        about |= {"label": np.where(own < 0, -1, own == positive), "positive": table.label_names[positive]}
    for a, b in combinations(table.columns.values(), 2):
        sides = (vectors[c.name][kept] for c in (a, b))
        yield Sides(*sides, _content(a, rows), _content(b, rows), (a.name, b.name), **about)


def _once(table: Table, column: Column, rows: np.ndarray) -> np.ndarray:
    """Labelled rows, of those of equal content in the column only the first: a picture has one answer."""
    rows = rows[table.labels[rows] >= 0]
    return rows[np.sort(np.unique(column.hashes[rows], return_index=True)[1])]


def _named(protocol: str, score: Features, seed: int) -> dict[str, Any]:
    if not len(score.y):
        raise DataError(f"{protocol} has no labelled rows to score.")
    return PROTOCOLS.get(protocol).measure(score, score, seed=seed)


def _content(column: Column, rows: np.ndarray) -> np.ndarray:
    return np.unique(column.hashes[rows], return_inverse=True)[1]


def _by_direction(found: dict[str, Any], names: tuple[str, str]) -> dict[str, Any]:
    """What goes both ways under ``a->b`` and ``b->a``."""
    left, right = names
    if "left_to_right" not in found:
        return found
    return {f"{left}->{right}": found["left_to_right"], f"{right}->{left}": found["right_to_left"]}
