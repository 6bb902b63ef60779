"""docs/align.md says what the JSON says, and its commands are ones that there are."""

import re
import shlex
from pathlib import Path

from nearfar.cli.align import command

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "align.md"


def test_the_commands_parse():
    lines = re.findall(r"^\$ nearfar align (.*)$", PAGE.read_text(encoding="utf-8"), re.M)
    assert len(lines) == 2
    for line in lines:
        command.make_context("align", shlex.split(line, comments=True))
