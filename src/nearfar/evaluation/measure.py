"""Models and floors measured alike: which protocols, on which rows, in one way for one column and for several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import DataError
from nearfar.core.registry import PROTOCOLS
from nearfar.data.groups import together
from nearfar.data.splits import EvaluationPlan
from nearfar.data.table import Column, Table
from nearfar.evaluation import floors, streams
from nearfar.evaluation.labels import NAMED, check_names, has_classes, named_columns, named_features
from nearfar.evaluation.protocols import Features, Sides, fits, takes
from nearfar.evaluation.recommend import measured
from nearfar.evaluation.recommend.measured import of_table
from nearfar.models.kept_figures import figures
from nearfar.models.pretrained import begins_pretrained, by_directions
from nearfar.vectors import geometry
from nearfar.vectors.intervals import paired

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.data.histories import Histories

BY_DEFAULT = ("knn", "linear_probe", "few_labels")  # of labelled rows of one column
RAW = floors.RawInput()
AUTO = "auto"  # the floors that a model has by default


def chosen(models: Sequence[Any], table: Table, asked: Sequence[str]) -> list[str]:
    """The protocols to measure: those asked for, or what fits the data; none of one column without classes.

    Raises
    ------
    DataError
        The data lack what a protocol takes.
    """
    several, users = len(table.columns) > 1, of_table(table) is not None
    has = {"pairs": True, "scored pairs": table.scores is not None, "labelled pairs": table.labels is not None}
    for name in asked:
        needed, why, hint = takes(name), "", None
        if users or needed == "histories":
            why = "" if users and needed == "histories" else "these are of users" if users else "these data have none"
            hint = "Name their columns with --pair USER ITEM." if not users else None
        elif needed == NAMED:
            check_names(models, table, name)
        elif not several and needed != "labels":
            why, hint = "these data have one column", "Name two with --pair A B."
        elif not several and not has_classes(table):
            needed, why = "labels of two classes or more", "these data have none"
            hint = "Name their column with --label."
        elif several and not has.get(needed, False):
            why = "these data have none"
        elif several and needed != "pairs" and len(table.columns) > 2:
            why = f"of {len(table.columns)} columns it is not said which two are judged"
            hint = "Name two with --pair A B."
        if why:
            raise DataError(f"{name} takes {needed}, and {why}.", where="--protocol", hint=hint)
    if asked or users:
        return list(asked) or ["ranking"]
    named = ["zero_shot"] if named_columns(models, table) else []
    if not several:
        return [*BY_DEFAULT, *named] if has_classes(table) else []
    if has["scored pairs"] and len(table.columns) == 2:
        return ["sts"]
    return ["retrieval", *(["bitext"] if alike(table) and table.first.modality == "text" else []), *named]


def without_floor(models: Sequence[Any], protocols: Sequence[str], with_floors: bool | str) -> list[str]:
    """The sentence about models whose untrained encoder is not measured, unless that was asked for."""
    begun = [m for m in models if begins_pretrained(m)]
    if with_floors != AUTO or not begun or not protocols:
        return []
    names = ", ".join(m.name for m in begun)
    said = (f"The untrained encoder of {names} is not measured: it would take as long as these, which began with "
            "pretrained weights; --floors measures it.")  # fmt: skip
    trained = [m.name for m in begun if not floors.is_untouched(m)]
    if trained and len(trained) == len(begun):
        said += " Name the model that it began with beside it, to see what training changed."
    return [said]


def alike(table: Table) -> bool:
    """Whether all columns hold the same kind of thing in the same form."""
    return len({(c.modality, str(c.spec)) for c in table.columns.values()}) == 1


@dataclass(frozen=True)
class Task:
    """What is measured, the same of every model and every floor.

    Parameters
    ----------
    table : Table
        As the first model reads the data; others may cut texts or scale numbers in another way.
    plans : mapping
        The rows of the protocols that fit something (True), and of those that do not.
    protocols : sequence of str
    seed : int
    templates : sequence of str
    positive : int, optional
        Position of the label that says which sides belong together; then no other pair is a right answer.
    console : Console
    cache : bool
        Figures of the same vectors are taken from where they are kept.
    histories : sequence of Histories
        Of users and items, for each model what is measured, see `nearfar.evaluation.recommend.measured`.
    """

    table: Table
    plans: Mapping[bool, EvaluationPlan]
    protocols: Sequence[str]
    seed: int
    templates: Sequence[str] | str
    positive: int | None
    console: Console
    cache: bool = True
    histories: Sequence[Histories] = ()

    def figures(self, compute: Callable[..., dict[str, Any]], *inputs: Any, **options: Any) -> dict[str, Any]:
        """What is measured of vectors, or was before of the same ones."""
        return figures(compute, *inputs, keep=self.cache, **options)

    @cached_property
    def several(self) -> bool:
        return len(self.table.columns) > 1

    @cached_property
    def parts(self) -> dict[bool, tuple[np.ndarray, np.ndarray]]:
        """Rows to fit on and rows to score, of one column those with labels."""
        labels = self.table.labels
        parts = {fit: (plan.train, plan.test) for fit, plan in self.plans.items()}
        if self.several:
            return parts
        return {fit: tuple(rows[labels[rows] >= 0] for rows in part) for fit, part in parts.items()}

    @cached_property
    def known(self) -> np.ndarray:
        """Rows whose statistics the untrained encoder may take: those of the probes, where there are any."""
        train, test = self.parts[max(self.parts)]
        return train if len(train) else test

    @cached_property
    def groups(self) -> np.ndarray | None:
        return None if self.several or True not in self.parts else together(self.table, self.parts[True][0])

    def results(
        self, models: Sequence[Any], tables: Sequence[Table], *, layer: str | None, with_floors: bool | str
    ) -> list:
        """One result for each model on the data as it reads them, with floors as `evaluate` takes them."""
        if of_table(self.table) is not None:
            about = {"with_floors": bool(with_floors), "seed": self.seed, "console": self.console}
            return measured.results(models, self.histories, self.protocols, **about)
        if streams.asked(self.protocols):
            about = {"with_floors": bool(with_floors), "layer": layer, "seed": self.seed, "console": self.console}
            return streams.results(models, tables, self.protocols, **about)
        if not self.protocols:
            rows, layer = self.plans[False].test, layer or "features"
            every = zip(models, tables, strict=True)
            shapes = [self.figures(geometry.describe, m.features(t.first, rows, layer)) for m, t in every]
            return [{"run": m.name, "geometry": shape, "floors": {}} for m, shape in zip(models, shapes, strict=True)]
        shared: dict[str, Any] = {}
        if not self.several and True in self.parts:
            shared["majority"] = floors.majority(*(self.table.labels[rows] for rows in self.parts[True]))
        if with_floors and alike(self.table):
            shared["raw_input"] = self.measured(RAW, self.table, "the raw input", None)
        results = []
        for model, table in zip(models, tables, strict=True):
            under, kept = dict(shared), layer or (model.keeps if self.several else "features")
            if with_floors and not (with_floors == AUTO and begins_pretrained(model)):
                fresh = floors.untrained(model, table, self.known)
                under["untrained_encoder"] = self.measured(fresh, table, f"{model.name} untrained", kept)
            figures = self.measured(model, table, model.name, kept)
            about = {"trained": False} if floors.is_untouched(model) else {}
            results.append({"run": model.name, "layer": kept, "views": 1, **about, **figures, "floors": under})
            for count, few in figures.get("few_labels", {}).items():  # trained minus floor, over the same draws
                for floor in ("raw_input", "untrained_encoder"):
                    if other := under.get(floor, {}).get("few_labels", {}).get(count):
                        few.setdefault("above", {})[floor] = paired(few["draws"], other["draws"])
        return results

    def measured(self, model: Any, table: Table, label: str, layer: str | None) -> dict[str, Any]:
        """The figures of a model, or of a floor."""
        self.console.say(f"Measuring {label} …")
        # pairs are not fitted on, so their training rows need no vectors
        used = np.unique(np.concatenate([r for part in self.parts.values() for r in part[1 if self.several else 0 :]]))
        vectors = {c.name: model.features(c, used, layer=layer) for c in table.columns.values()}
        found: dict[str, Any] = {}
        for name in self.protocols:
            measure, kind = PROTOCOLS.get(name).measure, takes(name)
            fit, score = self.parts[fits(name)]
            if kind == NAMED:
                if model is not RAW:
                    found[name] = self._named(name, model, table, fit if fits(name) else fit[:0], score)
            elif kind == "labels":
                (x,), labels = vectors.values(), self.table.labels
                (train, y), (test, truth) = ((x[np.searchsorted(used, rows)], labels[rows]) for rows in (fit, score))
                classes, groups = len(self.table.label_names), self.groups if fits(name) else None
                train = Features(train, y, classes, groups=groups, directions=model is not RAW and by_directions(model))
                test = Features(test, truth, classes)
                found[name] = self.figures(measure, train, test, seed=self.seed)
            else:
                found[name] = {}
                for sides in self._sides(table, used, vectors, score, layer, scored=kind == "scored pairs"):
                    figures, (left, right) = self.figures(measure, sides, seed=self.seed), sides.names
                    if "left_to_right" in figures:
                        both = figures["left_to_right"], figures["right_to_left"]
                        figures = dict(zip((f"{left}->{right}", f"{right}->{left}"), both, strict=True))
                    found[name] |= figures
        described = self.parts[max(self.parts)][1] if self.several else self.known
        z = np.concatenate([x[np.searchsorted(used, described)] for x in vectors.values()])
        return found | {"geometry": self.figures(geometry.describe, z, self.seed)}

    def _named(self, name: str, model: Any, table: Table, fit: np.ndarray, score: np.ndarray) -> dict[str, Any]:
        """By column, what is measured of rows and of the names of their classes."""
        figures = {}
        for column in named_columns([model], table) if self.several else [table.first]:
            rows = score[table.labels[score] >= 0]
            if self.several:  # a picture that stands in several pairs has one answer
                rows = rows[np.sort(np.unique(column.hashes[rows], return_index=True)[1])]
            if not len(rows):
                raise DataError(f"{name} has no labelled rows to score.")
            test = named_features(model, column, rows, table, self.templates)
            train = named_features(model, column, fit, table, self.templates) if len(fit) else test
            figures[column.name] = self.figures(PROTOCOLS.get(name).measure, train, test, seed=self.seed)
        return figures

    def _sides(
        self, table: Table, used: np.ndarray, vectors: dict[str, np.ndarray], rows: np.ndarray, layer: str | None, *,
        scored: bool,
    ) -> Iterator[Sides]:  # fmt: skip
        """All pairs of columns; `scored`: in the rows that have a score."""
        if len({x.shape[1] for x in vectors.values()}) > 1:
            raise DataError(
                f"the {layer} of {', '.join(f'{n!r} have {x.shape[1]}' for n, x in vectors.items())} dimensions, so "
                "they cannot be compared.", where="--layer", hint="Take the projection.",
            )  # fmt: skip
        rows = rows[~np.isnan(table.scores[rows])] if scored else rows
        about: dict[str, Any] = {"score": table.scores[rows]} if scored else {}
        if self.positive is not None:
            labels = table.labels[rows]
            about["label"] = np.where(labels < 0, -1, labels == self.positive)
            about["positive"] = table.label_names[self.positive]
        for a, b in combinations(table.columns.values(), 2):
            sides = (vectors[c.name][np.searchsorted(used, rows)] for c in (a, b))
            yield Sides(*sides, _content(a, rows), _content(b, rows), (a.name, b.name), **about)


def _content(column: Column, rows: np.ndarray) -> np.ndarray:
    """Equal numbers for equal cells."""
    return np.unique(column.hashes[rows], return_inverse=True)[1]
