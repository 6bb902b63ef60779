"""The protocol stream: figures by step against scikit-learn, changes, and what cannot be measured."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from nearfar.core.errors import DataError
from nearfar.evaluation.protocols import Streams
from nearfar.evaluation.protocols.stream import measure
from nearfar.vectors.streams import by_step

DRAW = np.random.default_rng(0)
START = np.arange(0, 193, 4)


def stream(scores, labels, what="anomalies"):
    owner = np.repeat(np.arange(len(labels)), len(START))
    start = np.tile(START, len(labels))
    return Streams(scores, owner, start, start + 8, labels, what)


def test_figures_are_those_of_scikit_learn_over_all_steps_that_have_a_score_and_a_label():
    labels = [(DRAW.random(200) < 0.2).astype(np.int64) for _ in range(2)]
    labels[0][50:60] = -1
    scores = DRAW.normal(size=2 * len(START)).round(1)  # with ties
    found = measure(stream(scores, labels))
    values = np.concatenate([by_step(s, START, START + 8, 200) for s in np.split(scores, 2)])
    said = np.concatenate(labels)
    known = said >= 0
    assert found["auc"] == pytest.approx(roc_auc_score(said[known], values[known]))
    assert found["average_precision"] == pytest.approx(average_precision_score(said[known], values[known]))
    assert found["auc_interval"][0] < found["auc"] < found["auc_interval"][1]
    assert found["settings"]["steps"] == 390 and found["chance"] == pytest.approx(said[known].mean())


def test_one_step_that_is_found_does_not_find_its_segment():
    label = np.zeros(200, np.int64)
    label[80:160] = 1
    scores = np.zeros(len(START))
    scores[20] = 1.0  # of the steps 80 to 87 alone
    found = measure(stream(scores, [label]))
    assert found["auc"] == pytest.approx(0.1 + 0.9 / 2)  # with point adjustment it would be 1


def test_changes_are_steps_near_another_label():
    label = np.repeat([2, 0, 5, 0], 50)
    scores = np.isin(START, (48, 52, 100, 148, 152)).astype(float)
    found = measure(stream(scores, [label], "changes"))
    right = np.zeros(200, bool)
    for at in (50, 100, 150):
        right[at - 4 : at + 4] = True
    assert found["settings"]["right"] == right.sum()
    values = np.interp(np.arange(193), START, scores)
    assert found["auc"] == pytest.approx(roc_auc_score(right[:193], values))


@pytest.mark.parametrize(("value", "said"), [(0, "no step that is scored is"), (1, "all steps are")])
def test_steps_of_one_kind_cannot_be_told_apart(value, said):
    with pytest.raises(DataError, match=said):
        measure(stream(np.zeros(len(START)), [np.full(200, value)]))
