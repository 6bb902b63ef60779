"""Series from files: what each form holds, beside what aeon reads, and what is said of damaged ones."""

import csv

import numpy as np
import pytest

from nearfar.core.errors import DataError, NearfarWarning
from nearfar.data.read import read
from nearfar.data.splits import plan

DRAW = np.random.default_rng(0)
TS = """# a comment
@problemName small
@timeStamps false
@univariate false
@dimensions 2
@equalLength false
@classLabel true up down
@data
1.0,2.0,3.0:4.0,5.0,6.0:up
1.5,?,3.5,4:0,0,0,1:down
7,8:9,10:up
1,2,x:1,2,3:down
"""


def sines(rows=12, channels=2, steps=40):
    return DRAW.normal(size=(rows, channels, steps)).astype(np.float32)


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_ts_file_of_several_channels_and_lengths(tmp_path):
    table = read(written(tmp_path / "small.ts", TS), max_bad=0.3)
    x, nan = table.first.values, np.nan
    assert table.first.modality == "series" and table.label_names == ("down", "up")
    np.testing.assert_array_equal(x[0], [[1, 2, 3, nan], [4, 5, 6, nan]])
    np.testing.assert_array_equal(x[1], [[1.5, nan, 3.5, 4], [0, 0, 0, 1]])
    assert table.first.spec["missing"] and table.first.lengths.tolist() == [3, 4, 2]
    assert [s.name for s in table.skipped] == ["small.ts:12"] and "'x'" in table.skipped[0].reason


def test_splits_by_the_names_of_files_are_read_as_aeon_reads_them(tmp_path):
    loaders = pytest.importorskip("aeon.datasets", reason="aeon, the peer, is not installed")
    for split in ("TRAIN", "TEST"):
        written(tmp_path / f"small_{split}.ts", TS.replace("1,2,x:1,2,3:down\n", ""))
    table = read(str(tmp_path))
    x, y = loaders.load_from_ts_file(str(tmp_path / "small_TRAIN.ts"))
    assert sorted(table.splits) == ["test", "train"]
    for mine, theirs in zip(table.first.values[table.splits["train"]], x, strict=True):
        np.testing.assert_allclose(mine[:, : theirs.shape[1]], theirs)
        assert np.isnan(mine[:, theirs.shape[1] :]).all()
    assert [table.label_names[i] for i in table.labels[table.splits["train"]]] == list(y)


def test_arff_and_headerless_tsv(tmp_path):
    arff = "@relation r\n@attribute a real\n@attribute b real\n@attribute c real\n@attribute class {x,y}\n@data\n1,2,3,x\n4,?,6,y\n"
    table = read(written(tmp_path / "r.arff", arff))
    np.testing.assert_array_equal(table.first.values[:, 0], [[1, 2, 3], [4, np.nan, 6]])
    assert table.label_names == ("x", "y")
    several = (
        '@relation r\n@attribute s relational\n@attribute class {x,y}\n@data\n"1,2,3\\n4,5,6",x\n"7,8,9\\n1,1,2",y\n'
    )
    assert read(written(tmp_path / "s.arff", several)).first.values.tolist()[1] == [[7, 8, 9], [1, 1, 2]]
    lines = "\n".join("\t".join([str(i % 2 + 1), *map(str, range(i, i + 12))]) for i in range(4))
    table = read(written(tmp_path / "u.tsv", lines))
    assert table.first.modality == "series" and table.label_names == ("1", "2")
    np.testing.assert_array_equal(table.first.values[2, 0], np.arange(2, 14))


def test_a_table_of_texts_with_tabs_stays_a_table(tmp_path):
    text = "text\tlabel\n" + "\n".join(f"a few words {i}\t{i % 2}" for i in range(20))
    assert read(written(tmp_path / "t.tsv", text)).first.modality == "text"


def test_an_npz_says_that_it_holds_series(tmp_path):
    x = sines(steps=20, channels=9)
    np.savez(tmp_path / "a.npz", X=x, y=np.arange(12) % 2, classes=np.array(["still", "moving"]))
    table = read(str(tmp_path / "a.npz"))
    assert table.first.modality == "series" and table.label_names == ("still", "moving")
    np.testing.assert_array_equal(table.first.values, x)


def test_arrays_from_python_are_series_where_they_can_be_no_pictures_or_are_said_to_be():
    assert read(sines()).first.modality == "series"
    assert read([x[:, : 20 + i] for i, x in enumerate(sines(channels=9))], window=None).first.modality == "series"
    assert read(sines(channels=32)).first.modality == "image"
    assert read(sines(channels=32), modality="series").first.modality == "series"
    assert read(DRAW.normal(size=(20, 30))).first.modality == "vector"


