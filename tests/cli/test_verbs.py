"""Every verb is a public function: its options are the function's arguments, and it prints what the result says."""

import inspect
import json
import subprocess
import sys
import tomllib

import click
import numpy as np
import pytest
from PIL import Image

import nearfar
from nearfar import cli
from nearfar.core.config import Config, knobs
from nearfar.core.console import table
from nearfar.core.errors import ConfigError, NearfarWarning, UnknownName
from nearfar.core.options import names
from nearfar.core.registry import VERBS
from nearfar.data.read import read

CONSOLE = {"as_json", "quiet", "debug"}  # --json, --quiet and --debug, which `cli.verb` takes
# Options whose arguments have other names: words that Python reserves or that mean several things there, the plural
# where an option may be repeated, and where a word is an argument of another kind.
ELSEWHERE = {"--in": "data", "--on": "data", "--from": "source", ("search", "--to"): "target", "--views": "count",
             "--protocol": "protocols", "--template": "templates", "--json": "as_json"}  # fmt: skip


def function_of(verb):
    return getattr(nearfar, nearfar.RENAMED.get(verb, verb))


def taken(function):
    """The arguments of a function by name with their defaults, those that it hands on included."""
    found = {n: p.default for n, p in inspect.signature(function).parameters.items() if p.kind is not p.VAR_KEYWORD}
    if "knobs" in inspect.signature(function).parameters:
        found |= {f.name: None for _, f, _ in knobs()}
    if function is nearfar.evaluate:  # which hands on the options of these two
        for other in (read,):
            parameters = inspect.signature(other).parameters
            found = {n: parameters[n].default for n in names(other)} | found
    return found


def parameters():
    return [
        pytest.param(verb, parameter, id=f"{verb} {max(parameter.opts, key=len)}")
        for verb in VERBS
        for parameter in VERBS.get(verb).command.params
        if parameter.name not in CONSOLE
    ]


def test_every_verb_has_its_function_and_every_renamed_one_is_a_verb():
    assert set(nearfar.RENAMED) <= set(VERBS)
    assert all(callable(function_of(verb)) and function_of(verb).__doc__ for verb in VERBS)
    assert {nearfar.RENAMED.get(verb, verb) for verb in VERBS} <= set(nearfar.__all__)


@pytest.mark.parametrize(("verb", "parameter"), parameters())
def test_every_option_is_an_argument_of_the_same_name_and_default(verb, parameter):
    arguments = taken(function_of(verb))
    assert parameter.name in arguments
    if isinstance(parameter, click.Option):
        word = max(parameter.opts, key=len)
        named = ELSEWHERE.get((verb, word)) or ELSEWHERE.get(word) or word.strip("-").replace("-", "_")
        assert parameter.name == named
        default = parameter.to_info_dict()["default"]
        if default not in (None, ()) and not parameter.required:  # else the function's own is meant
            assert default == arguments[parameter.name]


@pytest.mark.parametrize(("verb", "parameter"), parameters())
def test_every_help_is_made_of_sentences(verb, parameter):
    if isinstance(parameter, click.Option) and parameter.name not in {f.name for _, f, _ in knobs()}:
        text = parameter.help.partition("  [")[0]
        assert text[0].isupper(), text
        assert text.endswith("."), text
        assert len(text.split()) > 2, text


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"doctor", "methods"}))
def test_an_argument_that_does_not_exist_is_refused_with_the_nearest(verb):
    function = function_of(verb)
    needed = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    values = ["x" for p in needed if p.kind is p.POSITIONAL_OR_KEYWORD]
    with pytest.raises(UnknownName, match="there is no (option|knob) named 'seeed'"):
        function(*values, seeed=1)


