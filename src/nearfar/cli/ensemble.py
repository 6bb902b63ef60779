"""``nearfar ensemble``."""

from __future__ import annotations

import click

from nearfar.cli import common, console


@click.command(short_help="Make one model of several.")
@click.argument("runs", nargs=-1, required=True)
@click.option("--how", type=click.Choice(["concat", "average"]), default="concat", show_default=True,
              help="Vectors side by side, or their mean.")  # fmt: skip
@click.option("--out", required=True, type=click.Path(), help="Run folder.")
@click.option("--on", "data", help="What average aligns the members on.  [what the first run was trained on]")
@click.option("--overwrite", is_flag=True, help="Begin anew in a folder that holds a run.")
@common
def command(
    runs: tuple[str, ...], how: str, out: str, data: str | None, overwrite: bool, as_json: bool, quiet: bool,
    debug: bool,
) -> None:  # fmt: skip
    """Make one model of RUNS, which is used as any other: eval, search, embed, from Python.

    With concat the members' unit vectors stand side by side, scaled to unit length. With average every member is
    first turned into the space of the first, by an orthogonal map fitted on training rows, and the mean of the unit
    vectors is taken. The folder holds all it needs. A folder of runs stands for all of them.

    \b
    nearfar ensemble runs/a/seed0 runs/b --out runs/both
    nearfar ensemble runs/three --how average --out runs/mean
    """
    import shlex
    import sys

    from nearfar.downstream.ensemble import combine

    to = console(as_json, quiet, debug)
    made = combine(
        runs, out=out, how=how, data=data, overwrite=overwrite, console=to,
        command=shlex.join(["nearfar", *sys.argv[1:]]),
    )  # fmt: skip
    to.say(f"The ensemble is in {out}.\nNext: nearfar eval {shlex.quote(out)}")
    names = [m.name for m in made.members]
    to.result({"schema": 1, "verb": "ensemble", "run": out, "how": how, "members": names, "agreement": made.agreement})
