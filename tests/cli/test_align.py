"""`nearfar align`: rows of numbers, pictures, and texts with a model that stands in for one of text."""

import json

import numpy as np
import pytest

from nearfar.core.errors import DataError
from nearfar.models import loading
from nearfar.training import train

KNOBS = {
    "epochs": 1, "batch_size": 32, "projector": {"hidden": 16, "out": 8}, "holdout": 0.0, "precision": "fp32",
    "threads": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(64, 12)).astype(np.float32)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory, rows):
    """A run on rows of numbers."""
    folder = tmp_path_factory.mktemp("numbers")
    np.save(folder / "rows.npy", rows)
    train.train(str(folder / "rows.npy"), out=folder / "run", **KNOBS)
    return folder / "run"


def test_rows_of_numbers(command, numbers, rows, tmp_path):
    np.save(tmp_path / "a.npy", rows)
    np.save(tmp_path / "b.npy", np.delete(rows, [5, 40, 41], 0))
    out = tmp_path / "pairs.tsv"
    code, said, err = command(
        "align", tmp_path / "a.npy", tmp_path / "b.npy", "--run", numbers, "--skip", "0.1", "--out", out, "--json"
    )
    assert code == 0, err
    found = json.loads(said)
    assert found["counts"] == {"joined": 61, "left_skipped": 3, "right_skipped": 0}
    left = [m["left"] for m in found["matches"]]
    assert left == [[k] for k in range(1, 65)]  # counted from 1
    assert [m["left"][0] for m in found["matches"] if not m["right"]] == [6, 41, 42]
    assert "61 matches; left out are 3 rows" in err
    lines = [line.split("\t") for line in out.read_text().splitlines()]
    assert lines[0] == ["left", "right", "score", "left_text", "right_text"]
    assert [line[0] for line in lines[1:]] == [str(k) for k in range(1, 65)]
    assert lines[6][:3] == ["6", "", "0.0000"]
    assert lines[7][:3] == ["7", "6", "1.0000"]
    assert lines[7][3].startswith("a.npy")


def test_the_screen_shows_the_first_matches(command, numbers, rows, tmp_path):
    np.save(tmp_path / "a.npy", rows)
    code, said, err = command("align", tmp_path / "a.npy", tmp_path / "a.npy", "--run", numbers)
    assert code == 0, err
    assert said == ""
    assert "… and 44 more; --out writes all." in err
    assert len(err.splitlines()) == 22


def test_folders_of_pictures(command, pictures, tiny, tmp_path):
    tiny |= {"epochs": 1, "batch_size": 8}
    train.train(str(pictures), out=tmp_path / "run", size=16, **tiny)
    code, said, err = command(
        "align", pictures / "red", pictures / "red", "--run", tmp_path / "run", "--most", 1, "--json"
    )
    assert code == 0, err
    assert [(m["left"], m["right"]) for m in json.loads(said)["matches"]] == [([k], [k]) for k in range(1, 13)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--columns", "en", "de"], "there is no column named 'en'"),
        (["--skip", "dear"], "'dear' is not the cost of a skip"),
        (["--most", "0"], "--most"),
    ],
)
def test_what_cannot_be(command, numbers, options, said, tmp_path):
    code, _, err = command("align", "a.npy", "b.npy", "--run", numbers, *options)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


class Words:
    """Stands in for a model of two columns of text: the words of both languages that mean the same."""

    columns = {"en": ("text", {}), "de": ("text", {})}
    meaning = {
        "dog": 0,
        "hund": 0,
        "cat": 1,
        "katze": 1,
        "house": 2,
        "haus": 2,
        "sun": 3,
        "sonne": 3,
        "tree": 4,
        "baum": 4,
    }

    def __init__(self):
        self.asked = []

    def encode(self, texts, *, column, console=None):
        self.asked.append((column, list(texts)))
        z = np.zeros((len(texts), 5), np.float32)
        for row, text in zip(z, texts):
            for word in text.lower().split():
                row[self.meaning[word]] = 1
        return z / np.linalg.norm(z, axis=1, keepdims=True)


@pytest.fixture
def words(monkeypatch):
    model = Words()
    monkeypatch.setattr(loading, "load", lambda run, device, **_: model)
    return model


@pytest.fixture
def texts(tmp_path):
    (tmp_path / "a.txt").write_text("\ufeffdog\n\ncat house\r\nsun\ntree\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("nr,de\n1,Hund\n2,Katze\n3,Haus\n4,Baum\n")
    return tmp_path / "a.txt", tmp_path / "b.csv"


def test_texts_are_joined_and_encoded(command, words, texts, tmp_path):
    out = tmp_path / "pairs.tsv"
    args = ["align", *texts, "--run", "run", "--most", 2, "--out", out]
    code, _, err = command(*args, "--columns", "en", "de", "--encode")
    assert code == 0, err
    assert out.read_text().splitlines()[1:] == [
        "1\t1\t1.0000\tdog\tHund",
        "3\t2,3\t1.0000\tcat house\tKatze Haus",
        "4\t\t0.0000\tsun\t",
        "5\t4\t1.0000\ttree\tBaum",
    ]
    assert words.asked == [
        ("en", ["dog", "cat house", "sun", "tree"]),
        ("de", ["Hund", "Katze", "Haus", "Baum"]),
        ("en", ["dog cat house", "cat house sun", "sun tree"]),
        ("de", ["Hund Katze", "Katze Haus", "Haus Baum"]),
    ]
    before, words.asked = out.read_text(), []
    assert command(*args, "--columns", "en", "de")[0] == 0
    assert out.read_text() == before
    assert len(words.asked) == 2


def test_texts_that_are_not_there(command, words, texts, tmp_path):
    code, _, err = command("align", *texts, "--run", "run")
    assert code == 2
    assert "the model has the columns en, de. Name those of A and B: --columns en de." in err
    code, _, err = command("align", texts[0], tmp_path / "c.txt", "--run", "run", "--columns", "en", "de")
    assert code == 2
    assert "there is no such file" in err
    code, _, err = command("align", texts[1], texts[0], "--run", "run", "--columns", "en", "de")
    assert code == 2
    assert "there is no column named 'en'" in err
    (tmp_path / "c.txt").write_bytes(b"\xff\xfe\x00")
    code, _, err = command("align", texts[0], tmp_path / "c.txt", "--run", "run", "--columns", "en", "de")
    assert (code, "UTF-8" in err) == (DataError.exit_code, True)
    (tmp_path / "c.txt").write_text("\n \n")
    code, _, err = command("align", texts[0], tmp_path / "c.txt", "--run", "run", "--columns", "en", "de")
    assert (code, "there are no rows" in err) == (DataError.exit_code, True)
