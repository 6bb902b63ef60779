"""Splits by the names of files and folders: what is one, what is none, and what is said of the rest."""

import io
import os
import tarfile

import numpy as np
import pytest
from PIL import Image

from nearfar.core.errors import DataError, NearfarWarning, UnknownName
from nearfar.core.names import printable
from nearfar.data.read import read
from nearfar.data.readers.structure import of_mapping, parted, split_of, splits_of


def png(seed):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def content(name, rows, seed):
    """Something of `rows` rows that a file of this name may hold."""
    if name.endswith(".png"):
        return png(seed)
    if name.endswith((".csv", ".txt")):
        lines = [f"this is row {i} of {name} {seed}" for i in range(rows)]
        return "\n".join((["text"] if name.endswith(".csv") else []) + lines).encode() + b"\n"
    buffer = io.BytesIO()
    if name.endswith(".npz"):
        np.savez(buffer, x=np.random.default_rng(seed).normal(size=(rows, 3)))
    if name.endswith(".npy"):
        np.save(buffer, np.random.default_rng(seed).normal(size=(rows, 3)))
    if name.endswith(".tar"):
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for i in range(rows):
                info = tarfile.TarInfo(f"{i}.png")
                info.size = len(png(seed + i))
                tar.addfile(info, io.BytesIO(png(seed + i)))
    return buffer.getvalue()


def tree(folder, names, rows=3):
    """Files of these names; `name*3` are three pictures in a folder of that name."""
    for seed, name in enumerate(names):
        name, _, times = name.partition("*")
        for i in range(int(times or 1)):
            path = folder / (f"{name}/{i}.png" if times else name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content(path.name, rows, 1000 * seed + i))
    return folder


def looked_at(folder, warns=None):
    """Rows by split, and the classes."""
    if warns is None:
        table = read(folder)
    else:
        with pytest.warns(NearfarWarning, match=warns):
            table = read(folder)
    return {s: len(r) for s, r in table.splits.items()} or len(table), table.label_names


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"), ("TEST", "test"), ("Val", "validation"), ("dev", "validation"), ("valid", "validation"),
        ("validation", "validation"), ("eval", "test"), ("testing", "test"), ("training", "train"),
        ("train-00000-of-00002", "train"), ("train-00000-of-00001-ab563fbae71a5f4a", "train"), ("test.part1", "test"),
        ("tEsT", "test"), ("train_1", "train"), ("train (1)", "train"), ("val2017", "validation"), ("test1", "test"), ("TrainSet", "train"),
        ("train_set", "train"), ("training data", "train"), ("01_test", "test"), ("testset", "test"),
        ("copy of train", "train"), ("train_timetable", None), ("test_of_time", None), ("trainstation", None),
        ("development", None), ("validity", None), ("attest", None), ("contest", None), ("train_test", None),
        ("x_train", None), ("retrain", None), ("latest", None), ("TrainStation", None), ("data", None), ("", None),
    ],
)  # fmt: skip
def test_what_a_name_says_by_itself(name, split):
    assert split_of(name) == split


def test_what_names_say_beside_each_other():
    assert splits_of(["mnist_train", "mnist_test"]) == {"mnist_train": "train", "mnist_test": "test"}
    assert splits_of(["ptb.train", "ptb.valid", "ptb.test"]) == {
        "ptb.train": "train", "ptb.valid": "validation", "ptb.test": "test",
    }  # fmt: skip
    assert splits_of(["Gun_TRAIN", "Gun_TEST"]) == {"Gun_TRAIN": "train", "Gun_TEST": "test"}
    assert splits_of(["sales", "sales_test"]) == {"sales": "train", "sales_test": "test"}
    assert splits_of(["train_images", "test_images"]) == {"train_images": "train", "test_images": "test"}
    assert splits_of(["train", "test", "train_labels"]) == {"train": "train", "test": "test"}
    assert splits_of(["january", "february", "train_timetable"]) == {}
    assert splits_of(["train_timetable", "test_of_time"]) == {}


