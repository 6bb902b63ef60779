"""What the documentation tells people to type exists: verbs, options, knobs, files, and the names given to them."""

import ast
import importlib
import inspect
import re
import shlex
from itertools import pairwise
from pathlib import Path

import click
import pytest

import nearfar
from nearfar.core.config import SECTIONS, assemble, locate
from nearfar.core.errors import UnknownName
from nearfar.core.registry import ALL, ENCODERS, METHODS, POSITIVES, PROTOCOLS, TARGETS, TOKENISERS, VERBS
from nearfar.methods import record
from nearfar.models.embedder import Embedder
from nearfar.transforms.recipe import kind, override
from nearfar.transforms.recipes import RECIPES

ROOT = Path(__file__).parents[2]
PAGES = {str(p.relative_to(ROOT)): p.read_text(encoding="utf-8") for p in (ROOT / "README.md", *ROOT.glob("docs/**/*.md"))}
HELP = {f"nearfar {name} --help": VERBS.get(name).command.help or "" for name in VERBS}
PROSE = {name: re.sub(r"```.*?```", "", text, flags=re.S) for name, text in PAGES.items()}
SPANS = {name: [s.replace("\n", " ") for s in re.findall(r"`([^`]+)`", text)] for name, text in PROSE.items()}
OPTIONS = {o for name in VERBS for p in VERBS.get(name).command.params for o in (*p.opts, *p.secondary_opts)}
FILES = (".py", ".md", ".csv", ".jsonl", ".json", ".txt", ".html", ".parquet", ".onnx")
TOOLS = {"--help", "--version", "--no-deps"}  # of nearfar itself


def plugins():
    """The plug-ins that the pages show, by file: Python blocks that begin with ``# plugins/…``."""
    for text in PAGES.values():
        for block in re.findall(r"```python\n(.*?)```", text, re.S):
            if found := re.match(r"# (plugins/\S+\.py)\n", block):
                yield found[1], block


@pytest.fixture(autouse=True)
def plugged(tmp_path, monkeypatch):
    for name, block in plugins():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(block)
    monkeypatch.setenv("NEARFAR_PLUGINS", str(tmp_path / "plugins"))


def shown():
    """Every command in a console block, in backticks and in the verbs' help."""
    found = {}
    for name, text in PAGES.items():
        for block in re.findall(r"```console\n(.*?)```", text, re.S):
            for line in re.sub(r"\\\n\s*", " ", block).splitlines():
                if command := re.match(r"\$ (?:[A-Z_]+=\S+ )*nearfar (.*)", line):
                    found[re.sub(r"\s+#.*$", "", command[1])] = name
        for span in SPANS[name]:
            if command := re.match(r"(?:[A-Z_]+=\S+ )*nearfar (.*)", span):
                found.setdefault(command[1], name)
    for name, text in HELP.items():
        for line in re.findall(r"^\s*nearfar (.*)$", text, re.M):
            found.setdefault(re.split(r"\s{2,}", line)[0], name)
    return [pytest.param(line, id=f"{name}: {line}") for line, name in found.items()]


def test_the_commands_are_found():
    assert len(shown()) > 60
    assert {name for name, _ in plugins()} >= {"plugins/methods/pull.py", "plugins/transforms/invert.py"}


@pytest.mark.parametrize("line", shown())
def test_every_command_shown_can_be_typed(line):
    verb, *args = shlex.split(line)
    if verb in TOOLS:
        return
    command = VERBS.get(verb).command
    if not args:  # a verb that is spoken of
        return
    try:
        given = command.make_context(verb, args).params
    except click.exceptions.Exit:
        return  # --help
    except click.MissingParameter:
        assert args[0].startswith("-")  # options that are spoken of
        given = {"set": [v for k, v in pairwise(args) if k == "--set"]}
    names_exist(given)


def names_exist(given):
    """The names that a command gives to its options are of something."""
    config, _ = assemble(None, given.get("set") or ())
    for option, known in (("method", METHODS), ("recipe", RECIPES), ("encoder", ENCODERS), ("positives", POSITIVES),
                          ("tokens", TOKENISERS), ("protocols", PROTOCOLS), ("to", TARGETS)):  # fmt: skip
        value = given.get(option) or ()
        for word in value.split(",") if isinstance(value, str) else value:
            name = word.rpartition("=")[2].partition(":")[0].replace("-", "_" if option == "to" else "-")
            assert name in known or name in ("auto", "default"), (option, name)
    method = given.get("method") or config.model.method
    if config.method and method != "auto":
        record.check_used("simclr" if method == "default" else method, config.method)
    for name, numbers in config.views.overrides.items():
        override(((kind(name)(),),), {name: numbers})
    for word in config.views.add:
        kind(word.rpartition("=")[2])


@pytest.mark.parametrize("page", PAGES)
def test_every_knob_and_option_spoken_of_exists(page):
    for span in SPANS[page]:
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", span):
            assert option in OPTIONS | TOOLS, span
        for knob in re.findall(rf"(?<![\w./])(?:{'|'.join(SECTIONS)})\.[a-z_]+(?:\.[a-z_]+)*(?![\w(/.])", span):
            of_a_model = knob.startswith("model.") and hasattr(Embedder, knob.removeprefix("model."))
            if not of_a_model and not knob.endswith(FILES):
                locate(knob)
        for setting in re.findall(r"--set (\S+=\S+)", span):
            if not re.search("=[A-Z]+$", setting):  # a value that is only spoken of
                names_exist({"set": [setting]})


@pytest.mark.parametrize("page", PAGES)
def test_every_file_spoken_of_exists(page):
    """Files of the code in backticks, from the root or from the package; of architecture.md folders too."""
    homes = (ROOT, ROOT / "src/nearfar")
    for span in SPANS[page]:
        if re.fullmatch(r"[\w/-]+(\.py|/)" if page.endswith("architecture.md") else r"[\w/-]+\.py", span):
            assert any((home / span).exists() for home in homes) or span in {f"{p}/" for r in ALL for p in r.plugins}, span


@pytest.mark.parametrize("page", PAGES)
def test_every_python_name_shown_exists(page):
    """What is imported from nearfar, what is taken from it, and the knobs that `train` is given."""
    for block in re.findall(r"```python\n(.*?)```", PAGES[page], re.S):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "nearfar":
                module = importlib.import_module(node.module)
                for name in node.names:
                    assert hasattr(module, name.name) or importlib.import_module(f"{node.module}.{name.name}")
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nearfar":
                assert hasattr(nearfar, node.attr), node.attr
            elif isinstance(node, ast.Call) and re.fullmatch(r"nearfar\.\w+", ast.unparse(node.func)):
                function = getattr(nearfar, ast.unparse(node.func).removeprefix("nearfar."))
                known = inspect.signature(function).parameters
                for word in node.keywords:
                    assert word.arg in known or locate(word.arg), word.arg


def test_a_name_that_does_not_exist_would_be_noticed():
    for given in ({"set": ["views.add=rotat"]}, {"set": ["views.overrides.rotate.degree=3"]}, {"method": "simclrr"},
                  {"set": ["train.epoch=3"]}, {"recipe": "simclrr"}, {"set": ["method.temperatur=3"]}):  # fmt: skip
        with pytest.raises((AssertionError, UnknownName, ValueError)):
            names_exist(given)
