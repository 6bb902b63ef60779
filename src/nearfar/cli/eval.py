"""``nearfar eval``."""

from __future__ import annotations

from typing import Any

import click

from nearfar.cli import given, verb
from nearfar.cli._options import Pairing, encoding_options, group_options, pair_option


@click.command(cls=Pairing, short_help="Measure models, with floors and confidence intervals.")
@click.argument("models", nargs=-1, required=True, metavar="RUNS...")
@click.option("--on", "data", help="Data to measure on.  [the data of the first run's training]")
@click.option("--label", help="Column that holds the labels.")
@click.option("--column", help="Column to embed.")
@click.option("--time", metavar="COLUMN", help="Column of times of a table of long recordings.  [as in training]")
@click.option(
    "--missing",
    multiple=True,
    metavar="CELL",
    help="Read this cell, such as NA, as a missing value. Repeatable.  [as in training]",
)
@pair_option
@click.option("--score", help="Column that holds the similarity score of each pair.")
@click.option(
    "--positive",
    metavar="LABEL",
    help="Label of pairs that belong together.  [the positive one of two opposites, such as match and nomatch]",
)
@group_options
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    help="Measure by this protocol, such as knn or retrieval. Repeatable.  [all that fit the data]",
)
@click.option(
    "--template",
    "templates",
    multiple=True,
    metavar="TEXT",
    help="Prompt into which the names of classes are put, such as 'a picture of a {}', or a file with one "
    "prompt a line. Repeatable.  [{}]",
)
@click.option("--layer", help="Layer to measure: features or projection.  [features; the model's own layer for pairs]")
@click.option(
    "--dimensions",
    type=click.IntRange(1),
    multiple=True,
    help="Also measure every model with only this many of its dimensions, the first ones. Repeatable.",
)
@click.option("--train-split", help="Split on which probes are fitted.")
@click.option("--test-split", help="Split on which models are scored.")
@click.option("--limit", type=click.IntRange(2), help="Use at most this many rows of each split, drawn by the seed.")
@click.option("--seed", type=int, default=0, show_default=True, help="Random seed of splits and subsamples.")
@click.option(
    "--map",
    type=click.Choice(["tsne", "pca", "umap"]),
    default="tsne",
    show_default=True,
    help="Method that lays out the map of the data in the report.",
)
@click.option(
    "--floors/--no-floors",
    default=None,
    help="Measure the raw input and an untrained encoder as well, for comparison.  [both; of a pretrained model, the "
    "raw input alone]",
)
@encoding_options
@verb
def command(**options: Any) -> Any:
    """Measure RUNS side by side: kNN, a linear probe and few labels; for pairs, retrieval.

    Probes are fitted on training rows and scored once on test rows. Raw input and an untrained encoder stand below as
    floors, and figures have 95 % confidence intervals. The report of a single run is written into its folder. Runs that
    differ only in their seed also get a row with mean ± standard deviation; a folder of runs stands for all of them.

    \b
    nearfar eval runs/photos --on labelled/
    nearfar eval runs/a runs/b --on labelled/ --protocol knn
    nearfar eval runs/text --on scored.csv --pair first second --score likeness
    """
    from nearfar.evaluation.evaluate import evaluate

    return evaluate(keep=True, **given(options))
