"""Rows of one group are never on two sides: how groups are said, and who is held out."""

import numpy as np
import pytest
from PIL import Image

from nearfar.core.errors import ConfigError, DataError, NearfarWarning, UnknownName
from nearfar.data import groups, splits
from nearfar.data.read import read
from nearfar.downstream.classify.selection import folds

FROM = r"^(.*)_\d+\."


def visits(patients=30, each=6, columns=4, seed=0):
    """Rows of numbers, `each` of every patient, in mixed order; every patient is of one class."""
    draw = np.random.default_rng(seed)
    patient = draw.permutation(np.repeat(np.arange(patients), each))
    table = {f"x{i}": draw.normal(size=len(patient)) for i in range(columns)}
    return table | {"patient": patient, "label": patient % 3}


def csv(path, table):
    lines = [",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


def apart(table, a, b):
    return not set(table.groups[a]) & set(table.groups[b])


# --- how groups are said ----------------------------------------------------------------------------------------------


def test_a_column_says_the_groups_and_is_no_feature(tmp_path):
    rows = visits()
    table = read(csv(tmp_path / "a.csv", rows), group="patient")
    assert table.first.values.shape[1] == 4
    assert len(np.unique(table.groups)) == 30
    for p in range(30):
        assert len(np.unique(table.groups[rows["patient"] == p])) == 1
    assert "Groups: 180 rows in 30 groups by the column 'patient'." in table.source["notes"]
    assert read(csv(tmp_path / "b.csv", rows)).groups is None


def test_empty_cells_are_groups_of_their_own(tmp_path):
    rows = visits()
    rows["patient"] = ["" if p < 5 else f"p{p}" for p in rows["patient"]]
    table = read(csv(tmp_path / "a.csv", rows), group="patient")
    alone = np.asarray([p == "" for p in rows["patient"]])
    assert (table.groups[alone] < 0).all()
    assert len(np.unique(table.groups[alone])) == 30
    assert (table.groups[~alone] >= 0).all()
    assert any("30 rows without one are each their own" in n for n in table.source["notes"])


def test_groups_of_two_tables_can_be_compared(tmp_path):
    a = read(csv(tmp_path / "a.csv", visits()), group="patient")
    other = visits(seed=1)
    b = read(csv(tmp_path / "b.csv", other | {"patient": other["patient"] + 20}), group="patient")
    assert groups.among(b, a) == 10 * 6


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """2 classes × 4 clips × 6 frames, called as in GTSRB, and a picture with another name in each class."""
    folder, draw = tmp_path_factory.mktemp("frames"), np.random.default_rng(0)
    for c in ("00000", "00001"):
        (folder / c).mkdir()
        for name in [f"{clip:05d}_{f:05d}" for clip in range(4) for f in range(6)] + ["other"]:
            Image.fromarray(draw.integers(0, 255, (12, 12, 3), np.uint8)).save(folder / c / f"{name}.png")
    return folder


def test_the_name_says_the_groups(frames):
    table = read(frames, group_from=FROM)
    assert len(np.unique(table.groups[table.groups >= 0])) == 8  # the classes' clips have equal numbers
    assert (table.groups < 0).sum() == 2
    assert len(np.unique(read(frames, group_from=r"\d+/\d+").groups)) == 8 + 2  # all that it matches
    assert len(np.unique(read(frames, group_from=r"/(\d+)_(\d+)").groups)) == 4 + 2  # the first parentheses


def test_the_picture_that_a_cell_names_says_the_groups(frames, tmp_path):
    names = sorted(f.name for f in (frames / "00000").iterdir())
    (frames / "00000" / "list.csv").write_text("file,kind\n" + "".join(f"{n},{i % 2}\n" for i, n in enumerate(names)))
    try:
        table = read(frames / "00000" / "list.csv", group_from=r"^(\d+)_", label="kind")
    finally:
        (frames / "00000" / "list.csv").unlink()
    assert len(np.unique(table.groups[table.groups >= 0])) == 4


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"group": "patiant"}, UnknownName, "patient"),
        ({"group": "label", "label": "label"}, ConfigError, "labels"),
        ({"group": "patient", "group_from": "a"}, ConfigError, "not with both"),
        ({"group_from": "("}, ConfigError, "not a valid regular expression"),
        ({"group_from": "nowhere"}, DataError, "found in no name"),
    ],
)
def test_what_says_no_groups_is_a_sentence(tmp_path, options, error, text):
    with pytest.raises(error, match=text):
        read(csv(tmp_path / "a.csv", visits()), **options)


def test_a_split_that_cuts_groups_is_counted(tmp_path):
    rows = visits()
    rows["split"] = ["test" if p < 3 or i < 20 else "train" for i, p in enumerate(rows["patient"])]
    cut = sum(s == "test" and p >= 3 for s, p in zip(rows["split"], rows["patient"], strict=True))
    whole = sum(s == "test" for s in rows["split"])
    with pytest.warns(NearfarWarning, match=f"{cut} of the {whole} rows of the split 'test' are of groups"):
        read(csv(tmp_path / "a.csv", rows), group="patient")


