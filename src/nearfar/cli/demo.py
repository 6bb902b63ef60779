"""``nearfar demo``."""

from __future__ import annotations

from typing import Any

import click

from nearfar.cli import verb


@click.command(short_help="Learn digits without labels; needs no download.")
@click.option(
    "--out",
    default="runs/demo",
    show_default=True,
    type=click.Path(),
    help="Folder to write the run to. An earlier demonstration there is replaced.",
)
@click.option("--epochs", type=click.IntRange(0), help="Number of epochs; fewer take less time.  [60]")
@click.option("--seed", default=0, show_default=True, help="Random seed of the training.")
@verb
def command(**given: Any) -> Any:
    """Learn handwritten digits without labels, then measure what 1, 2, 5 and 10 labels per class are worth.

    The digits come with scikit-learn, so nothing is downloaded. It takes about two minutes on two cores.
    """
    from nearfar.downstream.demo import demo

    return demo(**given)
