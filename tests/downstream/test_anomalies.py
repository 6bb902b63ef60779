"""Anomalies of a person's own stream, motifs in it, and figures where its steps are labelled."""

import csv
import json

import numpy as np
import pytest

import nearfar
from nearfar.cli import run
from nearfar.core.errors import ConfigError, DataError, NearfarWarning

STEPS = np.arange(480)
WAVES = np.stack([np.sin(STEPS / 4), np.cos(STEPS / 6)]) + 0.05 * np.random.default_rng(0).normal(size=(2, 480))


def written(path, x, **beside):
    with open(path, "w", newline="") as f:
        lines = csv.writer(f)
        lines.writerow(["t", "a", "b", *beside])
        lines.writerows(zip(range(x.shape[1]), *x.tolist(), *beside.values(), strict=True))
    return str(path)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stream")
    usual = written(folder / "usual.csv", WAVES)
    with pytest.warns(NearfarWarning, match="one group"):
        nearfar.train(usual, time="t", window=32, epochs=1, out=folder / "run", quiet=True)
    stream = WAVES[:, ::-1].copy()
    stream[0, 200:232] += 4.0
    label = np.zeros(480, int)
    label[200:232] = 1
    written(folder / "stream.csv", stream, label=label.tolist())
    written(folder / "states.csv", stream, state=np.repeat(["idle", "run", "stop"], 160).tolist())
    return folder


def test_the_most_unusual_window_is_where_something_was_planted(place):
    found = nearfar.anomalies(place / "run", place / "stream.csv", out=place / "scores.csv", k=3, quiet=True)
    assert found.against == "113 that are known"
    assert abs(found.top[0].start - 200) <= 16 and found.top[0].recording == "stream.csv"
    assert all(a.stop <= b.start or b.stop <= a.start for a in found.top for b in found.top if a is not b)
    rows = list(csv.DictReader((place / "scores.csv").open()))
    assert len(rows) == len(found.windows) == 113
    best = max(rows, key=lambda r: float(r["score"]))
    assert (int(best["start"]), int(best["stop"])) == (found.top[0].start, found.top[0].stop)
    assert "stream.csv" in repr(found) and found.as_dict()["windows"] == 113


def test_a_stream_that_was_trained_on_is_compared_with_what_came_before(place):
    found = nearfar.anomalies(place / "run", place / "usual.csv", quiet=True)
    assert found.against.startswith("its own windows")
    assert found.windows[0].score is None and found.windows[-1].score is not None
    again = nearfar.anomalies(place / "run", place / "usual.csv", against=place / "stream.csv", quiet=True)
    assert again.windows[0].score is not None


def test_what_cannot_be_scored_is_said(place, capsys):
    with pytest.raises(ConfigError, match="cannot write .txt"):
        nearfar.anomalies(place / "run", place / "stream.csv", out=place / "scores.txt", quiet=True)
    assert run(["anomalies", str(place / "run"), str(place / "stream.csv"), "--json", "-k", "1"]) == 0
    assert len(json.loads(capsys.readouterr().out)["top"]) == 1


def test_labelled_steps_are_measured_beside_floors(place):
    found = nearfar.evaluate(place / "run", place / "stream.csv", protocols="stream", quiet=True)
    (result,) = found.results
    assert result["stream"]["what"] == "anomalies" and result["stream"]["auc"] > 0.8
    assert set(result["floors"]) == {"untrained_encoder", "raw_input", "matrix profile"}
    assert "anomalies AUC" in repr(found) and "matrix profile" in repr(found)
    changes = nearfar.evaluate(place / "run", place / "states.csv", protocols="stream", label="state", quiet=True)
    assert changes.results[0]["stream"]["what"] == "changes"
    assert set(changes.results[0]["floors"]) == {"untrained_encoder", "raw_input"}
    with pytest.raises(DataError, match="have no labels"):
        nearfar.evaluate(place / "run", place / "usual.csv", protocols="stream", quiet=True)
    with pytest.raises(DataError, match="other protocols"):
        nearfar.evaluate(place / "run", place / "stream.csv", protocols=["stream", "knn"], quiet=True)


def test_regions_are_where_a_motif_stands(place):
    motif = WAVES[:, 96:120]  # at every third step a window of that length begins
    np.save(place / "motif.npy", motif.astype(np.float32))
    found = nearfar.search(place / "run", place / "motif.npy", regions=True, k=3, quiet=True)
    ((query, hits),) = found.results
    assert query.endswith("motif.npy") and (hits[0].start, hits[0].stop) == (96, 120)
    assert hits[0].score == pytest.approx(1.0, abs=1e-3) and "96–119" in str(hits[0])
    assert all(a.stop <= b.start or b.stop <= a.start for a in hits for b in hits if a is not b)
    with pytest.warns(NearfarWarning, match="longer"), pytest.raises(DataError, match="reads 32 at once"):
        nearfar.search(place / "run", [WAVES], data=place / "usual.csv", regions=True, quiet=True)


def test_what_onnx_does_not_read_yet_is_said(place, tmp_path):
    with pytest.raises(ConfigError, match="holds series, and ONNX files read text, image, vector"):
        nearfar.export(place / "run", to="onnx", out=tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()
    with pytest.raises(ConfigError, match="holds series"):
        nearfar.load(place / "run", engine="onnx")


@pytest.mark.parametrize("role", ["data", "against"])
def test_what_is_read_is_not_written_over(place, role):
    data, against = place / "stream.csv", place / "usual.csv"
    before = {f: f.read_bytes() for f in (data, against)}
    with pytest.raises(ConfigError, match="is what is read, and would be written over"):
        nearfar.anomalies(place / "run", data, against=against, out={"data": data, "against": against}[role], quiet=True)
    assert before == {f: f.read_bytes() for f in (data, against)}
