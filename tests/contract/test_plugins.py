"""Each kind of plug-in is one new file; no list is edited. They are used from outside, to what is printed and written."""

import json
import re
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from PIL import Image

from nearfar.core.errors import ConfigError
from nearfar.core.registry import ALL, METHODS, READERS

FILES = {
    "methods/mine.py": """
        from nearfar.methods.record import Method, Mlp, Twin
        RECORD = Method(name="mine", idea="an idea", projector=Mlp(8, 8), twin=Twin(), objective="pull")
        def compare(e, record):
            from nearfar.core.registry import OBJECTIVES
            pull = OBJECTIVES.get("pull").pull
            return pull([e.online[i] for i, _ in e.pairs], [e.target[j] for _, j in e.pairs])
    """,
    "objectives/pull.py": """
        import torch
        from nearfar.objectives.kernel.info import Objective
        INFO = Objective("pull", "|a-b|", "none", "none", "two sides", ("rows",))
        def pull(a, b):
            return sum((x - y).square().mean() for x, y in zip(a, b)), {}
    """,
    "positives/halves.py": """
        import numpy as np
        from nearfar.training.positives import Positives
        def build(context, argument): return Positives(np.arange(len(context.table)) % 2)
    """,
    "loggers/steps.py": """
        def logger(run):
            def write(row):
                with open(run.path / "steps.txt", "a") as file:
                    print(row["step"], file=file)
            return write
    """,
    "encoders/tinynet.py": """
        import torch
        MODALITIES = ("word",)
        class Net(torch.nn.Module):
            out_features = 8
            def __init__(self):
                super().__init__()
                self.table = torch.nn.EmbeddingBag(256, 8)
            def forward(self, x):
                return self.table(x)
        def build(**shape):
            return Net()
    """,
    "fixed/vowels.py": """
        import torch
        MODALITIES = ("word",)
        class Net(torch.nn.Module):
            out_features = 1
            def __init__(self):
                super().__init__()
                self.register_buffer("mean", torch.zeros(1))
            def setup(self, x):
                self.mean.fill_(self.count(x).mean())
            def count(self, x):
                return torch.isin(x, torch.tensor([97, 101, 105, 111, 117])).float().mean(1, keepdim=True)
            def forward(self, x):
                return self.count(x) - self.mean
        def build(**shape):
            return Net()
    """,
    "modalities/word.py": """
        import numpy as np
        from nearfar.core.errors import BadCell
        NAME = "word"
        def recognise(cells): return 1.0 if all(isinstance(c, str) and len(c) == 6 for c in cells) else 0.0
        def plan(cells, options): return {"length": 6}
        def decode(cell, spec):
            if not cell: raise BadCell("is empty")
            raw = cell.encode()[: spec["length"]]
            return np.frombuffer(raw.ljust(spec["length"]), np.uint8).copy(), None
        def views(values, geometry, recipe, draws, spec):
            values = values.long()
            for transform in recipe:
                values = transform.apply(values, draws)
            return values
        def neutral(values, geometry, spec): return values.long()
        def recipes(name, spec): return ((),)
        def takes(transform, spec): return transform.kind == "letters"
        def default_recipe(spec): return "as they are"
        def default_encoder(spec): return "tinynet"
        def encoder_shape(spec): return {}
        def raw_features(values, spec): return values.astype(np.float32)
        def thumbnail(values, geometry, spec):
            from PIL import Image
            return Image.new("RGB", (8, 8))
        def describe(spec): return "words"
    """,
    "readers/words.py": """
        from nearfar.data.readers.raw import Raw
        def recognises(path): return path.suffix == ".words"
        def open(path):
            words = path.read_text().splitlines()
            return Raw({"word": words, "label": [w[0] for w in words]}, [f"line {i}" for i in range(len(words))], label="label")
    """,
    "evaluation/first_letter.py": """
        TITLE = "a protocol"
        HEADLINE = "half"
        def measure(train, test, *, seed=0):
            return {"half": 0.5, "rows": len(test.y)}
    """,
    "protocols/all_of_it.py": """
        TITLE = "another"
        def measure(train, test, *, seed=0):
            return {"classes": train.classes, "settings": {"seed": seed}}
    """,
    "protocols/sides_by_way.py": """
        TITLE = "by way"
        TAKES = "pairs"
        def measure(sides, *, seed=0):
            return {"left_to_right": {"accuracy": 0.25, "interval": [0.125, 0.375]}, "right_to_left": {"accuracy": 0.75}}
    """,
    "transforms/star.py": """
        from dataclasses import dataclass
        from typing import ClassVar
        @dataclass(frozen=True)
        class Star:
            rate: float = 0.2
            kind: ClassVar[str] = "letters"
            def apply(self, letters, draws):
                return letters.where(~draws.bernoulli(self.rate, letters.shape[1]), 42)
    """,
    "transforms/invert.py": """
        from dataclasses import dataclass
        import torch
        @dataclass(frozen=True)
        class Invert:
            p: float = 0.5
            kind = "pixels"
            def apply(self, images, draws):
                return torch.where(draws.bernoulli(self.p)[:, None, None, None], 1 - images, images)
    """,
    "tokenisers/letters.py": """
        import numpy as np
        def plan(texts, argument=""): return {"vocabulary": int(argument or 300)}
        def tokenise(texts, spec, length):
            ids = np.zeros((len(texts), length), np.int32)
            for row, text in zip(ids, texts):
                found = [1 + ord(c) % spec["vocabulary"] for c in text[:length]]
                row[: len(found)] = found
            return ids
    """,
    "targets/listing.py": """
        from pathlib import Path
        from nearfar.downstream.export import Exported
        SUMMARY = "a list of its weights"
        def export(model, out, *, column=None, overwrite=False):
            Path(out).write_text("weights of " + model.name)
            return Exported(str(out), "a list", "open(...)")
    """,
    "verbs/greet.py": """
        import click
        from nearfar.cli import common, console
        @click.command(short_help="Say hello.")
        @click.argument("name")
        @common
        def command(name, as_json, quiet, debug):
            console(as_json, quiet, debug).say(f"hello {name}")
    """,
}


