"""Models side by side on one table, with floors under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core import checks, files
from nearfar.core.errors import DataError, UnknownName
from nearfar.core.registry import PROTOCOLS
from nearfar.data import splits
from nearfar.data.facts import identifier
from nearfar.data.groups import of_run
from nearfar.data.table import Table
from nearfar.evaluation import class_names, judged, labelled, pairs
from nearfar.evaluation import rows as rows_of
from nearfar.vectors import logistic

if TYPE_CHECKING:
    from nearfar.core.console import Console


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
    options : dict
        How it was measured and the data read.
    report : Path or None
        The report that was written.
    """

    data: dict[str, Any]
    results: list[dict[str, Any]]
    warnings: list[str] = field(default_factory=list)
    table_of_rows: Table | None = field(default=None, repr=False)
    rows: splits.EvaluationPlan | None = field(default=None, repr=False)
    summary: list[dict[str, Any]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    report: Path | None = None

    def __repr__(self) -> str:
        return self.table() + (f"\n\nReport: {self.report}" if self.report else "")

    @property
    def below(self) -> list[str]:
        """Where a model stands below its floors, and what to do: sentences, none for one that is above all."""
        from nearfar.evaluation import below

        return below.sentences(self.results, self.summary)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        found = {"schema": 1, "verb": "eval", "data": self.data, "options": self.options, "results": self.results,
                 "below": self.below, "warnings": self.warnings}  # fmt: skip
        return files.finite(found | ({"summary": self.summary} if self.summary else {}))

    def save(self, path: str | Path) -> None:
        """Write the JSON form."""
        files.write_json(path, self.as_dict())

    def table(self) -> str:
        """Figures for people: models above, floors below, intervals beside."""
        from nearfar.evaluation.table import render

        return render(self)


def evaluate(
    models: Sequence[Any], data: Any = None, *, protocols: Sequence[str] | str = (), seed: int = 0,
    floors: bool = True, layer: str | None = None, limit: int | None = None, console: Console | None = None,
    train_split: str | None = None, test_split: str | None = None, templates: Sequence[str] | str = ("{}",),
    positive: str | None = None, **reading: Any,
) -> Evaluation:  # fmt: skip
    """Measure `models` on `data`.

    Parameters
    ----------
    models : sequence of Embedder
    data : path, array or Table, optional
        By default what the first model was trained on.
    protocols : str or sequence of str
        Names of modules in ``nearfar.evaluation``; by default kNN, linear probe and few labels of one column, and
        of several what their rows allow (`nearfar.evaluation.pairs.protocols`).
    seed : int
    floors : bool
        Measure the raw input and the untrained encoder as well.
    layer : {"features", "projection"}, optional
        By default the features of one column, and what the method keeps of several.
    limit : int, optional
        Use only so many rows of every split.
    console : Console, optional
    train_split, test_split : str, optional
        Splits to fit on and to score; by default those of the training where its own data are measured.
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
    from nearfar.core.console import QUIET

    console = console or QUIET
    protocols = [protocols] if isinstance(protocols, str) else list(dict.fromkeys(protocols or ()))
    seed = checks.whole(seed, "seed", 0, "--seed")
    limit = None if limit is None else checks.whole(limit, "limit", 2, "--limit")
    for name in protocols:
        if name not in PROTOCOLS:
            raise UnknownName("protocol", name, PROTOCOLS)
    if data is None:
        d = models[0].config.data
        train_split, test_split = train_split or d.train_split, test_split or d.test_split
    options = {"layer": layer, "seed": seed, "limit": limit, "train_split": train_split, "test_split": test_split,
               "positive": positive, **reading}  # fmt: skip
    tables = _tables(models, data, limit, console, reading)
    table, several = tables[0], len(tables[0].columns) > 1
    protocols = (pairs if several else labelled).protocols(models, table, protocols)
    seen = np.any([rows_of.trained_on(m, t) for m, t in zip(models, tables, strict=True)], axis=0)
    options |= {"protocols": list(protocols), "floors": floors}
    if class_names.TAKES in map(pairs.takes, protocols):
        options["templates"] = [templates] if isinstance(templates, str) else list(templates)
    choice = {"train_split": train_split, "test_split": test_split, "seed": seed, "seen": seen}
    kinds = {pairs.fits(p) for p in protocols} or {False}
    plans = {fits: splits.evaluation_plan(table, fits=fits, **choice) for fits in kinds}
    rows = plans[max(plans)]  # those of the probes where there are any
    warnings = rows_of.warnings(models, tables, rows, limited=limit is not None, console=console)
    yes = judged.position(table, positive, needed="labelled pairs" in map(pairs.takes, protocols))
    warnings += judged.about(table, yes)
    about = {
        "source": table.source.get("source"), "rows": len(table), "fingerprint": table.fingerprint,
        "content": rows_of.content(table),
        "train_rows": len(rows.train) if True in plans else 0, "test_rows": len(rows.test), "split": rows.notes[0],
        "classes": list(table.label_names), "skipped": len(table.skipped),
        "duplicates": len(splits.duplicates(table, rows.train, rows.test)),
    }  # fmt: skip
    how = {"seed": seed, "with_floors": floors, "layer": layer, "templates": templates, "console": console}
    if several:
        results = pairs.evaluate(models, tables, rows, protocols, positive=yes, **how)
    else:
        facts, said = labelled.about(table, plans, protocols)
        about, warnings = about | facts, warnings + said
        results = labelled.evaluate(models, tables, plans, protocols, **how)
    options = {k: v for k, v in options.items() if v is not None}
    warnings += logistic.unsolved(results)
    return Evaluation(about, results, warnings, table, rows, options=options)


def _tables(
    models: Sequence[Any], data: Any, limit: int | None, console: Console, reading: dict[str, Any]
) -> list[Table]:  # fmt: skip
    """The data as each model reads them: texts are cut and numbers scaled as in its training."""
    if isinstance(data, Table):
        return [data] * len(models)
    reading |= of_run(models[0], data, reading.pop("group", None), reading.pop("group_from", None))
    if data is None:
        data = models[0].source()
        reading = {**models[0].reading(), **reading}
    if limit is not None:
        reading["limit"] = limit
    reading = {"max_bad": models[0].config.data.max_bad, **reading}
    found: list[Table] = []
    for i, model in enumerate(models):
        alike = next((k for k in range(i) if _read_alike(models[k], model)), None)
        table = _table(model, data, console, dict(reading)) if alike is None else found[alike]
        if list(table.names) != list(found[0].names if found else table.names):
            raise DataError(
                f"{model.name} reads {len(table):,} rows of these data and {models[0].name} {len(found[0]):,}.",
                hint="Measure them one by one.",
            )
        found.append(table)
    return found


def _read_alike(a: Any, b: Any) -> bool:
    return len(a.members) == len(b.members) == 1 and a.columns == b.columns


def _table(model: Any, data: Any, console: Console, reading: dict[str, Any]) -> Table:
    """The data as a model reads them."""
    asked = bool(reading.get("label"))
    table = model.read(data, console=console, data_column=reading.pop("column", None), **reading)
    doubt = identifier(table, asked=asked)
    if doubt and asked:
        raise DataError(f"{doubt}: is it an id?", where="--label", hint="Name a column whose values repeat.")
    if doubt:
        console.warn(f"{doubt}, so it is left out; if these are classes, --label takes them.")
    return replace(table, labels=None, label_names=()) if doubt else table
