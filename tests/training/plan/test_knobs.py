"""What a knob is given: numbers out of range, names that do not exist and files of other kinds are sentences."""

import math

import numpy as np
import pytest

import nearfar
from nearfar.core.config import Config, assemble, knobs, read_file
from nearfar.core.errors import ConfigError, UnknownName, UserError, listed
from nearfar.methods import record
from nearfar.training import train
from nearfar.training.stopping import saving
from tests.conftest import TINY

NUMBERS = [(s, f) for s, f, _ in knobs() if "int" in f.type or "float" in f.type]
ODD = [
    math.nan, math.inf, -math.inf, -1, -1e-9, "nan", "inf", "1e999", "many", "", "1,5", "3 rows", True, 10**400,
    "9" * 5000, 1e300, [], [1], {}, {"a": 1}, b"1", 1j, np.float32("nan"), np.zeros(2),
]  # fmt: skip


@pytest.mark.parametrize(("section", "f"), NUMBERS, ids=lambda x: getattr(x, "name", x))
def test_numbers_that_cannot_be_are_sentences(section, f):
    path = f"{section}.{f.name}"
    for value in ODD:
        try:
            found = getattr(getattr(Config().set(path, value), section), f.name)
        except UserError as e:
            assert path in str(e) and len(str(e)) < 700, (value, e)
        else:  # a large one may be meant
            assert value == 1e300 and isinstance(found, float) and math.isfinite(found), value


def test_every_zero_that_is_taken_trains(digits):
    few = {"train": tuple(a[:96] for a in digits["train"])}
    zeros, refused = {}, []
    for section, f in NUMBERS:
        try:
            Config().set(f"{section}.{f.name}", 0)
            zeros[f.name] = 0
        except ConfigError as e:
            assert "it must be" in str(e)
            refused.append(f.name)
    assert {"batch_size", "lr", "log_every", "chunk", "threads", "processes", "limit", "size", "length"} <= set(refused)
    assert {"clip", "warmup", "momentum", "weight_decay", "epochs", "monitor_rows", "workers", "mix"} <= set(zeros)
    del zeros["mix"], zeros["min_rating"]  # need rows of several sets, and users and items
    given = TINY | zeros | {"optim.name": "sgd", "batch_size": 32}
    assert train.train(few, **given).metrics == []
    assert np.isfinite(train.train(few, **given | {"epochs": 1}).metrics[-1]["loss"])


def test_whole_numbers_keep_all_their_digits():
    assert Config().set("seed", 2**60 + 1).train.seed == 2**60 + 1
    assert Config().set("seed", str(2**60 + 1)).train.seed == 2**60 + 1
    assert Config().set("seed", np.int64(2**60 + 1)).train.seed == 2**60 + 1
    assert Config().set("batch_size", "1e3").train.batch_size == 1000
    with pytest.raises(ConfigError, match="at most 9223372036854775807"):
        Config().set("seed", 2**63)
    with pytest.raises(ConfigError, match="at most 2147483647"):
        Config().set("epochs", 2**31)
    with pytest.raises(ConfigError, match="above 0 and finite"):
        Config().set("lr", "inf")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("60s", (None, 60)),
        ("1.5h", (None, 5400)),
        ("500steps", (500, None)),
        ("1 step", (1, None)),
        ("never", (None, None)),
    ],
)
def test_when_to_save(text, found):
    assert saving(text) == found


@pytest.mark.parametrize(
    "text", ["0steps", "-5steps", "xsteps", "steps", "1.2.3s", ".s", "", "nan", "1e3steps", "5", "٣s"]
)
def test_times_that_are_none_are_told_before_the_data_are_read(text):
    for word in ("checkpoint_every", "stop_after"):
        with pytest.raises(ConfigError, match=f"train.{word}"):
            train.plan(Config().set(word, text), source="there is no such file")


def test_names_are_told_before_the_data_are_read():
    for knob, said in {
        "log=tensorbord": "'tensorboard'", "encoder=timm:resnet51": "resnet50", "encoder=timm": "no model is named",
        "encoder=resnet81": "'resnet18'", "device=cuda:99": "GPU|cannot be used|no device", "device=gpu": "no device",
        "device=meta": "cannot be used", "positives=teacher:timm:no_such_model": None, "balance=10": "train.balance",
        "method=simclear": "'simclr'", "method.views=byoll": "'byol'",
    }.items():  # fmt: skip
        word, _, value = knob.partition("=")
        if said is not None:
            with pytest.raises(UserError, match=said):
                train.plan(Config().set(word, value), source="there is no such file")