def test_nothing_heavy_is_loaded_until_a_verb_is_used():
    text = (
        "import sys, nearfar\n"
        "nearfar.config, nearfar.list_methods\n"
        "print(sorted(m for m in ('torch', 'numpy', 'sklearn', 'pyarrow', 'PIL', 'rich') if m in sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_what_is_listed(capfd):
    for verb, args, listed in (
        ("methods", [], nearfar.list_methods()), ("methods", ["byol"], nearfar.list_methods("byol")),
        ("config", ["--set", "lr=0.5"], nearfar.config(set={"lr": 0.5})),
    ):  # fmt: skip
        assert cli.run([verb, *args, "--json"]) == 0
        out, err = capfd.readouterr()
        assert err.removesuffix("\n") == repr(listed)
        assert json.loads(out) == listed.as_dict() == json.loads(json.dumps(listed.as_dict()))
    machine = nearfar.doctor()
    assert f"torch        {machine.facts['torch']}" in repr(machine).splitlines()


def test_the_listed_config_is_toml_that_gives_the_config_back():
    sets = {"model.encoder_options": {"widths": [8, 16], "deep": {"er": 1}}, "method.temperature": 0.2,
            "data.missing": ["NA"], "optim.clip": 1.5, "train.select": "last"}  # fmt: skip
    for listed in (nearfar.config(), nearfar.config(set=sets)):
        assert Config.from_dict(tomllib.loads(repr(listed))) == listed.config
    assert "# --set:" in next(line for line in repr(listed).splitlines() if line.startswith("clip "))
    with pytest.raises(ConfigError, match=r"section\.key=value"):
        nearfar.config(set="nonsense")


def test_a_table_is_as_wide_as_its_cells():
    lines = table([["", "a", "name [b]"], ["x", "1", "[0.1, 0.2]"], ["longer", "", "日本"]]).splitlines()
    assert lines == [
        "        a    name [b]", "─────────────────────", "x       1  [0.1, 0.2]", "longer           日本",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Rows of numbers of two classes, and a run on them."""
    folder = tmp_path_factory.mktemp("verbs")
    draw = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = (draw.normal(size=(60, 4)) + 4 * y[:, None]).astype(np.float32)
    np.savez(folder / "rows.npz", x=x, y=y)
    nearfar.train(folder / "rows.npz", out=folder / "run", epochs=1, batch_size=16, threads=1, quiet=True)
    return folder


def asked(capfd, *args):
    """The JSON and the text that a command prints."""
    assert cli.run([*map(str, args), "--json"]) == 0
    out, err = capfd.readouterr()
    return json.loads(out), err.removesuffix("\n")


def test_search_from_python(run):
    rows = np.load(run / "rows.npz")["x"]
    found = nearfar.search(run / "run", rows[:3], data=run / "rows.npz", k=2, quiet=True)
    assert [query for query, _ in found.results] == ["query 1", "query 2", "query 3"]
    assert [hits[0].name for _, hits in found.results] == [f"rows.npz:{i}" for i in (1, 2, 3)]
    assert found.results[0][1][0].score == pytest.approx(1, abs=1e-5)
    assert repr(found).startswith("query 1\n   1.000  rows.npz:1")
    with pytest.raises(ConfigError, match="k is 0"):
        nearfar.search(run / "run", rows[:1], k=0)


def test_embed_from_python(run, capfd):
    made = nearfar.embed(nearfar.load(run / "run"), run / "rows.npz", project="pca", dimensions=3, quiet=True)
    assert (made.vectors.shape, made.projection.shape, made.out) == ((60, 3), (60, 2), None)
    assert repr(made) == "60 vectors of 3 dimensions."
    printed, text = asked(capfd, "embed", run / "run", run / "rows.npz", "--dimensions", 3, "--out", run / "z.npz")
    again = nearfar.embed(run / "run", run / "rows.npz", dimensions=3, out=run / "z.npz", quiet=True)
    assert printed == again.as_dict() and text == repr(again)
    np.testing.assert_array_equal(np.load(run / "z.npz")["vector"], again.vectors)
    whole = nearfar.embed(run / "run", run / "rows.npz", normalize=False, quiet=True)
    assert not np.allclose(np.linalg.norm(whole.vectors, axis=1), 1)


def test_align_from_python(run, capfd):
    rows = np.load(run / "rows.npz")["x"]
    np.save(run / "a.npy", rows[:30])
    np.save(run / "b.npy", np.delete(rows[:30], 7, 0))
    made = nearfar.align(run / "a.npy", run / "b.npy", run=nearfar.load(run / "run"), quiet=True, skip=0.1)
    assert made.counts == {"joined": 29, "left_skipped": 1, "right_skipped": 0}
    printed, text = asked(capfd, "align", run / "a.npy", run / "b.npy", "--run", run / "run", "--skip", "0.1")
    assert printed | {"skip": 0.1} == made.as_dict() and text == repr(made)


def test_classify_from_python(run, capfd):
    made = nearfar.classify(run / "run", run / "rows.npz", kind="knn", quiet=True)
    assert repr(made) == f"Next: nearfar classify {run / 'run'} NEW --use default"
    printed, text = asked(capfd, "classify", run / "run", run / "rows.npz", "--use", "default")
    again = nearfar.classify(run / "run", new=run / "rows.npz", use="default", quiet=True)
    assert printed == json.loads(json.dumps(again.as_dict())) and text.endswith(repr(again))
    assert "accuracy 1.000" in repr(again) and "60 new rows: " in repr(again)
    for wrong, said in (({"kind": "knn"}, "--kind"), ({"templates": "a {}"}, "templates"), ({"out": "p.txt"}, ".csv")):
        with pytest.raises(ConfigError, match=said):
            nearfar.classify(run / "run", new=run / "rows.npz", use="default", **wrong)


def test_eval_and_train_from_python(run, capfd):
    given = {"protocols": "knn", "floors": False, "quiet": True, "keep": True, "map": "pca"}
    with pytest.warns(NearfarWarning, match="trained on"):
        made = nearfar.evaluate(run / "run", **given)
    assert made.report == run / "run" / "report.html"
    assert repr(made).endswith(f"\n\nReport: {made.report}")
    printed, text = asked(capfd, "eval", run / "run", "--protocol", "knn", "--no-floors", "--map", "pca")
    assert printed == made.as_dict() and text.endswith(f"\n\n{made!r}")
    with pytest.warns(NearfarWarning, match="trained on"):
        both = nearfar.evaluate(run / "run", dimensions=[2], **given)
    assert len(both.results) == 2 and both.report is None
    trained = nearfar.train(out=run / "run", resume=True, quiet=True)
    assert trained.as_dict()["run"] == str(run / "run") and f"The model is in {run / 'run'}" in repr(trained)
    assert "lies in no folder" in repr(nearfar.train(run / "rows.npz", epochs=1, threads=1, quiet=True))
    several = nearfar.train(run / "rows.npz", epochs=1, threads=1, quiet=True, seeds=2, out=run / "two")
    assert [t.path.name for t in several] == ["seed0", "seed1"] and f"nearfar eval {run / 'two'}" in repr(several)
    assert [r["seed"] for r in several.as_dict()["runs"]] == [0, 1]
    ensemble = nearfar.ensemble([run / "two"], out=run / "both", quiet=True)
    assert ensemble.as_dict()["members"] == ["two/seed0", "two/seed1"] and str(run / "both") in repr(ensemble)


def test_views_from_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures = np.random.default_rng(0).integers(0, 255, (24, 16, 16, 3), dtype=np.uint8)
    sheet = nearfar.views(pictures, rows=2, count=3, quiet=True, set={"views.overrides.crop.scale": [0.9, 1]})
    shown = sheet._repr_mimebundle_()
    assert shown["image/png"] == sheet.content and "crop scale (0.9, 1)" in shown["text/plain"]
    assert not list(tmp_path.iterdir())
    texts = nearfar.views([f"the cat number {i}" for i in range(24)], out="sheet.png", rows=2, count=3, quiet=True)
    assert texts.out == "sheet.html" and (tmp_path / "sheet.html").read_bytes() == texts.content
    assert "text/html" in texts._repr_mimebundle_()
    nearfar.views(pictures, out="sheet.png", rows=1, count=1, quiet=True)
    assert Image.open(tmp_path / "sheet.png").size[0] > 80


@pytest.mark.parametrize(
    ("args", "pairs", "data"),
    [
        (["d", "--pair", "a", "b", "c"], [("a", "b", "c")], "d"),
        (["--pair", "a", "b", "d"], [("a", "b")], "d"),
        (["--epochs", "3", "--pair", "a", "b", "d"], [("a", "b")], "d"),
        (["d", "--pair", "a", "b", "--seed", "1", "--pair", "b", "c"], [("a", "b"), ("b", "c")], "d"),
        (["--pair=a", "b", "d"], [("a", "b")], "d"),
        (["d", "--pair", "a", "b", "--dry-run"], [("a", "b")], "d"),
        (["--out", "o", "d", "--pair", "a", "b", "c", "-q"], [("a", "b", "c")], "d"),
        (["--pair", "a", "b", "--", "-d"], [("a", "b")], "-d"),
        (["d", "--pair", "a"], [("a",)], "d"),  # which is refused later, by name
    ],
)
def test_pairs_take_the_words_after_them(args, pairs, data):
    given = VERBS.get("train").command.make_context("train", args).params
    assert (list(given["pair"]), given["data"]) == (pairs, data)


def test_a_pair_of_nothing():
    with pytest.raises(click.BadOptionUsage, match="--pair"):
        VERBS.get("train").command.make_context("train", ["d", "--pair"])
