"""Where a model is below what needs no training, it is said: in the table, the JSON form, the card and the report."""

import json

import numpy as np
import pytest

from nearfar.core.errors import WorseWarning
from nearfar.core.registry import PROTOCOLS
from nearfar.evaluation import below
from nearfar.evaluation.evaluate import Evaluation
from nearfar.evaluation.report import write
from nearfar.evaluation.verdict import WHAT_TO_DO
from nearfar.training import train
from tests.conftest import TINY

GEOMETRY = {"geometry": {"effective_rank": 3.0}}


def accuracy(value, half=0.02):
    return {"accuracy": value, "interval": [value - half, value + half], "settings": {"k": 20, "temperature": 0.07}}


def drawn(*draws):
    return {"mean": float(np.mean(draws)), "std": 0.01, "draws": list(draws)}


def result(run="photos", majority=0.3, raw=None, untrained=None, **own):
    floors = {"majority": majority} | ({"raw_input": raw | GEOMETRY} if raw else {})
    floors |= {"untrained_encoder": untrained | GEOMETRY} if untrained else {}
    return {"run": run, **own, **GEOMETRY, "floors": floors}


def test_below_is_told_from_well_below():
    found = result(
        knn=accuracy(0.757), linear_probe=accuracy(0.84), few_labels={"1": drawn(0.5, 0.6), "5": drawn(0.70, 0.71)},
        untrained={"knn": accuracy(0.850), "linear_probe": accuracy(0.85),
                   "few_labels": {"1": drawn(0.6, 0.52), "5": drawn(0.80, 0.812)}},
        raw={"knn": accuracy(0.7)},
    )  # fmt: skip
    assert below.sentences([found]) == [
        "photos is well below its untrained encoder in kNN (0.757 against 0.850), 5 labels per class (0.705 against "
        "0.806), and below its untrained encoder in linear probe (0.840 against 0.850), 1 label per class (0.550 against "
        f"0.560), which may be chance. Training made it worse there. {WHAT_TO_DO}"
    ]


def test_the_raw_input_that_is_better_asks_for_more_training():
    said, = below.sentences([result(knn=accuracy(0.41), raw={"knn": accuracy(0.48)}, untrained={"knn": accuracy(0.3)})])
    assert said == f"photos is well below the raw input in kNN (0.410 against 0.480). {below.LONGER}"
    noise = below.sentences([result(knn=accuracy(0.41), raw={"knn": accuracy(0.42)})])
    assert noise == ["photos is below the raw input in kNN (0.410 against 0.420), which may be chance."]


def test_what_is_above_or_shown_as_equal_is_not_spoken_of():
    same = {"knn": accuracy(0.8504)}
    assert below.sentences([result(knn=accuracy(0.8501), raw=same, untrained={"knn": accuracy(0.7)})]) == []
    broken = result(knn={"accuracy": None}, untrained={"knn": accuracy(0.7)})  # as JSON has what is not finite
    assert below.sentences([broken]) == []


def test_no_better_than_the_most_frequent_class_or_chance():
    said, = below.sentences([result(knn=accuracy(0.3), few_labels={"1": drawn(0.1, 0.2)})])
    assert said == (
        f"photos is no better than always saying the most frequent class in kNN (0.300 against 0.300). {below.NOTHING}"
    )
    words = result(zero_shot={"image": accuracy(0.4) | {"chance": 0.2, "majority": 0.45}})
    assert "no better than chance in zero-shot image (0.400 against 0.450)" in below.sentences([words])[0]


def test_every_kind_of_figure_is_compared():
    def all_of(x):
        recall = {"recall": {"1": x, "5": x}, "median_rank": 2.0, "interval": [x - 0.01, x + 0.01]}
        return {
            "knn": accuracy(x), "linear_probe": accuracy(x), "few_labels": {"5": drawn(x, x)}, "shots": {"8": drawn(x, x)},
            "shares": {"10 %": drawn(x, x)}, "clustering": drawn(x, x) | {"chance": 0.01}, "retrieval": {"a->b": recall},
            "bitext": {"a->b": {"margin": accuracy(x), "chance": 0.01}}, "zero_shot": {"a": accuracy(x)},
            "sts": {"spearman": x}, "pair_classification": {"average_precision": x},
            "stream": {"what": "anomalies", "auc": x, "average_precision": x, "auc_interval": [x - 0.01, x + 0.01],
                       "interval": [x - 0.01, x + 0.01], "chance": 0.01},
            "verification": {"auc": x, "eer": x, "auc_interval": [x - 0.01, x + 0.01]},
            "ranking": {key: {"10": x} for key in ("ndcg", "recall", "hit")}
            | {"mrr": x, "coverage": x, "popularity": {"recommended": x}, "interval": [x - 0.01, x + 0.01]},
        }  # fmt: skip

    known = set(all_of(0.5)) | {"floors"}
    assert known - {"floors"} == {p for p in PROTOCOLS if hasattr(PROTOCOLS.get(p), "TITLE")} | {"knn"}
    found = below.find(result(**all_of(0.5), untrained=all_of(0.6)))
    assert [b.name for b in found] == [
        "kNN", "linear probe", "5 labels per class", "8 labels per class", "10 % of the labels", "v-measure", "R@1 a->b",
        "nearest by margin a->b", "zero-shot a", "Spearman", "average precision", "AUC", "nDCG@10", "recall@10",
        "anomalies AUC", "anomalies average precision", "AUC", "anomalies AUC",  # no better than chance either
    ]  # fmt: skip
    assert [b.name for b in found if not b.well] == ["Spearman", "average precision", "recall@10"]  # which have no interval here
    assert below.find(result(**all_of(0.6), untrained=all_of(0.5))) == []


