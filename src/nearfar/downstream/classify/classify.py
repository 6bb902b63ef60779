"""From a run and a few labelled rows, or the names of the classes alone, to the classes of new rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core import files
from nearfar.core.errors import ConfigError, DataError, RunError, UnknownName, UserError
from nearfar.core.leftovers import is_left
from nearfar.core.options import checked
from nearfar.data.facts import about_skipped
from nearfar.data.groups import FROM, WHERE, among, doubts, of_run, together
from nearfar.data.opposites import plain
from nearfar.downstream.classify.classified import Classified
from nearfar.downstream.classify.classifier import DESCRIPTION, Classifier, check_labels, check_request
from nearfar.modalities.text.text import text_of
from nearfar.models.run import Run

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.data.table import Column, Table
    from nearfar.models.embedder import Embedder
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
    run: Embedder | str | Path, labelled: Any = None, new: Any = None, *, use: str | None = None,
    classes: Sequence[str] | str | None = None, templates: Sequence[str] | str = (), label: str | None = None,
    column: str | None = None, group: str | None = None, group_from: str | None = None, kind: str = "auto",
    reject: float = REJECT, seed: int = 0, name: str = NAME, out: str | Path | None = None, device: str = "auto",
    quiet: bool = False, console: Console | None = None,
) -> Classified:  # fmt: skip
    """Make a classifier of labelled rows, keep it in the run, and tell the classes of new rows.

    A model that has a column of text needs no labelled rows: the names of the classes do.

    Parameters
    ----------
    run : Embedder, Ensemble or path
    labelled : path, (array, labels) or Table, optional
        Rows of which some or all have labels; rows without are left out.
    new : path, list, array or Table, optional
        Rows to classify. If they have labels of the same names, they are measured.
    use : str, optional
        Name of a classifier that the run keeps, instead of `labelled`.
    classes, templates : optional
        Names of classes instead of `labelled`, and prompts to put them into, see
        `nearfar.models.embedder.Embedder.zero_shot`; nothing is kept. A string is a file with one name a line, or names
        separated by commas; templates may be files, too.
    label, column : str, optional
        Names of columns.
    group, group_from : str, optional
        Which labelled rows are left out together, see `nearfar.data.read.read`; of the data that the model was trained
        on by default what was said then.
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
    from nearfar.core.console import of_call
    from nearfar.data.objects import settled
    from nearfar.models import loading, prompts

    console, labelled, new = of_call(console, quiet), settled(labelled), settled(new)
    _check(labelled, new, use, classes, out)
    if templates and classes is None:
        raise ConfigError("templates are for --classes.", where="--template")
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(f"{name!r} is no name of a folder.", where="--name", hint="Use letters, digits, - and _.")
    making = {"--kind": kind != "auto", "--reject": reject != REJECT, "--name": name != NAME, "--group": group,
              "--group-from": group_from}  # fmt: skip
    if labelled is None and (idle := [option for option, given in making.items() if given]):
        raise ConfigError(f"{' and '.join(idle)} are for making a classifier of labelled rows.",
                          where="--use" if use else "--classes")  # fmt: skip
    check_request(kind, reject, seed)
    model = loading.load(run, device) if isinstance(run, str | Path) else run
    reading = {"label": label, "column": column}
    if classes is not None:
        names = prompts.lines_of(classes, ",") if isinstance(classes, str) else classes
        made = _by_name(model, names, prompts.templates_of(templates), new, reading, console)
    elif use is not None:
        made = _by_kept(model, use, new, reading, console)
    else:
        reading |= of_run(model, labelled, group, group_from)
        made = _by_labelled(model, labelled, new, reading, console, kind=kind, reject=reject, seed=seed)
    made = replace(made, run=str(run if isinstance(run, str | Path) else model.path or model.name),
                   out=None if out is None else str(out))  # fmt: skip
    if out is not None:
        made.write(out)
    if labelled is not None and model.path is not None:  # last, so that what goes wrong leaves an earlier one alone
        made = replace(made, path=Path(model.path) / FOLDER / name)
        made.classifier.save(made.path)
        console.say(f"The classifier is in {made.path}.")
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


def _by_kept(model: Embedder, use: str, new: Any, reading: dict[str, Any], console: Console) -> Classified:
    """The classes of new rows by a classifier that the run keeps."""
    classifier, path = _kept(model, use)
    fresh = _read_new(model, new, **_as_before(model, classifier, reading), console=console)
    for note in classifier.notes:
        console.say(note)
    return replace(_applied(model, classifier, fresh, None, console), path=path)


