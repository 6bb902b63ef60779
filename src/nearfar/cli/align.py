"""``nearfar align``."""

from __future__ import annotations

from typing import Any

import click

from nearfar.cli import verb
from nearfar.cli._options import encoding_options


@click.command(short_help="Find which rows of two sequences belong together.")
@click.argument("a", type=click.Path())
@click.argument("b", type=click.Path())
@click.option("--run", required=True, help="Run folder of the model.")
@click.option("--columns", nargs=2, help="Columns of the model that encode A and B. Required if it has several.")
@click.option(
    "--most",
    default=3,
    show_default=True,
    type=click.IntRange(1, 8),
    help="Join at most this many rows of one side to one row of the other.",
)
@click.option(
    "--skip",
    default="auto",
    show_default=True,
    help="Cost of leaving out a row, where a random pair costs 1, or a percentile of the costs of random "
    "pairs, such as 20%. auto is 0.5.",
)
@click.option("--encode", is_flag=True, help="Encode joined texts as one text instead of adding their vectors.")
@click.option("--out", type=click.Path(), help="File to write all matches to, tab-separated.")
@encoding_options
@verb
def command(**given: Any) -> Any:
    """Align A and B, two sequences in the same order: a text and its translation, a book and the scenes of its film.

    Rows are joined one to one, one to several or several to one, or skipped; matches never cross. A text file holds one
    row a line; anything else that the model reads works as well. Rows are counted from 1, blank lines included.

    \b
    nearfar align book.en.txt book.de.txt --run runs/en-de --columns en de --out pairs.tsv
    nearfar align storyboard/ scenes/ --run runs/photos
    """
    from nearfar.downstream.align import align

    return align(**given)