def test_over_seeds_the_mean_is_spoken_of():
    def mean(value, sd):
        return {"n": 3, "mean": value, "sd": sd}

    figures = {"knn": {"accuracy": mean(0.5, 0.01)}, **GEOMETRY,
               "floors": {"untrained_encoder": {"knn": {"accuracy": mean(0.55, 0.01)}}, "majority": mean(0.1, 0.0)}}
    runs = [result(run=f"seed{i}", knn=accuracy(0.5), untrained={"knn": accuracy(0.55)}) for i in range(3)]
    summary = [{"name": "three, 3 seeds", "runs": [r["run"] for r in runs], "figures": figures}]
    said, = below.sentences(runs, summary)
    assert said.startswith("three, 3 seeds is well below its untrained encoder in kNN (0.500 against 0.550).")
    figures["knn"]["accuracy"]["sd"] = 0.1
    assert "which may be chance" in below.sentences(runs, summary)[0]
    assert len(below.sentences(runs)) == 3


@pytest.fixture(scope="module")
def ruined(tmp_path_factory):
    """A bag of words that finds its classes untrained, ruined by a learning rate that is three hundred times too high."""
    draw, folder = np.random.default_rng(0), tmp_path_factory.mktemp("below")
    words = [[f"w{c}{i}" for i in range(12)] for c in range(3)]
    labels = np.arange(360) % 3
    texts = [" ".join([*draw.choice(words[c], 2), *(f"r{draw.integers(30)}" for _ in range(4))]) for c in labels]
    (folder / "t.csv").write_text("text,label\n" + "".join(f"{t},c{c}\n" for t, c in zip(texts, labels, strict=True)))
    given = {"column": "text", "label": "label", "holdout": 0.3, "batch_size": 64, "lr": 3.0}
    given |= {"method": "vicreg", "threads": 1, "precision": "fp32", "encoder_options": {"dim": 16}}
    given |= {"projector": {"hidden": 32, "out": 16}, "epochs": 6, "select": "last"}
    with pytest.warns(WorseWarning, match="training is making this model worse"):
        trained = train.train(folder / "t.csv", out=folder / "run", **given)
    return trained, folder


def test_a_training_that_makes_it_worse_says_so_everywhere(ruined, capsys):
    from nearfar import cli

    trained, folder = ruined
    assert trained.verdict.outcome == "worse" and trained.verdict.before == trained.metrics[0]["knn"] > 0.8
    said = trained.verdict.sentence()
    for file in ("README.md", "report.html"):
        text = (folder / "run" / file).read_text()
        assert said in text and text.index(said) < text.index("Figures"), file
    assert cli.run(["eval", str(folder / "run"), "--protocol", "knn", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    (sentence,) = found["below"]
    assert sentence.startswith("run is well below its untrained encoder in kNN (") and WHAT_TO_DO in sentence
    assert sentence in err
    for file in ("README.md", "report.html"):
        text = (folder / "run" / file).read_text()
        assert said in text and sentence in text and text.index(sentence) < text.index("Figures"), file


def test_a_training_that_helps_says_so_in_one_sentence(digits, tmp_path, capsys):
    given = {k: v for k, v in TINY.items() if k != "projector"} | {"epochs": 6, "lr": 0.003, "holdout": 0.25}
    trained = train.train(tuple(a[:400] for a in digits["train"]), out=tmp_path / "run", method="supcon", **given)
    before, after = (trained.metrics[i]["knn"] for i in (0, -1))
    sentence = f"kNN accuracy on held-out training rows: {after:.3f} after training, {before:.3f} before"
    assert sentence in capsys.readouterr().err and sentence in (tmp_path / "run/README.md").read_text()
    assert "before training" in (tmp_path / "run/report.html").read_text()  # the level of the chart


def test_measurements_of_earlier_versions_are_shown(tmp_path):
    """Which have no list of what is below, and perhaps no floors."""
    entry = {"data": {"train_rows": 0, "test_rows": 5, "split": "x", "classes": []}, "results": [result(knn=accuracy(0.5))],
             "date": "2026-01-01T00:00:00", "options": {}}
    file = write.write(tmp_path / "r.html", name="x", config={}, metrics=[], measured=[entry | {"warnings": []}])
    assert "0.500" in file.read_text()
    assert Evaluation(entry["data"], entry["results"]).below == []