COMMANDS = """
import contextlib, io, json, os, sys
from nearfar import cli
said = []
for environment, args in json.load(sys.stdin):
    os.environ.update(environment)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.run(args)
    said.append((code, out.getvalue(), err.getvalue()))
json.dump(said, sys.__stdout__)
"""


def nearfar(folder, *lines, **environment):
    """What commands, one after the other in a process of their own, exit with and print."""
    lines = [line if isinstance(line, tuple) else ({}, line) for line in lines]
    asked = json.dumps([({**environment, **own}, line.split()) for own, line in lines])
    found = subprocess.run([sys.executable, "-c", COMMANDS], input=asked, capture_output=True, text=True, cwd=folder,
                           env={**os.environ, "NEARFAR_HOME": str(folder / "home")}, check=True)  # fmt: skip
    return json.loads(found.stdout)


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            (folder / name).mkdir()
        elif isinstance(text, bytes):
            (folder / name).write_bytes(text)
        else:
            (folder / name).write_text(textwrap.dedent(text))


@pytest.fixture
def work(tmp_path):
    """A folder with plug-ins of every kind, and some data."""
    write(tmp_path / "plugins", FILES)
    draw = np.random.default_rng(0)
    words = ["".join(draw.choice(list("abcdef"), 6)) for _ in range(80)]
    (tmp_path / "list.words").write_text("\n".join([*words, ""]))
    lines = [f"{a} {b},{b} {a}" for a, b in zip(words, words[::-1], strict=True)]
    (tmp_path / "texts.csv").write_text("\n".join(["first,second", *lines, ""]))
    (tmp_path / "photos").mkdir()
    for i in range(8):
        Image.fromarray(draw.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(tmp_path / f"photos/{i}.png")
    return tmp_path


def figures(printed, head):
    """What stands under this head in a printed table."""
    lines = printed[printed.index("\n\n") :].strip("\n").splitlines()
    end = lines[0].index(head) + len(head)
    return [line[:end].split()[-1] for line in lines[2:5]]


def test_every_kind_from_outside(work):  # starts Python and trains twice: some seconds
    train = "--epochs 1 --batch-size 16 --set train.threads=1 --device cpu"
    said = nearfar(
        work,
        "--help",
        "greet Ada",
        f"train list.words --method mine --positives halves --set views.add=star "
        f"--set views.overrides.star.rate=0.25 --fixed vowels --log steps --out run {train}",
        "eval run --protocol first_letter --protocol all_of_it --protocol knn",
        "export run --to listing --out weights.txt",
        f"train texts.csv --pair first second --tokens letters:200 --out pairs {train}",
        "eval pairs --protocol sides_by_way",
        "views photos --recipe none --set views.add=invert --set views.overrides.invert.p=1 --out sheet.png",
        "doctor",
        NEARFAR_PLUGINS="plugins",
    )
    assert [code for code, _, _ in said] == [0] * len(said), [err for _, _, err in said]
    texts = [out + err for _, out, err in said]
    assert re.search(r"^  greet +Say hello\.$", texts[0], re.M)
    assert texts[1] == "hello Ada\n"
    assert "the recipe 'as they are', for words: star." in texts[2]
    config = json.loads((work / "run/config.json").read_text())["config"]
    assert [config["model"][k] for k in ("encoder", "positives", "fixed")] == ["tinynet", "halves", "vowels"]
    assert (config["views"]["add"], config["views"]["overrides"]) == (["star"], {"star": {"rate": 0.25}})
    lines = (work / "run/metrics.jsonl").read_text().splitlines()
    assert (work / "run/steps.txt").read_text().split() == [str(json.loads(line)["step"]) for line in lines]
    assert figures(texts[3], "a protocol") == ["0.500"] * 3  # of the run, its untrained encoder and the raw input
    assert figures(texts[3], "another: classes") == ["6.000"] * 3
    page = (work / "run/report.html").read_text()
    assert "<th>a protocol</th>" in page
    assert (work / "weights.txt").read_text() == "weights of run"
    of_pairs = json.loads((work / "pairs/config.json").read_text())["columns"]
    assert {c["spec"]["tokeniser"]["kind"] for c in of_pairs.values()} == {"letters"}
    assert "by way first->second" in texts[6]
    assert "0.250 [0.125, 0.375]" in texts[6]
    assert "by way second->first" in texts[6]
    assert "invert p 1" in texts[7]
    sheet = np.asarray(Image.open(work / "sheet.png").convert("RGB")).astype(int)
    assert np.abs(sheet[4:84, 4:84] + sheet[4:84, 96:176] - 255).max() <= 2  # the view is the picture's negative
    for kind in ("methods: mine", "readers: words", "verbs: greet", "transforms: invert, star", "targets: listing", "loggers: steps"):
        assert kind in texts[8]


FAULTS = {
    "methods/broken.py": ("RECORD = (", "methods", "broken.py, line 1: cannot be read as Python: '(' was never closed"),
    "methods/empty.py": ("x = 1", "methods", "empty.py: is no method: it does not define 'RECORD'"),
    "methods/simclr.py": ("RECORD = 1", "methods", "simclr.py: nearfar has a method named 'simclr'"),
    "methods/failing.py": ("import nothing_such\nRECORD = 1", "methods failing", "failing.py: fails when it is imported"),
    "methods/number.py": ("RECORD = compare = 1", "methods number", "number.py: its 'RECORD' is no Method"),
    "methods/other.py": (
        "from nearfar.methods.record import Method\nRECORD = Method(name='another', idea='x')\ndef compare(e, record): pass",
        "methods other", "other.py: its record is named 'another', and its file 'other'",
    ),
    "methods/half.py": ("RECORD = 1", "methods half", "half.py: is no method: it does not define 'compare'"),
    "objectives/half.py": (
        "from nearfar.objectives.kernel.info import Objective\nINFO = Objective('pull', 'f', '', '', 'views', ())",
        "train photos --set method.objective=half --out new",
        "half.py: does not define 'pull', which INFO names",
    ),
    "encoders/flat.py": (
        "import torch\nMODALITIES = ('image',)\ndef build(**shape): return torch.nn.Flatten()",
        "train photos --encoder flat --out other", "flat.py: the network that 'build' gives has no 'out_features'",
    ),
    "transforms/raising.py": (
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Raising:\n    kind = 'pixels'\n"
        "    def apply(self, images, draws): return 1 / 0",
        "views photos --set views.add=raising", "raising.py, line 5: ZeroDivisionError: division by zero. This is a fault of the plug-in",
    ),
    "readers/half.py": ("def recognises(path): return True", "train texts.csv", "half.py: is no reader: it does not define 'open'"),
    "data/readers/tables.py": ("def recognises(path): return True", "train texts.csv", "nearfar has a reader named 'tables'"),
    "encoders/odd.py": ("def build(**shape): pass", "train texts.csv --encoder odd --column first", "odd.py: is no encoder: it does not define 'MODALITIES'"),
    "transforms/plain.py": ("class A:\n    kind = 'words'", "views photos --set views.add=plain", "plain.py: is not a transform: it defines no frozen dataclass"),
    "transforms/rotate.py": ("class A:\n    kind = 'words'", "views photos --set views.add=turn", "rotate.py: nearfar has a transform named 'rotate'"),
    "verbs/shout.py": ("command = 3", "shout", "shout.py: its 'command' is no click command"),
    "methods/leaving.py": ("import sys\nRECORD = 1\nsys.exit(3)", "methods leaving", "leaving.py: fails when it is imported: SystemExit: 3"),
    "methods/deep.py": ("RECORD = 1\ndef f(): return f()\nf()", "methods deep", "deep.py: fails when it is imported: RecursionError"),
    "methods/nested.py": ("RECORD = " + "(" * 5000, "methods", "nested.py"),
    "methods/latin.py": (b"RECORD = 'caf\xe9'", "methods", "latin.py: cannot be read as Python: it is not UTF-8 text"),
    "methods/nul.py": (b"RECORD = 1\0", "methods", "nul.py: cannot be read as Python: source code string cannot contain null bytes"),
    "methods/folder.py": (None, "methods", "folder.py: cannot be read as Python: Is a directory"),
    "methods/a\x1b[31m.py": ("RECORD = 1", "methods", "a\\x1b[31m.py: a plug-in's name has letters, digits, _ and - alone"),
    "methods/called.py": (
        "from nearfar.methods.record import Method\nRECORD = Method(name='called', idea='x')\ncompare = 3",
        "methods called", "called.py: its 'compare' is no function",
    ),
    "encoders/words.py": ("MODALITIES = 3\ndef build(): pass", "train texts.csv --encoder words --column first", "words.py: its 'MODALITIES' is no tuple of words"),
    "objectives/number.py": ("INFO = 3", "train photos --set method.objective=number", "number.py: its 'INFO' is no Objective"),
    "tokenisers/plain.py": ("plan = 3\ndef tokenise(texts, spec, length): pass", "train texts.csv --column first --tokens plain", "plain.py: its 'plan' is no function"),
    "positives/plain.py": ("build = 3", "train photos --positives plain", "plain.py: its 'build' is no function"),
    "loggers/plain.py": ("logger = 3", "train photos --log plain --out logged", "plain.py: its 'logger' is no function"),
    "cli/train.py": ("command = 3", "--help", "train.py: nearfar has a verb named 'train'"),
}  # fmt: skip


def test_a_plug_in_that_cannot_be_used_is_named(work):
    """Not a traceback, not something of nearfar's in its place, and not passed over: exit status 2 and a sentence."""
    lines = []
    for i, (name, (text, line, _)) in enumerate(FAULTS.items()):
        write(work / f"faulty{i}", {name: text})
        lines.append(({"NEARFAR_PLUGINS": f"faulty{i}"}, line))
    names = ("methods/broken.py", "methods/leaving.py", "encoders/words.py", "methods/half.py")
    json_ = {"methods/json.py": FILES["methods/mine.py"].replace('"mine"', '"json"')}
    write(work / "mixed", {name: FAULTS[name][0] for name in names} | json_)
    lines.append(({"NEARFAR_PLUGINS": "mixed"}, "doctor"))
    *said, doctor, nowhere = nearfar(work, *lines, ({"NEARFAR_PLUGINS": "nowhere"}, "methods"))
    for (name, (_, _, words)), (code, out, err) in zip(FAULTS.items(), said, strict=True):
        assert (code, words in err) == (2, True), (name, code, out, err)
        assert err.splitlines()[-1].startswith("nearfar: ")
    assert doctor[0] == 0
    assert "(methods: json)" in doctor[2]  # which may be named as a module of Python's own
    listed = next(line for line in doctor[2].splitlines() if line.startswith("not usable"))
    assert [n for n in names if f"{n}: " in listed or f"{n}, line 1: " in listed] == list(names)
    code, _, err = nowhere
    assert (code, err) == (2, "nearfar: NEARFAR_PLUGINS=nowhere: there is no such folder.\n")


def test_a_name_that_does_not_exist_is_told_where_its_file_lies(tmp_path, monkeypatch):
    write(tmp_path, {"method/mine.py": FILES["methods/mine.py"], "methods/_helper.py": "x = 1"})
    monkeypatch.setenv("NEARFAR_PLUGINS", str(tmp_path))
    with pytest.raises(ConfigError, match=r"method/mine.py: is in none of the folders for a method.*methods/"):
        METHODS.get("mine")


def test_a_reader_of_ones_own_is_asked_before_those_of_nearfar(tmp_path, monkeypatch):
    write(tmp_path, {
        "plugins/readers/semicolons.py": """
            from nearfar.data.readers.raw import Raw
            def recognises(path): return path.suffix == ".csv"
            def open(path):
                rows = [line.split(";") for line in path.read_text().splitlines()]
                return Raw({"text": [r[0] for r in rows]}, [str(i) for i in range(len(rows))])
        """
    })  # fmt: skip
    monkeypatch.setenv("NEARFAR_PLUGINS", str(tmp_path / "plugins"))
    from nearfar.data.opening import open_source

    (tmp_path / "a.csv").write_text("x, y;1\nz;2\n")
    assert open_source(tmp_path / "a.csv").columns == {"text": ["x, y", "z"]}
    assert "semicolons" in READERS


def test_what_a_table_shows_of_a_protocol(tmp_path, monkeypatch):
    write(tmp_path, {f"protocols/{n}.py": FILES[f"protocols/{n}.py"] for n in ("all_of_it", "sides_by_way")})
    write(tmp_path, {"evaluation/first_letter.py": FILES["evaluation/first_letter.py"]})
    monkeypatch.setenv("NEARFAR_PLUGINS", str(tmp_path))
    from nearfar.evaluation.table import cells as shown

    for found, cells in (
        ({"first_letter": {"half": 0.5, "interval": [0.25, 0.75]}}, {"a protocol": "0.500 [0.250, 0.750]"}),
        ({"first_letter": {"half": {"n": 3, "mean": 0.5, "sd": 0.125}}}, {"a protocol": "0.500 ± 0.125"}),  # over seeds
        ({"first_letter": 0.25}, {"a protocol": "0.250"}),
        ({"first_letter": {"other": 1.0, "third": 2}}, {"a protocol: other": "1.000", "a protocol: third": "2.000"}),
        ({"first_letter": None}, {"a protocol": "no figure"}),
        ({"sides_by_way": {"a->b": {"accuracy": 1.0}}, "run": "x"}, {"by way a->b": "1.000"}),
    ):
        assert {head: " ".join(filter(None, cell)) for head, cell in shown(found).items()} == cells


def test_documented_folders_are_those_of_the_registries():
    from tests.docs.test_docs import ROOT

    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    for registry in ALL:
        for folder in (registry.folder, *registry.plugins):
            assert f"`{folder}/`" in text, folder
