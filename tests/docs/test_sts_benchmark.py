"""benchmarks/sts.py on a folder of made-up sentences: what is left out, and what begins where."""

import csv
import json
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import sts

WHO, DOES, WHERE = (
    ("a man", "the dog", "two girls", "a cat"),
    ("runs", "sleeps", "eats"),
    ("outside", "at home", "there"),
)
MADE = [f"{a} {b} {c} ." for a in WHO for b in DOES for c in WHERE]
HELD = ["A man runs, outside!", "the dog sleeps there ."]  # the first two are among `MADE` but for case and signs


def write(folder, name, columns):
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as f:
        csv.writer(f).writerows([columns, *zip(*columns.values(), strict=True)])


@pytest.fixture
def data(tmp_path):
    for name, column in sts.PLAIN.items():
        write(tmp_path / name, "train", {column: MADE[:4]})
    other = MADE[1:] + MADE[:1]
    write(tmp_path / "multi30k", "train", {"en": MADE, **{k: [f"{k} {t}" for t in MADE] for k in sts.LANGUAGES}})
    write(
        tmp_path / "sick",
        "train",
        {"sentence1": MADE, "sentence2": other, "entailment": ["ENTAILMENT", "NEUTRAL"] * 18},
    )
    pairs = {"sentence1": MADE, "sentence2": other, "score": [i % 6 for i in range(36)]}
    write(tmp_path / "stsb", "train", pairs)
    held = {"sentence1": HELD, "sentence2": [HELD[0], "two things"], "score": [5, 1], "source": ["news"] * 2}
    for name in ("dev", "test"):
        write(tmp_path / "stsb", name, held)
    return tmp_path


def test_sentences_of_the_held_out_pairs_are_left_out_of_everything(data):
    found = sts.Sentences(data)
    held = {"a man runs outside", "the dog sleeps there"}
    assert held & {sts.normalised(t) for t in MADE}
    for case in sts.CASES:
        texts = [t for column in getattr(found, case)().values() for t in column if isinstance(t, str)]
        assert texts and not held & {sts.normalised(t) for t in texts}
    assert sts.Sentences(data).words()["text"].count(MADE[1]) == len(sts.PLAIN) + 5  # stsb and sick twice, multi30k
    found.words()
    assert found.dropped["multi30k"] == 2 and found.dropped["trec"] == 1 and found.dropped["sick"] == 4


def test_every_case_is_measured_and_goes_on_from_the_one_before(data, tmp_path, monkeypatch):
    model = {}
    monkeypatch.setitem(sts.CASES["words"], "encoder_options", {"dim": 16, "idf_power": 1.5})
    fixed = [str(data), "--runs", str(tmp_path / "r"), "--out", str(tmp_path)]
    for case, knobs in sts.CASES.items():
        monkeypatch.setitem(sts.CASES, case, knobs | {"batch_size": 4, "epochs": min(1, knobs["epochs"])})
        monkeypatch.setattr(sys, "argv", ["sts.py", fixed[0], case, *fixed[1:]])
        sts.main()
        found = json.loads((tmp_path / f"{case}-seed0.json").read_text())
        assert (
            found["case"] == case and found["on"] == "test" and set(found["results"]) == {"run", "untrained", "tfidf"}
        )
        assert found["dev_by_source"] == {"news": pytest.approx(1.0)}
        assert found["results"]["run"]["spearman"] == pytest.approx(1.0)  # equal sentences against unlike ones
        model[case] = json.loads((tmp_path / "r" / f"sts-{case}-seed0" / "config.json").read_text())["config"]["model"]
    for case, before in sts.BEFORE.items():
        assert f"sts-{before}-seed0" in model[case]["init_from"]
        assert model[case]["encoder_options"] == sts.CASES["words"]["encoder_options"]
    for seed in (1, 2):
        shutil.copytree(tmp_path / "r" / "sts-scores-seed0", tmp_path / "r" / f"sts-scores-seed{seed}")
    monkeypatch.setattr(sys, "argv", ["sts.py", fixed[0], "three", "--on", "dev", *fixed[1:]])
    sts.main()
    found = json.loads((tmp_path / "three-dev-seed0.json").read_text())
    alone = json.loads((tmp_path / "scores-seed0.json").read_text())
    assert found["results"] == found["dev"]
    assert found["dev"]["run"]["spearman"] == pytest.approx(alone["dev"]["run"]["spearman"])  # thrice the same
