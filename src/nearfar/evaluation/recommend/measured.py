"""Models of users and items beside the floors: one result each, as `nearfar.evaluation.measure` gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nearfar.core.errors import ConfigError
from nearfar.core.registry import PROTOCOLS
from nearfar.data.histories import TEST, Histories, histories_of
from nearfar.evaluation.recommend.chosen import floors, ranked
from nearfar.vectors.intervals import difference

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.data.table import Table


def of_table(table: Table) -> Histories | None:
    """The histories that the rows of a table are, or None where they are something else."""
    return histories_of(table.first.cells) if len(table.columns) == 1 else None


def results(
    models: Sequence[Any], tables: Sequence[Table], protocols: Sequence[str], *, with_floors: bool, seed: int,
    console: Console,
) -> list[dict[str, Any]]:  # fmt: skip
    """One result for each model, with the floors under it and the paired difference from each of them.

    Raises
    ------
    ConfigError
        A model gives no scores of items.
    DataError
        No interaction is left out of training.
    """
    under: dict[str, dict[str, Any]] = {}
    histories = of_table(tables[0])
    if with_floors:
        for floor, numbers in floors(histories):
            console.say(f"Measuring {floor.name} …")
            under[floor.name] = _figures(histories, floor, protocols, seed) | {"numbers": numbers}
    made = []
    for model, table in zip(models, tables, strict=True):
        if not hasattr(model, "scores"):
            raise ConfigError(f"{model.name} is no model of users and items.", where="RUNS")
        console.say(f"Measuring {model.name} …")
        figures = _figures(of_table(table), model, protocols, seed)
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
    how = "right are those left out of training, known all that are not for test"
    return {"users": len(histories), "items": len(histories.items), "test_rows": len(held.indices), "split": how}