def test_names_of_parts_that_somebody_has_named():
    assert of_mapping(["train", "test_matched"]) == {"train": "train", "test_matched": "test_matched"}
    assert of_mapping(["train", "unsupervised"]) == {"train": "train", "unsupervised": "unsupervised"}
    assert of_mapping(["full"]) == {"full": None}
    assert of_mapping(["de", "en"]) == {"de": None, "en": None}
    assert of_mapping(["train_a", "test_b"]) == {"train_a": "train_a", "test_b": "test_b"}


def test_names_of_arrays():
    assert [parted(n) for n in ("x_train", "train_x", "X-Test", "test", "x", "in_train_set")] == [
        ("train", "x"), ("train", "x"), ("test", "X"), ("test", "x"), (None, "x"), (None, "in_train_set"),
    ]  # fmt: skip


# --- pictures -----------------------------------------------------------------------------------------------------

PLAIN = ["train/cat*3", "train/dog*2", "test/cat*1", "test/dog*2"]
SPLIT = ({"train": 5, "test": 3}, ("cat", "dog"))


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        (["stray.png"], r"beside the folders \(1\)"),
        (["extra*4"], r"in extra/ \(4\)"),
        (["unlabelled/a*2", "unlabelled/b*1"], r"in unlabelled/ \(3\)"),
(["images*4", "stray.png"], r"in images/ \(4\), beside the folders \(1\)"),
        (["README.md"], None),
        (["labels.csv"], None),
        (["features.npy"], None),
        (["archive.tar"], None),
        ([".hidden*2"], None),
    ],
)
def test_split_folders_of_pictures_stay_splits(tmp_path, beside, said):
    assert looked_at(tree(tmp_path, [*PLAIN, *beside]), said) == SPLIT


@pytest.mark.parametrize(
    "names",
    [
        ["Train/cat*3", "Train/dog*2", "TEST/cat*1", "TEST/dog*2"],
        ["dataset/train/cat*3", "dataset/train/dog*2", "dataset/test/cat*1", "dataset/test/dog*2"],
        ["cat/train*3", "dog/train*2", "cat/test*1", "dog/test*2"],
        ["train/images/cat*3", "train/images/dog*2", "test/images/cat*1", "test/images/dog*2"],
        ["images/train/cat*3", "images/train/dog*2", "images/test/cat*1", "images/test/dog*2"],
        ["train_set/cat*3", "train_set/dog*2", "test1/cat*1", "test1/dog*2"],
        ["pets_train/cat*3", "pets_train/dog*2", "pets_test/cat*1", "pets_test/dog*2"],
        ["training/cat*3", "training/dog*2", "eval/cat*1", "evaluation/dog*2"],
    ],
)
def test_forms_of_split_folders(tmp_path, names):
    assert looked_at(tree(tmp_path, names)) == SPLIT


def test_pictures_in_splits_without_labels(tmp_path):
    assert looked_at(tree(tmp_path, ["train/images*3", "val/images*2"])) == ({"train": 3, "validation": 2}, ())
    assert looked_at(tree(tmp_path / "one", ["train*3", "dev*2"])) == ({"train": 3, "validation": 2}, ())


def test_folders_that_are_no_class(tmp_path):
    tiny = ["train/cat/images*3", "train/dog/images*2", "val/images*2"]
    table = read(tree(tmp_path / "tiny", tiny))
    assert table.label_names == ("cat", "dog")
    assert table.labels[table.splits["validation"]].tolist() == [-1, -1]
    assert looked_at(tree(tmp_path / "twice", ["train/train*3", "test1/test1*2"])) == ({"train": 3, "test": 2}, ())
    kinds = ["train/photos*3", "train/drawings*2", "test/photos*1", "test/drawings*2"]
    assert looked_at(tree(tmp_path / "kinds", kinds)) == ({"train": 5, "test": 3}, ("drawings", "photos"))


@pytest.mark.parametrize("beside", ["labels.csv", "features.npy", "archive.tar", "all.npz", "classes.json"])
def test_class_folders_of_pictures_come_before_other_files(tmp_path, beside):
    tree(tmp_path, ["cat*3", "dog*2", beside])
    assert looked_at(tmp_path) == (5, ("cat", "dog"))


