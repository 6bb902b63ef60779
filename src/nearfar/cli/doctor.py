"""``nearfar doctor``."""

from __future__ import annotations

import click

from nearfar.cli import common, console


@click.command(short_help="Show what this machine has.")
@common
def command(as_json: bool, quiet: bool, debug: bool) -> None:
    """Show what nearfar finds on this machine, for questions and bug reports."""
    from nearfar.downstream import doctor

    to = console(as_json, False, debug)
    found = doctor.examine()
    for key, value in found.items():
        to.say(f"{key:<12} {value}")
    to.result({"schema": 1, "verb": "doctor", "results": found})
