"""docs/losses.md says what the objectives declare, and its examples run."""

import re
from pathlib import Path

import torch

from nearfar.core.config import assemble
from nearfar.core.registry import OBJECTIVES
from nearfar.methods import record

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "losses.md"


def test_the_tables_are_those_of_the_registry():
    assert all(f"`{name}`" in PAGE.read_text(encoding="utf-8") for name in OBJECTIVES)


def test_the_example_runs():
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)[1]
    found: dict = {}
    exec(code, found)
    assert int(found["numbers"]["anchors"]) == 5
    assert torch.isfinite(found["z"].grad).all()


def test_the_commands_name_objectives_that_fit():
    for line in re.findall(r"\$ nearfar train .*", PAGE.read_text(encoding="utf-8")):
        method = re.search(r"--method (\w+)", line)[1]
        config, _ = assemble(None, tuple(re.findall(r"--set (\S+)", line)))
        assert record.resolve(method, config.method).objective_name in OBJECTIVES