def test_a_table_of_the_pictures_comes_before_their_folders(tmp_path):
    tree(tmp_path, ["cat*3", "dog*2"])
    rows = ["image,label", "cat/0.png,young", "cat/1.png,old", "dog/0.png,young"]
    (tmp_path / "ages.csv").write_text("\n".join(rows) + "\n")
    assert looked_at(tmp_path) == (3, ("old", "young"))


def test_one_test_folder_deep_inside_is_told(tmp_path):
    tree(tmp_path, ["cat/a*4", "dog/b*4", "dog/test*1"])
    assert looked_at(tmp_path, "Classes, not splits: dog/test/") == (9, ("cat/a", "dog/b", "dog/test"))


def test_a_wrapping_folder_with_others_beside(tmp_path):
    tree(tmp_path, ["data/train/cat*3", "data/train/dog*2", "data/test/cat*1", "data/test/dog*2", "raw*30", "x.png"])
    assert looked_at(tmp_path, r"in raw/ \(30\), beside the folders \(1\)") == SPLIT


def test_classes_that_are_called_like_splits(tmp_path):
    names = ["bus*3", "car*3", "train*2"]
    assert looked_at(tree(tmp_path, names), "train/") == (8, ("bus", "car", "train"))
    assert looked_at(tree(tmp_path / "v", ["valid*3", "invalid*3"]), "valid/") == (6, ("invalid", "valid"))
    assert looked_at(tree(tmp_path / "s", ["trainstation*3", "development*3"])) == (6, ("development", "trainstation"))
    both = [f"{top}/{name}" for top in ("train", "test") for name in names]
    assert looked_at(tree(tmp_path / "both", both)) == ({"train": 8, "test": 8}, ("bus", "car", "train"))
    classes = [f"{c}/{s}*1" for c in ("bus", "train") for s in ("train", "test")]
    assert looked_at(tree(tmp_path / "first", classes)) == ({"train": 2, "test": 2}, ("bus", "train"))


def test_test_pictures_are_never_trained_on(tmp_path):
    from nearfar.data.splits import plan

    tree(tmp_path, ["images*30", "test*4"])
    with pytest.warns(NearfarWarning, match=r"in images/ \(30\)"):
        table = read(tmp_path)
    with pytest.raises(UnknownName, match="'train'"):
        plan(table)


def test_names_that_may_mean_splits_are_told(tmp_path):
    names = ["train_cleaned*3", "test_raw*2"]
    assert looked_at(tree(tmp_path, names), "Classes, not splits: test_raw/, train_cleaned/")[0] == 5


# --- tables, texts, arrays, archives ------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".csv", ".txt", ".npz", ".npy", ".tar"])
@pytest.mark.parametrize(
    "names",
    [
        ["train", "test"],
        ["Training", "TEST"],
        ["train-00000-of-00001", "test.part1"],
        ["train/part-0", "test/part-0"],
        ["dataset/train", "dataset/test"],
        ["dataset/train/a", "dataset/test/a"],
        ["mine_train", "mine_test"],
        ["mine", "mine_test"],
    ],
)
def test_splits_of_other_files(tmp_path, ending, names):
    tree(tmp_path, [n + ending for n in names])
    assert looked_at(tmp_path)[0] == {"train": 3, "test": 3}


@pytest.mark.parametrize("ending", [".csv", ".npz", ".tar"])
def test_the_word_of_a_split_in_a_longer_name(tmp_path, ending):
    tree(tmp_path, [n + ending for n in ("january", "february", "train_timetable")])
    assert looked_at(tmp_path)[0] == 9


