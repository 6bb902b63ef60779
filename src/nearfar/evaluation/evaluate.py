"""The function behind ``nearfar eval``: models side by side on one table, with floors under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core import files
from nearfar.core.console import of_call
from nearfar.core.errors import DataError, NearfarError, UnknownName
from nearfar.core.options import check, names
from nearfar.core.registry import PROTOCOLS
from nearfar.core.values import whole
from nearfar.data import splits
from nearfar.data.facts import identifier
from nearfar.data.groups import of_run
from nearfar.data.interactions import paired
from nearfar.data.read import read
from nearfar.data.table import Table
from nearfar.evaluation import below, labels, measure, streams, summary
from nearfar.evaluation import rows as rows_of
from nearfar.evaluation.protocols import fits, takes
from nearfar.evaluation.recommend import measured
from nearfar.evaluation.report.of_run import keep as keep_in_run
from nearfar.evaluation.table import render
from nearfar.models import loading, prompts
from nearfar.models.streams import reading as cut_by
from nearfar.vectors import logistic

if TYPE_CHECKING:
    from nearfar.core.console import Console

# of reading: what a trained model says itself
FROM_THE_MODEL = ("source", "modality", "spec", "known", "several", "negative", "size", "depth", "tokens", "length")


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
        return below.sentences(self.results, self.summary)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        entry = {"schema": 1, "verb": "eval", "data": self.data, "options": self.options, "results": self.results,
                 "below": self.below, "warnings": self.warnings}  # fmt: skip
        return files.finite(entry | ({"summary": self.summary} if self.summary else {}))

    def save(self, path: str | Path) -> None:
        """Write the JSON form."""
        files.write_json(path, self.as_dict())

    def table(self) -> str:
        """Figures for people: models above, floors below, intervals beside."""
        return render(self.data, self.results, self.summary, self.warnings, self.below)


def evaluate(
    models: Any, data: Any = None, *, protocols: Sequence[str] | str = (), seed: int = 0, floors: bool | str = "auto",
    layer: str | None = None, limit: int | None = None, train_split: str | None = None, test_split: str | None = None,
    templates: Sequence[str] | str = (), positive: str | None = None,
    pair: Sequence[str] | Sequence[Sequence[str]] = (), dimensions: int | Sequence[int] = (), keep: bool = False,
    map: str = "tsne", cache: bool = True, precision: str | None = None, quiet: bool = False,
    console: Console | None = None, **reading: Any,
) -> Evaluation:  # fmt: skip
    """Measure one or several models on labelled (or unlabelled) data, with floors and intervals.

    Parameters
    ----------
    models : Embedder, path, or a sequence of them
        The folder of a training with several seeds, or of any runs, stands for all of them.
    data : path, array or Table, optional
        By default the data that the first model was trained on.
    protocols : str or sequence of str
        Names of modules in ``nearfar.evaluation.protocols``; by default kNN, linear probe and few labels of one
        column, and of several what their rows allow: retrieval, bitext, zero-shot, or STS of scored pairs.
    seed : int
        Of splits and draws.
    floors : bool or "auto"
        Measure the raw input and the untrained encoder as well. By default both, but of a model that is used as it was
        pretrained the raw input alone: encoding with random weights would take as long as with its own.
    layer : {"features", "projection"}, optional
        By default the features of one column, and what the method keeps of several.
    limit : int, optional
        Use only so many rows of every split.
    train_split, test_split : str, optional
        Splits to fit on and to score; by default those of the training where its own data are measured.
    templates : str or sequence of str
        Prompts into which the names of classes are put where they are read (zero_shot), such as
        ``"a picture of a {}"``, or files with one a line.
    positive : str, optional
        The label that says that the two sides of a pair belong together; by default the one of two opposites, such as
        match and nomatch.
    pair : (str, str), or sequence of such pairs
        Columns whose cells in one row belong together; the same as ``column=("a", "b")``.
    dimensions : int or sequence of int
        Also measure every model with so many of its first dimensions alone.
    keep : bool
        Write the measurement of a single run, with its report, into the run's folder, as the command does.
    map : {"tsne", "pca", "umap"}
        How the report's map of the data is laid out.
    cache, precision
        Of `nearfar.load`, for models that are named by their paths.
    **reading
        Of `nearfar.data.read.read`: ``label``, ``score``, and ``column``, one or several of the data's.

    Returns
    -------
    Evaluation
        With mean and standard deviation over those that differ by the seed alone.

    Raises
    ------
    UnknownName
        There is no such option or protocol.
    DataError
        There is too little to measure on.
    """
    console = of_call(console, quiet)
    floors = reading.pop("with_floors", floors)  # its name in version 0.1.0
    check(reading, [n for n in dict.fromkeys([*names(evaluate), *names(read)])
                    if n not in ("models", "data", *FROM_THE_MODEL)])  # fmt: skip
    if pair:
        reading |= paired(pair, reading)
    templates = prompts.templates_of(templates)
    several = isinstance(models, Sequence) and not isinstance(models, str)
    models = loading.models(models if several else [models], cache=cache, precision=precision)
    sizes = [whole(d, "dimensions", 1, "--dimensions") for d in np.atleast_1d(dimensions).tolist()]
    models += [model.cut(d) for model in models for d in sizes]
    protocols = [protocols] if isinstance(protocols, str) else list(dict.fromkeys(protocols or ()))
    seed = whole(seed, "seed", 0, "--seed")
    limit = None if limit is None else whole(limit, "limit", 2, "--limit")
    if unknown := next((name for name in protocols if name not in PROTOCOLS), None):
        raise UnknownName("protocol", unknown, PROTOCOLS)
    if data is None:
        d = models[0].config.data
        train_split, test_split = train_split or d.train_split, test_split or d.test_split
    options = {"layer": layer, "seed": seed, "limit": limit, "train_split": train_split, "test_split": test_split,
               "positive": positive, **reading}  # fmt: skip
    if streams.asked(protocols):
        reading |= cut_by(models[0], reading)
    tables = _tables(models, data, limit, console, reading)
    table = tables[0]
    if streams.asked(protocols):
        streams.check(table, protocols)
    else:
        protocols = measure.chosen(models, table, protocols)
    kinds = {takes(p) for p in protocols}
    options |= {"protocols": protocols, "floors": bool(floors)}
    if labels.NAMED in kinds:
        options["templates"] = templates

    seen = [rows_of.trained_on(m, t) for m, t in zip(models, tables, strict=True)]
    split = {"train_split": train_split, "test_split": test_split, "seed": seed, "seen": np.any(seen, axis=0)}
    plans = {f: splits.evaluation_plan(table, fits=f, **split) for f in {fits(p) for p in protocols} or {False}}
    rows = plans[max(plans)]  # those of the probes where there are any
    warnings = rows_of.warnings(models, tables, rows, seen=seen, limited=limit is not None, console=console)
    warnings += measure.without_floor(models, protocols, floors)
    place = labels.positive_label(table, positive, needed="labelled pairs" in kinds)
    warnings += labels.about_positive(table, place)
    about = {
        "source": table.source.get("source"), "rows": len(table), "fingerprint": table.fingerprint,
        "content": rows_of.content(table),
        "train_rows": len(rows.train) if True in plans else 0, "test_rows": len(rows.test), "split": rows.notes[0],
        "classes": list(table.label_names), "skipped": len(table.skipped),
        "duplicates": len(splits.duplicates(table, rows.train, rows.test)),
    }  # fmt: skip
    histories = []
    if measured.of_table(table) is not None:
        new = data is not None and not isinstance(data, Table)
        histories = [measured.measured_on(m, t, new=new) for m, t in zip(models, tables, strict=True)]
        about |= measured.about(histories[0])
    elif len(table.columns) == 1 and not streams.asked(protocols):
        more, said = rows_of.about_labels(table, plans, protocols)
        about, warnings = about | more, warnings + said

    task = measure.Task(table, plans, protocols, seed, templates, place, console, cache, histories)
    results = task.results(models, tables, layer=layer, with_floors=floors)
    options = {k: v for k, v in options.items() if v is not None}
    over_seeds = summary.over_seeds(models, results)
    evaluation = Evaluation(about, results, warnings + logistic.unsolved(results), table, rows, over_seeds, options)
    if keep and len(models) == 1 and models[0].path is not None:
        try:
            evaluation.report = keep_in_run(models[0], evaluation, layout=map, console=console)
        except NearfarError:
            console.say(f"\n{evaluation}")  # what may have taken long is not lost with its report
            raise
    console.say()
    return evaluation


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
    tables: list[Table] = []
    for i, model in enumerate(models):
        same = next((k for k in range(i) if _read_alike(models[k], model)), None)
        table = _table(model, data, console, dict(reading)) if same is None else tables[same]
        if tables and list(table.names) != list(tables[0].names):
            raise DataError(
                f"{model.name} reads {len(table):,} rows of these data and {models[0].name} {len(tables[0]):,}.",
                hint="Measure them one by one.",
            )
        tables.append(table)
    return tables


def _read_alike(a: Any, b: Any) -> bool:
    return len(a.members) == len(b.members) == 1 and a.columns == b.columns


def _table(model: Any, data: Any, console: Console, reading: dict[str, Any]) -> Table:
    """The data as a model reads them, without labels that seem to be ids."""
    asked = bool(reading.get("label"))
    table = model.read(data, console=console, data_column=reading.pop("column", None), **reading)
    doubt = identifier(table, asked=asked)
    if doubt and asked:
        raise DataError(f"{doubt}: is it an id?", where="--label", hint="Name a column whose values repeat.")
    if doubt:
        console.warn(f"{doubt}, so it is left out; if these are classes, --label takes them.")
    return replace(table, labels=None, label_names=()) if doubt else table
