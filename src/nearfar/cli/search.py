"""``nearfar search``."""

from __future__ import annotations

from typing import Any

import click

from nearfar.cli import verb
from nearfar.cli._options import encoding_options


@click.command(short_help="Find the nearest rows of a query.")
@click.argument("run")
@click.argument("queries", nargs=-1, required=True, type=click.Path())
@click.option("--in", "data", help="Data to search.  [the data that the run was trained on]")
@click.option(
    "--from",
    "source",
    metavar="COLUMN",
    help="Column of the model that encodes the queries, if it has several.  [the one that fits]",
)
@click.option(
    "--to", "target", metavar="COLUMN", help="Column of the model that is searched, if it has several.  [the other one]"
)
@click.option("--column", help="Column of the data to search, where several may be meant.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(1), help="Number of neighbours of each query.")
@click.option(
    "--regions",
    is_flag=True,
    help="Find the windows of long recordings that are most like QUERIES, which are short ones.",
)
@encoding_options
@verb
def command(**given: Any) -> Any:
    """Find the rows nearest to QUERIES, by exact cosine similarity.

    \b
    nearfar search runs/photos query.jpg -k 10
    nearfar search runs/photos query.jpg --in other_photos/
    nearfar search runs/reviews "it never arrived"
    nearfar search runs/captions "a red dog" --in photos/
    nearfar search runs/pump start.npy --in week.npy --regions
    """
    from nearfar.downstream.search import search

    return search(**given)
