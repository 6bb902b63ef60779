"""A label column that holds lists: of one each they are classes, of several they are refused in a sentence."""

import json

import numpy as np
import pytest

import nearfar
from nearfar.core.console import QUIET
from nearfar.core.errors import DataError, NearfarWarning
from nearfar.data.label_sets import several
from nearfar.data.read import read

TEXTS = [f"text number {i} of these" for i in range(12)]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (["a", "b"], ["a", "b"]), (("a",), ["a"]), ([], []), (np.array([1, 0]), [1, 0]), ("['a', 'b']", ["a", "b"]),
        ('["a", "b"]', ["a", "b"]), ("['a' 'b']", ["a", "b"]), ("[0 1 1]", ["0", "1", "1"]), ("[1, 2]", [1, 2]),
        ("('a', 'b')", ["a", "b"]), ("{'a', }", ["a"]), ("[]", []),
        ("a;b", None), ("[unused]", None), ("(a)", None), ("(1)", None), ("[", None), (3, None), ("rock, paper", None),
    ],
)  # fmt: skip
def test_what_is_a_list(cell, expected):
    assert several(cell) == expected


@pytest.mark.parametrize("cells", [["a", "b"], "['a', 'b']", '["a", "b"]', [1, 2], np.array([1, 0, 1])])
def test_several_labels_of_a_row_are_refused_with_the_column(cells):
    data = {"text": TEXTS, "label": [cells] * 6 + [["a"]] * 6}
    with pytest.raises(DataError, match=r"column 'label' holds several labels in a cell, such as"):
        read(data, label="label")
    with pytest.warns(NearfarWarning, match=r"column 'label' is left out: it holds several labels in a cell"):
        table = read(data, console=QUIET)
    assert (table.labels, list(table.columns)) == (None, ["text"])


def test_files_and_arrays_of_several_labels_are_refused(tmp_path):
    lines = [json.dumps({"text": t, "label": ["a", "b"][: 1 + i % 2]}) for i, t in enumerate(TEXTS)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    with pytest.raises(DataError, match="several labels"):
        read(tmp_path / "a.jsonl", label="label")
    hot = np.arange(36).reshape(12, 3) % 2
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).normal(size=(12, 4)), y=hot)
    for source in (tmp_path / "a.npz", (np.random.default_rng(0).normal(size=(12, 4)), hot)):
        with pytest.raises(DataError, match="several labels"):
            read(source, label="y")
        with pytest.warns(NearfarWarning, match="'y' is left out"):
            assert read(source).labels is None


def test_without_classes_a_training_works_and_what_needs_them_is_refused(tmp_path):
    lines = [json.dumps({"text": f"{t} {i % 7} {i}", "label": ["a", "b", "c"][: 2 + i % 2]}) for i, t in
             enumerate(TEXTS * 5)]  # fmt: skip
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    knobs = {"epochs": 1, "batch_size": 16, "encoder": "static", "precision": "fp32", "threads": 1}
    with pytest.warns(NearfarWarning, match="'label' is left out"):
        model = nearfar.train(str(tmp_path / "a.jsonl"), **knobs, console=QUIET).model
    with (
        pytest.warns(NearfarWarning, match="'label' is left out"),
        pytest.raises(DataError, match="learns from labels"),
    ):
        nearfar.train(str(tmp_path / "a.jsonl"), method="supcon", **knobs, console=QUIET)
    with pytest.warns(NearfarWarning) as said:
        found = nearfar.evaluate(model, str(tmp_path / "a.jsonl"), floors=False)
    assert "knn" not in found.results[0]
    assert any("'label' is left out" in str(w.message) for w in said)


def test_lists_of_one_are_that_class():
    table = read({"text": TEXTS, "label": [["a"], ["b"], "['c']", []] * 3})
    assert table.label_names == ("a", "b", "c")
    assert table.labels.tolist() == [0, 1, 2, -1] * 3
    column = read((np.random.default_rng(0).normal(size=(12, 4)), np.arange(12)[:, None] % 3))
    assert column.labels.tolist() == [0, 1, 2] * 4
