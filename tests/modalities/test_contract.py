"""Every modality has what the package's docstring lists, under these names and with these arguments."""

import inspect
import re

import pytest

import nearfar.modalities
from nearfar.core.registry import MODALITIES

ROWS = re.findall(r"^``(\w+)(?:\(([\w, ]*)\).*?)?``(?:, ``\w+``)? +(\S.*)$", nearfar.modalities.__doc__, re.M)


@pytest.mark.parametrize("name", [*MODALITIES])
def test_every_modality_has_what_is_listed(name):
    module = MODALITIES.get(name)
    assert name == module.NAME
    for what, arguments, said in ROWS:
        assert hasattr(module, what) or said.startswith("optional"), what
        if arguments and hasattr(module, what):
            assert ", ".join(inspect.signature(getattr(module, what)).parameters) == arguments, what


def test_the_list_is_read():
    assert {"NAME", "decode", "views", "takes", "describe", "lengths"} < {what for what, *_ in ROWS}