# --- who is held out --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_training_and_evaluation_hold_out_whole_groups(tmp_path, seed):
    table = read(csv(tmp_path / "a.csv", visits(seed=seed)), group="patient")
    plan = splits.plan(table, holdout=0.1)
    assert len(plan.heldout) == 18  # 3 of 30 patients
    assert apart(table, plan.train, plan.heldout)
    assert np.array_equal(np.sort(np.concatenate([plan.train, plan.heldout])), np.arange(180))
    measured = splits.evaluation_plan(table, seed=seed)
    assert apart(table, measured.train, measured.test)
    assert np.bincount(table.labels[measured.test]).tolist() == [12, 12, 12]  # 2 of 10 patients of every class
    assert "whole groups" in measured.notes[0]


def test_held_out_rows_do_not_depend_on_the_order_of_rows(tmp_path):
    rows = visits()
    backwards = {k: list(v)[::-1] for k, v in rows.items()}
    a = read(csv(tmp_path / "a.csv", rows), group="patient")
    b = read(csv(tmp_path / "b.csv", backwards), group="patient")
    assert set(a.groups[splits.plan(a).heldout]) == set(b.groups[splits.plan(b).heldout])


def test_few_and_uneven_groups(tmp_path):
    rows = visits(4, 30)
    table = read(csv(tmp_path / "a.csv", rows | {"label": np.arange(120) % 2}), group="patient")
    assert len(splits.plan(table, holdout=0.1).heldout) == 0  # a quarter is farther from a tenth than none
    measured = splits.evaluation_plan(table)
    assert len(measured.test) == 30
    assert apart(table, measured.train, measured.test)
    one = read(csv(tmp_path / "b.csv", rows | {"patient": ["p"] * 120, "label": np.arange(120) % 2}), group="patient")
    with pytest.raises(DataError, match="no group can be held out"):
        splits.evaluation_plan(one)
    by_class = read(csv(tmp_path / "c.csv", rows | {"label": rows["patient"]}), group="patient")
    with pytest.raises(DataError, match="every class must have rows in two groups"):
        splits.evaluation_plan(by_class)


def test_a_large_group_is_not_held_out(tmp_path):
    rows = visits(30, 6)
    rows["patient"] = [0 if p < 12 else p for p in rows["patient"]]
    table = read(csv(tmp_path / "a.csv", rows | {"label": np.arange(180) % 2}), group="patient")
    for seed in range(5):
        measured = splits.evaluation_plan(table, seed=seed)
        assert 30 <= len(measured.test) <= 42
        assert apart(table, measured.train, measured.test)


def test_equal_rows_stay_together_with_their_groups(tmp_path):
    rows = visits()
    first = {p: int(np.flatnonzero(rows["patient"] == p)[0]) for p in (3, 6)}  # of one class
    for name in ("x0", "x1", "x2", "x3"):
        rows[name][first[6]] = rows[name][first[3]]
    table = read(csv(tmp_path / "a.csv", rows), group="patient")
    number = groups.together(table, np.arange(180))
    assert len(np.unique(number)) == 29
    assert len(np.unique(number[np.isin(rows["patient"], (3, 6))])) == 1
    for p in range(30):  # a row that is the same for everybody glues nobody
        rows["x0"][np.flatnonzero(rows["patient"] == p)[1]] = 0
        for name in ("x1", "x2", "x3"):
            rows[name][np.flatnonzero(rows["patient"] == p)[1]] = 0
    glued = read(csv(tmp_path / "b.csv", rows), group="patient")
    assert len(np.unique(groups.together(glued, np.arange(180)))) == 30


def test_without_groups_equal_rows_are_not_measured_on_themselves(tmp_path):
    rows = visits(columns=1)
    rows["x0"] = rows["x0"].round(1)
    table = read(csv(tmp_path / "a.csv", {k: v for k, v in rows.items() if k != "patient"}))
    measured = splits.evaluation_plan(table)
    assert len(splits.duplicates(table, measured.train, measured.test)) == 0
    assert abs(len(measured.test) - 36) <= 4


@pytest.mark.parametrize("mixed", [False, True])
def test_folds_are_of_whole_groups_with_their_share_of_every_class(mixed):
    draw = np.random.default_rng(0)
    patient = draw.permutation(np.repeat(np.arange(40), 5))
    y = draw.integers(0, 4, 200) if mixed else patient % 4
    found = folds(y, 0, patient)
    for p in range(40):
        assert len(np.unique(found[patient == p])) == 1
    counts = np.stack([np.bincount(y[found == f], minlength=4) for f in range(5)])
    assert counts.sum() == 200
    assert (np.ptp(counts, axis=0) <= (8 if mixed else 0)).all()
    assert np.array_equal(folds(y, 3), folds(y, 3, np.arange(200)))  # groups of one row change nothing


def test_a_class_of_one_group_is_not_left_out():
    patient = np.asarray([0, 0, 1, 1, 2, 2, 3, 3])
    found = folds(np.asarray([0, 0, 0, 0, 1, 1, 1, 1]), 0, patient)
    assert len(set(found[:4])) == len(set(found[4:])) == 2
    assert (folds(np.asarray([0, 0, 0, 0, 1, 1, 2, 2]), 0, patient)[4:] == -1).all()
