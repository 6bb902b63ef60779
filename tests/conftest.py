"""Fixtures: a cache of its own for every session, digits, the data folder, small pictures."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

# Tests are small: one thread is quicker than two, and equal on every machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")


# Files and folders that `make quick` leaves out: they train for long, start or kill processes, or walk over all methods.
SLOW = (
    "cli/test_classify.py", "cli/test_cli.py", "contract", "data/test_memory.py", "data/test_stream.py",
    "docs/test_pairs.py", "docs/test_sts_benchmark.py", "docs/test_text.py", "downstream/test_classifier.py",
    "downstream/test_export.py", "downstream/test_taught.py", "encoders/test_fixed.py", "encoders/test_onnx.py",
    "encoders/test_text.py", "encoders/test_timm.py", "evaluation/report", "evaluation/test_evaluation.py",
    "evaluation/test_groups.py", "evaluation/test_small_and_odd.py", "faults", "models/test_engines.py",
    "models/test_several.py", "real", "training/plan/test_locked.py",
    "training/plan/test_mirroring.py", "training/positives", "training/tuning", "training/test_best.py",
    "training/test_compiler.py", "training/test_distributed.py", "training/test_finished.py",
    "training/test_health.py", "training/test_narrowing.py", "training/test_resume.py", "training/test_text_runs.py",
    "training/test_three_columns.py", "training/test_training.py", "training/test_watch.py",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    slow = [here / name for name in SLOW]
    assert not (gone := [str(p) for p in slow if not p.exists()]), f"SLOW in tests/conftest.py names {gone}"
    for item in items:
        if any(item.path.is_relative_to(p) for p in slow):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Decoded data of tests go to a folder that disappears."""
    before = os.environ.get("NEARFAR_HOME")
    os.environ["NEARFAR_HOME"] = str(tmp_path_factory.mktemp("nearfar-home"))
    yield
    os.environ.pop("NEARFAR_HOME") if before is None else os.environ.__setitem__("NEARFAR_HOME", before)


@pytest.fixture
def command(capfd):
    """The command in this process: ``command("eval", run)`` gives its exit status, stdout and stderr."""
    from nearfar import cli

    def run(*args):
        code = cli.run([str(a) for a in args])
        return code, *capfd.readouterr()

    return run


@pytest.fixture(scope="session")
def digits():
    """A few hundred handwritten digits, in splits."""
    from nearfar.downstream.demo import digits

    found = digits()
    return {"train": tuple(a[:400] for a in found["train"]), "test": tuple(a[:200] for a in found["test"])}


@pytest.fixture(scope="session")
def data_folder():
    """Real data, where they are."""
    folder = os.environ.get("NEARFAR_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("NEARFAR_DATA does not name a folder of real data")
    return Path(folder)


@pytest.fixture(scope="session")
def models_folder():
    """Real pretrained models, where they are."""
    folder = os.environ.get("NEARFAR_MODELS")
    if not folder or not Path(folder).is_dir():
        pytest.skip("NEARFAR_MODELS does not name a folder of pretrained models")
    return Path(folder)


@pytest.fixture
def pictures(tmp_path):
    """A folder of 24 small pictures in two classes: red ones and blue ones."""
    from PIL import Image

    draw = np.random.default_rng(0)
    for name, colour in (("blue", (40, 60, 200)), ("red", (200, 50, 40))):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(12):
            array = np.clip(np.array(colour) + draw.normal(0, 25, (20 + i, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(array).save(tmp_path / "pictures" / name / f"{i:02}.png")
    return tmp_path / "pictures"


TINY = {
    "epochs": 2,
    "batch_size": 64,
    "encoder_options": {"widths": [8, 16]},
    "projector": {"hidden": 32, "out": 16},
    "holdout": 0.0,
    "precision": "fp32",
    "threads": 1,
}


@pytest.fixture
def tiny():
    """Knobs of a training that takes a second."""
    return dict(TINY)


def lines_of(run):
    """The lines of metrics of a run folder, without what a clock said."""
    lines = [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "rows_per_second")} for line in lines]


def killed(data, out, at, monkeypatch, **given):
    """A training that ended before a step."""
    from nearfar.training import train
    from nearfar.training.trainer import Trainer

    own = Trainer.step

    def dies(self, *args):
        if self.position.step == at:
            raise KeyboardInterrupt
        return own(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "step", dies)
        with pytest.raises(KeyboardInterrupt):
            train.train(data, out=out, **given)
