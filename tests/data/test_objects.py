"""Objects from Python: what each is taken for, row by row as docs/data.md lists them; all else is refused in words."""

import array
import collections
import io
import itertools

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

import nearfar
from nearfar.core.errors import DataError, NearfarWarning
from nearfar.data.read import read

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
datasets = pytest.importorskip("datasets")

DRAW = np.random.default_rng(0)
TEXTS = ["the film was good", "the film was bad", "too long by half", "go and see it"]
GERMAN = ["der Film war gut", "der Film war schlecht", "viel zu lang", "geht hin"]
CLASSES = ["good", "bad", "bad", "good"]
ROWS = DRAW.normal(size=(4, 3))
ARRAYS = [DRAW.integers(0, 256, (16 + i, 20, 3), dtype=np.uint8) for i in range(4)]  # of unequal size
PICTURES = [Image.fromarray(a) for a in ARRAYS]
Named = collections.namedtuple("Named", "text label")


def png(picture=PICTURES[0]):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def objects(values):
    made = np.empty(len(values), object)
    made[:] = values
    return made


class Items(torch.utils.data.Dataset):
    classes = ["cat", "dog"]

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return PICTURES[i], i % 2


class Endless(torch.utils.data.Dataset):
    def __getitem__(self, i):
        return PICTURES[0]


class Broken(Items):
    def __getitem__(self, i):
        return 1 / 0


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return zip(TEXTS, (0, 1, 1, 0), strict=True)


LABELLED = datasets.Dataset.from_dict(
    {"text": TEXTS, "label": [1, 0, 0, 1]},
    features=datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=["bad", "good"])),
)

# --- what holds texts ---------------------------------------------------------------------------------------------

OF_TEXTS = {
    "list": lambda: TEXTS,
    "tuple": lambda: tuple(TEXTS),
    "generator": lambda: (t for t in TEXTS),
    "map": lambda: map(str, TEXTS),
    "deque": lambda: collections.deque(TEXTS),
    "keys of a dict": lambda: dict.fromkeys(TEXTS).keys(),
    "array of strings": lambda: np.array(TEXTS),
    "array of objects": lambda: objects(TEXTS),
    "pandas Series": lambda: pd.Series(TEXTS, index=[7, 3, 5, 1]),
    "pandas Series of objects": lambda: pd.Series(TEXTS, dtype=object),
    "pandas categorical": lambda: pd.Series(TEXTS, dtype="category"),
    "pandas DataFrame": lambda: pd.DataFrame({"text": TEXTS}),
    "polars Series": lambda: pl.Series(TEXTS),
    "polars DataFrame": lambda: pl.DataFrame({"text": TEXTS}),
    "polars LazyFrame": lambda: pl.LazyFrame({"text": TEXTS}),
    "pyarrow Array": lambda: pa.array(TEXTS),
    "pyarrow ChunkedArray": lambda: pa.chunked_array([TEXTS[:2], TEXTS[2:]]),
    "pyarrow Table": lambda: pa.table({"text": TEXTS}),
    "pyarrow RecordBatch": lambda: pa.RecordBatch.from_pydict({"text": TEXTS}),
    "pyarrow RecordBatchReader": lambda: pa.table({"text": TEXTS}).to_reader(),
    "datasets Column": lambda: LABELLED["text"],
    "datasets Dataset": lambda: LABELLED,
    "datasets IterableDataset": lambda: LABELLED.to_iterable_dataset(),
    "dict": lambda: {"text": TEXTS},
    "dict of generators": lambda: {"text": (t for t in TEXTS)},
    "list of dicts": lambda: [{"text": t} for t in TEXTS],
    "texts, labels": lambda: (TEXTS, CLASSES),
    "array of one column": lambda: np.array(TEXTS, object)[:, None],
    "namedtuples": lambda: [Named(*row) for row in zip(TEXTS, CLASSES, strict=True)],
    "(text, number)": lambda: list(zip(TEXTS, (0, 1, 1, 0), strict=True)),
    "IterableDataset of torch": Stream,
}


@pytest.mark.parametrize("what", OF_TEXTS)
def test_texts(what):
    table = read(OF_TEXTS[what]())
    assert table.kinds == {next(iter(table.columns)): table.kinds[next(iter(table.columns))]}
    assert (table.first.modality, list(table.first.cells)) == ("text", TEXTS)


