"""``nearfar config``."""

from __future__ import annotations

from pathlib import Path

import click

from nearfar.cli import common, console
from nearfar.core.config import Config, assemble, knobs
from nearfar.core.errors import RunError


@click.command(short_help="Show every knob and where its value came from.")
@click.argument("run", required=False)
@click.option("--config", "file", type=click.Path(), help="Knobs from a TOML or JSON file.")
@click.option("--set", "sets", multiple=True, metavar="KNOB=VALUE", help="Change a knob; repeatable.")
@common
def command(run: str | None, file: str | None, sets: tuple[str, ...], as_json: bool, quiet: bool, debug: bool) -> None:
    """Show every knob: its value, where that came from, and what it is; with RUN, those of a run."""
    to = console(as_json, False, debug)
    if run is not None:
        file = Path(run) / "config.json"
        if not file.exists():
            raise RunError("is not a run folder: it has no config.json.", where=run)
    config, origins = assemble(file, sets)
    default, section = Config(), None
    for name, f, _ in knobs():
        if name != section:
            section = name
            to.say(f"\n[{name}]")
        value = getattr(getattr(config, name), f.name)
        origin = origins.get(f"{name}.{f.name}", "default")
        if run is not None and value == getattr(getattr(default, name), f.name):
            origin = "default"
        came = "" if origin == "default" else f"← {origin}  "
        choices = f" ({', '.join(f.metadata['choices'])})" if f.metadata["choices"] else ""
        unit = f" [{f.metadata['unit']}]" if f.metadata["unit"] else ""
        to.say(f"{f.name:<17} = {_text(value):<12} {came}# {f.metadata['help']}{choices}{unit}")
    if config.method:
        to.say("\n[method]")
        for key, value in config.method.items():
            to.say(f"{key:<17} = {_text(value)}")
    to.result({"schema": 1, "verb": "config", "config": config.as_dict(), "origins": origins})


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(repr, value)) + "]"
    return repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
