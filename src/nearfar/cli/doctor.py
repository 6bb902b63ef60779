"""``nearfar doctor``."""

from __future__ import annotations

from typing import Any

import click

from nearfar.cli import verb


@click.command(short_help="Show versions, device, cache and plug-ins.")
@verb
def command(**given: Any) -> Any:
    """Show what nearfar finds on this machine, for questions and bug reports."""
    from nearfar.downstream.doctor import doctor

    return doctor(**given)
