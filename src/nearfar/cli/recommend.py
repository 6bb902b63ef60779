"""``nearfar recommend``."""

from __future__ import annotations

from typing import Any

import click

from nearfar.cli import verb
from nearfar.cli._options import encoding_options


@click.command(short_help="Recommend items to users.")
@click.argument("run")
@click.option("--user", multiple=True, metavar="USER", help="User of the training to recommend to. Repeatable.")
@click.option(
    "--history",
    multiple=True,
    metavar="ITEM",
    help="Item that somebody took, to recommend to them. Repeatable, the oldest first.",
)
@click.option("-k", default=10, show_default=True, type=click.IntRange(1), help="Number of items for each user.")
@click.option("--explain", is_flag=True, help="Give reasons: items of the history with their share in the score.")
@click.option("--seen", is_flag=True, help="Recommend what the user has taken before as well.")
@click.option("--all", "all", is_flag=True, help="Recommend to every user of the training.")
@click.option("--out", type=click.Path(), help="File to write: .parquet or .csv.")
@encoding_options
@verb
def command(**given: Any) -> Any:
    """Recommend items to users of the training, or to somebody of whom you say what they took.

    \b
    nearfar recommend runs/films --user 42 -k 10 --explain
    nearfar recommend runs/films --history 260 --history 1196
    nearfar recommend runs/films --all --out recommendations.parquet
    """
    from nearfar.downstream.recommend import recommend

    return recommend(**given)
