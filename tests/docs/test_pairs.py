"""docs/pairs.md: its example runs, its commands parse, its JSON is JSON."""

import json
import re
import shlex
from pathlib import Path

from nearfar.cli import cli

PAGE = (Path(__file__).parents[2] / "docs" / "pairs.md").read_text(encoding="utf-8")


def test_the_example_runs_and_finds_the_colours():
    (code,) = re.findall(r"<!-- runs -->\n```python\n(.*?)```", PAGE, re.S)
    names: dict = {}
    exec(code, names)
    assert names["seen"].shape == (5, 256)
    right = names["by_name"].predict(names["model"].encode(names["pictures"], column="image")).labels
    assert (right == names["colour"]).mean() > 0.8


def test_the_commands_parse():
    lines = re.findall(r"^\$ nearfar (\w+) (.*)$", PAGE, re.M)
    assert len(lines) == 19
    for verb, line in lines:
        cli.get_command(None, verb).make_context(verb, shlex.split(line, comments=True))


def test_the_line_of_json():
    (line,) = re.findall(r"```json\n(.*?)\n```", PAGE, re.S)
    assert len(json.loads(line)["caption"]) == 2
