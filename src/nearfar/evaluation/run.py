"""Models side by side on one table, with floors under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar import files
from nearfar.data import facts, split
from nearfar.data.groups import doubts, of_run, shared, together
from nearfar.data.table import Table
from nearfar.errors import DataError, UnknownName
from nearfar.evaluation import floors, geometry, judged, named, pairs
from nearfar.evaluation.features import Features, paired
from nearfar.registry import PROTOCOLS

if TYPE_CHECKING:
    from nearfar.console import Console

ORDER = ("knn", "linear_probe", "few_labels")


@dataclass
class Evaluation:
    """What was measured.

    Attributes
    ----------
    data : dict
        Source, rows, classes, and how they were split.
    results : list of dict
        One per model.
    warnings : list of str
    summary : list of dict
        Mean and standard deviation over the runs that differ by their seed alone, see `nearfar.evaluation.summary`.
    """

    data: dict[str, Any]
    results: list[dict[str, Any]]
    warnings: list[str] = field(default_factory=list)
    table_of_rows: Table | None = field(default=None, repr=False)
    rows: split.EvaluationPlan | None = field(default=None, repr=False)
    summary: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        found = {"schema": 1, "verb": "eval", "data": self.data, "results": self.results, "warnings": self.warnings}
        return files.finite(found | ({"summary": self.summary} if self.summary else {}))

    def save(self, path: str | Path) -> None:
        """Write the JSON form."""
        files.write_json(path, self.as_dict())

    def table(self) -> str:
        """Figures for people: models above, floors below, intervals beside."""
        from nearfar.evaluation.table import render

        return render(self)


def evaluate(
    models: Sequence[Any], data: Any = None, *, protocols: Sequence[str] = (), seed: int = 0,
    with_floors: bool = True, layer: str | None = None, limit: int | None = None, console: Console | None = None,
    train_split: str | None = None, test_split: str | None = None, templates: Sequence[str] | str = ("{}",),
    positive: str | None = None, **reading: Any,
) -> Evaluation:  # fmt: skip
    """Measure `models` on `data`.

    Parameters
    ----------
    models : sequence of Embedder
    data : path, array or Table, optional
        By default what the first model was trained on.
    protocols : sequence of str
        Names of modules in ``nearfar.evaluation``; by default kNN, linear probe and few labels of one column, and
        of several what their rows allow (`nearfar.evaluation.pairs.protocols`).
    seed : int
    with_floors : bool
        Measure the raw input and the untrained encoder as well.
    layer : {"features", "projection"}, optional
        By default the features of one column, and what the method keeps of several.
    limit : int, optional
        Use only so many rows of every split.
    console : Console, optional
    train_split, test_split : str, optional
    templates : sequence of str
        What the names of classes are put into where they are read (zero_shot), such as ``"a picture of a {}"``.
    positive : str, optional
        The label that says that the two sides of a pair belong together; by default the one of two opposites, such as
        match and nomatch.
    **reading
        Of `nearfar.data.read.read`: ``label``, ``score``, and ``column``, one or several of the data's.

    Raises
    ------
    DataError
        There is too little to measure on.
    """
    from nearfar.console import QUIET

    console = console or QUIET
    for name in protocols:
        if name not in PROTOCOLS:
            raise UnknownName("protocol", name, PROTOCOLS)
    table = _table(models[0], data, limit, console, reading)
    own = [m for m in models if m.fingerprint == table.fingerprint]
    aside = min((m.config.data.holdout for m in own), default=0.0)
    rows = split.evaluation_plan(table, train_split=train_split, test_split=test_split, seed=seed, aside=aside)
    column, labels = table.first, table.labels
    warnings = _about_rows(table, rows, seen=bool(own) and not (table.splits or "set aside" in rows.notes[0]))
    yes = judged.position(table, positive, needed="labelled pairs" in map(pairs.takes, protocols))
    warnings += judged.about(table, yes)
    about = {
        "source": table.source.get("source"), "rows": len(table), "fingerprint": table.fingerprint,
        "train_rows": len(rows.train), "test_rows": len(rows.test), "split": rows.notes[0],
        "classes": list(table.label_names), "skipped": len(table.skipped),
        "duplicates": len(split.duplicates(table, rows.train, rows.test)),
    }  # fmt: skip
    if len(table.columns) > 1:
        results = pairs.evaluate(
            models, table, rows, protocols, seed=seed, with_floors=with_floors, layer=layer, templates=templates,
            console=console, positive=yes,
        )  # fmt: skip
        return Evaluation(about, results, warnings, table, rows)
    layer = layer or "features"
    protocols = _of_labels(protocols, models, table)
    if labels is None or len(np.unique(labels[labels >= 0])) < 2:
        warnings.append("There are no labels of two classes, so only the geometry is measured.")
        plain = [_plain(m, geometry.describe(m.features(column, rows.train, layer))) for m in models]
        return Evaluation(about, plain, warnings, table, rows)
    train, test = rows.train[labels[rows.train] >= 0], rows.test[labels[rows.test] >= 0]
    if len(train) < 2 or len(test) < 1 or len(np.unique(labels[train])) < 2:
        raise DataError(f"{len(train)} labelled rows to fit on and {len(test)} to score are too few.")
    known = np.isin(labels[test], labels[train])
    if not known.all():
        warnings.append(f"{int((~known).sum())} test rows are of classes without training rows; they count as wrong.")
    about |= {"labelled_train_rows": len(train), "labelled_test_rows": len(test)}
    group = together(table, train)

    def measured(model: Any, label: str) -> dict[str, Any]:
        console.say(f"Measuring {label} …")
        x = model.features(column, np.concatenate([train, test]), **({} if model is raw else {"layer": layer}))
        fit, score = (Features(x[: len(train)], labels[train], len(table.label_names), groups=group),
                      Features(x[len(train):], labels[test], len(table.label_names)))  # fmt: skip
        found = {p: PROTOCOLS.get(p).measure(fit, score, seed=seed) for p in protocols if pairs.takes(p) == "labels"}
        if model is not raw and (read := [p for p in protocols if pairs.takes(p) == named.TAKES]):
            fit, score = (named.features(model, column, r, table, templates) for r in (train[:0], test))
            found |= {p: {column.name: PROTOCOLS.get(p).measure(fit, score, seed=seed)} for p in read}
        return found | {"geometry": geometry.describe(x[: len(train)], seed)}

    raw = floors.RawInput()
    floor: dict[str, Any] = {"majority": floors.majority(labels[train], labels[test])}
    if with_floors:
        floor["raw_input"] = measured(raw, "the raw input")
    results = []
    for model in models:
        under = dict(floor)
        if with_floors:
            under["untrained_encoder"] = measured(floors.untrained(model, table, train), f"{model.name} untrained")
        result = {"run": model.name, "layer": layer, "views": 1, **measured(model, model.name), "floors": under}
        _compare(result)
        results.append(result)
    return Evaluation(about, results, warnings, table, rows)


def _of_labels(asked: Sequence[str], models: Sequence[Any], table: Table) -> Sequence[str]:
    """The protocols for labelled rows of one column; those that read the labels' names where these can be read."""
    for name in asked:
        needed = pairs.takes(name)
        if needed == named.TAKES:
            named.check(models, table, name)
        elif needed != "labels":
            raise DataError(f"{name} takes {needed}, and these data have one column.", where="--protocol",
                            hint="Name two with --pair A B.")  # fmt: skip
    return asked or [*ORDER, *(["zero_shot"] if named.columns(models, table) else [])]


