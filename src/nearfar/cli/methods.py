"""``nearfar methods``."""

from __future__ import annotations

from typing import Any

import click

from nearfar.cli import verb


@click.command(short_help="List the training methods.")
@click.argument("name", required=False)
@verb
def command(**given: Any) -> Any:
    """List the training methods; with NAME, show everything about one."""
    from nearfar.methods.catalogue import list_methods

    return list_methods(**given)