MISSING = {
    "None": lambda: [*TEXTS, None],
    "array of objects with NaN": lambda: objects([*TEXTS, np.nan]),
    "pandas NA": lambda: pd.Series([*TEXTS, pd.NA]),
    "pandas NaT": lambda: pd.Series([*TEXTS, pd.NaT], dtype=object),
    "pandas DataFrame": lambda: pd.DataFrame({"text": [*TEXTS, None]}),
    "polars": lambda: pl.Series([*TEXTS, None]),
    "pyarrow": lambda: pa.array([*TEXTS, None]),
    "masked array": lambda: np.ma.masked_array([*TEXTS, "x"], [0] * 4 + [1]),
    "list of dicts": lambda: [*({"text": t} for t in TEXTS), {}],
}


@pytest.mark.parametrize("what", MISSING)
def test_a_missing_text_is_an_empty_cell(what):
    table = read(MISSING[what](), max_bad=0.5)
    assert list(table.first.cells) == TEXTS
    assert [s.reason for s in table.skipped] == ["is empty"]


def test_words_for_missing_are_texts():
    words = ["NA", "null", "nan", "None"]
    for source in (words, objects(words), pd.Series(words), pl.Series(words), pa.array(words)):
        assert list(read(source, modality="text").first.cells) == words


# --- what holds pictures ------------------------------------------------------------------------------------------

OF_PICTURES = {
    "pictures": lambda: PICTURES,
    "arrays of unequal size": lambda: ARRAYS,
    "tensors of unequal size": lambda: [torch.tensor(a).permute(2, 0, 1) for a in ARRAYS],
    "bytes": lambda: [png(p) for p in PICTURES],
    "open buffers": lambda: [io.BytesIO(png(p)) for p in PICTURES],
    "generator": lambda: iter(PICTURES),
    "array of objects": lambda: objects(PICTURES),
    "array of arrays": lambda: objects(ARRAYS),
    "pandas Series": lambda: pd.Series(PICTURES),
    "pandas DataFrame": lambda: pd.DataFrame({"photo": PICTURES, "label": CLASSES}),
    "polars DataFrame": lambda: pl.DataFrame({"photo": pl.Series(PICTURES, dtype=pl.Object), "label": CLASSES}),
    "datasets": lambda: datasets.Dataset.from_dict(
        {"image": PICTURES}, features=datasets.Features(image=datasets.Image())
    ),
    "datasets Column": lambda: datasets.Dataset.from_dict(
        {"image": PICTURES}, features=datasets.Features(image=datasets.Image())
    )["image"],
    "pictures, labels": lambda: (PICTURES, CLASSES),
    "arrays, labels": lambda: (ARRAYS, np.array(CLASSES)),
    "data set of torch": Items,
    "(picture, number)": lambda: [(p, i % 2) for i, p in enumerate(PICTURES)],
    "dict": lambda: {"photo": ARRAYS, "label": CLASSES},
}


@pytest.mark.parametrize("what", OF_PICTURES)
def test_pictures(what):
    column = read(OF_PICTURES[what](), size=16).first
    assert column.modality == "image"
    np.testing.assert_array_equal(column.values, read(PICTURES, size=16).first.values)
    assert column.geometry.tolist() == [[16 + i, 20] for i in range(4)]


def test_paths_of_pictures(pictures):
    files = sorted((pictures / "red").iterdir())
    right = read(pictures / "red").first.values
    for source in (files, list(map(str, files)), tuple(files), pd.Series(list(map(str, files))), iter(files)):
        np.testing.assert_array_equal(read(source).first.values, right)
    assert len(read(files[0])) == len(read(str(files[0]))) == 1
    some_missing = [*map(str, files), "notes.txt"]  # most are named as pictures: paths, as in a table
    table = read(some_missing, max_bad=0.5)
    assert [s.reason for s in table.skipped] == ["is missing"]


def test_an_image_folder_is_its_files_and_classes(pictures):
    torchvision = pytest.importorskip("torchvision")
    right, found = read(pictures), torchvision.datasets.ImageFolder(pictures)
    got = read(found)
    np.testing.assert_array_equal(got.first.values, right.first.values)
    assert (got.labels.tolist(), got.label_names) == (right.labels.tolist(), ("blue", "red"))
    some = read(torch.utils.data.Subset(found, [0, 13, 2]))
    assert (some.labels.tolist(), some.label_names) == ([0, 1, 0], ("blue", "red"))
    turned = torchvision.datasets.ImageFolder(pictures, target_transform=lambda y: 1 - y)
    assert read(turned).labels.tolist() == (1 - right.labels).tolist()


# --- what holds numbers -------------------------------------------------------------------------------------------