def test_several_files_of_a_split_are_joined(tmp_path):
    tree(tmp_path, ["train_1.csv", "train_2.csv", "test/a.csv", "test/b.csv", "dev.csv"])
    assert looked_at(tmp_path)[0] == {"test": 6, "train": 6, "validation": 3}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["train.csv", "test.csv", "january.csv"], r"january\.csv \(3 rows\); only what is named after a split"),
        (["train.txt", "test.txt", "notes.txt"], r"notes\.txt \(3 rows\)"),
        (["train.npz", "test.npz", "a.npz"], r"a\.npz \(3 rows\)"),
        (["train.tar", "test.tar", "a.tar"], r"a\.tar \(3 rows\)"),
        (["train/a.csv", "test/a.csv", "more/a.csv", "b.csv"], r"b\.csv \(3 rows\), more/a\.csv \(3 rows\)"),
        (["train.csv", "test.csv", "test.txt"], r"test\.txt \(3 rows\)"),
        (["train.csv", "test.csv", "pictures*4"], "4 pictures"),
        (["train.csv", "test.csv", "train_labels.csv"], r"train_labels\.csv \(3 rows\)"),
    ],
)
def test_files_that_are_left_out_are_counted(tmp_path, names, said):
    assert looked_at(tree(tmp_path, names), said)[0] == {"train": 3, "test": 3}


def test_files_of_a_folder_that_are_no_splits(tmp_path):
    assert looked_at(tree(tmp_path, ["a.csv", "b.csv", "old/c.csv"]), r"Left out: old/c\.csv \(3 rows\)")[0] == 6
    assert looked_at(tree(tmp_path / "d", ["train_cleaned.csv", "test_raw.csv"]), "No splits: test_raw.csv")[0] == 6
    assert looked_at(tree(tmp_path / "e", ["test.csv"]))[0] == {"test": 3}
    with pytest.raises(DataError, match=r"pos/.*labels"):
        read(tree(tmp_path / "f", ["train/pos/1.txt", "train/neg/2.txt", "test/pos/1.txt"]))


def test_what_a_table_names_is_not_left_out(tmp_path):
    tree(tmp_path, ["store*6"])
    for split, rows in (("train", range(4)), ("test", range(4, 6))):
        (tmp_path / f"{split}.csv").write_text("\n".join(["image", *(f"store/{i}.png" for i in rows)]) + "\n")
    assert looked_at(tmp_path)[0] == {"train": 4, "test": 2}


def test_lists_of_splits_beside_pictures_are_told_and_programs_are_not(tmp_path):
    tree(tmp_path, ["cat*3", "dog*3", "train.txt"])
    (tmp_path / "test.py").write_text("pass")
    assert looked_at(tmp_path, r"Left out: train\.txt \(3 rows\)\.") == (6, ("cat", "dog"))


def test_one_name_with_a_word_of_a_split_is_noted(tmp_path):
    table = read(tree(tmp_path, ["january.csv", "train_timetable.csv"]))
    assert [n for n in table.source["notes"] if n.startswith("No splits: train_timetable.csv, read as one set")]


def test_patterns_of_files(tmp_path):
    tree(tmp_path, [f"{s}/{i}.csv" for s in ("train", "test") for i in "ab"] + ["test/c/d.csv"])
    assert looked_at(f"{tmp_path}/{{train,test}}/*.csv")[0] == {"train": 6, "test": 6}
    assert looked_at(f"{tmp_path}/test/*.csv")[0] == 6  # what the pattern does not vary says nothing
    tree(tmp_path / "months", ["january.csv", "test.csv", "train.csv"])
    assert looked_at(f"{tmp_path}/months/*.csv", r"january\.csv \(3 rows\)")[0] == {"test": 3, "train": 3}
    said = "3 rows that no split is named for .january.csv"
    assert looked_at(f"{tmp_path}/months/{{january,test}}.csv", said)[0] == {"train": 3, "test": 3}


def test_a_broken_link_among_what_a_pattern_names(tmp_path):
    tree(tmp_path, ["cat*12", "dog*3"])
    (tmp_path / "cat" / "z.png").symlink_to(tmp_path / "nowhere.png")
    table = read(f"{tmp_path}/cat/*.png")
    assert len(table) == 12 and [(s.name, s.reason) for s in table.skipped] == [("z.png", "is missing")]
    with pytest.raises(DataError, match=r"bird/\*\.png: there is no such file"):
        read(f"{tmp_path}/{{cat,bird}}/*.png")