def _by_labelled(
    model: Embedder, labelled: Any, new: Any, reading: dict[str, Any], console: Console, **options: Any
) -> Classified:
    """A classifier of labelled rows, and by it the classes of new rows, if there are any."""
    table = _labelled(model, labelled, options["kind"], reading, console)
    fresh = None if new is None else _read_new(model, new, **reading, console=console)
    classifier = _made(model, table, reading, console, **options)
    for note in classifier.notes:
        console.say(note)
    return Classified(classifier, None) if fresh is None else _applied(model, classifier, fresh, table, console)


def _as_before(model: Embedder, classifier: Classifier, reading: dict[str, Any]) -> dict[str, Any]:
    """The columns that were not named, as they were when the classifier was made."""
    found, about = dict(reading), classifier.about
    found["label"] = found["label"] or (str(about["label"]) if about.get("label") else None)
    if len(model.columns) > 1 and about.get("column"):
        found["column"] = found["column"] or str(about["column"])
    return found | {"group": about.get("group")}


def _by_name(
    model: Embedder, classes: Sequence[str], templates: Sequence[str], new: Any, reading: dict[str, Any],
    console: Console,
) -> Classified:  # fmt: skip
    """The classes of new rows by their names."""
    from nearfar.models import prompts

    column = reading["column"]
    text, others = _sides(model, column)
    made = prompts.make(model, classes, templates, column=text, console=console)
    for note in made.notes:
        console.say(note)
    if column is None and len(others) == 1:
        reading = {**reading, "column": others[0]}
    return _applied(model, made, _read_new(model, new, **reading, console=console), None, console)


def _sides(model: Embedder, column: str | None) -> tuple[str | None, list[str]]:
    """The column that reads the prompts, None where `zero_shot` finds it, and those that rows may be of."""
    from nearfar.models import prompts

    texts = [c for c in prompts.text_columns(model) if c != column or len(model.columns) == 1]
    text = texts[0] if len(texts) == 1 else None
    return text, [c for c in model.columns if c != text or len(model.columns) == 1]


def _read(model: Embedder, data: Any, label: str | None, column: str | None, **options: Any) -> Table:
    own = column if column in model.columns else None
    return model.read(data, column=own, data_column=column, label=label, **options)


# --- making and keeping -------------------------------------------------------------------------------------------


def _labelled(model: Embedder, labelled: Any, kind: str, reading: dict[str, Any], console: Console) -> Table:
    """The rows to make a classifier of, some or all of which have labels."""
    table = _read(model, labelled, **reading, max_bad=model.config.data.max_bad, console=console)
    if table.labels is None:
        raise DataError("the labelled rows have no labels.", hint="Name their column with --label.")
    check_labels(table.labels, table.label_names, kind)
    if table.skipped:
        console.warn(about_skipped(table.skipped))
    return table


def _made(model: Embedder, table: Table, reading: dict[str, Any], console: Console, **options: Any) -> Classifier:
    """The classifier of a table's labelled rows."""
    from nearfar.core.version import __version__

    rows = np.flatnonzero(table.labels >= 0)
    x = model.features(table.first, rows, console=console)
    about = {
        "nearfar": __version__, "labelled": table.source.get("source"), "fingerprint": table.fingerprint,
        "model": Run(model.path).weights if model.path else None, "seed": options["seed"], **reading,
    }  # fmt: skip
    names = [table.names[int(i)] for i in rows]
    taught = _taught(model, table.first)
    made = Classifier.fit(
        x, table.labels[rows], table.label_names, rows=names, about=about, groups=together(table, rows),
        taught=None if taught is None else taught[rows], **options,
    )  # fmt: skip
    if taught is None:
        found = made.out_of_fold and {**made.out_of_fold, "taught": None}
        made = replace(made, out_of_fold=found, notes=(*made.notes, NOT_KNOWN))
    if table.groups is not None:
        count = len(np.unique(table.groups[rows]))
        said = f"Rows of one group are left out together: {count:,} group{'s' * (count > 1)}."
        made = replace(made, notes=(*made.notes, said))
    guess = table.source.get("looks_grouped")
    for text in [*doubts(table, rows), *([guess["hint"]] if guess else [])]:
        console.warn(text)
    if len(rows) < len(table):
        made = replace(made, notes=(*made.notes, f"{len(table) - len(rows):,} rows without a label are left out."))
    if table.splits:
        made = replace(made, notes=(*made.notes, f"The rows are of all splits: {', '.join(table.splits)}."))
    return made


