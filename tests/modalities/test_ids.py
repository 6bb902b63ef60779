"""Histories are decoded alike from cells and from tables; the newest events are kept, and unknown items are left out."""

import numpy as np
import pytest

from nearfar.core.errors import BadCell, DataError
from nearfar.data.histories import HistoryCells, of_lists
from nearfar.modalities import ids

SPEC = {"items": ["a", "b", "007", "7"], "length": 3, "events": 9, "features": 0, "each": 1}


def test_the_newest_events_in_their_order():
    values, _ = ids.decode([("a", 1.0, 0.0), ("b", 4.5, 1.0), ("007", 0.5, 2.0), ("7", -1.0, None)], SPEC)
    assert values.tolist() == [[2, 4500], [3, 500], [4, -1000]]


def test_names_alone_are_a_history_too():
    assert ids.decode(["b", "7"], SPEC)[0].tolist() == [[2, 1000], [4, 1000], [0, 0]]
    assert ids.decode(["b", 7, "x"], SPEC)[0].tolist() == [[2, 1000], [4, 1000], [0, 0]]  # x is not known
    assert not ids.decode([], SPEC)[0].any()


@pytest.mark.parametrize(
    ("cell", "said"), [(["x", "y"], "2 items, none of which the model knows, such as 'x'"), (3, "int")]
)
def test_bad_cells_say_what_they_are(cell, said):
    with pytest.raises(BadCell, match=said):
        ids.decode(cell, SPEC)
    values, bad = ids.decode_many([["a"], cell], SPEC)
    assert values[0, 0, 0] == 1 and not values[1].any()
    assert list(bad) == [1] and said in bad[1]


def test_a_table_of_histories_is_decoded_as_its_cells_are():
    lists = [[("z", 1, 0), ("a", 2, 1)], [], [("7", 1, 0), ("b", 3.25, 1), ("a", 1, 2), ("007", 5, 3)], [("q", 1, 0)]]
    histories = of_lists(lists, ["z", "7", "q", "b", "a", "007"])
    values, there = ids.of_histories(histories, SPEC)
    expected = [ids.decode([e for e in own if e[0] in SPEC["items"]], SPEC)[0] for own in lists]
    np.testing.assert_array_equal(values, expected)
    assert there.tolist() == [False, True, False, True, True, True, False]


def test_a_plan_keeps_all_events_and_names():
    lists = [["a", "b", "c"], ["b"], ["c", "a"]]
    spec = ids.plan(HistoryCells(of_lists(lists, ["a", "b", "c", "d"])), {})
    assert spec == {"items": ["a", "b", "c", "d"], "length": 3, "events": 6, "features": 0, "each": 1}
    assert ids.plan(HistoryCells(of_lists(lists, ["a", "b", "c"])), {"length": 2})["events"] == 5
    with pytest.raises(DataError, match="no histories"):
        ids.plan([["a"], ["b"]], {})


def test_only_histories_are_recognised():
    cells = HistoryCells(of_lists([["a"], ["b", "a"], []], ["a", "b"]))
    assert ids.recognise([cells[i] for i in range(3)]) == 1
    for others in (["a"], [["a", "b"]], [[1, 2]], [np.zeros(3)], [None], [[]], []):
        assert ids.recognise(others) == 0


def test_raw_features_are_unit_vectors_of_what_was_taken():
    values = np.stack([ids.decode(c, SPEC)[0] for c in (["a", "b"], ["b", "a"], ["7"], [])])
    raw = ids.raw_features(values, SPEC)
    assert raw.shape == (4, ids.RAW)
    np.testing.assert_allclose(raw[0], raw[1], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(raw, axis=1), [1, 1, 1, 0], atol=1e-6)
    assert abs(raw[0] @ raw[2]) < 0.01