OF_ROWS = {
    "array": lambda: ROWS,
    "lists": lambda: ROWS.tolist(),
    "tuples": lambda: list(map(tuple, ROWS.tolist())),
    "list of arrays": lambda: list(ROWS),
    "array of objects": lambda: ROWS.astype(object),
    "tensor": lambda: torch.tensor(ROWS, requires_grad=True),
    "generator": lambda: iter(ROWS),
    "masked array": lambda: np.ma.masked_array(ROWS, np.zeros_like(ROWS)),
    "structured array": lambda: np.array(list(map(tuple, ROWS)), [("a", "f8"), ("b", "f8"), ("c", "f8")]),
    "pandas": lambda: pd.DataFrame(ROWS),
    "rows of pandas": lambda: [row for _, row in pd.DataFrame(ROWS, columns=["a", "b", "c"]).iterrows()],
    "named tuples": lambda: list(pd.DataFrame(ROWS, columns=["a", "b", "c"]).itertuples(index=False)),
    "sparse columns of pandas": lambda: pd.DataFrame(ROWS).astype(pd.SparseDtype(float, 0.0)),
    "polars": lambda: pl.DataFrame(ROWS),
    "dict": lambda: {"x": ROWS, "y": [0, 1, 1, 0]},
    "rows, labels": lambda: (ROWS, CLASSES),
    "DataFrame, Series": lambda: (pd.DataFrame(ROWS), pd.Series(CLASSES)),
    "data set of torch": lambda: torch.utils.data.TensorDataset(torch.tensor(ROWS), torch.tensor([0, 1, 1, 0])),
    "data set of rows alone": lambda: torch.utils.data.TensorDataset(torch.tensor(ROWS)),
}


@pytest.mark.parametrize("what", OF_ROWS)
def test_rows_of_numbers(what):
    column = read(OF_ROWS[what]()).first
    assert column.modality == "vector"
    np.testing.assert_allclose(column.values, (ROWS - ROWS.mean(0)) / ROWS.std(0), rtol=1e-5)


def test_half_precision_and_masked_numbers():
    assert read(torch.tensor(ROWS).bfloat16()).first.values.shape == (4, 3)
    masked = read(np.ma.masked_array(ROWS, ROWS[1, 2] == ROWS)).first.values
    assert masked[1, 2] == 0  # missing: the mean
    assert read(range(5)).first.values.shape == read(array.array("d", range(5))).first.values.shape == (5, 1)


def test_rows_are_found_by_the_names_that_they_have():
    frame = pd.DataFrame(ROWS, columns=["a", "b", "c"])
    known, mixed = read(frame), frame[["c", "a", "b"]]
    again = {"modality": "vector", "spec": known.first.spec}
    for rows in ([row for _, row in mixed.iterrows()], list(mixed.itertuples(index=False))):
        np.testing.assert_array_equal(read(rows, **again).first.values, known.first.values)
    np.testing.assert_array_equal(read(mixed.iloc[2], **again).first.values, known.first.values[2:3])
    with pytest.raises(DataError, match="no column 'a'"):
        read([row for _, row in mixed.rename(columns={"a": "z"}).iterrows()], **again)
    with pytest.warns(NearfarWarning, match="Index"):
        read(list(mixed.itertuples()), **again)


def test_truths_are_rows_of_numbers():
    truths = ROWS > 0
    right = truths - truths.mean(0)
    np.testing.assert_allclose(read(truths).first.values, right / right.std(0), rtol=1e-5)


def test_tiny_and_huge_numbers():
    right = (ROWS - ROWS.mean(0)) / ROWS.std(0)
    for scale in (1e-200, 1e-20, 1e20, 1e200):
        np.testing.assert_allclose(read(ROWS * scale).first.values, right, rtol=1e-5)
    with pytest.raises(DataError, match="one scale"):
        read(np.array([[1.7e308]] * 3 + [[-1.7e308]] * 3))
    known = read(ROWS).first.spec
    with pytest.raises(DataError, match="too far"):
        read(ROWS * np.array([[1], [1], [1e300], [1]]), modality="vector", spec=known, max_bad=0.0)


def test_numbers_that_are_measured_are_no_classes():
    rows, y = DRAW.normal(size=(60, 3)), DRAW.normal(size=60)
    with pytest.raises(DataError, match=r"supcon learns from labels.*measured"):
        nearfar.train((rows, y), method="supcon", quiet=True)
    with pytest.raises(DataError, match="label '1'"):
        nearfar.train((rows, [1] * 60), method="supcon", quiet=True)
    with pytest.raises(DataError, match="one class"):
        nearfar.train((rows, [1] * 30 + [None] * 30), method="supervised", quiet=True)


