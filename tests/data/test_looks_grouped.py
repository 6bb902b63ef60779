"""Names that look as if rows belonged together are pointed out with the option to type; others are not."""

import re

import numpy as np
import pytest

from nearfar.data.looks_grouped import hint
from nearfar.data.readers.raw import Raw

DRAW = np.random.default_rng(0)


def said(names, classes=None, splits=None):
    labels = None if classes is None else np.unique(classes, return_inverse=True)[1].astype(np.int64)
    return hint(Raw({"image": [0] * len(names)}, names), labels, splits or {})


TRACKS = [(c, t, f) for c in range(3) for t in range(5) for f in range(12)]
GROUPED = {
    "tracks": ([f"{c:05d}/{t:05d}_{f:05d}.png" for c, t, f in TRACKS], [c for c, *_ in TRACKS], 15),
    "clips": ([f"clip{t}/frame_{f:04d}.png" for t in range(40) for f in range(9)], None, 40),
    "clips with classes": ([f"clip{t}/frame_{f}.png" for t in range(9) for f in range(9)], np.arange(81) // 9 % 2, 9),
    "copies": (
        [f"cat{c}/{t}{a}.png" for c in range(3) for t in range(9) for a in ("", "_aug1", "_aug2")],
        np.arange(81) // 27, 27,
    ),
    "crops": ([f"IMG_{t}_crop{a}.png" for t in range(50) for a in range(3)], None, 50),
    "patients": (
        [f"{c}/patient{p:02d}-slice{s}.png" for c in range(3) for p in range(6) for s in range(4)],
        np.arange(72) // 24, 6,
    ),
    "subjects": ([f"sub-{p:02d}_{s}.png" for p in range(8) for s in range(20)], DRAW.integers(0, 2, 160), 8),
    "speakers": ([f"{w}/{n}-{i:02d}.wav" for w in "ab" for n in ("eve", "bob", "cy") for i in range(9)],
                 np.arange(54) // 27, 6),
    "eyes": ([f"{p}_{s}.jpeg" for p in range(60) for s in ("left", "right")], np.arange(120) // 2 % 5, 60),
}  # fmt: skip

NUMBERS = [(c, i) for c in range(3) for i in range(90)]
OF_CLASS = np.arange(270) // 90
SINGLE = {
    "numbers": ([f"{c}/{i:05d}.png" for c, i in NUMBERS], OF_CLASS),
    "numbers alone": ([f"{i:05d}.png" for i in range(270)], None),
    "class and number": ([f"{c}_{i:05d}.png" for c, i in NUMBERS], OF_CLASS),
    "number and class": ([f"{i * 3 + c:05d}_{c}.png" for c, i in NUMBERS], OF_CLASS),
    "class twice": ([f"n{c:08d}/n{c:08d}_{i}.JPEG" for c, i in NUMBERS], OF_CLASS),
    "set and number": ([f"n{c}/ILSVRC2012_val_{c * 90 + i:08d}.JPEG" for c, i in NUMBERS], OF_CLASS),
    "class folders": ([f"class{c}/frame_{i:04d}.jpg" for c, i in NUMBERS], OF_CLASS),
    "camera": ([f"IMG_{i:04d}.jpg" for i in range(270)], None),
    "years": ([f"{DRAW.integers(2007, 2013)}_{i:06d}.jpg" for i in range(270)], DRAW.integers(0, 9, 270)),
    "years alone": ([f"{DRAW.integers(2007, 2013)}_{i:06d}.jpg" for i in range(270)], None),
    "nouns": (
        [f"{c}/{w}_s_{DRAW.integers(0, 2000):06d}.png" for c in range(3) for w in ("a", "b", "c") for _ in range(30)],
        OF_CLASS,
    ),
    "breeds": ([f"{w}_{i}.jpg" for w in ("abyssinian", "bengal", "pug") for i in range(90)], OF_CLASS),
    "breeds alone": ([f"{w}_{i}.jpg" for w in "abcdefgh" for i in range(30)], None),
    "random": ([f"{DRAW.integers(0, 2**60):x}-{DRAW.integers(0, 2**16):x}.jpg" for _ in range(270)], None),
    "batches": ([f"batch{b}_{i:03d}.png" for b in range(6) for i in range(45)], DRAW.integers(0, 9, 270)),
    "rows of a file": ([f"part_{i // 10}_1.csv:{i % 10}" for i in range(270)], None),
}


@pytest.mark.parametrize("case", GROUPED)
def test_what_looks_grouped_is_said_with_an_option_that_finds_the_groups(case):
    names, classes, count = GROUPED[case]
    sentence, crossing = said(names, classes)
    assert not crossing
    assert f"{count} groups among {len(names)} rows" in sentence
    pattern = re.search(r"--group-from '(.*)' to hold", sentence)[1]
    assert len({re.search(pattern, n)[1] for n in names}) == count


@pytest.mark.parametrize("case", SINGLE)
def test_what_does_not_is_left_alone(case):
    assert said(*SINGLE[case]) is None


def test_groups_across_splits_are_told_from_groups_within():
    names = [f"{s}/patient{p}_{i}.png" for s, p in (("train", 1), ("train", 2), ("test", 3)) for i in range(9)]
    rows = {"train": np.arange(18), "test": np.arange(18, 27)}
    labels = np.arange(27) % 2
    assert said(names, labels, rows)[1] is False
    assert said([n.replace("patient3", "patient2") for n in names], labels, rows)[1] is True


def test_a_column_is_pointed_out():
    names, patient = [f"a.csv:{i}" for i in range(60)], np.repeat(np.arange(12), 5)
    raw = Raw({"x": np.zeros(60), "patient_id": patient}, names)
    assert "--group patient_id" in hint(raw, None, {})[0]
    assert hint(raw, None, {}, ("patient_id",)) is None
    assert hint(raw, patient, {}) is None  # these are the classes
    assert hint(Raw({"x": np.zeros(60), "patient_id": np.arange(60)}, names), None, {}) is None
    assert hint(Raw({"x": np.zeros(60), "cases": patient}, names), None, {}) is None