def _table(model: Any, data: Any, limit: int | None, console: Console, reading: dict[str, Any]) -> Table:
    if isinstance(data, Table):
        return data
    by = reading.pop("group", None), reading.pop("group_from", None)
    if data is None:
        data = model.source()
        reading = {**model.reading(), **reading}
    if limit is not None:
        reading["limit"] = limit
    reading |= of_run(model, data, *by)
    reading, asked = {"max_bad": model.config.data.max_bad, **reading}, bool(reading.get("label"))
    table = model.read(data, console=console, data_column=reading.pop("column", None), **reading)
    doubt = facts.identifier(table, asked=asked)
    if doubt and asked:
        raise DataError(f"{doubt}: is it an id?", where="--label", hint="Name a column whose values repeat.")
    if doubt:
        console.warn(f"{doubt}, so it is left out; if these are classes, --label takes them.")
    return replace(table, labels=None, label_names=()) if doubt else table


def _plain(model: Any, shape: dict[str, Any]) -> dict[str, Any]:
    return {"run": model.name, "geometry": shape, "floors": {}}


def _about_rows(table: Table, rows: split.EvaluationPlan, *, seen: bool) -> list[str]:
    """Warnings about what would make figures look better than they are; `seen`: a model was trained on test rows."""
    found = []
    if repeated := len(split.duplicates(table, rows.train, rows.test)):
        found.append(f"{repeated} of {len(rows.test)} test rows are also among the training rows, byte for byte.")
    found += doubts(table, np.concatenate([rows.train, rows.test]))
    if cut := shared(table, rows.train, rows.test):
        found.append(f"{cut:,} of {len(rows.test):,} test rows are of groups that have training rows too.")
    if seen:
        found.append("A model was trained on rows that are scored here: the figures are too good for new ones.")
    if said := facts.balance(table, rows.train):
        counts = np.bincount(table.labels[table.labels >= 0])
        uneven = counts.max() > 3 * counts[counts > 0].min()
        found.append(f"{said} They are uneven: accuracy speaks for the large ones." if uneven else said)
    if table.skipped:
        found.append(
            f"{len(table.skipped)} rows could not be read ({table.skipped[0].name} {table.skipped[0].reason} …)."
        )
    return found


def _compare(result: dict[str, Any]) -> None:
    """Paired differences over the same draws, trained minus floor."""
    for floor in ("raw_input", "untrained_encoder"):
        for count, own in result.get("few_labels", {}).items():
            other = result["floors"].get(floor, {}).get("few_labels", {}).get(count)
            if other:
                own.setdefault("above", {})[floor] = paired(np.asarray(own["draws"]), np.asarray(other["draws"]))
