"""Every knob of every method, every option of every kind of part and every flag of every verb with values that are odd.

Each function `of_…` gives cases; they are tried through the doors that users take. It must do what it says, or refuse with a
sentence that names the knob; see tests/faults/test_bad_values.py and benchmarks/bad_values.py.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import math
import os
import shutil
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path

import click
import numpy as np

from nearfar import cli
from nearfar.core.config import Config, assemble, knobs
from nearfar.core.errors import TrainingError, UserError
from nearfar.core.registry import ENCODERS, METHODS, OBJECTIVES, POSITIVES, TOKENISERS, VERBS
from nearfar.methods import record
from nearfar.training import train
from nearfar.transforms.recipe import kinds
from tests.helpers.methods import small
from tests.helpers.sounds import RATE, tone

LONG, CODES = "x" * 5000, "\x1b[31m\n\r\u202e"
TEXTS = ("nan", "inf", "-inf", "0", "-1", "1e308", "1e-320", "1" + "0" * 30, "", "abc", "true", "none", "[]", "[1,[2]]",
         '{"a":1}', LONG, CODES, "১", " 3 ", "[" * 3000)  # fmt: skip
VALUES = (
    math.nan, math.inf, -math.inf, 0, -1, 1e308, 1e-320, 10**30, "", "abc", True, None, [], [1, [2]], {"a": 1}, LONG, CODES,
    "\0", "১", " 3 ", np.float32("nan"), np.float64(3), np.int64(3), np.bool_(True), np.zeros(2), Path("x"), b"x", len,
    (), ("a",), set(), {1: 2}, [None], [{}], 1j, 1, 2.5, 2**30, [0.5, 2], [-1, 3], [2, 1], [1e308, 1e-320], [math.nan, 1],
)  # fmt: skip
SECONDS = 40  # that one case may take
SMALL = {"epochs": 1, "batch_size": 16, "precision": "fp32", "threads": 1}


@dataclass(frozen=True)
class Case:
    """One value in one place; `try_it` raises what the door raises, and `about` must be in a refusal."""

    group: str
    place: str
    value: object
    try_it: Callable[[], object]
    about: str = ""
    seconds: int = SECONDS

    def __str__(self) -> str:
        return f"{self.group}: {self.place} = {repr(self.value)[:60]}"


def _drain(pipe: Path) -> None:
    """Read what is written into a pipe, whoever writes."""
    while True:
        with contextlib.suppress(OSError), open(pipe, "rb") as f:
            while f.read(65536):
                pass


class Slow(BaseException):
    pass


class Told(Exception):
    """A command ended with this exit status and sentence."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def outcome(case: Case) -> tuple[str, str]:
    """What becomes of a case: "taken", "refused", "failed" (a training, a disk) or "fault", and what was said."""
    before = signal.signal(signal.SIGALRM, _too_slow)
    signal.alarm(case.seconds)
    try:
        case.try_it()
        return "taken", ""
    except UserError as e:
        return _judged(case, str(e))
    except TrainingError as e:
        return "failed", str(e)
    except Told as e:
        said = str(e)
        if e.code not in (1, 2) or "fault of nearfar" in said or "Traceback" in said:
            return "fault", said
        return ("failed", said) if e.code == 1 else _judged(case, said)
    except Slow:
        return "fault", f"takes more than {case.seconds} seconds: " + "".join(traceback.format_exc().splitlines()[-6:-2])
    except Exception as e:
        at = traceback.extract_tb(e.__traceback__)[-1]
        return "fault", f"{type(e).__name__}: {str(e)[:120]} ({Path(at.filename).name}:{at.lineno})"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _too_slow(*_: object) -> None:
    raise Slow


def _judged(case: Case, said: str) -> tuple[str, str]:
    if len(said) > 3200 or not said.replace("\n", "").isprintable():
        return "fault", f"long, or not printable: {said[:300]!r}"
    return ("refused", said) if case.about in said else ("fault", f"does not name {case.about!r}: {said[:300]}")


