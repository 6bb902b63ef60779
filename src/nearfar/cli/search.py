"""``nearfar search``."""

from __future__ import annotations

import click

from nearfar.cli import common, console


@click.command(short_help="Find what is near.")
@click.argument("run")
@click.argument("queries", nargs=-1, required=True, type=click.Path())
@click.option("--in", "data", help="Where to search.  [what the run was trained on]")
@click.option("-k", default=10, show_default=True, type=click.IntRange(1), help="Neighbours of each query.")
@common
def command(
    run: str, queries: tuple[str, ...], data: str | None, k: int, as_json: bool, quiet: bool, debug: bool
) -> None:
    """Find what is near QUERIES: the rows of highest cosine similarity, by one matrix product.

    \b
    nearfar search runs/photos query.jpg -k 10
    nearfar search runs/photos query.jpg --in other_photos/
    nearfar search runs/reviews "it never arrived"
    """
    from nearfar import api
    from nearfar.search import search

    to = console(as_json, quiet, debug)
    model = api.load(run)
    wanted = model.encode(list(queries), console=to)
    reading = {} if data else model.reading()
    table = model.read(data or model.source(), max_bad=1.0, console=to, **reading)
    scores, rows = search(wanted, model.encode(table, console=to), k)
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
