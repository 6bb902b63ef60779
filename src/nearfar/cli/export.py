"""``nearfar export``."""

from __future__ import annotations

from typing import Any

import click

from nearfar.cli import verb


@click.command(short_help="Export a model to another library.")
@click.argument("run")
@click.option("--to", required=True, help="Library that is to open the model: onnx, sentence-transformers.")
@click.option("--out", required=True, type=click.Path(), help="Folder to write.")
@click.option("--column", help="Column whose encoder is exported. sentence-transformers needs it if there are several.")
@click.option("--int8", is_flag=True, help="Write products of matrices in 8 bits (onnx).")
@click.option("--overwrite", is_flag=True, help="Replace the export that --out already holds.")
@verb
def command(**given: Any) -> Any:
    """Write the model of RUN so that another library opens it and gives the same vectors.

    The vectors have unit length and come from the layer that the run keeps.

    \b
    nearfar export runs/texts --to sentence-transformers --out exported/
    nearfar export runs/photos --to onnx --int8 --out exported/
    """
    from nearfar.downstream.export import export

    return export(**given)
