"""``nearfar config``."""

from __future__ import annotations

from typing import Any

import click

from nearfar.cli import verb
from nearfar.cli._options import config_option, set_option


@click.command(short_help="Show every knob, its value and where it came from.")
@click.argument("run", required=False)
@config_option
@set_option
@verb
def command(**given: Any) -> Any:
    """Show every knob as TOML: its value, where the value came from, and what it means; with RUN, those of a run."""
    from nearfar.core.listing import config

    return config(**given)
