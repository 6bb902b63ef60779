"""``nearfar ensemble``."""

from __future__ import annotations

from typing import Any

import click

from nearfar.cli import typed, verb


@click.command(short_help="Combine several models into one.")
@click.argument("runs", nargs=-1, required=True)
@click.option(
    "--how",
    type=click.Choice(["concat", "average"]),
    default="concat",
    show_default=True,
    help="Concatenate the vectors of the members, or average them.",
)
@click.option("--out", required=True, type=click.Path(), help="Folder to write the ensemble to, as a run.")
@click.option("--on", "data", help="Data on which `--how average` aligns the members.  [the first run's training data]")
@click.option("--overwrite", is_flag=True, help="Replace the run that --out already holds.")
@verb
def command(**given: Any) -> Any:
    """Combine RUNS into one model, which eval, search, embed and Python use as any other.

    With concat the members' unit vectors are concatenated and scaled to unit length. With average every member is
    rotated into the space of the first, by an orthogonal map fitted on training rows, and unit vectors are averaged.
    The folder does not depend on those of the members. A folder of runs stands for all of them.

    \b
    nearfar ensemble runs/a/seed0 runs/b --out runs/both
    nearfar ensemble runs/three --how average --out runs/mean
    """
    from nearfar.downstream.ensemble import ensemble

    return ensemble(command=typed(), **given)
