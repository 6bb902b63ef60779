"""Models of users and items beside the floors: one result each, as `nearfar.evaluation.measure` gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import ConfigError
from nearfar.core.registry import PROTOCOLS
from nearfar.data.histories import TEST, TRAIN, Histories, histories_of
from nearfar.evaluation.recommend.chosen import floors, ranked
from nearfar.models import kept_histories
from nearfar.vectors.intervals import difference

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.data.table import Table


def of_table(table: Table) -> Histories | None:
    """The histories that the rows of a table are, or None where they are something else."""
    return histories_of(table.first.cells) if len(table.columns) == 1 else None


def measured_on(model: Any, table: Table, *, new: bool = False) -> Histories:
    """Histories with the events that are right answers as their test part.

    Those of a table as it was read; of `new` data all events, after what the run keeps of its training: that is known
    of the users of the same names, and of others nothing.
    """
    histories = of_table(table)
    if not new or model.path is None:
        return histories
    return joined(kept_histories.load(model.path), histories)


def joined(before: Histories, after: Histories) -> Histories:
    """The events of both by the names of users and items: `before` for training, `after` for test.

    What a user had taken before is no right answer.
    """
    users = list(dict.fromkeys([*before.users, *after.users]))
    items = list(dict.fromkeys([*before.items, *after.items]))
    who, what = ({name: i for i, name in enumerate(names)} for names in (users, items))

    def keys(h: Histories) -> np.ndarray:  # one number for a user and an item
        owner, item = np.asarray([who[n] for n in h.users]), np.asarray([what[n] for n in h.items])
        return owner[h.owner] * len(items) + item[h.indices]

    first, second = keys(before), keys(after)
    new = ~np.isin(second, first)
    key = np.concatenate([first, second[new]])
    order = np.argsort(key // len(items), kind="stable")
    owner, indices = np.divmod(key[order], len(items))
    return Histories(
        users, items, np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(users)))]).astype(np.int64),
        indices.astype(np.int32), np.concatenate([before.weight, after.weight[new]])[order],
        None if after.time is None else np.arange(len(key), dtype=np.float64),  # they stand in its order
        np.repeat(np.asarray([TRAIN, TEST], np.int8), [len(first), len(key) - len(first)])[order],
        {c: [*cells, *[None] * (len(items) - len(before.items))] for c, cells in before.content.items()},
    )  # fmt: skip


def results(
    models: Sequence[Any], histories: Sequence[Histories], protocols: Sequence[str], *, with_floors: bool, seed: int,
    console: Console,
) -> list[dict[str, Any]]:  # fmt: skip
    """One result for each model, with the floors under it and the paired difference from each of them.

    `histories` are the data as each model reads them, see `measured_on`; the floors are of the first.

    Raises
    ------
    ConfigError
        A model gives no scores of items.
    DataError
        No interaction is left out of training.
    """
    under: dict[str, dict[str, Any]] = {}
    if with_floors:
        for floor, numbers in floors(histories[0]):
            console.say(f"Measuring {floor.name} …")
            under[floor.name] = _figures(histories[0], floor, protocols, seed) | {"numbers": numbers}
    made = []
    for model, own in zip(models, histories, strict=True):
        if not hasattr(model, "scores"):
            raise ConfigError(f"{model.name} is no model of users and items.", where="RUNS")
        console.say(f"Measuring {model.name} …")
        figures = _figures(own, model, protocols, seed)
        for protocol in protocols:
            figures[protocol]["above"] = _above(figures[protocol], {n: f[protocol] for n, f in under.items()}, seed)
        made.append({"run": model.name, "views": 1, **figures, "floors": under})
    for result in [*made, *under.values()]:
        for protocol in protocols:
            result[protocol].pop("by_user", None)
    return made


def _figures(histories: Histories, scorer: Any, protocols: Sequence[str], seed: int) -> dict[str, Any]:
    return {name: PROTOCOLS.get(name).measure(ranked(histories, scorer), seed=seed) for name in protocols}


def _above(own: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]], seed: int) -> dict[str, Any]:
    """Mean difference from each floor by figure, with its interval over users."""
    figures = own.get("by_user", {})
    return {
        name: {key: difference(values, other["by_user"][key], seed) for key, values in figures.items()}
        for name, other in others.items()
    }


def about(histories: Histories) -> dict[str, Any]:
    """What is said of the data of a measurement."""
    held = histories.of(TEST)
    users = int((np.diff(held.indptr) > 0).sum())
    how = f"all of {len(histories.items):,} items that the user had not taken before are ranked"
    return {"users": users, "items": len(histories.items), "test_rows": len(held.indices), "split": how}
