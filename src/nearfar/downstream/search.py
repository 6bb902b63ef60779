"""Finding the nearest rows of queries; the function behind ``nearfar search``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.console import of_call
from nearfar.core.errors import DataError, UnknownName, meant
from nearfar.core.options import checked
from nearfar.core.values import whole
from nearfar.data.facts import about_skipped
from nearfar.data.objects import settled
from nearfar.downstream.regions import Hit, find_regions
from nearfar.models import kept_histories, loading
from nearfar.vectors import neighbours

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.data.table import Table
    from nearfar.models.model import Model

HIT = ("name", "score", "label")  # what is said of every one


@dataclass(frozen=True)
class SearchResults:
    """What `search` gives.

    Attributes
    ----------
    run : str
    k : int
    results : sequence of (query, hits)
        The hits of every query, the nearest first.
    """

    run: str
    k: int
    results: Sequence[tuple[str, Sequence[Hit]]]

    def __repr__(self) -> str:
        return "\n".join(line for query, hits in self.results for line in (query, *(f"  {hit}" for hit in hits)))

    def as_dict(self) -> dict[str, Any]:
        """What ``nearfar search --json`` prints."""
        results = [
            {"query": query, "hits": [{k: v for k, v in asdict(h).items() if k in HIT or v is not None} for h in hits]}
            for query, hits in self.results
        ]
        return {"schema": 1, "verb": "search", "run": self.run, "metric": "cosine", "k": self.k, "results": results}


@checked
def search(
    run: Model | str | Path, queries: Any, *, data: Any = None, source: str | None = None,
    target: str | None = None, column: str | None = None, k: int = 10, regions: bool = False, cache: bool = True,
    precision: str | None = None, quiet: bool = False, console: Console | None = None,
) -> SearchResults:  # fmt: skip
    """Find the rows of highest cosine similarity, exactly.

    Arguments that are not described here are those of `nearfar`.

    Parameters
    ----------
    queries : str, path, sequence of these, or anything that `Model.encode` takes
        Of a model of users and items names of items, to which similar ones are found.
    data : path, array or Table, optional
        Where to search; by default what the run was trained on.
    source, target : str, optional
        Of a model of several columns: the column that encodes the queries, and the one that is searched. By default
        queries that are all names of files are of the first column that holds no texts, others of the first that does,
        and another column is searched.
    column : str, optional
        Column of `data` that is searched, where several may be meant.
    k : int
        Neighbours of each query.
    regions : bool
        Each query is a short recording, and the windows of long ones that are most like it are found, no two of which
        share a step.

    Returns
    -------
    SearchResults

    Raises
    ------
    UnknownName
        There is no such column.
    DataError
        Queries or data cannot be read.
    """
    console, k = of_call(console, quiet), whole(k, "k", 1, "-k")
    model, called = loading.opened(run, cache=cache, precision=precision)
    queries = [queries] if isinstance(queries, str | Path) else settled(queries)
    words = [str(q) for q in queries if isinstance(q, str | Path)] if isinstance(queries, list | tuple) else []
    queries = words or queries
    if regions:
        found = find_regions(model, words or [queries], model.source() if data is None else data, k, console)
        return SearchResults(called, k, found)
    if model.config.data.user is not None and data is None:
        return SearchResults(called, k, _similar_items(model, words, k))
    source, target = _columns(model, words, source, target)
    if model.columns[source][0] == "text" and (missing := [q for q in words if _names_a_file(q)]):
        console.warn(f"there is no file {missing[0]!r}: the words themselves are looked for.")
    elif model.columns[source][0] == "image" and (missing := [q for q in words if not os.path.exists(q)]):
        beside = Path(missing[0]).parent
        hint = meant(missing[0], os.listdir(beside) if beside.is_dir() else ())
        raise DataError(f"there is no file {missing[0]!r}.", where="the query", hint=hint)
    vectors = model.prompted("query").encode(queries, column=source, console=console)
    model = model.prompted("document", "passage", "corpus")  # as sentence-transformers calls them
    table = model.read(
        model.source() if data is None else data, column=target, max_bad=1.0, console=console,
        data_column=column or (target if len(model.columns) > 1 else None), **(model.reading() if data is None else {}),
    )  # fmt: skip
    if table.skipped:
        console.warn(about_skipped(table.skipped))
    scores, rows = neighbours.search(vectors, model.encode(table, column=target, console=console), k)
    names = words if len(words) == len(vectors) else [f"query {i}" for i in range(1, len(vectors) + 1)]
    hits = [[_hit(table, int(row), float(score)) for score, row in zip(*found, strict=True)]
            for found in zip(scores, rows, strict=True)]  # fmt: skip
    return SearchResults(called, k, list(zip(names, hits, strict=True)))


def _similar_items(model: Model, names: Sequence[str], k: int) -> list[tuple[str, list[Hit]]]:
    """The items nearest to each of those named, of a model of users and items."""
    items, vectors = model.item_vectors()
    number, title = {name: i for i, name in enumerate(items)}, kept_histories.titles(model.path)
    if unknown := next((n for n in names if n not in number), None):
        raise UnknownName("item", unknown, items, where="the query")
    queries = np.asarray([number[n] for n in names])
    scores, rows = neighbours.search(vectors[queries], vectors, k + 1)
    return [
        (name, [Hit(items[r], float(s), text=title.get(items[r])) for s, r in zip(*found, strict=True) if r != own][:k])
        for name, own, *found in zip(names, queries.tolist(), scores, rows.tolist(), strict=True)
    ]


def _hit(table: Table, row: int, score: float) -> Hit:
    labelled = table.labels is not None and table.labels[row] >= 0
    text = None if table.first.texts is None else str(table.first.texts[row])
    return Hit(str(table.names[row]), score, table.label_names[table.labels[row]] if labelled else None, text)


def _columns(model: Model, words: Sequence[str], source: str | None, target: str | None) -> tuple[str, str]:
    """The column that the queries are of, and the one that is searched."""
    for flag, name in (("--from", source), ("--to", target)):
        if name is not None and name not in model.columns:
            raise UnknownName("column", name, model.columns, where=flag)
    texts = [n for n, (modality, _) in model.columns.items() if modality == "text"]
    others = [n for n in model.columns if n not in texts]
    likely = others if all(map(os.path.exists, words)) else texts
    source = source or next(n for n in (*likely, *model.columns) if n != target or len(model.columns) == 1)
    return source, target or next((n for n in model.columns if n != source), source)


def _names_a_file(query: str) -> bool:
    """Whether a query looks like the name of a file that is not there."""
    looks = " " not in query and 1 < len(Path(query).suffix) < 9 and not query.endswith(".")
    return looks and not os.path.exists(query)
