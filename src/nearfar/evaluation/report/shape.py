"""What a kept measurement holds, as far as cards and reports show it; of other protocols there may be anything."""

# ruff: noqa: UP013 (one line a shape: as classes they fill two pages)

from __future__ import annotations

from typing import Annotated, Any, NotRequired, TypedDict

from nearfar.core.schema import long, within

Count = Annotated[int, within(0)]
Number = float | None  # what is not finite is written as null
Interval = NotRequired[Annotated[list[Number], long(2, 2)]]


def _square(table: list[list[float]]) -> str | None:
    return None if all(len(row) == len(table) for row in table) else "of as many rows as columns"


Confusion = Annotated[list[list[Annotated[float, within(0)]]], _square]
Accuracy = TypedDict("Accuracy", {"accuracy": Number, "interval": Interval})
KnnSettings = TypedDict("KnnSettings", {"k": Count, "temperature": Number})
Knn = TypedDict("Knn", {"accuracy": Number, "interval": Interval, "settings": KnnSettings})
ProbeSettings = TypedDict("ProbeSettings", {"C": float, "chosen on": str})
Probe = TypedDict(
    "Probe",
    {"accuracy": Number, "interval": Interval, "settings": ProbeSettings, "confusion": NotRequired[Confusion]},
)
Draws = TypedDict("Draws", {"mean": float, "std": float, "draws": Annotated[list[float], long(1)]})
Clusters = TypedDict("Clusters", {"mean": Number, "chance": Number})
Direction = TypedDict("Direction", {"recall": dict[str, Number], "median_rank": Number, "interval": Interval})
Bitext = TypedDict("Bitext", {"margin": Accuracy})
ZeroShot = TypedDict("ZeroShot", {"accuracy": Number, "interval": Interval, "chance": Number, "majority": Number})
Sts = TypedDict("Sts", {"spearman": Number, "interval": Interval})
Pairs = TypedDict("Pairs", {"average_precision": Number, "positive": NotRequired[Any], "interval": Interval})
Geometry = TypedDict("Geometry", {"effective_rank": NotRequired[Number]})


class Figures(TypedDict):
    """Of a model, or of a floor."""

    geometry: Geometry
    knn: NotRequired[Knn]
    linear_probe: NotRequired[Probe]
    few_labels: NotRequired[dict[str, Draws]]
    shots: NotRequired[dict[str, Draws]]
    shares: NotRequired[dict[str, Draws]]
    clustering: NotRequired[Clusters]
    retrieval: NotRequired[dict[str, Direction]]
    bitext: NotRequired[dict[str, Bitext]]
    zero_shot: NotRequired[dict[str, ZeroShot]]
    sts: NotRequired[Sts]
    pair_classification: NotRequired[Pairs]


class Floors(TypedDict):
    """What needs no training."""

    untrained_encoder: NotRequired[Figures]
    raw_input: NotRequired[Figures]
    majority: NotRequired[Number]


class Result(Figures):
    """Of a run."""

    run: str
    floors: Floors


NotFitted = TypedDict("NotFitted", {"protocols": list[str], "test_rows": Count, "split": str})


class Data(TypedDict):
    """What was measured on; `not_fitted` are the rows of protocols that fit nothing."""

    fingerprint: str
    train_rows: Count
    test_rows: Count
    split: str
    source: NotRequired[str | None]
    content: NotRequired[str]
    classes: NotRequired[list[str]]
    not_fitted: NotRequired[NotFitted]


def _named(entry: dict[str, Any]) -> str | None:
    """Each class of a confusion has its name."""
    classes = len(entry["data"].get("classes", ()))
    tables = (r.get("linear_probe", {}).get("confusion", ()) for r in entry["results"])
    return None if all(len(table) <= classes for table in tables) else "in which all classes have names"


class _Entry(TypedDict):
    data: Data
    results: Annotated[list[Result], long(1, 1)]
    date: NotRequired[str]
    below: NotRequired[list[str]]
    warnings: NotRequired[list[str]]
    summary: NotRequired[Annotated[list[Any], long(0, 0)]]
    options: NotRequired[dict[str, Any]]


Entry = Annotated[_Entry, _named]  # of evaluations/ and evaluation.json