# --- labels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("y", [
    ["u", "v", None, "v"], np.array(["u", "v", "", "v"]), objects(["u", "v", np.nan, "v"]), pd.Series(["u", "v", pd.NA, "v"]),
    pd.Series(["u", "v", None, "v"], dtype="category"), pl.Series(["u", "v", None, "v"]), pa.array(["u", "v", None, "v"]),
    np.ma.masked_array(["u", "v", "w", "v"], [0, 0, 1, 0]), iter(["u", "v", None, "v"]),
])  # fmt: skip
def test_labels_beside_rows(y):
    table = read((ROWS, y))
    assert (table.labels.tolist(), table.label_names) == ([0, 1, -1, 1], ("u", "v"))


@pytest.mark.parametrize("y", [
    [0, 1, None, 1], np.array([0, 1, np.nan, 1]), torch.tensor([0.0, 1.0, torch.nan, 1.0]), objects([0, 1, None, 1]),
    pd.Series([0, 1, pd.NA, 1], dtype="Int64"), np.array([[0], [1], [np.nan], [1]]),
    np.ma.masked_array([0, 1, 7, 1], [0, 0, 1, 0]), pl.Series([0, 1, None, 1]),
])  # fmt: skip
def test_numbers_as_labels(y):
    table = read((ROWS, y))
    assert (table.labels.tolist(), table.label_names) == ([0, 1, -1, 1], ("0", "1"))


def test_labels_beyond_what_floats_tell_apart():
    table = read((ROWS, [2**53, 2**53 + 1, None, 2**53]))
    assert (table.labels.tolist(), table.label_names) == ([0, 1, -1, 0], (str(2**53), str(2**53 + 1)))


def test_class_names_of_data_sets():
    for source in (LABELLED, LABELLED.to_iterable_dataset()):
        table = read(source)
        assert (table.labels.tolist(), table.label_names) == ([1, 0, 0, 1], ("bad", "good"))
    for source in (Items(), torch.utils.data.Subset(Items(), range(4))):
        table = read(source)
        assert (table.labels.tolist(), table.label_names) == ([0, 1, 0, 1], ("cat", "dog"))


# --- pairs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [
    lambda: list(zip(TEXTS, GERMAN, strict=True)), lambda: zip(TEXTS, GERMAN, strict=True),
    lambda: pd.Series(list(zip(TEXTS, GERMAN, strict=True))), lambda: tuple(zip(TEXTS, GERMAN, strict=True)),
])  # fmt: skip
def test_tuples_of_two_are_pairs(source):
    table = read(source())
    assert {n: list(c.cells) for n, c in table.columns.items()} == {"a": TEXTS, "b": GERMAN}
    assert table.labels is None
    assert list(read(source(), column="b").first.cells) == GERMAN


def test_pairs_in_splits_and_of_single_words():
    pairs = [("dog", "Hund"), ("cat", "Katze"), ("cow", "Kuh")]
    table = read({"train": pairs, "test": pairs[:2]})
    assert list(table.columns) == ["a", "b"]
    assert [len(r) for r in table.splits.values()] == [3, 2]


def test_pairs_of_pictures_and_captions():
    table = read(list(zip(PICTURES, TEXTS, strict=True)))
    assert table.kinds == {"a": ("image", table.columns["a"].spec), "b": ("text", table.columns["b"].spec)}


def test_a_second_of_few_words_is_a_label():
    rows = list(zip(TEXTS, CLASSES, strict=True))
    with pytest.warns(NearfarWarning, match="label of the first"):
        table = read(rows)
    assert (list(table.columns), table.label_names, table.labels.tolist()) == (["a"], ("bad", "good"), [1, 0, 0, 1])
    with pytest.warns(NearfarWarning):
        assert list(read(rows, column=("a", "b")).columns) == ["a", "b"]


def test_three_texts_a_row_are_asked_about():
    rows = list(zip(TEXTS, GERMAN, TEXTS[::-1], strict=True))
    with pytest.raises(DataError, match="--column"):
        read(rows)
    table = read(rows, column=("a", "b"), negative=("c",))
    assert (list(table.columns), list(table.negatives)) == (["a", "b"], ["c"])


