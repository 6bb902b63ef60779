"""From a run and a few labelled rows, or the names of the classes alone, to the classes of new rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core import files
from nearfar.core.console import of_call
from nearfar.core.errors import ConfigError, DataError, RunError, UnknownName, UserError
from nearfar.core.leftovers import is_left
from nearfar.core.options import checked
from nearfar.core.version import __version__
from nearfar.data.facts import about_skipped
from nearfar.data.groups import FROM, WHERE, among, doubts, of_run, together
from nearfar.data.objects import settled
from nearfar.data.opposites import plain
from nearfar.downstream.classify.classified import Classified
from nearfar.downstream.classify.classifier import DESCRIPTION, Classifier, check_labels, check_request
from nearfar.methods import record
from nearfar.modalities.text.text import text_of
from nearfar.models import loading, prompts
from nearfar.models.run import Run

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.data.table import Column, Table
    from nearfar.models.model import Model
    from nearfar.models.prompts import ZeroShot

FOLDER = "classifier"
NAME = "default"
REJECT = 0.01
NOT_KNOWN = (
    "Which rows the model has learnt with their labels is not known: the run is of an earlier version. If these are "
    "among them, the accuracy is too good, probabilities too sure, and more new rows refused than was asked."
)


@checked
def classify(
    run: Model | str | Path, labelled: Any = None, new: Any = None, *, use: str | None = None,
    classes: Sequence[str] | str | None = None, templates: Sequence[str] | str = (), label: str | None = None,
    column: str | None = None, group: str | None = None, group_from: str | None = None, kind: str = "auto",
    reject: float = REJECT, seed: int = 0, name: str = NAME, out: str | Path | None = None, device: str = "auto",
    cache: bool = True, precision: str | None = None, quiet: bool = False, console: Console | None = None,
) -> Classified:  # fmt: skip
    """Make a classifier of labelled rows, keep it in the run, and predict the classes of new rows.

    A model that has a column of text needs no labelled rows: the names of the classes do.

    Arguments that are not described here are those of `nearfar`.

    Parameters
    ----------
    labelled : path, (array, labels) or Table, optional
        Rows of which some or all have labels; rows without are left out.
    new : path, list, array or Table, optional
        Rows to classify. If they have labels of the same names, they are measured.
    use : str, optional
        Name of a classifier that the run keeps, instead of `labelled`.
    classes, templates : optional
        Names of classes instead of `labelled`, and prompts to put them into, see
        `nearfar.models.model.Model.zero_shot`; nothing is kept. A string is a file with one name a line, or names
        separated by commas; templates may be files, too.
    label, column : str, optional
        Names of columns.
    group, group_from : str, optional
        Which labelled rows are left out together, see `nearfar.data.read.read`; of the data that the model was trained
        on, by default those of that training.
    kind, reject, seed : optional
        See `Classifier.fit`.
    name : str
        The classifier is kept as ``RUN/classifier/NAME``, in place of an earlier one of that name, once all else is
        done: whatever goes wrong before leaves the earlier one as it was.
    out : path, optional
        File for the predictions, see `Classified.write`.
    device : str
        Where a model is loaded to.

    Returns
    -------
    Classified

    Raises
    ------
    ConfigError
        None or several of `labelled`, `use` and `classes` were given, `use` or `classes` without `new`, or `name` is
        not one.
    DataError
        The labels do not make two classes, or the data cannot be read.
    UnknownName
        There is no such column, kind, or kept classifier.
    RunError
        The kept classifier is damaged, or was made with other weights of the run.
    """
    console, labelled, new = of_call(console, quiet), settled(labelled), settled(new)
    _check(labelled, new, use, classes, out)
    if templates and classes is None:
        raise ConfigError("templates are for --classes.", where="--template")
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(
            f"{name!r} is not a valid name of a folder.", where="--name", hint="Use letters, digits, - and _."
        )
    making = {"--kind": kind != "auto", "--reject": reject != REJECT, "--name": name != NAME, "--group": group,
              "--group-from": group_from}  # fmt: skip
    if labelled is None and (idle := [option for option, given in making.items() if given]):
        raise ConfigError(f"{' and '.join(idle)} are for making a classifier of labelled rows.",
                          where="--use" if use else "--classes")  # fmt: skip
    check_request(kind, reject, seed)
    model, called = loading.opened(run, device, cache=cache, precision=precision)
    reading = {"label": label, "column": column}
    if classes is not None:
        names = prompts.lines_of(classes, ",") if isinstance(classes, str) else classes
        made = _by_name(model, names, prompts.templates_of(templates), new, reading, console)
    elif use is not None:
        made = _by_kept(model, use, new, reading, console)
    else:
        reading |= of_run(model, labelled, group, group_from)
        made = _by_labelled(model, labelled, new, reading, console, kind=kind, reject=reject, seed=seed)
    made = replace(made, run=called, out=None if out is None else str(out))
    if out is not None:
        made.write(out)
    if labelled is not None and model.path is not None:  # last, so that what goes wrong leaves an earlier one alone
        made = replace(made, path=Path(model.path) / FOLDER / name)
        made.classifier.save(made.path)
        console.say(f"The classifier is in {made.path}.")
    elif labelled is not None:
        console.say("The classifier is not kept, since the model lies in no run folder.")
    for text in [*([about_skipped(made.skipped)] if made.skipped else []), *made.warnings]:
        console.warn(text)
    return made


def _check(labelled: Any, new: Any, use: str | None, classes: Any, out: str | Path | None) -> None:
    """Find what is wrong with the request before anything is computed."""
    if use is not None and classes is not None:
        raise ConfigError("--use and --classes exclude each other.", where="--classes", hint="Name one of them.")
    if sum(given is not None for given in (labelled, use, classes)) != 1:
        raise ConfigError(
            "a classifier is made of labelled rows or of the names of classes, or one is used that there is.",
            hint="Name one of the three.",
        )
    if new is None and labelled is None:
        raise ConfigError(
            f"there is nothing to use the classifier {use!r} on." if use else "there is nothing to classify."
        )
    if out is None:
        return
    if new is None:
        raise ConfigError("there are no new rows to write of.", where="--out", hint="Name NEW after LABELLED.")
    if Path(out).suffix != ".csv":
        raise ConfigError(f"cannot write {Path(out).suffix or 'a file without ending'}.", where="--out",
                          hint="Use .csv.")  # fmt: skip
    files.check_target(out, *(str(data) for data in (labelled, new) if isinstance(data, str | Path)))


def _by_kept(model: Model, use: str, new: Any, reading: dict[str, Any], console: Console) -> Classified:
    """The classes of new rows by a classifier that the run keeps, if it was made with the weights of now."""
    if model.path is None:
        raise ConfigError("a model that lies in no run folder keeps no classifiers.")
    home = Path(model.path) / FOLDER
    there = sorted(p.parent.name for p in home.glob(f"*/{DESCRIPTION}") if not is_left(p.parent.name))
    if use not in there:
        raise UnknownName("classifier", use, there, where=str(home))
    classifier = Classifier.load(home / use)
    about = classifier.about
    if about.get("model") != Run(model.path).weights:
        raise RunError("was made with other weights of this run.", where=str(home / use),
                       hint="Make it again from labelled rows.")  # fmt: skip
    # Columns that are not named are those of the rows that it was made of.
    label = reading["label"] or about.get("label")
    column = reading["column"] or (about.get("column") if len(model.columns) > 1 else None)
    fresh = _read_new(model, new, label, column, console, group=about.get("group"))
    return replace(_applied(model, classifier, fresh, None, console), path=home / use)


def _by_name(
    model: Model, classes: Sequence[str], templates: Sequence[str], new: Any, reading: dict[str, Any], console: Console
) -> Classified:
    """The classes of new rows by the names of the classes."""
    column, single = reading["column"], len(model.columns) == 1
    texts = [c for c in prompts.text_columns(model) if c != column or single]
    text = texts[0] if len(texts) == 1 else None  # the column that reads the prompts; None lets the model find it
    made = prompts.make(model, classes, templates, column=text, console=console)
    others = [c for c in model.columns if c != text or single]
    column = others[0] if column is None and len(others) == 1 else column
    return _applied(model, made, _read_new(model, new, reading["label"], column, console), None, console)


def _by_labelled(
    model: Model, labelled: Any, new: Any, reading: dict[str, Any], console: Console, **options: Any
) -> Classified:
    """A classifier of labelled rows, and by it the classes of new rows, if there are any."""
    table = _read(model, labelled, **reading, max_bad=model.config.data.max_bad, console=console)
    if table.labels is None:
        raise DataError("the labelled rows have no labels.", hint="Name their column with --label.")
    check_labels(table.labels, table.label_names, options["kind"])
    if table.skipped:
        console.warn(about_skipped(table.skipped))
    fresh = None if new is None else _read_new(model, new, **reading, console=console)
    rows = np.flatnonzero(table.labels >= 0)
    x = model.features(table.first, rows, console=console)
    about = {
        "nearfar": __version__, "labelled": table.source.get("source"), "fingerprint": table.fingerprint,
        "model": Run(model.path).weights if model.path else None, "seed": options["seed"], **reading,
    }  # fmt: skip
    taught = _taught(model, table.first)
    classifier = Classifier.fit(
        x, table.labels[rows], table.label_names, rows=[table.names[int(i)] for i in rows], about=about,
        groups=together(table, rows), taught=None if taught is None else taught[rows],
        cache=all(m.cached for m in model.members), **options,
    )  # fmt: skip
    notes = []
    if taught is None:
        notes.append(NOT_KNOWN)
        measured = classifier.out_of_fold and {**classifier.out_of_fold, "taught": None}
        classifier = replace(classifier, out_of_fold=measured)
    if table.groups is not None:
        count = len(np.unique(table.groups[rows]))
        notes.append(f"Rows of one group are left out together: {count:,} group{'s' * (count > 1)}.")
    if len(rows) < len(table):
        notes.append(f"{len(table) - len(rows):,} rows without a label are left out.")
    if table.splits:
        notes.append(f"The rows are of all splits: {', '.join(table.splits)}.")
    guess = table.source.get("looks_grouped")
    for text in [*doubts(table, rows), *([guess["hint"]] if guess else [])]:
        console.warn(text)
    return _applied(model, replace(classifier, notes=(*classifier.notes, *notes)), fresh, table, console)


def _read(model: Model, data: Any, label: str | None, column: str | None, **options: Any) -> Table:
    own = column if column in model.columns else None
    return model.read(data, column=own, data_column=column, label=label, **options)


def _read_new(model: Model, new: Any, label: str | None, column: str | None, console: Console, **by: Any) -> Table:
    """New rows; those that cannot be read are skipped, and neither labels nor groups need be there."""
    try:
        return _read(model, new, label, column, max_bad=1.0, console=console, **by)
    except UserError as e:
        if by and e.where in (WHERE, FROM):
            return _read_new(model, new, label, column, console)
        if label is None or e.where != "--label":
            raise
    return replace(_read_new(model, new, None, column, console, **by), labels=None, label_names=())


def _taught(model: Model, column: Column) -> np.ndarray | None:
    """Which rows the model has learnt with more than their own content, bool (N,); None where that is not known."""
    if model.training_rows is not None:
        return model.training_rows.teach(column)
    for m in model.members:
        labels = record.resolve(m.config.model.method, m.config.method).positives == "labels"
        if labels or len(m.columns) > 1 or m.config.model.init_from:
            return None
    return np.zeros(len(column), bool)


def _applied(
    model: Model, classifier: Classifier | ZeroShot, table: Table | None, labelled: Table | None, console: Console
) -> Classified:
    """The classes of new rows, if there are any, measured where these have labels."""
    for note in classifier.notes:
        console.say(note)
    if table is None:
        return Classified(classifier, None)
    column = table.first
    x = model.features(column, np.arange(len(table)), layer=classifier.layer, console=console)
    predictions = classifier.predict(x)
    texts = None if column.texts is None else [text_of(column.cells[i]) for i in range(len(table))]
    made = Classified(classifier, None, table.names, texts, predictions, skipped=table.skipped)
    if table.labels is None or not (table.labels >= 0).any():
        return made
    warnings = []
    place = {classifier.names[i]: int(i) for i in classifier.present}
    known = np.asarray([place.get(n, -2) for n in table.label_names], np.int64)
    truth = np.where(table.labels >= 0, known[table.labels], -1)
    measured = int((truth != -1).sum())
    if unknown := int((truth == -2).sum()):
        names = [n for n, k in zip(table.label_names, known, strict=True) if k < 0]
        some = ", ".join(map(repr, names[:3])) + (" …" if len(names) > 3 else "")
        text = f"{unknown:,} of the {measured:,} labelled new rows are of classes that the classifier does not know: "
        spelt = {plain(c): c for c in place}
        alike = next((n for n in names if plain(n) in spelt), None)
        hint = f" It knows {spelt[plain(alike)]!r}: is {alike!r} another spelling of it?" if alike else ""
        warnings.append(f"{text}{some}.{hint}")
    if labelled is not None and (repeated := int(np.isin(table.hashes, labelled.hashes[labelled.labels >= 0]).sum())):
        warnings.append(f"{repeated:,} of the {len(table):,} new rows are among the labelled ones, byte for byte.")
    if labelled is not None and (known_groups := among(table, labelled)):
        warnings.append(f"{known_groups:,} of the {len(table):,} new rows are of groups of labelled ones.")
    taught = _taught(model, column)
    if taught is not None and (learnt := int(taught[truth != -1].sum())):
        warnings.append(
            f"the model has learnt {learnt:,} of the {measured:,} labelled new rows with their labels, or with what "
            "stood beside them: figures on them are too good."
        )
    return replace(made, figures=predictions.figures(truth), warnings=tuple(warnings))
