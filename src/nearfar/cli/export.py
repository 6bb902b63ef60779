"""``nearfar export``."""

from __future__ import annotations

import click

from nearfar.cli import common, console


@click.command(short_help="Hand a model to another library.")
@click.argument("run")
@click.option("--to", "target", required=True, help="Library: sentence-transformers.")
@click.option("--out", required=True, type=click.Path(), help="Folder to write.")
@click.option("--column", help="Column whose encoder is meant, where the model has several.")
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@common
def command(
    run: str, target: str, out: str, column: str | None, overwrite: bool, as_json: bool, quiet: bool, debug: bool
) -> None:
    """Write the model of RUN so that another library opens it and gives the same vectors.

    Vectors have unit length and are of the layer that the run keeps.

    \b
    nearfar export runs/texts --to sentence-transformers --out exported/
    """
    from nearfar.core.errors import UnknownName
    from nearfar.core.registry import TARGETS
    from nearfar.models import loading

    to = console(as_json, quiet, debug)
    names = {name.replace("_", "-"): name for name in TARGETS}
    if (asked := target.replace("_", "-")) not in names:
        raise UnknownName("target", target, names, where="--to")
    export = TARGETS.get(names[asked]).export
    found = export(loading.load(run, "cpu"), out, column=column, overwrite=overwrite)
    to.say(f"{found.out} holds {found.form}.")
    for note in found.notes:
        to.say(note)
    to.say(f"Open it in Python: {found.opens}")
    to.result({"schema": 1, "verb": "export", "run": run, "to": asked, "out": found.out, "form": found.form,
               "opens": found.opens, "notes": list(found.notes)})  # fmt: skip