def _taught(model: Embedder, column: Column) -> np.ndarray | None:
    """Which rows the model has learnt with more than their own content, bool (N,); None where that is not known."""
    from nearfar.methods import record

    if model.training_rows is not None:
        return model.training_rows.teach(column)
    for m in model.members:
        labels = record.resolve(m.config.model.method, m.config.method).positives == "labels"
        if labels or len(m.columns) > 1 or m.config.model.init_from:
            return None
    return np.zeros(len(column), bool)


def _kept(model: Embedder, name: str) -> tuple[Classifier, Path]:
    """The run's classifier of that name, if it was made with the weights that the run has now."""
    if model.path is None:
        raise ConfigError("a model that lies in no run folder keeps no classifiers.")
    home = Path(model.path) / FOLDER
    there = sorted(p.parent.name for p in home.glob(f"*/{DESCRIPTION}") if not is_left(p.parent.name))
    if name not in there:
        raise UnknownName("classifier", name, there, where=str(home))
    kept = Classifier.load(home / name)
    if kept.about.get("model") != Run(model.path).weights:
        raise RunError(
            "was made with other weights of this run.", where=str(home / name), hint="Make it again from labelled rows."
        )
    return kept, home / name


# --- applying -----------------------------------------------------------------------------------------------------


def _applied(
    model: Embedder, classifier: Classifier | ZeroShot, table: Table, labelled: Table | None, console: Console
) -> Classified:
    """The classes of new rows."""
    rows, column = np.arange(len(table)), table.first
    predictions = classifier.predict(model.features(column, rows, layer=classifier.layer, console=console))
    texts = None if column.cells is None else [text_of(column.cells[int(i)]) for i in rows]
    found = Classified(classifier, None, table.names, texts, predictions, skipped=table.skipped)
    if table.labels is None or not (table.labels >= 0).any():
        return found
    warnings = []
    place = {classifier.names[i]: int(i) for i in classifier.present}
    known = np.asarray([place.get(n, -2) for n in table.label_names], np.int64)
    truth = np.where(table.labels >= 0, known[table.labels], -1)
    if unknown := int((truth == -2).sum()):
        warnings.append(_about_unknown(table, known, list(place), unknown, int((truth != -1).sum())))
    if labelled is not None and (repeated := int(np.isin(table.hashes, labelled.hashes[labelled.labels >= 0]).sum())):
        warnings.append(f"{repeated:,} of the {len(table):,} new rows are among the labelled ones, byte for byte.")
    if labelled is not None and (known_groups := among(table, labelled)):
        warnings.append(f"{known_groups:,} of the {len(table):,} new rows are of groups of labelled ones.")
    taught = _taught(model, column)
    if taught is not None and (learnt := int(taught[truth != -1].sum())):
        warnings.append(
            f"the model has learnt {learnt:,} of the {int((truth != -1).sum()):,} labelled new rows with their labels, "
            "or with what stood beside them: figures on them are too good."
        )
    return replace(found, figures=predictions.figures(truth), warnings=tuple(warnings))


def _about_unknown(table: Table, known: np.ndarray, classes: Sequence[str], rows: int, of: int) -> str:
    """Which labels of new rows are no class of the classifier, and which of them may be one in another spelling."""
    names = [n for n, k in zip(table.label_names, known, strict=True) if k < 0]
    some = ", ".join(map(repr, names[:3])) + (" …" if len(names) > 3 else "")
    said = f"{rows:,} of the {of:,} labelled new rows are of classes that the classifier does not know: {some}."
    spelt = {plain(c): c for c in classes}
    if alike := next((n for n in names if plain(n) in spelt), None):
        said += f" It knows {spelt[plain(alike)]!r}: is {alike!r} another spelling of it?"
    return said


def _read_new(model: Embedder, new: Any, label: str | None, column: str | None, console: Console, **by: Any) -> Table:
    """New rows; those that cannot be read are skipped, and neither labels nor groups need be there."""
    try:
        return _read(model, new, label, column, max_bad=1.0, console=console, **by)
    except UserError as e:
        if by and e.where in (WHERE, FROM):
            return _read_new(model, new, label, column, console)
        if label is None or e.where != "--label":
            raise
    return replace(_read_new(model, new, None, column, console, **by), labels=None, label_names=())
