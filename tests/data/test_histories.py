"""Interactions as histories: ids of any kind, order, duplicates, ratings, what is known of items, and the parts."""

from __future__ import annotations

import uuid

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfar.core.errors import ConfigError, DataError, UnknownName
from nearfar.data.columns import Findings
from nearfar.data.histories import (
    LEAVE_OUT,
    TEST,
    TRAIN,
    VALIDATION,
    Histories,
    HistoryCells,
    at_random,
    histories_of,
    last_of_each,
    of_lists,
)
from nearfar.data.interactions import of_raw, paired, texts_of
from nearfar.data.opening import open_source
from nearfar.data.readers.raw import Picked, Raw


def table(users, items, **more) -> Raw:
    return Raw({"user": users, "item": items, **more}, [f"row {i}" for i in range(1, len(users) + 1)])


def read(who, what, *, leave_out="none", columns=None, **options):
    notes = Findings()
    made, bad = of_raw(table(who, what, **(columns or {})), "user", "item", notes=notes, leave_out=leave_out,
                       **options)  # fmt: skip
    return made, bad, notes


def test_ids_of_any_kind_are_texts_as_they_stand():
    one = uuid.UUID(int=1)
    assert texts_of(np.asarray([7, -7, 7])) == (["7", "-7"], pytest.approx(np.asarray([0, 1, 0])))
    assert texts_of(np.asarray([1.0, np.nan, 2.0]))[0] == ["1", "2"]
    assert texts_of(np.asarray([1.5, 2.0]))[0] == ["1.5", "2.0"]
    assert texts_of(["007", "7", 7, " 7", one, b"7", None, "", 3.0])[0] == ["007", "7", " 7", str(one), "3"]
    assert texts_of(["007", "7", 7, " 7", one, b"7", None, "", 3.0])[1].tolist() == [0, 1, 1, 2, 3, 1, -1, -1, 4]


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_files_give_the_same_ids(tmp_path, ending):
    users, items = ["a", "b", "a"], ["007", "7", "7"]
    path = tmp_path / f"x.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({"user": users, "item": items}), path)
    elif ending == "csv":
        path.write_text("user,item\n" + "".join(f"{u},{i}\n" for u, i in zip(users, items, strict=True)))
    else:
        path.write_text("".join(f'{{"user": "{u}", "item": "{i}"}}\n' for u, i in zip(users, items, strict=True)))
    made, bad = of_raw(open_source(path), "user", "item", leave_out="none", notes=Findings())
    assert (list(made.users), list(made.items), bad) == (["a", "b"], ["007", "7"], {})
    assert [e[0] for e in made.history(0)] == ["007", "7"]


def test_times_order_the_events_and_the_last_of_a_repeated_item_counts():
    made, _, notes = read(
        ["u", "u", "v", "u", "u"], ["a", "b", "a", "a", "c"], time="t", rating="r",
        columns={"t": np.asarray([5.0, 1, 2, 9, 1]), "r": np.asarray([1.0, 2, 3, 4, 5])},
    )  # fmt: skip
    assert made.history(0) == [("b", 2.0, 1.0), ("c", 5.0, 1.0), ("a", 4.0, 9.0)]  # those of one time by row
    assert made.history(1) == [("a", 3.0, 2.0)]
    assert "1 interactions are of a user with an item that the user takes again" in " ".join(notes.warnings)
    assert any("2 interactions stand before an earlier one" in n for n in notes)


@pytest.mark.parametrize("times", [["2021-05-03", "2021-05-01 10:00:00"], ["2021-05-03T00:00:00+00:00", "2021-05-01"]])
def test_times_may_be_dates(times):
    made, _, _ = read(["u", "u"], ["a", "b"], time="t", columns={"t": times})
    assert [e[0] for e in made.history(0)] == ["b", "a"]
    assert made.time[1] == np.datetime64("2021-05-03", "s").astype(int)


def test_rows_that_cannot_be_used_are_named():
    made, bad, _ = read(["u", None, "u", "v"], ["a", "b", "", "a"], rating="r",
                        columns={"r": np.asarray([1.0, 1, 1, np.nan])})  # fmt: skip
    assert bad == {1: "has no user", 2: "has no item", 3: "has no rating"}
    assert (list(made.users), list(made.items)) == (["u"], ["a"])


def test_low_ratings_are_left_out_and_users_without_any_are_counted():
    made, bad, notes = read(["u", "v"], ["a", "a"], rating="r", min_rating=4, columns={"r": np.asarray([4.0, 3.5])})
    assert (list(made.users), bad) == (["u"], {})
    assert "Users: 1 have no interaction left." in notes.warnings
    assert any("say nothing of what a user likes more" in w for w in notes.warnings)  # all that are left are equal
    with pytest.raises(DataError, match="no interaction is left"):
        read(["u"], ["a"], rating="r", min_rating=4, columns={"r": np.asarray([1.0])})
    with pytest.raises(ConfigError, match="needs a column of ratings"):
        read(["u"], ["a"], min_rating=4)


