"""``nearfar search``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from nearfar.cli import common, console


@click.command(short_help="Find what is near.")
@click.argument("run")
@click.argument("queries", nargs=-1, required=True, type=click.Path())
@click.option("--in", "data", help="Where to search.  [what the run was trained on]")
@click.option("--from", "source", metavar="COLUMN", help="Of pairs: what the queries are.  [what they look like]")
@click.option("--to", "target", metavar="COLUMN", help="Of pairs: what is searched.  [the other side]")
@click.option("-k", default=10, show_default=True, type=click.IntRange(1), help="Neighbours of each query.")
@common
def command(
    run: str, queries: tuple[str, ...], data: str | None, source: str | None, target: str | None, k: int,
    as_json: bool, quiet: bool, debug: bool,
) -> None:  # fmt: skip
    """Find what is near QUERIES: the rows of highest cosine similarity, by one matrix product.

    \b
    nearfar search runs/photos query.jpg -k 10
    nearfar search runs/photos query.jpg --in other_photos/
    nearfar search runs/reviews "it never arrived"
    nearfar search runs/captions "a red dog" --in photos/
    """
    from nearfar.data.facts import about_skipped
    from nearfar.models import loading
    from nearfar.vectors.neighbours import search

    to = console(as_json, quiet, debug)
    model = loading.load(run)
    of, side = _sides(model, queries, source, target)
    if model.columns[of][0] == "text" and (named := [q for q in queries if _names_a_file(q) and not os.path.exists(q)]):
        to.warn(f"there is no file {named[0]!r}: the words themselves are looked for.")
    wanted = model.encode(list(queries), column=of, console=to)
    reading = {} if data else model.reading()
    table = model.read(
        data or model.source(), column=side, data_column=side if len(model.columns) > 1 else None, max_bad=1.0,
        console=to, **reading,
    )  # fmt: skip
    if table.skipped:
        to.warn(about_skipped(table.skipped))
    scores, rows = search(wanted, model.encode(table, column=side, console=to), k)
    results = []
    for query, own, found in zip(queries, scores, rows, strict=True):
        to.say(f"{query}")
        hits = []
        for score, row in zip(own, found, strict=True):
            label = (
                table.label_names[table.labels[row]] if table.labels is not None and table.labels[row] >= 0 else None
            )
            text = table.first.shown(row)
            to.say(
                f"  {score:6.3f}  {table.names[row]}"
                + (f"  {text}" if text else "")
                + (f"  ({label})" if label and label not in table.names[row] else "")
            )
            hits.append({"name": str(table.names[row]), "score": float(score), "label": label})
            if text:
                hits[-1]["text"] = str(table.first.cells[row])
        results.append({"query": query, "hits": hits})
    to.result({"schema": 1, "verb": "search", "run": run, "metric": "cosine", "k": k, "results": results})


def _sides(model: Any, queries: Sequence[str], source: str | None, target: str | None) -> tuple[str, str]:
    """The column that the queries are of, and the one that is searched."""
    from nearfar.core.errors import UnknownName

    for flag, name in (("--from", source), ("--to", target)):
        if name is not None and name not in model.columns:
            raise UnknownName("column", name, model.columns, where=flag)
    texts = [n for n, (modality, _) in model.columns.items() if modality == "text"]
    others = [n for n in model.columns if n not in texts]
    likely = others if all(map(os.path.exists, queries)) else texts
    source = source or next(n for n in (*likely, *model.columns) if n != target or len(model.columns) == 1)
    return source, target or next((n for n in model.columns if n != source), source)


def _names_a_file(query: str) -> bool:
    return " " not in query and 1 < len(Path(query).suffix) < 9 and not query.endswith(".")
