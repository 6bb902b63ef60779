"""The report opens alone, escapes what came from the data, and copes with what is missing."""

import re

import numpy as np
import pytest

from nearfar.evaluation import evaluate
from nearfar.evaluation.report import charts, of_run
from nearfar.evaluation.report.write import write
from nearfar.training import train


def test_opens_without_a_network_and_is_small(digits, tiny, tmp_path):
    trained = train.train(digits, out=tmp_path / "run", **tiny | {"holdout": 0.3})
    evaluation = evaluate.evaluate(trained.model, digits | {"train": tuple(a[:60] for a in digits["train"])})
    report = of_run.keep(trained.model, evaluation)
    page = report.read_text()
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
    assert not re.search(r"url\((?!data:|\$\{data)", page)
    assert "@import" not in page
    assert len(page) < 3_000_000
    for part in ("Figures", "Training", "Map", "Neighbours", "Confusion", "untrained encoder", "data:image/jpeg"):
        assert part in page, part
    assert (tmp_path / "run" / "evaluation.json").exists()
    card = (tmp_path / "run" / "README.md").read_text()
    assert "2002.05709" in card
    assert "untrained encoder" in card


def test_names_and_labels_cannot_inject(tmp_path):
    bad = "<script>alert(1)</script>"
    shown = {
        "map": {"kind": "t-SNE", "side": 1, "thumb": 40, "sprite": "data:,", "xy": [[0, 0]], "labels": [0],
                "names": [bad], "classes": [bad], "of": 1, "present": 1, "legend": [0]},
        "gallery": [{"note": "", "image": "data:,", "name": bad, "label": bad, "near": []}], "gallery_of": (1, 1),
    }  # fmt: skip
    config = {"command": bad, "notes": [bad], "config": {"model": {"method": bad}}, "data": {}}
    file = write(tmp_path / "r.html", name=bad, config=config, metrics=[], shown=shown, skipped=[(bad, bad)])
    assert "<script>alert" not in file.read_text()


def test_missing_and_broken_numbers(tmp_path):
    metrics = [{"step": i, "epoch": i, "loss": None if i % 2 else float(i)} for i in range(6)]
    file = write(tmp_path / "r.html", name="x", config={}, metrics=metrics)
    assert "nan" not in file.read_text().lower().replace("nanm", "")
    assert charts.lines({"a": [(0, float("nan"))]}, x="step", title="t") is None


def test_numeric_rows_have_a_report_too(tmp_path):
    x = np.random.default_rng(0).normal(size=(120, 6))
    trained = train.train((x, (x[:, 0] > 0).astype(int)), out=tmp_path / "run", epochs=1, batch_size=32, threads=1)
    assert "Map" in (tmp_path / "run" / "report.html").read_text()
    assert trained.metrics


@pytest.mark.parametrize("kind", ["pca", "tsne"])
def test_a_layout_of_equal_rows_is_one_place(kind):
    from nearfar.vectors.layout import layout

    xy = layout(np.full((64, 8), 0.35, np.float32), kind)
    assert xy.shape == (64, 2) and not xy.any()


def test_layouts():
    from nearfar.vectors.layout import layout

    z = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    z[30:] += 8
    for kind in ("pca", "tsne"):
        xy = layout(z, kind)
        assert xy.shape == (60, 2)
        assert np.linalg.norm(xy[:30].mean(0) - xy[30:].mean(0)) > xy[:30].std()


def test_umap_where_it_is_installed():
    import importlib.util

    from nearfar.core.errors import ConfigError
    from nearfar.vectors.layout import layout

    z = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    if importlib.util.find_spec("umap"):
        assert layout(z, "umap").shape == (40, 2)
    else:
        with pytest.raises(ConfigError, match="nearfar\\[umap\\]"):
            layout(z, "umap")
