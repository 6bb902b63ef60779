"""``nearfar embed``."""

from __future__ import annotations

from typing import Any

import click

from nearfar.cli import verb
from nearfar.cli._options import encoding_options


@click.command(short_help="Write the vectors of data as a table.")
@click.argument("run")
@click.argument("data")
@click.option("--out", required=True, type=click.Path(), help="File to write: .parquet, .npz or .npy.")
@click.option("--column", help="Column to embed.")
@click.option("--label", help="Column that holds the labels, which are written beside the vectors.")
@click.option("--layer", help="Layer whose vectors are written: features or projection.  [the one that the run keeps]")
@click.option("--dimensions", type=click.IntRange(1), help="Write only this many dimensions, the first ones.  [all]")
@click.option("--normalize/--no-normalize", default=True, help="Scale every vector to unit length.  [--normalize]")
@click.option(
    "--project",
    type=click.Choice(["pca", "tsne", "umap"]),
    help="Also write two coordinates a row, for a map of the data.",
)
@click.option("--prompt", help="Prompt of a pretrained model to put before every text, such as query.  [its default]")
@encoding_options
@verb
def command(**given: Any) -> Any:
    """Write the vectors of DATA as a table: name, vector, and label where there is one.

    \b
    nearfar embed runs/photos photos/ --out vectors.parquet --project pca
    """
    from nearfar.downstream.embed import embed

    return embed(**given)
