"""``nearfar embed``."""

from __future__ import annotations

import click

from nearfar.cli import common, console


@click.command(short_help="Write vectors as a table.")
@click.argument("run")
@click.argument("data")
@click.option("--out", required=True, type=click.Path(), help="File to write: .parquet, .npz or .npy.")
@click.option("--column", help="Column to embed.")
@click.option("--label", help="Column of the labels, copied beside the vectors.")
@click.option("--layer", default=None, help="features or projection.  [what the method keeps]")
@click.option("--dimensions", type=click.IntRange(1), help="Only the first so many.  [all]")
@click.option("--no-normalize", is_flag=True, help="Leave the vectors' lengths as they are.")
@click.option("--project", type=click.Choice(["pca", "tsne", "umap"]), help="Add two coordinates for a map.")
@common
def command(
    run: str, data: str, out: str, column: str | None, label: str | None, layer: str | None,
    dimensions: int | None, no_normalize: bool, project: str | None, as_json: bool, quiet: bool, debug: bool,
) -> None:  # fmt: skip
    """Write the vectors of DATA as a table: name, vector, and label where there is one.

    \b
    nearfar embed runs/photos photos/ --out vectors.parquet --project pca
    """
    from pathlib import Path

    from nearfar.core import files
    from nearfar.core.errors import ConfigError
    from nearfar.data.facts import about_skipped
    from nearfar.downstream import embed
    from nearfar.models import loading

    to = console(as_json, quiet, debug)
    if Path(out).suffix not in embed.ENDINGS:
        raise ConfigError(f"cannot write {Path(out).suffix or 'a file without ending'}.", where="--out",
                          hint=f"Use one of {', '.join(embed.ENDINGS)}.")  # fmt: skip
    files.check_target(out, data)
    model = loading.load(run)
    model = model.cut(dimensions) if dimensions else model
    reading = {k: v for k, v in {"label": label, "data_column": column}.items() if v is not None}
    table = model.read(data, max_bad=1.0, console=to, **reading)
    z = model.encode(table, layer=layer, normalize=not no_normalize, console=to)
    embed.write(Path(out), table, z, project=project)
    to.say(f"{len(z):,} vectors of {z.shape[1]} dimensions are in {out}.")
    if table.skipped:
        to.warn(about_skipped(table.skipped))
    to.result({"schema": 1, "verb": "embed", "out": out, "rows": len(z), "dimensions": int(z.shape[1]),
               "skipped": [{"name": s.name, "reason": s.reason} for s in table.skipped]})  # fmt: skip
