"""Models side by side on labelled rows of one column: what is of one class is to be near, or told by a probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import DataError
from nearfar.core.registry import PROTOCOLS
from nearfar.data import splits
from nearfar.data.groups import together
from nearfar.data.table import Table
from nearfar.evaluation import class_names, pairs
from nearfar.evaluation.features import Features
from nearfar.evaluation.floors import RawInput, majority, untrained
from nearfar.vectors import geometry
from nearfar.vectors.intervals import paired

if TYPE_CHECKING:
    from nearfar.core.console import Console

ORDER = ("knn", "linear_probe", "few_labels")
Plans = Mapping[bool, splits.EvaluationPlan]  # of the protocols that fit something (True), and of those that do not


def has_classes(table: Table) -> bool:
    """Whether there are labels of two classes."""
    return table.labels is not None and len(np.unique(table.labels[table.labels >= 0])) > 1


def protocols(models: Sequence[Any], table: Table, asked: Sequence[str]) -> Sequence[str]:
    """The protocols to measure: those asked for, or what fits the data; none where there are no classes.

    Raises
    ------
    DataError
        The data lack what a protocol takes.
    """
    for name in asked:
        needed = pairs.takes(name)
        if needed == class_names.TAKES:
            class_names.check(models, table, name)
        elif needed != "labels":
            raise DataError(f"{name} takes {needed}, and these data have one column.", where="--protocol",
                            hint="Name two with --pair A B.")  # fmt: skip
        elif not has_classes(table):
            raise DataError(f"{name} takes labels of two classes or more, and these data have none.",
                            where="--protocol", hint="Name their column with --label.")  # fmt: skip
    if not has_classes(table):
        return ()
    return asked or [*ORDER, *(["zero_shot"] if class_names.columns(models, table) else [])]


def about(table: Table, plans: Plans, asked: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """What is to be known of the labelled rows: facts, and warnings.

    Raises
    ------
    DataError
        They are too few.
    """
    if not has_classes(table):
        return {}, ["There are no labels of two classes, so only the geometry is measured."]
    found, said, labels = {}, [], table.labels
    if True in plans:
        train, test = _labelled(plans[True], labels)
        said = _about_fitted(table, train, test, asked)
        found = {"labelled_train_rows": len(train), "labelled_test_rows": len(test)}
    if False in plans:
        test = _labelled(plans[False], labels)[1]
        if not len(test):
            raise DataError("no labelled rows to score.")
        found = found or {"labelled_train_rows": 0, "labelled_test_rows": len(test)}
        if True in plans:
            names = [p for p in asked if not pairs.fits(p)]
            found["not_fitted"] = {"protocols": names, "test_rows": len(test), "split": plans[False].notes[0]}
    return found, said


def _about_fitted(table: Table, train: np.ndarray, test: np.ndarray, asked: Sequence[str]) -> list[str]:
    """What is to be said of rows to fit on and to score; raises `DataError` where these two do not make a figure."""
    labels, said = table.labels, []
    if len(train) and len(np.unique(labels[train])) == 1:
        only = table.label_names[labels[train[0]]]
        raise DataError(
            f"all {len(train):,} labelled rows to fit on are {only!r}; there must be two classes.",
            hint="Name the splits with --train-split and --test-split.",
        )
    if len(train) < 2 or len(test) < 1:
        raise DataError(f"{len(train)} labelled rows to fit on and {len(test)} to score are too few.")
    if (new := int((~np.isin(labels[test], labels[train])).sum())) == len(test):
        names = [", ".join(repr(table.label_names[c]) for c in np.unique(labels[r])[:3]) for r in (test, train)]
        raise DataError(
            f"no row that is scored is of a class that there are rows to fit on: {names[0]} and {names[1]}.",
            hint="Spell the labels alike in all splits.",
        )
    if new:
        said.append(f"{new} test rows are of classes without training rows; they count as wrong.")
    if untold := len(np.setdiff1d(labels[train], labels[test])):
        of = len(np.union1d(labels[train], labels[test]))
        said.append(f"{untold:,} of {of:,} classes have no row that is scored.")
    for tell in (getattr(PROTOCOLS.get(name), "left_out", None) for name in asked):
        if tell is not None and (missing := tell(labels[train])):
            said.append(missing)
    return said


def evaluate(
    models: Sequence[Any], tables: Sequence[Table], plans: Plans, asked: Sequence[str], *, seed: int,
    with_floors: bool, layer: str | None, templates: Sequence[str] | str, console: Console,
) -> list[dict[str, Any]]:  # fmt: skip
    """One result for each model on the data as it reads them, with floors; see
    `nearfar.evaluation.measurement.evaluate`.
    """
    layer = layer or "features"
    labels = tables[0].labels
    if not has_classes(tables[0]):
        rows = plans[False].test
        shapes = [geometry.describe(m.features(t.first, rows, layer)) for m, t in zip(models, tables, strict=True)]
        return [{"run": m.name, "geometry": shape, "floors": {}} for m, shape in zip(models, shapes, strict=True)]
    parts = {fits: _labelled(plan, labels) for fits, plan in plans.items()}
    used = np.unique(np.concatenate([rows for part in parts.values() for rows in part]))
    train, test = parts[max(parts)]
    groups = together(tables[0], parts[True][0]) if True in parts else None
    known = train if len(train) else test  # whose statistics the untrained encoder takes

    def measured(model: Any, table: Table, label: str) -> dict[str, Any]:
        console.say(f"Measuring {label} …")
        column, classes, raw = table.first, len(table.label_names), isinstance(model, RawInput)
        x = model.features(column, used, **({} if raw else {"layer": layer}))
        found: dict[str, Any] = {}
        for name in asked:
            fit, score = parts[pairs.fits(name)]
            if pairs.takes(name) != class_names.TAKES:
                at = Features(
                    x[np.searchsorted(used, fit)], labels[fit], classes, groups=groups if pairs.fits(name) else None
                )
                to = Features(x[np.searchsorted(used, score)], labels[score], classes)
                found[name] = PROTOCOLS.get(name).measure(at, to, seed=seed)
            elif not raw:
                both = (class_names.features(model, column, r, table, templates) for r in (fit[:0], score))
                found[name] = {column.name: PROTOCOLS.get(name).measure(*both, seed=seed)}
        return found | {"geometry": geometry.describe(x[np.searchsorted(used, known)], seed)}

    floor: dict[str, Any] = {"majority": majority(labels[train], labels[test])} if True in plans else {}
    if with_floors:
        floor["raw_input"] = measured(RawInput(), tables[0], "the raw input")
    results = []
    for model, table in zip(models, tables, strict=True):
        under = dict(floor)
        if with_floors:
            fresh = untrained(model, table, known)
            under["untrained_encoder"] = measured(fresh, table, f"{model.name} untrained")
        result = {"run": model.name, "layer": layer, "views": 1, **measured(model, table, model.name), "floors": under}
        _compare(result)
        results.append(result)
    return results


def _labelled(plan: splits.EvaluationPlan, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return plan.train[labels[plan.train] >= 0], plan.test[labels[plan.test] >= 0]


def _compare(result: dict[str, Any]) -> None:
    """Paired differences over the same draws, trained minus floor."""
    for floor in ("raw_input", "untrained_encoder"):
        for count, own in result.get("few_labels", {}).items():
            other = result["floors"].get(floor, {}).get("few_labels", {}).get(count)
            if other:
                own.setdefault("above", {})[floor] = paired(np.asarray(own["draws"]), np.asarray(other["draws"]))
