"""The recipes of each column's views: those that are named, or a modality's own, and what is changed in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nearfar.core.errors import ConfigError
from nearfar.core.registry import MODALITIES
from nearfar.models.columns import words_of
from nearfar.transforms.image.flip import Flip
from nearfar.transforms.recipe import added, kind, kinds, name_of, override

if TYPE_CHECKING:
    from nearfar.core.config import Config, ViewsConfig
    from nearfar.data.table import Column, Table
    from nearfar.methods.record import Method

MILD = "mild"  # the recipe that stands for each modality's own when two columns are views of a row already
Recipes = tuple[tuple[Any, ...], ...]  # one a view


def default(config: Config, method: Method, table: Table) -> str:
    """The recipe that was asked for, or what "auto" stands for."""
    if config.views.recipe != "auto":
        return config.views.recipe
    if len(table.columns) > 1:
        return MILD
    modality = MODALITIES.get(table.first.modality)
    recipe, general = modality.default_recipe(table.first.spec), getattr(modality, "GENERAL", None)
    if method.views == MILD:
        return MILD
    wanted = method.views and general and (recipe == general or method.own_views)
    return method.views if wanted and _fits(method.views, table.first) else recipe


def _fits(name: str, column: Column) -> bool:
    """Whether a method's recipe is one for what a column holds."""
    try:
        return bool(MODALITIES.get(column.modality).recipes(name, column.spec))
    except ConfigError:
        return False


def name_for(text: str, column: Column, columns: Mapping[str, Column]) -> str:
    """The recipe of a column that ``words``, ``mild`` or ``image=light,caption=words`` names."""
    words = words_of(text, columns, "views.recipe")
    name = next((n for c, n in words if c == column.name), next((n for c, n in words if not c), MILD))
    return getattr(MODALITIES.get(column.modality), "MILD", "none") if name == MILD else name


def recipes(columns: Mapping[str, Column], views: ViewsConfig) -> dict[str, Recipes]:
    """The recipes of each column's views: the named ones, what is added to them, and changed numbers."""
    new, results = _added(columns, views.add), {}
    for name, column in columns.items():
        own = _extended(column, name_for(views.recipe, column, columns), new.get(name, []))
        if views.flip is True and takes(column, Flip()):
            own = tuple(added(recipe, [Flip()]) for recipe in own)
        if views.flip is False:
            own = tuple(tuple(t for t in recipe if name_of(t) != "flip") for recipe in own)
        results[name] = own
    # of all columns together, since each name need be in the recipe of one alone
    override(tuple(recipe for own in results.values() for recipe in own), views.overrides)
    for name, own in results.items():
        here = {name_of(t) for recipe in own for t in recipe}
        results[name] = override(own, {t: numbers for t, numbers in views.overrides.items() if t in here})
    return results


def _extended(column: Column, recipe: str, new: Sequence[Any]) -> Recipes:
    """The recipes of that name, with new transforms."""
    recipes = MODALITIES.get(column.modality).recipes(recipe, column.spec)
    for name in map(name_of, new):
        if all(name in map(name_of, own) for own in recipes):
            raise ConfigError(f"the recipe {recipe!r} has {name!r} already.", where="views.add",
                              hint=f"Change its numbers with views.overrides.{name}.")  # fmt: skip
    return tuple(added(own, new) for own in recipes)


def _added(columns: Mapping[str, Column], words: Sequence[str]) -> dict[str, list[Any]]:
    """By column, the transforms that ``rotate`` (to every column that takes it) and ``caption=drop_words`` add."""
    additions: dict[str, list[Any]] = {}
    for column, name in words_of(words, columns, "views.add"):
        transform = kind(name)()
        asked = {column: columns[column]} if column else columns
        fitting = [n for n, c in asked.items() if takes(c, transform)]
        if not fitting:
            c = next(iter(asked.values()))
            others = [n for n, k in kinds().items() if takes(c, k())]
            raise ConfigError(
                f"{name!r} is not for {MODALITIES.get(c.modality).describe(c.spec)}.", where="views.add",
                hint=f"These are: {', '.join(others)}." if others else "No transform is.",
            )  # fmt: skip
        for n in fitting:
            if transform in additions.setdefault(n, []):
                raise ConfigError(f"{name!r} is named twice.", where="views.add")
            additions[n].append(transform)
    return additions


def takes(column: Column, transform: Any) -> bool:
    """Whether a transform may be added to the views of a column."""
    takes = getattr(MODALITIES.get(column.modality), "takes", None)
    return takes is not None and takes(transform, column.spec)