def test_scores_beside_pairs():
    rows = list(zip(TEXTS, GERMAN, (0.5, 1.0, None, 0.25), strict=True))
    with pytest.warns(NearfarWarning, match="Left out: c"):
        read(rows)
    with pytest.warns(NearfarWarning, match="none in 1 of 4 rows"):
        table = read(rows, score="c")
    assert list(table.columns) == ["a", "b"]
    np.testing.assert_array_equal(table.scores, [0.5, 1.0, np.nan, 0.25])


def test_two_lists_of_texts_are_no_labels():
    with pytest.raises(DataError, match="zip"):
        read((TEXTS, GERMAN))
    assert list(read(("a text", "another text")).first.cells) == ["a text", "another text"]


# --- what is refused ----------------------------------------------------------------------------------------------

REFUSED = {
    "set": (lambda: set(TEXTS), "no order"),
    "frozenset": (lambda: frozenset(TEXTS), "no order"),
    "None": (lambda: None, "NoneType"),
    "a number": (lambda: 3, "type int"),
    "a single value": (lambda: np.array(3.0), "single value"),
    "a tensor of one value": (lambda: torch.tensor(3.0), "single value"),
    "a function": (lambda: len, "builtin"),
    "an object": (object, "type object"),
    "objects": (lambda: [object()] * 4, "type object"),
    "dates": (lambda: np.array(["2020-01-01"] * 4, "datetime64[ns]"), "datetime"),
    "complex numbers": (lambda: ROWS.astype(complex), "complex"),
    "a cell of complex numbers": (lambda: [ROWS[0].astype(complex), None], "complex"),
    "numbers and texts": (lambda: np.array([[1, "a"], [2, "b"]], object), "expected numbers"),
    "texts in two columns": (lambda: np.array([["a b", "c d"]]), "expected numbers"),
    "sparse matrix": (lambda: pytest.importorskip("scipy.sparse").csr_matrix(ROWS), "toarray"),
    "sparse tensor": (lambda: torch.tensor(ROWS).to_sparse(), "dense"),
    "DataLoader": (lambda: torch.utils.data.DataLoader(Items()), "loader.dataset"),
    "data set without a length": (Endless, "without a length"),
    "data set that fails": (Broken, "ZeroDivisionError"),
    "open file": (lambda: io.StringIO("a b\nc d"), "path"),
    "one picture as an array": (lambda: np.zeros((40, 30, 3), np.uint8), "one picture"),
    "empty list": (list, "no rows"),
    "empty array": (lambda: np.zeros((0, 3)), "no rows"),
    "empty dict": (dict, "no columns"),
    "dict of one row": (lambda: {"text": "a b", "label": 1}, "one value a row"),
    "dict of dicts": (lambda: {"x": {"a": [1]}}, "one value a row"),
    "unequal columns": (lambda: {"a": [1, 2], "b": ["x y"]}, "different lengths"),
    "unequal tuples": (lambda: [("a", "b"), ("c",)], "one length"),
    "too few labels": (lambda: (ROWS, [0, 1]), "4 rows and 2 labels"),
    "labels as pictures": (lambda: (ROWS, np.zeros((4, 5, 5))), "shape"),
    "labels as one text": (lambda: (TEXTS, "good"), "type str"),
    "pictures as labels": (lambda: (PICTURES, PICTURES), "one a row"),
    "two tuples": (lambda: ((ROWS, CLASSES), (ROWS, CLASSES)), "splits"),
    "an unknown split": (lambda: {"train": (ROWS, CLASSES), "rest": (ROWS, CLASSES)}, "'rest'"),
    "columns of one name": (lambda: pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), "same name"),
    "ragged rows": (lambda: [[1.0, 2.0], [3.0]], "expected 2 numbers"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_all_else_is_refused_in_words(what):
    make, said = REFUSED[what]
    with pytest.raises(DataError, match=said):
        read(make())


def test_labels_as_columns_are_left_out_unless_they_are_named():
    with pytest.warns(NearfarWarning, match="'y' is left out: it holds several labels in a cell"):
        assert read((ROWS, np.eye(4))).labels is None
    with pytest.raises(DataError, match="several labels"):
        read((ROWS, np.eye(4)), label="y")


def test_no_name_at_all():
    with pytest.raises(DataError, match="no data were named"):
        read("")
    with pytest.raises(DataError, match="no such file"):
        read("x" * 5000)


def test_an_iterator_is_read_once():
    from nearfar.data.objects import settled

    numbers = itertools.count()
    assert settled(itertools.islice(numbers, 3)) == [0, 1, 2]
    assert settled(TEXTS) is TEXTS