def test_what_is_known_of_items():
    items = Raw({"genre": ["x", "y", "z"], "item": ["b", "new", "b"]}, ["1", "2", "3"])
    made, _, notes = read(["u", "v"], ["a", "b"], items=items)
    assert list(made.items) == ["a", "b", "new"]
    assert made.content == {"genre": [None, "x", "y"]}
    assert {"Items: of 1 that were taken nothing is known.",
            "Items: 1 come twice in the table of items; the first row counts."} <= set(notes.warnings)  # fmt: skip
    with pytest.raises(DataError, match="no item of the interactions is in the column 'item'"):
        read(["u"], ["other"], items=items)


def test_wrong_columns_and_times_are_sentences():
    with pytest.raises(UnknownName, match="usr"):
        of_raw(table(["u"], ["a"]), "usr", "item", notes=Findings())
    with pytest.raises(DataError, match="'yesterday', which is no time"):
        read(["u"], ["a"], time="t", columns={"t": ["yesterday"]})
    with pytest.raises(DataError, match="has a cell that is no number, 'x'"):
        read(["u"] * 3, ["a", "b", "c"], time="t", columns={"t": ["1", "2", "x"]})
    with pytest.raises(ConfigError, match="needs a column of times"):
        read(["u"], ["a"], leave_out="last")


def many(counts, timed=True) -> Histories:
    """Users of so many events; item and time of each are its place."""
    place = np.concatenate([np.arange(c) for c in counts])
    ends = np.cumsum([0, *counts])
    return Histories([f"u{i}" for i in range(len(counts))], [f"i{i}" for i in range(max(counts))], ends,
                     place.astype(np.int32), np.ones(len(place), np.float32), place * 1.0 if timed else None)  # fmt: skip


def test_a_random_split_counts_as_recbole_does():
    counts = [1, 2, 3, 5, 9, 10, 19, 20, 25]
    held = many(counts)
    part = at_random(held, seed=3)
    got = np.stack([np.bincount(held.owner[part == p], minlength=len(counts)) for p in (TRAIN, VALIDATION, TEST)], 1)
    wanted = []
    for total in counts:  # recbole.data.dataset.Dataset._calcu_split_ids
        ratios = (0.8, 0.1, 0.1)
        cnt = [int(ratios[i] * total) for i in range(3)]
        cnt[0] = total - sum(cnt[1:])
        for i in range(1, 3):
            if cnt[0] <= 1:
                break
            if 0 < ratios[-i] * total < 1:
                cnt[-i] += 1
                cnt[0] -= 1
        wanted.append(cnt)
    assert got.tolist() == wanted
    assert (part == at_random(held, seed=3)).all()
    assert (part != at_random(held, seed=4)).any()


def test_the_last_events_are_left_out():
    assert last_of_each(many([1, 2, 3, 4])).tolist() == [0, 0, 2, 0, 1, 2, 0, 0, 1, 2]


def test_a_cut_by_time_leaves_equal_times_together():
    held = many([10, 10])
    part = LEAVE_OUT["time"](held, 0)
    assert part.tolist() == [0] * 8 + [1, 2] + [0] * 8 + [1, 2]


def test_splits_of_files_are_the_parts():
    splits = {"train": np.asarray([0, 1]), "test": np.asarray([2])}
    made, _, _ = read(["u", "u", "u"], ["a", "b", "c"], splits=splits, leave_out="random")
    assert made.part.tolist() == [0, 0, 2]
    assert HistoryCells(made)[0] == [("a", 1.0, None), ("b", 1.0, None)]  # only what is for training


def test_parts_rows_and_matrices():
    held = many([2, 3])
    some = held.rows(np.asarray([1]))
    assert some.history(0) == held.history(1)
    assert held.matrix().toarray().tolist() == [[1, 1, 0], [1, 1, 1]]
    cells = Picked(HistoryCells(held), np.asarray([1, 0]))
    assert list(histories_of(cells).users) == ["u1", "u0"]
    assert histories_of(["a text"]) is None
    other = held.with_items(["i2", "i9", "i0"])
    assert [e[0] for e in other.history(1)] == ["i0", "i2"]
    listed = of_lists([["i0", ("i1", 3.0), "unknown", "i0"]], held.items)
    assert [e[:2] for e in listed.history(0)] == [("i1", 3.0), ("i0", 1.0)]


def test_a_pair_is_of_users_and_items_where_that_is_said():
    assert paired(("user_id", "movieId"), {}) == {"user": "user_id", "column": ["movieId"]}
    assert paired(("who", "what"), {"rating": "stars"}) == {"user": "who", "column": ["what"]}
    assert paired(("who", "what"), {"leave_out": "auto"}) == {"column": ["who", "what"]}
    assert paired(("english", "german"), {}) == {"column": ["english", "german"]}
    with pytest.raises(ConfigError, match="3 columns are paired"):
        paired(("a", "b", "c"), {"time": "t"})
