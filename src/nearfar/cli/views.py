"""``nearfar views``."""

from __future__ import annotations

from typing import Any

import click

from nearfar.cli import given, verb
from nearfar.cli._options import set_option


@click.command(short_help="Draw rows and their random views.")
@click.argument("data")
@click.option("--out", type=click.Path(), help="File to write: a PNG, for texts an HTML page.  [views.png, views.html]")
@click.option("--recipe", help="Recipe of random transforms that makes the views.  [that of `nearfar train`]")
@click.option(
    "--flip/--no-flip", default=None, help="Flip pictures horizontally at random, or never.  [as `nearfar train` does]"
)
@click.option("--method", default="simclr", show_default=True, help="Method whose views are drawn.")
@click.option("--column", help="Column to draw.")
@click.option("--size", type=click.IntRange(8, 1024), help="Side of the stored pictures, in pixels.")
@click.option("--rows", default=8, show_default=True, type=click.IntRange(1, 64), help="Number of rows to draw.")
@click.option(
    "--views", "count", default=8, show_default=True, type=click.IntRange(1, 32), help="Number of views of each row."
)
@click.option("--seed", default=0, show_default=True, help="Random seed of the choice of rows and of their views.")
@set_option
@verb
def command(out: str | None, **options: Any) -> Any:
    """Draw rows of DATA and their random views as a picture, to see what a training would learn from.

    For texts an HTML page is written, which shows the words that each view keeps.

    \b
    nearfar views photos/ --set views.overrides.crop.scale=[0.3,1]
    """
    from nearfar.training.preview.sheet import views

    return views(out=out or "views.png", **given(options))
