"""``nearfar views``."""

from __future__ import annotations

import click

from nearfar.cli import common, console


@click.command(short_help="Draw rows and their random views.")
@click.argument("data")
@click.option("--out", type=click.Path(), help="Picture to write, of texts an HTML page.  [views.png, views.html]")
@click.option("--recipe", help="Recipe of the views.  [what `train` would take]")
@click.option("--flip/--no-flip", default=None, help="Mirror pictures, or do not.  [what `train` would do]")
@click.option("--method", default="simclr", show_default=True, help="Whose views.")
@click.option("--column", help="Column of the table.")
@click.option("--size", type=click.IntRange(8, 1024), help="Side of the stored pictures.")
@click.option("--rows", default=8, show_default=True, type=click.IntRange(1, 64), help="Rows to draw.")
@click.option("--views", "count", default=8, show_default=True, type=click.IntRange(1, 32), help="Views of each.")
@click.option("--seed", default=0, show_default=True, help="Of rows and views.")
@click.option("--set", "sets", multiple=True, metavar="KNOB=VALUE", help="Such as views.overrides.crop.scale=[0.3,1].")
@common
def command(
    data: str, out: str | None, recipe: str | None, flip: bool | None, method: str, column: str | None,
    size: int | None, rows: int, count: int, seed: int, sets: tuple[str, ...], as_json: bool, quiet: bool, debug: bool,
) -> None:  # fmt: skip
    """Draw rows of DATA and their random views, to see what a training would learn from; of texts, write them."""
    from nearfar.core import files
    from nearfar.core.config import assemble
    from nearfar.training import train
    from nearfar.training.preview import sheet

    to = console(as_json, quiet, debug)
    given = {"source": data, "recipe": recipe, "flip": flip, "method": method, "size": size, "seed": seed}
    config, _ = assemble(None, sets, **{k: v for k, v in given.items() if v is not None})
    if column:
        config = config.set("data.column", [column])
    plan = train.plan(config, console=to)
    out = _named(out, plan.table.first.modality)
    files.check_target(out, data)
    lines = sheet.write(out, plan, rows=rows, count=count)
    for line in [note for note in plan.notes if note.startswith("Views:")] + lines:
        to.say(line)
    to.say(f"The sheet is {out}.")
    to.result({"schema": 1, "verb": "views", "out": out, "recipe": lines})


def _named(out: str | None, modality: str) -> str:
    """The file to write: a page for texts, whatever was asked for, since a picture of them would say nothing."""
    from pathlib import Path

    if modality != "text" or (out and Path(out).exists() and not Path(out).is_file()):
        return out or "views.png"
    return str(Path(out).with_suffix(".html")) if out else "views.html"
