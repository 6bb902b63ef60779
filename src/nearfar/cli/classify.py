"""``nearfar classify``."""

from __future__ import annotations

from typing import Any

import click

from nearfar.cli import common, console
from nearfar.cli._groups import group_options

SHOWN = 10  # predictions that are shown where they are not written


@click.command(short_help="Tell the classes of new rows, from a few labelled ones.")
@click.argument("run")
@click.argument("labelled")
@click.argument("new", required=False)
@click.option("--classes", help="Names of classes, by commas, or a file with one a line; the only data are NEW.")
@click.option(
    "--template",
    "templates",
    multiple=True,
    metavar="TEXT",
    help="Prompt for a class, such as 'a picture of a {}', or a file with one a line; repeatable.  [{}]",
)
@click.option("--label", help="Column of the labels.")
@click.option("--column", help="Column to classify by.")
@group_options
@click.option("--kind", help="auto, logistic or knn.  [auto: by out-of-fold accuracy]")
@click.option("--reject", type=float, help="Share of rows like the labelled ones that may be none of them.  [0.01]")
@click.option("--out", type=click.Path(), help="File to write the predictions to: .csv.")
@click.option("--name", help="What to keep the classifier as.  [default]")
@click.option("--use", help="Use the classifier of this name; then the only data are NEW.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the folds.")
@common
def command(
    run: str, labelled: str, new: str | None, classes: str | None, templates: tuple[str, ...], label: str | None,
    column: str | None, group: str | None, group_from: str | None, kind: str | None, reject: float | None,
    out: str | None, name: str | None, use: str | None, seed: int,
    as_json: bool, quiet: bool, debug: bool,
) -> None:  # fmt: skip
    """Make a classifier of the rows of LABELLED, few or many, and tell the classes of NEW.

    The classifier is kept in the run and works on the vectors of its model. A row that is farther from its class
    than nearly all labelled rows are from theirs is none of them. If NEW has labels too, they are only compared with.

    A run of pairs with a column of text needs no labelled rows: it tells classes by their names.

    \b
    nearfar classify runs/photos labelled/ new/ --out predictions.csv
    nearfar classify runs/photos labels.csv --label species --name species
    nearfar classify runs/photos more/ --use species --out more.csv
    nearfar classify runs/captions new/ --classes "cat, dog" --template "a picture of a {}"
    """
    from nearfar.data.facts import about_skipped
    from nearfar.downstream.classify.classify import classify

    to = console(as_json, quiet, debug)
    making = {"kind": kind, "reject": reject, "name": name, "group": group, "group_from": group_from}
    _check(out, (labelled, new), use, classes, templates, **making)
    given = {k: v for k, v in making.items() if v is not None}
    data = {"labelled": labelled, "new": new}
    if use:
        data = {"new": labelled, "use": use}
    elif classes is not None:
        data = {"new": labelled, "classes": listed(classes, ","), "templates": templates_of(templates)}
    found = classify(run, **data, label=label, column=column, seed=seed, out=out, console=to, **given)
    if found.skipped:
        to.warn(about_skipped(found.skipped))
    for text in found.warnings:
        to.warn(text)
    if found.figures:
        to.say(_figures(found.figures))
    lines = found.lines()
    if found.predictions is not None:
        for text in _about(lines, out):
            to.say(text)
    else:
        to.say(f"Next: nearfar classify {run} NEW --use {found.path.name}")
    to.result(_result(run, found, None if out else lines))


def listed(text: str, separator: str | None = None) -> list[str]:
    """The lines of a file that is called so; else the text itself, cut at the separator."""
    from pathlib import Path

    from nearfar.core.errors import DataError

    try:
        if Path(text).is_file():
            return [line.strip() for line in Path(text).read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as e:
        raise DataError(f"cannot be read as text ({e}).", where=text) from e
    return [t.strip() for t in text.split(separator)] if separator else [text]


def templates_of(said: tuple[str, ...]) -> list[str]:
    """All templates: each a text with ``{}`` or a file of them."""
    return [t for text in said for t in ([text] if "{}" in text else listed(text))] or ["{}"]


def _check(
    out: str | None, data: tuple[str, str | None], use: str | None, classes: str | None, templates: tuple[str, ...],
    **making: Any,
) -> None:  # fmt: skip
    """What is wrong with the request is found before anything is computed."""
    from pathlib import Path

    from nearfar.core import files
    from nearfar.core.errors import ConfigError

    new = data[1]
    if use and classes is not None:
        raise ConfigError("--use and --classes are two ways to say by what; name one.", where="--classes")
    if templates and classes is None:
        raise ConfigError("templates are for --classes.", where="--template")
    instead = "--use" if use else "--classes" if classes is not None else None
    if instead and new:
        raise ConfigError(f"with {instead} there is one thing to name, what to classify.", where=instead)
    if instead and (said := [f"--{k.replace('_', '-')}" for k, v in making.items() if v is not None]):
        raise ConfigError(f"{' and '.join(said)} are for making a classifier of labelled rows.", where=instead)
    if out and not (new or instead):
        raise ConfigError("there are no new rows to write of.", where="--out", hint="Name NEW after LABELLED.")
    if out and Path(out).suffix != ".csv":
        raise ConfigError(f"cannot write {Path(out).suffix or 'a file without ending'}.", where="--out",
                          hint="Use .csv.")  # fmt: skip
    if out:
        files.check_target(out, *data)


def _about(lines: list[dict[str, Any]], out: str | None) -> list[str]:
    """What was predicted, in short."""
    from collections import Counter

    counts = Counter(line["prediction"] for line in lines)
    refused = counts.pop(None, 0)
    top = ", ".join(f"{name} ({n:,})" for name, n in counts.most_common(SHOWN)) + (", …" if len(counts) > SHOWN else "")
    said = [f"{len(lines):,} new row{'s' * (len(lines) != 1)}: {top}{', ' if top else ''}none of these ({refused:,})."]
    if out:
        return [*said, f"The predictions are in {out}."]
    for line in lines[:SHOWN]:
        shown = line["prediction"] or f"none of these (likeliest: {line['likeliest']})"
        said.append(f"  {line['name']}  {shown}  {line['probability']:.3f}  near {line['nearest']}")
    return [*said, "Say --out predictions.csv to keep them."]


def _figures(f: dict[str, Any]) -> str:
    strangers = (
        f"\nOf other classes: {f['strangers']:,} rows, {f['strangers_refused']:,} of them refused."
        if f["strangers"] else ""
    )  # fmt: skip
    if not f["rows"]:
        return strangers.strip()

    def with_interval(name: str) -> str:
        low, high = f[f"{name}_interval"]
        return "–" if f[name] is None else f"{f[name]:.3f} [{low:.3f}, {high:.3f}]"

    return (
        f"Measured on {f['rows']:,} labelled new rows: accuracy {with_interval('accuracy')}; "
        f"not refused {with_interval('coverage')}, accuracy of those {with_interval('accuracy_kept')}; "
        f"expected calibration error {f['calibration_error']:.3f} (15 bins).{strangers}"
    )


def _result(run: str, found: Any, lines: list[dict[str, Any]] | None) -> dict[str, Any]:
    c = found.classifier
    return {
        "schema": 1, "verb": "classify", "run": run, "classifier": str(found.path) if found.path else None,
        **c.summary(), "rows": len(found.names), "figures": found.figures, "predictions": lines,
        "warnings": found.warnings,
        "skipped": [{"name": s.name, "reason": s.reason} for s in found.skipped],
    }  # fmt: skip
