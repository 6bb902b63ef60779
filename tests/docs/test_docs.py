"""What the documentation says is what the program does."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nearfar.core import config, values
from nearfar.core.registry import METHODS

ROOT = Path(__file__).parents[2]
README, GUIDE = ROOT / "README.md", ROOT / "docs" / "guide.md"


def blocks():
    return re.findall(r"<!-- help: (.*?) -->\n```text\n(.*?)```", GUIDE.read_text(), re.S)


def help_of(args):
    text = "from nearfar.cli import main; main()"
    out = subprocess.run([sys.executable, "-c", text, *args.split()], capture_output=True, text=True, check=True)
    return out.stdout


@pytest.mark.parametrize(("args", "shown"), blocks())
def test_help_in_the_guide_is_the_real_one(args, shown):
    assert shown.strip() == help_of(args).strip()


def test_there_is_help_in_the_guide():
    assert blocks()


def test_every_file_of_the_tree_exists():
    tree = re.search(r"```text\nsrc/nearfar/\n(.*?)```", README.read_text(), re.S)[1]
    homes = {2: ROOT / "src/nearfar"}  # by how far a line is indented
    for line in tree.splitlines():
        if indent := len(line) - len(line.lstrip()):
            names = re.findall(r"[\w/]+\.py|\w+/", line)
            homes[indent + 2] = homes[indent] / names[0]
            for name in names:  # what is spoken of in the line may lie in the folder that it is about
                assert any((homes[i] / name).exists() for i in (indent, indent + 2)), (line, name)


def test_links_lead_somewhere():
    for file in [README, *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", file.read_text()):
            assert (file.parent / target).exists(), (file.name, target)


def test_every_knob_has_help_and_a_legal_default():
    for section, f, hint in config.knobs():
        assert f.metadata["help"], f.name
        default = f.default_factory() if f.default is dataclasses.MISSING else f.default
        assert values.convert(f, hint, default, f"{section}.{f.name}") == default


def test_methods_are_named_in_the_readme():
    text = re.sub(r"[\W_]+", "", README.read_text().lower())
    for name in METHODS:
        assert name.replace("_", "") in text or name in ("supervised", "random", "moco_v2", "moco_v3"), name


@pytest.mark.parametrize("name", ["simclr", "supcon"])
def test_expected_figures_are_the_measured_ones(name):
    import json

    found = json.loads((ROOT / f"docs/results/cifar10/{name}-seed0.json").read_text())
    r = found["evaluation"]["results"][0]
    said = METHODS.get(name).RECORD.expected
    assert f"linear probe {r['linear_probe']['accuracy']:.3f}" in said
    assert f"kNN {r['knn']['accuracy']:.3f}" in said
    assert f"{found['training_seconds'] / 60:.0f} minutes" in said