def test_what_cannot_be_built_is_a_sentence(digits, tiny):
    for given, said in (
        ({"encoder_options": {"widths": [-8]}}, "encoder"), ({"encoder_options": {"widths": []}}, "encoder"),
        ({"projector": {"hidden": -3}}, "method"), ({"method": "byol", "predictor": {"out": 9}}, "method.predictor.out"),
        ({"chunk": 1}, "at least two rows"), ({"chunk": 64, "bn_groups": 3}, "multiple of 3"),
        ({"method": "moco_v2", "chunk": 4, "parts": {"memory": {"size": 96}}}, "multiple of 8"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=said):
            train.train(digits, **tiny | given)


def test_encode_in_batches_of_nothing(digits, tiny):
    trained = train.train(digits, **tiny)
    for size in (0, -1, 2.5, math.nan, math.inf, "many", None, True):
        with pytest.raises(ConfigError, match="batch_size is .*; it must be a whole number of at least 1"):
            trained.encode(digits["test"][0][:3], batch_size=size)
    whole = trained.encode(digits["test"][0][:3])
    np.testing.assert_allclose(trained.encode(digits["test"][0][:3], batch_size=1), whole, atol=1e-6)
    with pytest.raises(ConfigError, match="seeds is 0"):
        nearfar.train(digits, seeds=0, **tiny)


def test_the_estimators_numbers():
    x = np.random.default_rng(0).normal(size=(40, 4))
    for word, value in (("batch_size", 0), ("batch_size", math.nan), ("epochs", -1), ("learning_rate", 0)):
        with pytest.raises(ConfigError):
            nearfar.ContrastiveEmbedding(**{word: value}).fit(x)


def test_config_files_of_other_kinds(tmp_path):
    for name, text, said in (
        ("run.yaml", "train:\n  epochs: 3\n", "TOML or JSON; YAML"), ("run.yml", "", "YAML"), ("run.ini", "", "TOML or JSON"),
        ("run.json", "[1, 2]", "no table of knobs"), ("run.json", '{"config": 3}', "expected a table"),
        ("run.json", "{", "is damaged"), ("run.toml", "train:\n  epochs: 3\n", "not valid TOML"),
        ("run.toml", "train = 3", "expected a table"), ("run.json", "[" * 100_000, "nested too deep"), ("run.toml", "\udcff", "TOML"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(ConfigError, match=said):
            assemble(tmp_path / name)
    (tmp_path / "run.toml").write_text("[train]\nepochs = 3\n")
    assert read_file(tmp_path / "run.toml") == {"train": {"epochs": 3}}


def test_lists_of_names_are_whole_or_say_that_they_are_not():
    with pytest.raises(UnknownName) as e:
        Config().set("qqqqqqqq", 1)
    assert all(f.name in str(e.value) for _, f, _ in knobs())
    assert "nearfar config" in str(e.value)
    names = [f"n{i:03}" for i in range(130)]
    assert listed(names).endswith("n099 and 30 more")
    assert str(UnknownName("class", "qqqq", names)).endswith("n099 and 30 more.")
    assert str(UnknownName("class", "qqqq", names[:30])).endswith("n028, n029.")


@pytest.mark.parametrize(("method", "knob", "value"), [
    ("simclr", "temperature", -0.1), ("simclr", "temperature", 0), ("simclr", "temperature", {"end": 0.0}),
    ("simclr", "lr", -1), ("simclr", "lr", None), ("simclr", "lr", math.nan), ("simclr", "weight_decay", -1.0),
    ("simclr", "weight_decay", None), ("simclr", "count", 0), ("simclr", "count", 1), ("byol", "count", 1),
    ("simclr", "count", None), ("swav", "local", 9), ("simclr", "bn", "x"), ("simclr", "keep", "x"),
    ("simclr", "bn_groups", 0), ("simclr", "predictor", "x"), ("simclr", "projector", 5), ("simclr", "parts", None),
    ("simclr", "positives", None), ("simclr", "objective", 3), ("simclr", "objective", None),
    ("simclr", "projector", {"layers": 0}), ("byol", "predictor", {"hidden": 0}), ("byol", "twin", {"momentum": 1.5}),
    ("byol", "twin", 3),
])  # fmt: skip
def test_numbers_of_methods_that_cannot_be_are_sentences(method, knob, value):
    with pytest.raises((ConfigError, UnknownName), match=rf"^method\.{knob}"):
        record.resolve(method, {knob: value})


@pytest.mark.parametrize("given", [{"layers": -1}, {"layers": True}, {"width": "x"}, {"width": None}, {"out": []}])
def test_numbers_of_encoders_that_cannot_be_are_sentences(given):
    rows = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(ConfigError, match=f"encoder_options.{next(iter(given))}"):
        nearfar.train(rows, encoder="mlp", encoder_options=given, quiet=True)
