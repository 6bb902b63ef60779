"""Real data, in small form; skipped where NEARFAR_DATA is not set."""

import numpy as np
import pytest

from nearfar.data.read import read
from nearfar.evaluation import evaluate
from nearfar.training import train

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("name", "rows", "classes", "size", "channels"),
    [
        ("mnist", 200, 10, 28, 1),
        ("cifar10", 200, 10, 32, 3),
        ("orl_faces", None, None, 64, 1),
        ("clothing_small", 60, 10, 96, 3),
    ],
)
def test_reads(data_folder, name, rows, classes, size, channels):
    table = read(data_folder / name, limit=rows)
    assert table.first.modality == "image"
    assert not table.skipped
    assert set(table.splits) >= {"train", "test"}
    if classes:
        assert len(table.label_names) == classes
    assert table.first.spec["channels"] == channels
    assert table.first.spec["size"] <= 96


def test_cifar10_in_a_minute(data_folder, tmp_path):
    """SupCon on two thousand rows beats the untrained encoder on test rows."""
    given = {"limit": 1500, "holdout": 0.0, "threads": 1, "encoder_options": {"widths": [16, 32, 64]}}
    trained = train.train(
        data_folder / "cifar10",
        method="supcon",
        epochs=5,
        batch_size=64,
        lr=0.003,
        recipe="light",
        out=tmp_path / "run",
        **given,
    )
    evaluation = evaluate.evaluate(trained.model, data_folder / "cifar10", limit=1500, protocols=["knn"])
    result = evaluation.results[0]
    assert result["knn"]["accuracy"] > result["floors"]["untrained_encoder"]["knn"]["accuracy"] + 0.03
    assert evaluation.data["train_rows"] == 1500


def test_photographs_of_different_shapes(data_folder):
    table = read(data_folder / "clothing_small", limit=40)
    shapes = table.first.geometry
    assert len(np.unique(shapes, axis=0)) > 10


def test_the_tutorials_script_put_right(data_folder, tmp_path):
    """It runs on five hundred rows, its loss falls below the no-learning level, and its probe beats chance."""
    import re
    import subprocess
    import sys
    from pathlib import Path

    import pyarrow.parquet as pq

    for split, rows in (("train", 512), ("test", 300)):
        file = next((data_folder / "cifar10").glob(f"{split}*.parquet"))
        pq.write_table(pq.read_table(file).slice(0, rows), tmp_path / f"{split}.parquet")
    script = Path(__file__).parents[2] / "examples" / "cifar10_tutorial.py"
    assert len(script.read_text().splitlines()) < 80
    out = subprocess.run([sys.executable, str(script), str(tmp_path), "3"], capture_output=True, text=True, check=True)
    losses = [float(x) for x in re.findall(r"loss ([\d.]+)", out.stdout)]
    assert len(losses) == 3
    assert losses[-1] < losses[0] < 6.2
    assert float(re.search(r"linear probe ([\d.]+)", out.stdout)[1]) > 0.15
