"""Type hints as schemas of what files hold: what fits, and the sentence where something does not."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest

from nearfar.core import files
from nearfar.core.errors import DataError, RunError
from nearfar.core.schema import CLOSED, DEEPEST, By, above, as_many, fits, long, within


class Point(TypedDict):
    x: Annotated[int, within(1, 9)]
    y: NotRequired[float | None]


@dataclass
class Place:
    step: int = 0
    news: dict[str, float] = field(default_factory=dict)


def by_kind(value):
    if value["kind"] == "none":
        raise DataError("there is no such kind.", hint="Did you mean a?")
    return Annotated[dict[str, Any], as_many("n", "of")]


Chosen = Annotated[dict[str, Any], By(by_kind)]
DEEP = {"a": 1}
for _ in range(DEEPEST + 1):
    DEEP = {"a": DEEP}


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (3, int), (3, float), (3.5, float), ("a", str), (True, bool), (None, None), (None, int | None), ([1, 2], list[int]),
        ({"x": 1, "later": [1]}, Point), ({"x": 1, "y": None}, Point), ({"p": {"x": 1}}, dict[str, Point]),
        ("a", Literal["a", "b"]), ({"kind": "a", "n": 2, "of": [1, 2]}, Chosen), ({"step": 4}, Place), ({}, Place),
        ({"a": [1, {"b": None}]}, Any), ([0.5], Annotated[list[Annotated[float, above(0)]], long(1, 1)]),
    ],
)  # fmt: skip
def test_what_fits(value, hint):
    fits(value, hint, "file.json")


@pytest.mark.parametrize(
    ("value", "hint", "said"),
    [
        (True, int, "k is true; it must be a whole number."), (3.0, int, "k is 3.0; it must be a whole number."),
        (math.nan, float, "k is nan; it must be a number that is finite."), (None, str, "k is null; it must be text."),
        (10**30, int, "it must be a whole number."), (1, bool, "k is 1; it must be true or false."),
        ({"x": -3}, Point, "k.x is -3; it must be a whole number from 1 to 9."), ({}, Point, "k.x is missing."),
        ({"x": 1, "z": 2}, Annotated[Point, CLOSED], "k.z is unknown."), ([1], Point, "k is a list of 1; it must be a table."),
        ({"x": 1, "yy": 2}, Annotated[Point, CLOSED], "k.yy is unknown. Did you mean 'y'?"),
        ([1, "a"], list[int], r"k\[1\] is 'a'; it must be a whole number."), ("c", Literal["a", "b"], "it must be 'a' or 'b'."),
        ({"p": {"x": 0}}, dict[str, Point], "k.p.x is 0"), ({"x": 0}, Point | None, "k.x is 0"),
        ({"x": 1, "other": math.inf}, Point, "k.other is inf"), ("a", int | None, "it must be a whole number or null."),
        ({"kind": "a", "n": 2, "of": [1]}, Chosen, "k is a table; it must be a table in which of has 2 values, as n says."),
        ({"kind": "none"}, Chosen, "k: there is no such kind. Did you mean a?"), ({"setp": 1}, Place, "Did you mean 'step'?"),
        ([], Annotated[list[int], long(1, 2)], "k is a list of 0; it must be a list of 1 to 2."),
        (0.0, Annotated[float, above(0)], "k is 0.0; it must be a number above 0."), (DEEP, Any, "is nested more than 64 deep."),
        ("x" * 5000, int, "^f: k is '.{20,60}'; it must be a whole number.$"),
    ],
)  # fmt: skip
def test_what_does_not(value, hint, said):
    with pytest.raises(RunError, match=said) as e:
        fits(value, hint, "f", "k")
    assert len(str(e.value)) < 200


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1, "a": 2}', "the key 'a' is there twice"), (b"[" * 100_000, "nested too deep"), (b'"\xff"', "byte 1 is not UTF-8"),
        (b"\xef\xbb\xbf{}", "damaged"), ('{"a": 1}'.encode("utf-16"), "not UTF-8"), (b"", "damaged"), (b"\0" * 9, "damaged"),
        (b"[1, 1e999]", "inf"), (b"[NaN]", "nan"), (b"9" * 5000, "damaged"), (b" " * (files.JSON_LIMIT + 1), "larger than 64 MiB"),
    ],
    ids=range(11),
)  # fmt: skip
def test_files_that_are_no_json(tmp_path, content, said):
    (tmp_path / "f.json").write_bytes(content)
    with pytest.raises(RunError, match=said):
        files.read_json(tmp_path / "f.json")


def test_places_that_are_no_files(tmp_path):
    import os

    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for a writer
    for name in ("folder", "loop", "pipe", "nothing"):
        with pytest.raises(RunError, match="is no file|cannot be read"):
            files.read_json(tmp_path / name)