def test_arrays_in_one_file(tmp_path):
    x = np.random.default_rng(0).normal(size=(4, 3))
    np.savez(tmp_path / "a.npz", train_x=x, train_y=np.arange(4) % 2, test_x=x[:2], test_y=np.arange(2))
    assert looked_at(tmp_path / "a.npz") == ({"train": 4, "test": 2}, ("0", "1"))
    np.savez(tmp_path / "b.npz", train=x, test=x[:2])
    assert looked_at(tmp_path / "b.npz")[0] == {"train": 4, "test": 2}
    for name in ("x_train", "x_test"):
        np.save(tmp_path / f"{name}.npy", x)
    (tmp_path / "a.npz").unlink(), (tmp_path / "b.npz").unlink()
    assert looked_at(tmp_path)[0] == {"test": 4, "train": 4}


def test_folders_in_an_archive(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for i, name in enumerate(["Train/cat/1", "Train/dog/2", "test/cat/3", "extra/4", "stray"]):
            info = tarfile.TarInfo(f"set/{name}.png")
            info.size = len(png(i))
            tar.addfile(info, io.BytesIO(png(i)))
    said = r"rows of x\.tar in set/extra/ \(1\), in set/ \(1\)"
    assert looked_at(tmp_path / "x.tar", said) == ({"train": 2, "test": 1}, ("cat", "dog"))


# --- columns ------------------------------------------------------------------------------------------------------


def column(folder, values, name="split"):
    """A table with a column of these values."""
    folder.mkdir(exist_ok=True)
    rows = [f"this is row {i},{v}" for i, v in enumerate(values)]
    (folder / "x.csv").write_text("\n".join([f"text,{name}", *rows]) + "\n")
    return folder / "x.csv"


@pytest.mark.parametrize(
    ("values", "splits"),
    [
        (["train"] * 5 + ["test"] * 3, {"train": 5, "test": 3}),
        (["TRAIN "] * 5 + [" Test"] * 3, {"train": 5, "test": 3}),
        (["Training set"] * 5 + ["Test set"] * 3, {"train": 5, "test": 3}),
        (["train"] * 5 + ["dev"] * 2 + ["unlabelled"] * 3, {"train": 5, "validation": 2, "unlabelled": 3}),
        (["train"] * 200 + ["extra"] * 3 + ["test"] * 2, {"train": 200, "extra": 3, "test": 2}),
        (["a"] * 5 + ["b"] * 3, 8),
        (["train_timetable"] * 5 + ["summer"] * 3, 8),
    ],
)
def test_a_column_of_splits(tmp_path, values, splits):
    assert looked_at(column(tmp_path, values))[0] == splits


def test_rows_without_a_split_in_the_column(tmp_path):
    file = column(tmp_path, ["train"] * 5 + [""] * 2 + ["test"] * 3, "Partition")
    assert looked_at(file, "2 rows have no split in the column 'Partition'")[0] == {"train": 5, "test": 3}


def test_files_say_more_than_a_column(tmp_path):
    column(tmp_path / "train", ["train"] * 5)
    column(tmp_path / "test", ["train"] * 2 + ["test"])
    assert looked_at(tmp_path, "2 rows have another in the column 'split'")[0] == {"train": 5, "test": 3}


def test_rows_without_a_score_are_counted(tmp_path):
    rows = [f"this is text {i},and this one {i},{v}" for i, v in enumerate(["0.5", "", "0.25", "", "1"])]
    (tmp_path / "x.csv").write_text("\n".join(["a,b,score", *rows]) + "\n")
    with pytest.warns(NearfarWarning, match=r"Scores: none in 2 of 5 rows \(x\.csv:2, x\.csv:4\)"):
        table = read(tmp_path / "x.csv", column=("a", "b"), score="score")
    assert np.nan_to_num(table.scores, nan=-1).tolist() == [0.5, -1, 0.25, -1, 1]


# --- what is no plain file, and names that are no text ------------------------------------------------------------


def test_links_are_followed_and_loops_cut(tmp_path):
    tree(tmp_path / "store", ["cat*3", "dog*2", "other*1"])
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat").symlink_to(tmp_path / "store" / "cat")
    (tmp_path / "photos" / "dog").symlink_to(tmp_path / "store" / "dog")
    (tmp_path / "photos" / "dog" / "all").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "cat" / "itself").symlink_to(tmp_path / "store" / "cat")
    (tmp_path / "photos" / "dog" / "linked.png").symlink_to(tmp_path / "store" / "other" / "0.png")
    table = read(tmp_path / "photos")
    counts = dict(zip(table.label_names, np.bincount(table.labels), strict=True))
    assert counts["cat"] == 3 and counts["dog"] == 3
    assert len(table) < 20  # each folder at most once on every way
    (tmp_path / "photos" / "dog" / "all").unlink()
    assert len(read(tmp_path / "photos")) == 6