def nested(path: tuple[str, ...], value: object) -> object:
    """``("a", "b"), 1`` → ``{"a": {"b": 1}}``."""
    for key in reversed(path):
        value = {key: value}
    return value


def merged(a: object, b: object) -> object:
    """Tables with the values of `b` above those of `a`."""
    if not (isinstance(a, dict) and isinstance(b, dict)):
        return b
    return {**a, **{k: merged(a.get(k), v) for k, v in b.items()}}


# --- what only a config says ----------------------------------------------------------------------------------


def paths_of(name: str) -> list[tuple[str, ...]]:
    """Every number of a method, nested ones too, and those that it does not have yet but could."""
    r = METHODS.get(name).RECORD

    def leaves(values: dict, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for key, value in values.items():
            yield (*path, key)
            if isinstance(value, dict):
                yield from leaves(value, (*path, key))

    more = [("twin", "momentum"), ("predictor", "out"), ("projector", "layers"), ("nothing",), ("nothing", "more")]
    more += [(n, k) for n in ("temperature", "weight_decay") for k in ("start", "end", "shape", "until")]
    if isinstance(r.objective, record.Loss):
        more += [("objective", p) for p in r.objective.accepts]
    return list(dict.fromkeys([*leaves(record.as_dict(r), ()), *more]))


def of_methods() -> Iterator[Case]:
    """Every number of every method, as ``--set`` and as a value from Python, as far as the record is resolved."""
    for name in METHODS:
        for path in paths_of(name):
            place = ".".join(path)

            def text(t: str, name: str = name, place: str = place) -> object:
                return record.as_dict(record.resolve(name, assemble(None, (f"method.{place}={t}",))[0].method))

            def value(v: object, name: str = name, path: tuple[str, ...] = path) -> object:
                config = Config().set(f"method.{path[0]}", nested(path[1:], v))
                record.resolve(name, config.method)
                return Config.from_dict(config.as_dict())

            yield from (Case(f"methods {name}", place, t, lambda t=t, f=text: f(t), path[0]) for t in TEXTS)
            yield from (Case(f"methods {name}", place, v, lambda v=v, f=value: f(v), path[0]) for v in VALUES)


def of_config() -> Iterator[Case]:
    """Every knob of the config, as ``--set``, and as a value from Python or a file."""
    for section, f, _ in knobs():
        for end in ("", ".deeper", ".a.b"):
            path = f"{section}.{f.name}{end}"
            about = f.name
            for t in TEXTS:
                yield Case("config", path, t, lambda p=path, t=t: assemble(None, (f"{p}={t}",))[0].as_dict(), about)
            for v in VALUES:
                yield Case("config", path, v, lambda p=path, v=v: Config().set(p, v).as_dict(), about)
                whole = nested(tuple(path.split(".")), v)
                yield Case("config", path, v, lambda w=whole: Config.from_dict(w).as_dict(), about)


# --- what is built and trained --------------------------------------------------------------------------------


TAKEN: dict[str, object] = {"user": "user_id", "column": ["item_id"]}


class Data:
    """Small data of each kind, and files of them."""

    def __init__(self, folder: Path) -> None:
        from nearfar.downstream.demo import digits

        draw = np.random.default_rng(0)
        words = ["".join(draw.choice(list("abcdef"), 5)) for _ in range(30)]
        found = digits()["train"]
        self.pictures = {"train": tuple(a[:48] for a in found)}
        self.labelled = tuple(a[:48] for a in found)
        self.texts = [" ".join(draw.choice(words, 8)) for _ in range(48)]
        self.rows = draw.normal(size=(48, 5)).astype("float32")
        self.series = draw.normal(size=(48, 2, 12)).astype("float32")
        self.sounds = [(tone(0.1, 200 + 20 * i), RATE) for i in range(24)]
        self.taken = folder / "taken.csv"
        taken = [f"u{i % 24},i{(i * 7) % 15}" for i in range(120)]
        self.taken.write_text("\n".join(["user_id,item_id", *taken, ""]))
        self.pairs = folder / "pairs.csv"
        lines = [f"{a},{b},{i % 5},{i % 7}" for i, (a, b) in enumerate(zip(self.texts, self.texts[::-1], strict=True))]
        self.pairs.write_text("\n".join(["a,b,s,g", *lines, ""]))

    def of(self, modality: str) -> object:
        """The data of a modality."""
        return {"image": self.pictures, "text": self.texts, "vector": self.rows, "series": self.series,
                "sound": self.sounds, "ids": str(self.taken)}[modality]  # fmt: skip

    def suiting(self, method: str) -> tuple[object, dict[str, object]]:
        """Data that a method learns from, and knobs that say so."""
        r = METHODS.get(method).RECORD
        if r.steps:
            return self.series, {"encoder_options": {"width": 8, "out": 8}}
        if r.takes == "rows":
            return self.labelled if r.positives == "labels" else self.pictures, {"encoder_options": {"widths": [8]}}
        if r.takes == "histories":
            return str(self.taken), TAKEN
        if r.takes == "texts":
            return self.texts, {"encoder": "static", "encoder_options": {"dim": 16}}
        scores = {"score": "s"} if r.takes == "scored pairs" else {}
        return str(self.pairs), {"column": ["a", "b"], "encoder": "static", "encoder_options": {"dim": 16}, **scores}


def _trained(source: object, knobs: dict[str, object], *, dry: bool = False) -> Callable[[], object]:
    def try_it() -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return (train.rehearse if dry else train.train)(source, quiet=True, **{**SMALL, **knobs})

    return try_it


def of_trainings(data: Data, names: Sequence[str] | None = None) -> Iterator[Case]:
    """What the records of methods take, trained with."""
    for name in names or METHODS:
        for path in paths_of(name):
            for v in VALUES:
                try:
                    record.resolve(name, Config().set(f"method.{path[0]}", nested(path[1:], v)).method)
                except UserError:
                    continue
                source, given = data.suiting(name)
                own = merged(small(name, 16, 8), nested(path, v))
                yield Case(f"trained {name}", ".".join(path), v, _trained(source, {"method": name, **given, **own}))


def of_knobs(data: Data) -> Iterator[Case]:
    """Every knob of the config, rehearsed on pictures and on pairs of texts."""
    pairs = {"column": ["a", "b"], "encoder": "static"}
    for section, f, _ in knobs():
        for v in VALUES:
            if f.name in ("processes", "compile") and repr(v) not in ("0", "-1"):  # which start processes, and a compiler
                continue
            path = f"{section}.{f.name}"
            yield Case("knobs", path, v, _trained(data.pictures, {path: v}, dry=True))
            own = {k: w for k, w in pairs.items() if k != f.name}
            yield Case("knobs", path, v, _trained(str(data.pairs), {**own, path: v}, dry=True))


def of_encoders(data: Data) -> Iterator[Case]:
    """Every option of every encoder that is built here."""
    for name in set(ENCODERS) - {"transformers", "timm"}:
        modality = ENCODERS.get(name).MODALITIES[0]
        source, said = data.of(modality), TAKEN if modality == "ids" else {}
        for option in inspect.signature(ENCODERS.get(name).build).parameters:
            for v in VALUES:
                given = {"encoder": name, "encoder_options": {option: v}, **said}
                yield Case("encoders", f"{name}.{option}", v, _trained(source, given), "encoder")


def of_transforms(data: Data) -> Iterator[Case]:
    """Every number of every transform, added to an empty recipe."""
    for name, kind in kinds().items():
        for source in (data.pictures, data.texts, data.rows):
            given = {"views.recipe": "none", "views.add": [name]}
            try:
                _trained(source, given, dry=True)()
            except UserError:
                continue
            for v in VALUES:
                for f in fields(kind):
                    own = {**given, "views.overrides": {name: {f.name: v}}}
                    yield Case("transforms", f"{name}.{f.name}", v, _trained(source, own), "views")
                yield Case("transforms", name, v, _trained(source, {**given, "views.overrides": {name: v}}))


def of_objectives(data: Data) -> Iterator[Case]:
    """Every parameter of every objective, with a method that it fits."""
    hosts = {}
    for name in METHODS:
        if isinstance(loss := METHODS.get(name).RECORD.objective, record.Loss):
            hosts.setdefault(OBJECTIVES.get(loss.name).INFO.takes, name)
    for name in OBJECTIVES:
        if (method := hosts.get(OBJECTIVES.get(name).INFO.takes)) is None:
            continue
        source, given = data.suiting(method)
        for parameter in record.Loss(name).accepts:
            for v in VALUES:
                own = {**given, **small(method, 16, 8), "method": method, "objective": {"name": name, parameter: v}}
                yield Case("objectives", f"{name}.{parameter}", v, _trained(source, own))


NUMBERS = ("0", "-1", "nan", "1e30", "1" + "0" * 30, "abc", LONG, "১", " 3 ", "3", "3:4", ":", ":::", "48", "1000", "2147483648")


def of_words(data: Data) -> Iterator[Case]:
    """Arguments and options of positives and tokenisers."""
    for name in POSITIVES:
        for t in NUMBERS:
            yield Case("positives", name, t, _trained(data.labelled, {"method": "supcon", "positives": f"{name}:{t}"}))
        for option in list(inspect.signature(POSITIVES.get(name).build).parameters)[2:]:
            for v in VALUES:
                given = {"method": "supcon", "positives": f"{name}:3", "positives_options": {option: v}}
                yield Case("positives", f"{name}.{option}", v, _trained(data.labelled, given))
    for name in [n for n in TOKENISERS if n != "transformers"]:  # whose names are looked up on the hub
        for t in NUMBERS:
            yield Case("tokenisers", name, t, _trained(data.texts, {"tokens": f"{name}:{t}"}, dry=True))


# --- the command ----------------------------------------------------------------------------------------------


class Place:
    """A folder with small data and runs, in which commands are tried; whatever is written elsewhere is noted."""

    def __init__(self, folder: Path) -> None:
        folder = folder.resolve() / "inside"
        folder.mkdir()
        self.folder, self.outside, self.named = folder, [], ()
        self.kept: dict[str, bytes] = {}  # what was there before
        self.data = Data(folder)
        draw = np.random.default_rng(1)
        lines = [",".join(f"{x:.3f}" for x in r) + f",{'uv'[i % 2]}" for i, r in enumerate(draw.normal(size=(240, 4)))]
        (folder / "rows.csv").write_text("\n".join(["p,q,r,t,kind", *lines, ""]))
        (folder / "lines.txt").write_text("\n".join(self.data.texts[:12]) + "\n")
        times = [f"{i},{np.sin(i / 3):.3f},{np.cos(i / 5):.3f}" for i in range(200)]
        (folder / "sensors.csv").write_text("\n".join(["t,a,b", *times, ""]))
        self.odd = self._odd_paths()
        common = ["--epochs", "1", "--batch-size", "16", "--set", "train.threads=1", "--device", "cpu", "-q"]
        self.train = ["train", "rows.csv", "--out", "new", *common]
        with self.entered():
            for line in ([*self.train, "--out", "runs/rows"], ["train", "pairs.csv", "--pair", "a", "b", "--encoder",
                         "static", "--out", "runs/pairs", *common],
                         ["train", "taken.csv", "--pair", "user_id", "item_id", "--out", "runs/taken", *common],
                         ["train", "sensors.csv", "--time", "t", "--window", "8", "--hop", "2", "--out", "runs/sensors",
                          *common]):  # fmt: skip
                self.call(line)
        self.kept = self._listing()

    def lines(self) -> dict[str, list[str]]:
        """For each verb a command that works, of which single words are then changed."""
        rows, pairs = "runs/rows", "runs/pairs"
        return {
            "train": self.train, "demo": ["demo", "--out", "new", "--epochs", "0", "--seed", "-1"],
            "eval": ["eval", rows, "--label", "kind", "--protocol", "knn", "--no-floors", "--map", "pca", "-q"],
            "tune": ["tune", "rows.csv", "--label", "kind", "--out", "new.toml", "--budget", "1s", "--trials", "1", "--horizon", "1", "-q"],
            "search": ["search", pairs, "abc", "-q"], "embed": ["embed", rows, "rows.csv", "--out", "new.npz", "-q"],
            "classify": ["classify", rows, "rows.csv", "rows.csv", "--label", "kind", "--out", "new.csv", "-q"],
            "views": ["views", "lines.txt", "--out", "new.html", "-q"], "methods": ["methods", "simclr"],
            "config": ["config", rows], "doctor": ["doctor"], "export": ["export", pairs, "--to", "sentence-transformers",
                                                                         "--out", "new", "-q"],
            "align": ["align", "lines.txt", "lines.txt", "--run", pairs, "--columns", "a", "b", "-q"],
            "recommend": ["recommend", "runs/taken", "--user", "u1", "--out", "new.csv", "-q"],
            "anomalies": ["anomalies", "runs/sensors", "sensors.csv", "--out", "new.csv", "-q"],
            "ensemble": ["ensemble", rows, rows, "--out", "new", "-q"],
        }  # fmt: skip

    def _odd_paths(self) -> list[str]:
        here = self.folder
        for name in ("empty", "mine", "mine/deeper", "temporary"):
            (here / name).mkdir()
        (here / "mine/deeper/kept.txt").write_text("kept")
        (here / "file").write_text("kept")
        (here / "zeros").write_bytes(bytes(2000))
        (here / "shut").write_text("kept")
        (here / "shut").chmod(0)
        os.mkfifo(here / "pipe")
        threading.Thread(target=_drain, args=(here / "pipe",), daemon=True).start()  # a pipe waits for its reader
        for a, b in (("loop", "pool"), ("pool", "loop"), ("away", "nowhere"), ("link", "file")):
            (here / a).symlink_to(b)
        return [
            "", ".", "..", "empty", "mine", "file", "zeros", "shut", "pipe", "loop", "away", "link", "missing", "missing/x",
            "file/x", "../missing-beside", "a" * 300, "a/" * 600, LONG, CODES, os.fsdecode(b"\xff\xfe"), "/dev/null",
            "/dev/zero", "/proc/self/mem", "~", "~nobody-there/x", "-", "--", "rows.csv", "runs/rows", "runs", "new",
        ]  # fmt: skip

    def _listing(self) -> dict[str, bytes]:
        found = {}
        for name in ("mine", "runs", "file", "zeros", "shut", "rows.csv", "pairs.csv", "lines.txt"):
            for path in [self.folder / name, *(self.folder / name).rglob("*")]:
                if path.is_file():
                    found[str(path)] = path.read_bytes()
        return found

    def lost(self, but: tuple[str, ...] = ("runs",)) -> list[str]:
        """What was there before and is gone or changed, but in these folders, into which commands write."""
        now = self._listing()
        mine = [p for p in self.kept if not any(p.startswith(f"{self.folder}/{b}/") for b in but)]
        return [p for p in mine if now.get(p) != self.kept[p]]

    def _restore(self, line: list[str]) -> None:
        """Write back what a command was told to write over: its --out."""
        told = {os.path.realpath(self.folder / str(b)) for a, b in pairwise(line) if a == "--out"}
        for path in told & {os.path.realpath(p) for p in self.kept}:
            Path(path).write_bytes(next(content for p, content in self.kept.items() if os.path.realpath(p) == path))

    def clear(self) -> None:
        """Take away what a command has written as `new`."""
        for path in self.folder.glob("new*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """In this folder."""
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            yield
        finally:
            os.chdir(before)

    def call(self, line: list[str]) -> None:
        """Run a command here; raises `Told` where it does not end well, or writes elsewhere."""
        out, err = io.StringIO(), io.StringIO()
        count, self.named = len(self.outside), tuple(line)
        tempfile.tempdir = str(self.folder / "temporary")
        with self.entered(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), watched(self):
            code = cli.run([str(word) for word in line])
        tempfile.tempdir = None
        self._restore(line)
        if len(self.outside) > count:
            raise Told(-1, f"writes {self.outside[count:]}")
        said = err.getvalue()
        if bad := [c for c in said if not c.isprintable() and c not in "\n\t"]:
            raise Told(-1, f"shows {bad[0]!r}: {said[-300:]!r}")
        if code:
            raise Told(code, said.strip().splitlines()[-1] if said.strip() else "nothing was said")


@contextlib.contextmanager
def watched(place: Place) -> Iterator[None]:
    """Note what is written outside of a folder."""
    global _watching
    _hook()
    _watching = place
    try:
        yield
    finally:
        _watching = None


_TEMPORARY = tempfile.gettempdir()
_watching: Place | None = None
_hooked = False
WRITES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.truncate", "shutil.rmtree", "os.chmod"}


def _hook() -> None:
    global _hooked
    if not _hooked:
        sys.addaudithook(_audit)
        _hooked = True


def _audit(event: str, args: tuple) -> None:
    if _watching is None or (event not in WRITES and event != "open"):
        return
    if event == "open":
        path, mode, flags = args
        writes = (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR))
        if not writes or isinstance(path, int) or os.path.isdir(path):
            return
    path = os.fsdecode(args[0]) if isinstance(args[0], str | bytes | os.PathLike) else ""
    whole = os.path.realpath(path)
    # /proc is a folder in which nothing can be made
    fine = (str(_watching.folder.parent), os.environ.get("NEARFAR_HOME", "/nowhere"), "/dev/null", "/proc/", f"{_TEMPORARY}/torchinductor_")
    if path and path not in _watching.named and not whole.startswith(tuple(map(os.path.realpath, fine))) and "__pycache__" not in whole:
        _watching.outside.append((event, path))


def of_flags(place: Place) -> Iterator[Case]:
    """Every option and argument of every verb."""
    context = click.Context(cli.cli)
    for verb in VERBS:
        line, command = place.lines().get(verb), cli.cli.get_command(context, verb)
        assert line is not None, f"tests/faults/values.py has no command for the new verb {verb}"
        if verb != "demo":  # which takes long, so that its own has a seed that it cannot have
            place.call(line)
            place.clear()
        seconds = 10 * SECONDS if verb == "demo" else SECONDS
        for parameter in command.params:
            for value in dict.fromkeys([*TEXTS, *place.odd]):
                changed = _with(line, command, parameter, value)
                if changed is not None:
                    yield Case(f"flags {verb}", _called(parameter), value, lambda c=changed: place.call(c), "", seconds)
    for line in ([], ["nothing"], ["--nothing"], ["\0"], ["train", "\0"], [LONG], [CODES]):
        yield Case("flags", "nearfar", line, lambda c=line: place.call(c))


def _called(parameter: click.Parameter) -> str:
    return max(parameter.opts, key=len)


def _with(line: list[str], command: click.Command, parameter: click.Parameter, value: str) -> list[str] | None:
    """The command with a value for one of its parameters; None where this takes no value or starts processes."""
    name = _called(parameter)
    if parameter.param_type_name == "argument":
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        place = 1 + arguments.index(parameter)
        return [*line[:place], value, *line[place + 1 :]]
    if parameter.is_flag or parameter.name == "set":
        return [*line, name] if parameter.is_flag and value == "" else None
    line = list(line)
    if name in line:
        at = line.index(name)
        del line[at : at + 1 + parameter.nargs]
    return [*line, name, *[value] * max(1, parameter.nargs)]
