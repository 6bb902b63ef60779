"""What a user may want next, with reasons; the function behind ``nearfar recommend``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.console import of_call
from nearfar.core.errors import ConfigError, UnknownName
from nearfar.core.options import checked
from nearfar.core.values import whole
from nearfar.data.histories import Histories, of_lists
from nearfar.downstream import tables
from nearfar.models import kept_histories, loading
from nearfar.vectors.basics import unit

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.models.model import Model

KINDS = {
    "user": "string", "rank": "int32", "item": "string", "score": "float32", "title": "string", "reasons": "string",
}  # fmt: skip
REASONS = 3  # of each item
CELLS = 1 << 24  # scores that are held at once


@dataclass(frozen=True)
class Reason:
    """An item of the history, and its share in the score of a recommended one, of those that raise it."""

    item: str
    share: float
    title: str | None = None


@dataclass(frozen=True)
class Recommendation:
    """A recommended item: its score, what it is called, and why."""

    item: str
    score: float
    title: str | None = None
    reasons: tuple[Reason, ...] = ()

    def __str__(self) -> str:
        why = ", ".join(f"{r.title or r.item} {r.share:.0%}" for r in self.reasons)
        return f"{self.score:8.3f}  {_named(self)}{f'  because of {why}' if why else ''}"


def _named(item: Recommendation) -> str:
    return f"{item.item}  {item.title}" if item.title else item.item


@dataclass(frozen=True)
class Recommended:
    """What `recommend` gives.

    Attributes
    ----------
    run : str
    results : sequence of (user, recommendations)
        The best of every user first.
    reasons : str
        How reasons were found: "contributions", where the score is a sum over the history, or "similarity" of items;
        empty where none were asked for.
    out : str or None
        The file that holds them.
    """

    run: str
    results: Sequence[tuple[str, Sequence[Recommendation]]]
    reasons: str = ""
    out: str | None = None

    def __repr__(self) -> str:
        if self.out:
            return f"Recommendations for {len(self.results):,} users are in {self.out}."
        lines = [line for user, items in self.results for line in (user, *(f"  {item}" for item in items))]
        return "\n".join(lines + ["Reasons are by the similarity of items."] * (self.reasons == "similarity"))

    def as_dict(self) -> dict[str, Any]:
        """What ``nearfar recommend --json`` prints; of what is in a file, where it is."""
        about = {"schema": 1, "verb": "recommend", "run": self.run, "users": len(self.results), "out": self.out}
        if self.out:
            return about
        results = [{"user": user, "items": [asdict(i) for i in items]} for user, items in self.results]
        return about | {"reasons": self.reasons or None, "results": results}

    def write(self, path: str | Path) -> None:
        """Write a table with the columns ``user``, ``rank``, ``item``, ``score``, ``title`` and ``reasons``."""
        rows = [
            {"user": user, "rank": rank, "item": i.item, "score": i.score, "title": i.title,
             "reasons": "; ".join(f"{r.item} {r.share:.3f}" for r in i.reasons) or None}
            for user, items in self.results for rank, i in enumerate(items, 1)
        ]  # fmt: skip
        tables.write(path, KINDS, rows)


@checked
def recommend(
    run: Model | str | Path, *, user: Sequence[str] | str = (), history: Sequence[str] | str = (), k: int = 10,
    explain: bool = False, seen: bool = False, all: bool = False, out: str | Path | None = None, cache: bool = True,
    precision: str | None = None, quiet: bool = False, console: Console | None = None,
) -> Recommended:  # fmt: skip
    """Recommend items to users by what they took.

    Arguments that are not described here are those of `nearfar`.

    Parameters
    ----------
    user : str or sequence of str
        Users of the training, by name.
    history : str or sequence of str
        Items that somebody took, the oldest first: recommend to them.
    k : int
        Items for each user.
    explain : bool
        Give reasons: items of the history with their share in the score.
    seen : bool
        Recommend what the user has taken before as well.
    all : bool
        Recommend to every user of the training.
    out : path, optional
        File to write: .parquet or .csv.

    Returns
    -------
    Recommended

    Raises
    ------
    ConfigError
        Nobody is named, the run knows no users, or `out` cannot be written.
    UnknownName
        There is no such user or item.
    """
    console, k = of_call(console, quiet), whole(k, "k", 1, "-k")
    users = [user] if isinstance(user, str) else [str(u) for u in user]
    given = [history] if isinstance(history, str) else [str(i) for i in history]
    if not (users or given or all):
        raise ConfigError("nobody is named.", hint="Name --user, what somebody took with --history, or --all.")
    if out is not None:
        tables.check_out(out)
    model, called = loading.opened(run, cache=cache, precision=precision)
    known = kept_histories.load(model.path)
    asked = _asked(known, users, given, all)
    rows, how = [], ""
    step = max(1, CELLS // max(1, len(known.items)))
    with console.progress("recommending", len(asked), "users") as progress:
        for start in range(0, len(asked), step):
            part = asked.rows(np.arange(start, min(start + step, len(asked))))
            made, found = _recommended(model, part, k, seen=seen, explain=explain)
            rows, how = rows + made, found or how
            progress.advance(len(part))
    result = Recommended(called, rows, how, None if out is None else str(out))
    if out is not None:
        result.write(out)
    return result


def _asked(known: Histories, users: Sequence[str], given: Sequence[str], everyone: bool) -> Histories:
    """The histories of those that recommendations are for; all that they took, whatever it was learnt from."""
    if everyone:
        return known
    if given:
        there = set(known.items)
        if unknown := next((i for i in given if i not in there), None):
            raise UnknownName("item", unknown, known.items, where="--history")
        return replace(of_lists([given], known.items, ["the history"]), content=known.content)
    number = {name: i for i, name in enumerate(known.users)}
    if unknown := next((u for u in users if u not in number), None):
        raise UnknownName("user", unknown, known.users, where="--user",
                          see="Or say what they took: --history ITEM.")  # fmt: skip
    return known.rows(np.asarray([number[u] for u in users]))


def _recommended(
    model: Any, histories: Histories, k: int, *, seen: bool, explain: bool
) -> tuple[list[tuple[str, list[Recommendation]]], str]:  # fmt: skip
    """The best items of each user, and how the reasons were found."""
    scores = np.array(model.scores(histories), np.float32)
    if not seen:
        scores[histories.owner, histories.indices] = -np.inf
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    there = np.isfinite(np.take_along_axis(scores, best, 1))
    owner, items = np.repeat(np.arange(len(histories)), there.sum(1)), best[there]
    reasons, how = _reasons(model, histories, owner, items) if explain and len(items) else (iter([()] * len(items)), "")
    title = histories.titles()
    made: list[tuple[str, list[Recommendation]]] = [(user, []) for user in histories.users]
    for u, i, why in zip(owner.tolist(), items.tolist(), reasons, strict=True):
        made[u][1].append(Recommendation(histories.items[i], float(scores[u, i]), title.get(histories.items[i]), why))
    return made, how


def _reasons(
    model: Any, histories: Histories, owner: np.ndarray, items: np.ndarray
) -> tuple[Iterator[tuple[Reason, ...]], str]:  # fmt: skip
    """For each recommended item the items of the history that speak for it most."""
    spread, how = histories.rows(owner), "contributions"
    parts = model.contributions(spread, items)
    if parts is None:  # the score is no sum over the history
        how = "similarity"
        names, vectors = model.item_vectors()
        place, z = {n: i for i, n in enumerate(names)}, unit(np.asarray(vectors, np.float32))
        at = np.asarray([place.get(n, -1) for n in histories.items])
        likeness = np.where((at[spread.indices] >= 0), (z[at[spread.indices]] * z[at[items]][spread.owner]).sum(1), 0)
        parts = np.split(likeness, spread.indptr[1:-1])
    title = histories.titles()

    def named(event: int, share: float) -> Reason:
        item = histories.items[int(spread.indices[event])]
        return Reason(item, share, title.get(item))

    def each() -> Iterator[tuple[Reason, ...]]:
        for start, part in zip(spread.indptr, parts, strict=False):
            raising = np.maximum(np.asarray(part, np.float64), 0)
            most = [int(e) for e in np.argsort(-raising, kind="stable")[:REASONS] if raising[e] > 0]
            yield tuple(named(int(start) + e, float(raising[e] / raising.sum())) for e in most)

    return each(), how