def test_a_maze_of_links_ends(tmp_path):
    folders = [tmp_path / f"f{i}" for i in range(5)]
    for folder in folders:
        folder.mkdir()
        (folder / "x.png").write_bytes(png(1))
    for a in folders:
        for b in folders:
            (a / f"to-{b.name}").symlink_to(b)
    assert len(read(tmp_path)) == 5 * (1 + 4 + 4 * 3 + 4 * 3 * 2 + 4 * 3 * 2)


@pytest.mark.parametrize("kind", ["dangling", "loop", "pipe", "socket", "device"])
def test_what_is_no_file_is_a_bad_row_and_no_more(tmp_path, kind):
    import socket

    tree(tmp_path, ["cat*15", "dog*15"])
    odd = tmp_path / "cat" / "odd.png"
    if kind == "pipe":
        os.mkfifo(odd)
    elif kind == "socket":
        here = socket.socket(socket.AF_UNIX)
        os.chdir(odd.parent)
        here.bind("odd.png")
    else:
        odd.symlink_to({"dangling": tmp_path / ".gone.png", "loop": odd, "device": "/dev/zero"}[kind])
    table = read(tmp_path)
    assert len(table) == 30
    assert [s.name for s in table.skipped] == ["cat/odd.png"]
    assert {"dangling": "missing", "loop": "link"}.get(kind, "no file") in table.skipped[0].reason
    again = read(tmp_path)  # from the cache
    assert again.fingerprint == table.fingerprint and again.skipped == table.skipped
    if kind == "dangling":
        (tmp_path / ".gone.png").write_bytes(png(99))
        assert len(read(tmp_path)) == 31


def test_one_bad_row_of_ten_is_skipped_and_of_nine_an_error(tmp_path):
    tree(tmp_path, ["cat*9"])
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert [s.name for s in read(tmp_path).skipped] == ["gone.png"]
    (tmp_path / "cat" / "0.png").unlink()
    with pytest.raises(DataError, match="1 of 9 rows cannot be read"):
        read(tmp_path)
    (tmp_path / "also.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match="2 of 10 rows cannot be read"):
        read(tmp_path)


def test_a_pipe_among_tables_is_not_waited_for(tmp_path):
    tree(tmp_path, ["a.csv"])
    os.mkfifo(tmp_path / "b.csv")
    assert looked_at(tmp_path, r"b\.csv \(no plain file\)")[0] == 3


def test_a_folder_that_cannot_be_opened_and_a_link_to_nowhere_are_said(tmp_path, monkeypatch):
    tree(tmp_path, ["cat*3", "dog*3", "secret*3"])
    real = os.scandir

    def scandir(path):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert looked_at(tmp_path, r"secret, which cannot be opened \(Permission denied\)")[0] == 6
    monkeypatch.undo()
    (tmp_path / "bird").symlink_to(tmp_path / "nowhere")
    assert looked_at(tmp_path, "bird, links that lead nowhere")[0] == 9


def test_names_that_can_be_shown():
    assert printable("Käse 猫 a b.png") == "Käse 猫 a b.png"
    assert printable(os.fsdecode(b"caf\xe9.png")) == "caf\\xe9.png"
    assert printable("a\x1b[31m\n\ud800") == "a\\x1b[31m\\n\\ud800"
