"""``nearfar classify``."""

from __future__ import annotations

from typing import Any

import click

from nearfar.cli import given, verb
from nearfar.cli._options import encoding_options, group_options


@click.command(short_help="Predict the classes of new rows, from a few labelled ones.")
@click.argument("run")
@click.argument("labelled")
@click.argument("new", required=False)
@click.option(
    "--classes",
    help="Names of the classes, separated by commas, or a file with one a line. Needs no "
    "labelled rows: the only data are NEW.",
)
@click.option(
    "--template",
    "templates",
    multiple=True,
    metavar="TEXT",
    help="Prompt into which the names of --classes are put, such as 'a picture of a {}', or a file with one "
    "prompt a line. Repeatable.  [{}]",
)
@click.option("--label", help="Column that holds the labels.")
@click.option("--column", help="Column to classify by.")
@group_options
@click.option(
    "--kind",
    help="Kind of classifier: logistic, knn, or auto, the one with the better accuracy in cross-validation.  [auto]",
)
@click.option(
    "--reject",
    type=float,
    help="Share of rows of the known classes that may be rejected as none of them. "
    "A higher share rejects more rows of unknown classes.  [0.01]",
)
@click.option("--out", type=click.Path(), help="CSV file to write the predictions to.")
@click.option("--name", help="Name under which the run keeps the classifier.  [default]")
@click.option("--use", help="Use the classifier that the run keeps under this name. The only data are NEW then.")
@click.option("--seed", type=int, default=0, show_default=True, help="Random seed of the folds of cross-validation.")
@encoding_options
@verb
def command(labelled: str, new: str | None, **options: Any) -> Any:
    """Fit a classifier to the rows of LABELLED, few or many, and predict the classes of NEW.

    The run keeps the classifier, which works on the vectors of its model. A row that is less similar to its class than
    nearly all labelled rows are to theirs is rejected as none of the classes. If NEW has labels too, predictions are
    compared with them.

    A model of pairs with a column of texts needs no labelled rows: the names of the classes are enough.

    \b
    nearfar classify runs/photos labelled/ new/ --out predictions.csv
    nearfar classify runs/photos labels.csv --label species --name species
    nearfar classify runs/photos more/ --use species --out more.csv
    nearfar classify runs/captions new/ --classes "cat, dog" --template "a picture of a {}"
    """
    from nearfar.core.errors import ConfigError
    from nearfar.downstream.classify.classify import classify

    if instead := next((o for o in ("use", "classes") if options[o] is not None), None):
        if new:
            raise ConfigError(f"with --{instead} NEW is the only data.", where=f"--{instead}",
                              hint="Leave LABELLED out.")  # fmt: skip
        labelled, new = None, labelled
    return classify(labelled=labelled, new=new, **given(options))
