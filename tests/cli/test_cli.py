"""The command as people meet it: help, errors, exit statuses, JSON."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from nearfar.core.registry import METHODS

FAST = [
    "--epochs", "1", "--batch-size", "8", "--set", "model.encoder_options.widths=[8,16]",
    "--set", "method.projector.hidden=16", "--set", "method.projector.out=8", "--set", "data.holdout=0",
    "--set", "train.threads=1", "--size", "16",
]  # fmt: skip


@pytest.fixture
def trained(command, pictures, tmp_path):
    code, _, err = command("train", pictures, "--out", tmp_path / "run", *FAST, "--keep-optimizer")
    assert code == 0, err
    return tmp_path / "run"


def modules_after(*args):
    text = (
        "import sys, io; sys.stdout = sys.stderr = io.StringIO()\n"
        f"from nearfar import cli; cli.run({list(args)!r}); sys.stdout = sys.__stdout__\n"
        "print(sorted(m for m in ('torch', 'numpy', 'sklearn', 'pyarrow', 'PIL', 'rich') if m in sys.modules))"
    )
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("args", [["--help"], ["methods"], ["methods", "byol"], ["config"], ["train", "--help"]])
def test_help_loads_nothing_heavy(args):
    assert modules_after(*args) == "[]"


def test_import_is_quick():
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import nearfar"], check=True)
    bare = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    assert (bare - began) - (time.perf_counter() - bare) < 0.3


def test_methods(command):
    code, out, err = command("methods")
    assert code == 0
    assert out == ""
    for name in METHODS:
        assert name in err
    code, out, _ = command("methods", "moco_v2", "--json")
    assert json.loads(out)["results"][0]["record"]["parts"]["memory"]["size"] == 4096


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["trian"], "Did you mean train"),
        (["methods", "simclrr"], "Did you mean 'simclr'"),
        (["train", "x", "--metod", "byol"], "--method"),
        (["train"], "name the data to learn from"),
        (["train", "no/such/folder/here"], "no such file or folder"),
        (["train", "x", "--set", "optim.lrr=1"], "Did you mean 'optim.lr'"),
        (["train", "x", "--set", "nonsense"], "section.key=value"),
        (["train", "x", "--epochs", "many"], "is not a whole number"),
        (["train", "x", "--set", "train.precision=fp8"], "train.precision"),
        (["eval", "no_run_here"], "is not a run folder"),
        (["train", "x", "--config", "none.toml"], "cannot be read"),
    ],
)
def test_mistakes_are_sentences_with_status_2(command, tmp_path, monkeypatch, args, said):
    monkeypatch.chdir(tmp_path)
    code, out, err = command(*args)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert out == ""
    assert not list(tmp_path.iterdir())
    code, out, _ = command(*args, "--json")
    assert set(json.loads(out)["error"]) == {"kind", "message", "where", "hint"}


def test_unknown_method_encoder_and_recipe(command, pictures, tmp_path):
    for option, value, said in (
        ("--method", "simclrr", "simclr"), ("--encoder", "small_cn", "small_cnn"), ("--recipe", "simclrr", "simclr"),
    ):  # fmt: skip
        code, _, err = command("train", pictures, "--out", tmp_path / "run", option, value)
        assert code == 2
        assert said in err
        assert not (tmp_path / "run").exists()


def test_train_writes_a_run_and_says_what_comes_next(command, pictures, tmp_path):
    code, out, err = command("train", pictures, "--out", tmp_path / "run", *FAST, "--json")
    assert code == 0
    assert json.loads(out)["run"] == str(tmp_path / "run")
    for said in ("24", "2 classes", "not used for training", "simclr", "small_cnn", "Next: nearfar eval"):
        assert said in err
    files = {p.name for p in (tmp_path / "run").iterdir()}
    assert files == {"config.json", "model.safetensors", "rows.safetensors", "metrics.jsonl", "README.md", "report.html"}
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert "auto" not in json.dumps(config["config"])
    assert config["data"]["train_rows"] == 24


def test_dry_run_writes_nothing(command, pictures, tmp_path):
    code, _, err = command("train", pictures, "--out", tmp_path / "run", *FAST, "--dry-run")
    assert code == 0
    assert "simclr" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--encoder", "timm:resnet51"], "resnet50"),
        (["--log", "tensorbord"], "'tensorboard'"),
        (["--init-from", "no/such/run"], "no/such/run"),
        (["--positives", "teacher:no/such/run"], "no/such/run"),
        (["--positives", "teacher:timm:resnet51"], "resnet50"),
        (["--positives", "mined:no/such/run"], "no/such/run"),
        (["--device", "meta"], "cannot be used"),
        (["--set", "method.predictor.out=9", "--method", "byol"], "predictor"),
        (["--set", "model.encoder_options.width=8"], "width"),
        (["--set", "train.checkpoint_every=often"], "often"),
        (["--set", "data.limit=3"], "at least 4 rows"),
        (["--config", "run.yaml"], "YAML"),
        (["--seeds", "2", "--encoder", "timm:resnet51"], "resnet50"),
        (["--seeds", "0"], "--seeds"),
    ],
)
def test_a_dry_run_finds_what_is_wrong(command, pictures, tmp_path, options, said):
    code, _, err = command("train", pictures, "--out", tmp_path / "run", *FAST, *options, "--dry-run")
    assert code == 2, err
    assert said in err and "fault of nearfar" not in err
    assert not (tmp_path / "run").exists()


def test_a_dry_run_looks_at_the_folder(command, pictures, trained):
    before = {p: p.stat().st_mtime_ns for p in trained.rglob("*")}
    code, _, err = command("train", pictures, "--out", trained, *FAST, "--dry-run")
    assert code == 2 and "the run folder exists" in err
    assert command("train", pictures, "--out", trained, *FAST, "--dry-run", "--overwrite")[0] == 0
    code, _, err = command("train", "--resume", "--out", trained, "--epochs", 2, "--dry-run")
    assert code == 0 and "train.epochs 1 → 2" in err
    code, _, err = command("train", pictures, "--out", trained, *FAST, "--seeds", 2, "--dry-run")
    assert code == 2 and "holds a single run" in err
    assert {p: p.stat().st_mtime_ns for p in trained.rglob("*")} == before


def test_options_of_a_run_that_goes_on(command, pictures, trained):
    code, _, err = command("train", "--resume", "--out", trained)
    assert code == 0 and "nothing is left to do" in err
    code, _, err = command("train", pictures, "--resume", "--out", trained, *FAST)
    assert code == 0 and "nothing is left to do" in err  # the same options as it was begun with
    code, _, err = command("train", "--resume", "--out", trained, "--method", "byol", "--set", "train.log_every=3")
    assert code == 2 and "model.method is simclr" in err and "--init-from" in err
    code, _, err = command("train", "--resume", "--out", trained, "--set", "train.log_every=3")
    assert code == 2 and "train.log_every would change nothing" in err
    code, _, err = command("train", pictures / "red", "--resume", "--out", trained, "--epochs", 3)
    assert code == 2 and "was trained on 24 rows" in err
    code, _, err = command("train", "--resume", "--overwrite", "--out", trained)
    assert code == 2 and "--resume or --overwrite" in err
    code, _, err = command("train", "--resume")
    assert code == 2 and "--out RUN" in err
    code, _, err = command("train", "--resume", "--out", trained, "--epochs", 3, "--set", "optim.lr=0.002")
    assert code == 0, err
    assert "train.epochs 1 → 3" in err and "optim.lr" in err
    config = json.loads((trained / "config.json").read_text())
    assert (config["config"]["train"]["epochs"], config["config"]["optim"]["lr"]) == (3, 0.002)


def test_a_run_that_exists_is_not_touched(command, pictures, trained):
    before = (trained / "model.safetensors").read_bytes()
    code, _, err = command("train", pictures, "--out", trained, *FAST)
    assert code == 2
    assert "--resume" in err
    assert "--overwrite" in err
    assert (trained / "model.safetensors").read_bytes() == before
    assert command("train", pictures, "--out", trained, *FAST, "--overwrite")[0] == 0
    assert command("train", "--resume", "--out", trained)[0] == 0
    assert (trained / "model.safetensors").read_bytes() == before


def test_eval_embed_search_views_config_doctor(command, pictures, trained, tmp_path):
    code, out, err = command("eval", trained, "--json")
    assert code == 0, err
    assert json.loads(out)["results"][0]["run"] == "run"
    assert "raw input" in err
    assert "linear probe" in (trained / "report.html").read_text()

    code, out, err = command("embed", trained, pictures, "--out", tmp_path / "v.parquet", "--project", "pca")
    assert code == 0, err
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "v.parquet")
    assert table.column_names == ["name", "vector", "label", "projection_x", "projection_y"]
    assert len(table) == 24
    np.testing.assert_allclose(np.linalg.norm(np.stack(table["vector"].to_pylist()), axis=1), 1, atol=1e-5)
    code, _, err = command("embed", trained, pictures, "--out", tmp_path / "v.txt")
    assert code == 2
    assert ".parquet" in err

    code, out, err = command("search", trained, pictures / "red" / "03.png", "-k", "3", "--json")
    assert code == 0, err
    hits = json.loads(out)["results"][0]["hits"]
    assert hits[0]["name"] == os.path.join("red", "03.png")
    assert hits[0]["score"] == pytest.approx(1, abs=1e-4)
    assert len(hits) == 3

    code, out, err = command("views", pictures, "--out", tmp_path / "sheet.png", "--rows", "3", "--views", "4")
    assert code == 0, err
    assert "crop" in err
    from PIL import Image

    assert Image.open(tmp_path / "sheet.png").size[0] > 300

    code, out, _ = command("config", trained, "--json")
    assert json.loads(out)["config"]["train"]["epochs"] == 1
    code, out, err = command("config", "--set", "optim.lr=0.5")
    assert "0.5" in err
    assert "--set" in err
    assert command("doctor")[0] == 0
    assert command("config", tmp_path)[0] == 2


def test_bad_runs(command, pictures, trained):
    config = json.loads((trained / "config.json").read_text())
    (trained / "config.json").write_text(json.dumps(config | {"schema": 99}))
    code, _, err = command("eval", trained)
    assert code == 2
    assert "newer nearfar" in err
    (trained / "config.json").write_text("{")
    assert command("eval", trained)[0] == 2
    broken = json.loads(json.dumps(config))
    broken["config"]["model"]["encoder_options"] = {"widths": [8, 24]}
    (trained / "config.json").write_text(json.dumps(broken))
    code, _, err = command("eval", trained)
    assert code == 2
    assert "(24, 8, 3, 3) by config.json. The folder is damaged, or its files are not of one training" in err
    (trained / "config.json").write_text(json.dumps(config))
    data = bytearray((trained / "model.safetensors").read_bytes())
    data[-3] ^= 1
    (trained / "model.safetensors").write_bytes(bytes(data))
    code, _, err = command("eval", trained)
    assert code == 2
    assert "damaged" in err


def test_too_little_data(command, pictures, tmp_path):
    for i, p in enumerate(sorted((pictures / "red").iterdir())):
        if i:
            p.unlink()
    code, _, err = command("train", pictures / "red", "--out", tmp_path / "run")
    assert code == 2
    assert "at least 4 rows" in err
    code, _, err = command("train", pictures / "blue", "--batch-size", "100", "--out", tmp_path / "run")
    assert code == 2
    assert "100 rows does not fit" in err
    code, _, err = command("train", pictures / "blue", "--method", "supcon", "--out", tmp_path / "run")
    assert code == 2
    assert "--label" in err
    assert not (tmp_path / "run").exists()


def test_a_class_with_one_row(command, pictures, tmp_path):
    (pictures / "green").mkdir()
    (pictures / "blue" / "00.png").rename(pictures / "green" / "00.png")
    assert command("train", pictures, "--out", tmp_path / "run", *FAST, "--method", "supcon")[0] == 0
    code, _, err = command("eval", tmp_path / "run")
    assert code == 0
    assert "uneven" in err


def command(*args, **options):
    text = "from nearfar.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", text, *map(str, args)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_resume_goes_on(pictures, tmp_path, number, status):
    run = tmp_path / "run"
    args = [*FAST, "--epochs", "4000", "--set", "train.log_every=1"]
    process = command("train", pictures, "--out", run, *args)
    metrics = run / "metrics.jsonl"
    deadline = time.monotonic() + 90
    while not (metrics.exists() and metrics.stat().st_size > 500) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status, err
    assert "--resume" in err
    assert "Traceback" not in err
    assert (run / "checkpoint" / "state.safetensors").exists()
    assert not (run / "model.safetensors").exists()


def test_a_run_on_rows_of_numbers_is_loaded_again(command, tmp_path):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(32, 6)))
    options = [*FAST[: FAST.index("--set")], "--set", "method.projector.out=8", "--set", "train.threads=1"]
    assert command("train", tmp_path / "rows.npy", "--out", tmp_path / "run", *options)[0] == 0
    code, _, err = command("embed", tmp_path / "run", tmp_path / "rows.npy", "--out", tmp_path / "z.npy")
    assert code == 0, err
    assert len(np.load(tmp_path / "z.npy")) == 32
    assert command("train", "--resume", "--out", tmp_path / "run")[0] == 0