def test_a_folder_with_a_file_for_each_series(tmp_path):
    for i, x in enumerate(sines(8)):
        folder = tmp_path / ("calm" if i % 2 else "wild")
        folder.mkdir(exist_ok=True)
        if i < 4:
            np.save(folder / f"{i}.npy", x)
        else:
            with (folder / f"{i}.csv").open("w", newline="") as f:
                csv.writer(f).writerows([["a", "b"], *x.T.tolist()])
    table = read(str(tmp_path))
    assert table.first.modality == "series" and table.label_names == ("calm", "wild")
    assert table.first.values.shape == (8, 2, 40)
    assert sorted(table.names)[0] == "calm/1.npy"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.ts", "just a letter\nto a friend\n", "no line @data"),
        ("b.ts", "@classLabel true a b\n@data\n", "holds no series"),
        ("c.ts", "@classLabel true a b\n@data\none:a\ntwo:b\n", "holds something else than numbers"),
        ("d.ts", "@dimensions 3\n@classLabel true a b\n@data\n1,2:3,4:a\n", "has 2 channels, and @dimensions says 3"),
        ("e.ts", "@classLabel true a b\n@data\n?,?,?:a\n?,?:b\n", "there are no series"),
        ("f.ts", "@classLabel true a b\n@data\n1:a\n2:b\n", "at least two steps"),
    ],
)
def test_what_is_no_series_is_a_sentence(tmp_path, name, text, said):
    with pytest.raises(DataError, match=said):
        read(written(tmp_path / name, text))


def test_a_channel_that_never_changes_is_told():
    x = sines()
    x[:, 1] = 3.0
    with pytest.warns(NearfarWarning, match="channel 1 of"):
        read(x)


# --- long tables -------------------------------------------------------------------------------------------------


def long_table(tmp_path, *, machines=3, steps=100, order=None, times=None, gap=()):
    rows = []
    for m in range(machines):
        for t in range(steps):
            if t not in gap:
                at = t if times is None else times[t]
                rows.append([at, f"m{m}", np.sin(t / 5) + m, t, "late" if t >= steps // 2 else "early"])
    rows = rows if order is None else [rows[i] for i in order]
    with (tmp_path / "long.csv").open("w", newline="") as f:
        csv.writer(f).writerows([["t", "machine", "a", "b", "state"], *rows])
    return str(tmp_path / "long.csv")


ASKED = {"time": "t", "group": "machine", "label": "state"}


def test_a_long_table_becomes_windows_of_its_recordings(tmp_path):
    table = read(long_table(tmp_path), **ASKED, window=40, hop=30)
    assert table.first.spec["names"] == ["a", "b"] and len(table) == 9
    assert table.names[:4] == ["m0:0–39", "m0:30–69", "m0:60–99", "m1:0–39"]
    np.testing.assert_allclose(table.first.values[1, 1], np.arange(30, 70))
    assert [table.label_names[i] for i in table.labels[:3]] == ["early", "early", "late"]
    assert len(np.unique(table.groups)) == 3


def test_windows_of_one_recording_are_never_held_apart(tmp_path):
    table = read(long_table(tmp_path, machines=6), **ASKED, window=20)
    rows = plan(table, holdout=0.3)
    assert len(rows.heldout) and not set(table.groups[rows.train]) & set(table.groups[rows.heldout])
    whole = read([x for x in sines(6, 2, 200)], modality="series", window=50)
    rows = plan(whole, holdout=0.3)
    assert len(whole) == 6 * 7 and not set(whole.groups[rows.train]) & set(whole.groups[rows.heldout])


def test_times_out_of_order_and_twice_are_said_and_put_right(tmp_path):
    order = [*DRAW.permutation(300), 7]
    with pytest.warns(NearfarWarning):  # both
        table = read(long_table(tmp_path, order=order), **ASKED, window=None)
    np.testing.assert_allclose(table.first.values[:, 1], np.tile(np.arange(100), (3, 1)))
    said = " ".join(table.source["warnings"])
    assert "out of order in 3 of 3" in said and "1 rows have the time of another row" in said


def test_missing_times_are_gaps_and_uneven_ones_are_resampled(tmp_path):
    with pytest.warns(NearfarWarning, match="they are gaps"):
        table = read(long_table(tmp_path, gap=range(40, 44)), **ASKED, window=None)
    assert np.isnan(table.first.values[:, :, 40:44]).all() and not np.isnan(table.first.values[:, :, 44:]).any()
    assert "steps are missing in 3 of 3" in " ".join(table.source["warnings"])
    uneven = np.arange(100) + DRAW.uniform(-0.4, 0.4, 100)
    with pytest.warns(NearfarWarning, match="uneven in 3"):
        table = read(long_table(tmp_path, times=uneven), **ASKED, window=None)
    assert "uneven in 3 of 3" in " ".join(table.source["warnings"])
    usual = np.median(np.diff(uneven))
    wanted = np.interp(uneven[0] + usual * np.arange(table.first.values.shape[2]), uneven, np.arange(100))
    np.testing.assert_allclose(table.first.values[0, 1], wanted, atol=1e-3)


def test_a_recording_on_disk_is_cut_without_being_read(tmp_path):
    folder = tmp_path / "recordings"
    for name in ("one", "two"):
        (folder / name).mkdir(parents=True)
        np.save(folder / name / "long.npy", np.arange(20_000, dtype=np.float32).reshape(2, 10_000))
    table = read(str(folder), window=100, hop=50)
    window = table.first.cells[1]
    bases = [window]
    while isinstance(bases[-1], np.ndarray):
        bases.append(bases[-1].base)
    assert any(isinstance(b, np.memmap) for b in bases)
    np.testing.assert_array_equal(table.first.values[1, 0], np.arange(50, 150))
    assert table.names[1] == "one/long.npy:50–149"
