"""What people are shown: long values by their beginning and length, nothing that a terminal would obey."""

import json
import warnings

import pytest

from nearfar import cli
from nearfar.core.config import Config
from nearfar.core.console import QUIET, Console
from nearfar.core.errors import ConfigError, DataError, NearfarWarning, UnknownName
from nearfar.core.names import brief, visible

CODES = [chr(c) for c in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))]


@pytest.mark.parametrize("char", [*CODES, "\u200b", "\u200e", "\u2028", "\ufeff", "\u2060", "\xad", "\U000e0041", "\udce9"])
def test_what_a_terminal_would_obey_or_hide_is_escaped(char, capsys):
    e = DataError(f"the class a{char}b is odd.", where=f"f{char}.csv", hint=f"Did you mean {f'c{char}'!r}?")
    assert str(e).isprintable()
    assert json.loads(json.dumps(e.as_dict()))["message"].startswith("the class a\\")
    Console().warn(f"a{char}b")
    Console().say(f"a{char}b")
    shown = capsys.readouterr().err
    kept = shown.replace("\n", "").replace("\t", "")
    assert kept.isprintable()
    assert shown.count("\n") == 2 + (char == "\n")  # a warning is one line, a text may have several


def test_letters_of_all_scripts_stay():
    for text in ("می\u200cخواهم", "क्\u200dष", "👩\u200d💻", "日本語　x", "café", "\xa0", "é"):
        assert visible(text) == text
    assert visible("a\u200db") == "a\\u200db"
    assert visible("caf\udce9") == "caf\\xe9"


def test_long_values_are_shown_by_their_beginning_and_length():
    with pytest.raises(ConfigError, match=r"^optim.lr: 'x{60}…' \(5,000 characters\) is not a number"):
        Config().set("lr", "x" * 5000)
    with pytest.raises(ConfigError, match=r"^train.mix: \[0, 1, 2, .*… \(22,915 characters\) ….* 3999\] is not a number") as e:
        Config().set("mix", list(range(4000)))
    assert len(str(e.value)) < 700
    assert len(str(DataError("a b " * 5000))) < 700
    assert len(str(DataError("x.", where="/a" * 5000))) < 200
    assert brief("it's 'short' and the vectors' lengths are what they are") == (
        "it's 'short' and the vectors' lengths are what they are"
    )
    with pytest.raises(UnknownName) as e:
        raise UnknownName("column", "q" * 5000, [f"{i}" + "n" * 3000 for i in range(500)])
    assert len(str(e.value)) < 2500
    assert "and 4" in str(e.value)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        QUIET.warn(f"the label {'y' * 5000!r} is \x1b[31m odd.")
    assert (said[0].category, str(said[0].message)) == (
        NearfarWarning, f"the label '{'y' * 60}…' (5,000 characters) is \\x1b[31m odd.",
    )  # fmt: skip


@pytest.mark.parametrize("end", ("", "'", "\\", "'x", '"'))
def test_quotes_that_nothing_closes_take_no_time(end):
    """Every backslash read in two ways would take two to the power of their number of steps."""
    for value in ("\\x00" * 60, "\\" * 301, "'\\" * 100, "\\'" * 100, "' \\\" " * 100):
        assert len(brief(f"cannot be read ('{value}{end}")) < 900


@pytest.mark.parametrize(
    "args",
    [["x" * 5000], ["config", "--set", "x" * 5000], ["config", "--set", f"lr={'x' * 5000}"], ["methods", "x" * 5000],
     ["demo", "--epochs", "x" * 5000], ["train", "x" * 5000], ["config", f"--{'x' * 5000}"], ["config", "--set", "a\x1b[31m\r\n=3"],
     ["train", "/a" * 2000], ["eval", "runs/\x1b]0;title\x07"]],
)  # fmt: skip
def test_arguments_come_back_short_and_printable(args, capsys):
    assert cli.run([*args, "--json"]) == 2
    out, err = capsys.readouterr()
    assert len(err) < 1200
    assert err.removesuffix("\n").isprintable()
    assert len(json.loads(out)["error"]["message"]) < 1000
