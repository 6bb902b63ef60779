"""Damaged folders work as they did, or are refused in a sentence; nothing is silently different."""

import json
import os
import shutil
import warnings
from collections import Counter

import pytest

from nearfar.core import files
from nearfar.core.errors import NearfarWarning, RunError, UserError
from nearfar.models import loading
from nearfar.models.run import Run
from nearfar.training import train
from tests.faults import damage

CASES = 2000 if os.environ.get("NEARFAR_WALKS") == "all" else 400


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("whole")


@pytest.fixture(scope="module")
def runs(home):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NearfarWarning)
        return damage.make(home)


def test_no_damage_is_a_fault(runs, home, tmp_path):
    """Of so many cases each works as before, is told of by a warning, or is refused in one sentence, within seconds."""
    known = {}
    found = [damage.case(seed, runs, home, tmp_path, known) for seed in range(CASES)]
    assert [o for o in found if o.found == "FAULT"] == []
    counts = Counter(o.found for o in found)
    assert counts["refused"] > CASES / 2
    assert counts["same"] > CASES / 10


@pytest.fixture
def copied(runs, tmp_path):
    return lambda name: damage.copied(runs[name], tmp_path / name)


def rewritten(run, change):
    values = json.loads((run / "config.json").read_text())
    change(values)
    (run / "config.json").unlink()
    (run / "config.json").write_text(json.dumps(values))


def put(path, value):
    *above, key = path.split(".")

    def change(values):
        for k in above:
            values = values[int(k) if isinstance(values, list) else k]
        values[key] = value

    return change


@pytest.mark.parametrize(
    ("name", "path", "value", "said"),
    [
        ("image", "columns.image.spec.size", -3, "columns.image.spec.size is -3; it must be a whole number from 1 to 16384."),
        ("image", "columns.image.spec.size", 16, "columns.image.spec.size is not what the weights were made with."),
        ("image", "columns.image.spec.sise", 12, "columns.image.spec.sise is unknown. Did you mean 'size'?"),
        ("image", "columns.image.spec.channels", 2, "with 1 or 3 channels, or with a dtype."),
        ("image", "columns.image.spec.dtype", "uint8", "with all of dtype, low, high, mean, spread, or none of them."),
        ("image", "columns.image.modality", "imag", "there is no modality named 'imag'. Did you mean 'image'?"),
        ("image", "config.train.epochs", "auto", "config.train.epochs is 'auto'; that is decided when a training begins."),
        ("image", "config.train.epochs", "1", "config.train.epochs is '1'; it must be 1."),
        ("image", "config.train.seed", -1, "config: train.seed: -1 is out of range"),
        ("image", "config.train.sead", 1, "config: there is no knob named 'train.sead'. Did you mean 'train.seed'?"),
        ("image", "config.model.method", "default", "config.model.method is 'auto'; that is decided"),
        ("image", "config.method.temperature", 0.9, "config.method.temperature is not what the weights were made with."),
        ("image", "config.method.keep", "projection", "config.method.keep is not what the weights were made with."),
        ("image", "config.train.precision", "bf16", "config.train.precision is not what the weights were made with."),
        ("image", "data.train_rows", True, "data.train_rows is true; it must be a whole number."),
        ("image", "schema", 2, "was written by a newer nearfar"), ("image", "schema", 0, "schema is 0; it must be a whole"),
        ("vector", "columns.vector.spec.mean", [0.0], "in which mean has 3 values, as features says."),
        ("vector", "columns.vector.spec.spread", [1.0, 0.0, 1.0], r"spread\[1\] is 0.0; it must be a number above 0."),
        ("vector", "columns.vector.spec.names", ["q", "p", "r"], "spec.names is not what the weights were made with."),
        ("words", "columns.left.spec.tokeniser.shortest", 3, "spec.tokeniser is not what the weights were made with."),
        ("words", "columns.left.spec.tokeniser.longest", 1, "in which longest is at least shortest."),
        ("text", "columns.left.spec.tokeniser.vocabulary", 9, "whose vocabulary is 270, as its tokenizer has it."),
        ("text", "columns.left.spec.tokeniser.tokenizer.model", {}, "what the library tokenizers wrote"),
        ("concat", "ensemble.how", "average", "ensemble.how|maps"), ("concat", "ensemble.members", [], "a list of at least 2."),
        ("average", "ensemble.members.1.columns.vector.spec.features", 2, r"members\[1\].columns.vector.spec is a table"),
    ],
)  # fmt: skip
def test_what_config_json_says_is_looked_at(copied, name, path, value, said):
    run = copied(name)
    rewritten(run, put(path, value))
    with pytest.raises(RunError, match=said):
        loading.load(run)


def test_an_earlier_version_still_opens(copied, home):
    """Without hashes among the weights, with fewer knobs and no numbers of the method, a run is the same."""
    run = copied("words")
    before = damage.encode(run, home)
    tensors, _ = files.load_tensors(run / "model.safetensors")
    files.save_tensors(run / "model.safetensors", tensors, {})

    def earlier(values):
        for section, name in (("data", "depth"), ("train", "mix"), ("train", "average"), ("optim", "final_decay")):
            del values["config"][section][name]
        del values["asked"], values["notes"], values["config"]["method"]["keep"]

    rewritten(run, earlier)
    assert damage.encode(run, home) == before
    assert Run.open(run).config["config"]["train"]["average"] == 0.0


def test_a_training_is_not_gone_on_with_by_other_knobs(copied):
    run = copied("vector")
    rewritten(run, put("config.train.seed", 5))
    with pytest.raises(RunError, match="config.train.seed is not what the weights were made with"):
        train.train(out=run, resume=True, epochs=2, quiet=True)


def test_a_line_of_metrics_in_the_middle_is_not_passed_over(copied):
    run = copied("vector")
    line = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text(line + line[:20])
    assert len(Run(run).metrics()) == 1
    (run / "metrics.jsonl").write_text(line[:20] + "\n" + line)
    with pytest.raises(RunError, match="metrics.jsonl, line 1: is damaged"):
        Run(run).metrics()


def test_a_figure_that_was_changed_is_left_out(copied):
    run = copied("vector")
    file = sorted((run / "evaluations").glob("*.json"))[0]
    shutil.copy(file, run / "kept")
    entry = json.loads((run / "kept").read_text())
    entry["data"]["test_rows"] += 1
    file.unlink()
    file.write_text(json.dumps(entry))
    from nearfar.evaluation.report import kept

    (run / "evaluation.json").unlink()
    with pytest.warns(NearfarWarning, match="is left out: .* its content is not what was written"):
        assert len(kept.every(Run.open(run))) == 1


def test_plugins_without_a_schema_have_the_general_limits():
    from nearfar.core.schema import fits
    from nearfar.modalities.text.tokenisers import AnySpec

    fits({"kind": "mine", "vocabulary": 5, "of_mine": [1, {"x": None}]}, AnySpec, "config.json")
    with pytest.raises(UserError, match="of_mine is inf"):
        fits({"kind": "mine", "vocabulary": 5, "of_mine": float("inf")}, AnySpec, "config.json")


@pytest.mark.parametrize("file", ["model.safetensors", "rows.safetensors", "config.json", "checkpoint/state.safetensors"])
def test_what_is_no_file_is_not_waited_for(copied, file):
    run = copied("vector")
    (run / file).unlink()
    os.mkfifo(run / file)
    with pytest.raises(RunError, match="is no file"):
        Run.open(run).load_checkpoint() if "state" in file else loading.load(run)
