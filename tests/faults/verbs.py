"""Verbs that write, over what is there before, and how what they leave is judged after a fault."""

from __future__ import annotations

import csv
import gc
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.faults.operations import in_a_child, watch

OWN = {"run/notes.txt": "mine", "run/mine/notes.txt": "mine too", "notes.txt": "mine as well"}
TRAIN = ["--batch-size", "16", "--set", "train.checkpoint_every=2steps", "--set", "train.threads=1",
         "--set", "train.log_every=1"]  # fmt: skip
SMALL = ["--set", 'model.encoder_options={"width": 16, "layers": 2, "out": 8}', "--set",
         'method.projector={"hidden": 8, "out": 4}']  # fmt: skip
NUMBERS = ["train", "../data/numbers.csv", "--label", "kind", *TRAIN, *SMALL]
RUN = [*NUMBERS, "--out", "run", "--seed", "1", "--epochs", "1"]
TEXTS = ["train", "../data/texts.csv", "--column", "words", "--tokens", "hashed:200", *TRAIN, "--epochs", "1", "--set",
         'model.encoder_options={"dim": 16}']  # fmt: skip
CLASSIFY = ["classify", "run", "../data/few.csv", "--label", "kind"]
EVAL = ["eval", "run", "--on", "../data/few.csv", "--label", "kind", "--protocol", "knn", "--map", "pca", "--no-floors"]
USED = [RUN, CLASSIFY, EVAL]  # a run that was measured and classifies
ANEW = [*NUMBERS, "--out", "run", "--seed", "2", "--epochs", "2"]


@dataclass(frozen=True)
class Verb:
    """A command and what was there before it.

    Parameters
    ----------
    args : sequence of str
        Of the command, which runs in the folder ``work``.
    before : sequence of commands
        They make what is there before.
    cut : int, optional
        The last of the commands before is killed once it has written so many checkpoints.
    root : {"work", "home"}
        The folder whose operations are counted: where one works, or the cache.
    trains : str
        The folder that it trains in, if it does: a state between the old and the new one is whole if `goes_on` ends in
        the new one.
    goes_on : sequence of str
        A command; by default ``train --resume``.
    """

    args: Sequence[str]
    before: Sequence[Sequence[str]] = ()
    cut: int | None = None
    root: str = "work"
    trains: str = ""
    goes_on: Sequence[str] = ()


def _wide(out: str) -> list[str]:
    return ["train", "../data/pairs.csv", "--pair", "words", "picture", "--size", "16", "--tokens", "hashed:200",
            "--encoder", "words=static,picture=small_cnn", "--log", "tensorboard", *TRAIN, "--epochs", "1",
            "--out", out]  # fmt: skip


VERBS: dict[str, Verb] = {
    "train": Verb(ANEW, trains="run"),
    "train --overwrite": Verb([*ANEW, "--overwrite"], USED, trains="run"),
    "train --resume": Verb(["train", "--resume", "--out", "run"], [ANEW], cut=2, trains="run"),
    "train --resume --epochs": Verb(["train", "--resume", "--out", "run", "--epochs", "2"], USED, trains="run"),
    "train on columns, tensorboard, skipped": Verb(_wide("run"), trains="run"),
    "train --seeds": Verb([*NUMBERS, "--out", "three", "--epochs", "1", "--seeds", "2"], trains="three"),
    "classify": Verb(CLASSIFY, [RUN]),
    "classify again": Verb([*CLASSIFY, "--seed", "3", "--kind", "knn"], USED),
    "classify --out": Verb(["classify", "run", "../data/few.csv", "--use", "default", "--out", "predicted.csv"],
                           [*USED, ["classify", "run", "../data/numbers.csv", "--use", "default", "--out", "predicted.csv"]]),
    "eval": Verb(["eval", "run", "--on", "../data/numbers.csv", "--label", "kind", "--protocol", "knn", "--map", "pca", "--no-floors"], USED),
    "eval again": Verb(EVAL, USED),
    "ensemble": Verb(["ensemble", "run", "other", "--out", "both"], [RUN, [*RUN[:-4], "--seed", "5", "--epochs", "1", "--out", "other"]]),
    "ensemble --overwrite": Verb(
        ["ensemble", "run", "other", "--how", "average", "--out", "both", "--overwrite"],
        [RUN, [*RUN[:-4], "--seed", "5", "--epochs", "1", "--out", "other"], ["ensemble", "run", "other", "--out", "both"]]),
    "export": Verb(["export", "texts", "--to", "sentence-transformers", "--out", "exported"],
                   [[*TEXTS, "--out", "texts"]]),
    "export as the library's own modules": Verb(
        ["export", "own", "--to", "sentence-transformers", "--out", "exported"],
        [[*(w if w != "hashed:200" else "bpe:60" for w in TEXTS), "--out", "own"]]),
    "export --overwrite": Verb(
        ["export", "texts", "--to", "sentence-transformers", "--out", "exported", "--overwrite"],
        [[*TEXTS, "--out", "first", "--seed", "4"], ["export", "first", "--to", "sentence-transformers", "--out", "exported"],
         [*TEXTS, "--out", "texts"]]),
    **{
        f"embed to {end}": Verb(["embed", "run", "../data/few.csv", "--out", f"vectors{end}"],
                                [RUN, ["embed", "run", "../data/numbers.csv", "--out", f"vectors{end}"]])
        for end in (".parquet", ".npz", ".npy")
    },
    "align": Verb(["align", "../data/few.csv", "../data/numbers.csv", "--run", "run", "--out", "pairs.tsv"],
                  [RUN, ["align", "../data/few.csv", "../data/few.csv", "--run", "run", "--out", "pairs.tsv"]]),
    "views": Verb(["views", "../data/numbers.csv", "--out", "views.png", "--rows", "3", "--views", "2"],
                  [["views", "../data/few.csv", "--out", "views.png", "--rows", "2", "--views", "2"]]),
    "views of texts": Verb(["views", "../data/texts.csv", "--out", "views.html", "--column", "words", "--rows", "3"],
                           [["views", "../data/texts.csv", "--out", "views.html", "--column", "words", "--rows", "2"]]),
    "tune": Verb(["tune", "../data/many.csv", "--label", "kind", "--trials", "2", "--horizon", "1", "--budget", "1h",
                  "--out", "tuned", "--overwrite"],
                 [["tune", "../data/many.csv", "--label", "kind", "--trials", "2", "--horizon", "1", "--budget", "1h",
                   "--out", "tuned", "--seed", "9"]]),
    "demo": Verb(["demo", "--out", "run", "--epochs", "0"], USED, trains="run", goes_on=["demo", "--out", "run", "--epochs", "0"]),
    "cache": Verb(["views", "../data/pictures", "--out", "../other/views.png", "--rows", "2", "--views", "2"], root="home"),
}  # fmt: skip


def make_data(folder: Path) -> None:
    """A table of numbers, some rows of it, texts, texts beside numbers with a cell that is none, and pictures."""
    from PIL import Image

    draw = np.random.default_rng(0)
    words = ["red", "green", "blue", "round", "flat", "tall", "small", "old", "new", "fast", "slow", "cold"]
    rows = []
    for i in range(160):
        numbers = [f"{x:.3f}" for x in draw.normal(2 * (i % 2), 1, 4)]
        text = " ".join(draw.choice(words, 5))
        rows.append([*numbers, text, f"pictures/{i % 24}.png" if i != 7 else "damaged.png", "xy"[i % 2]])
    for name, columns, some in (
        ("many", (0, 1, 2, 3, 6), rows), ("numbers", (0, 1, 2, 3, 6), rows[:48]), ("few", (0, 1, 2, 3, 6), rows[:24]), ("texts", (4, 6), rows[:48]),
        ("pairs", (4, 5), rows[:48]),
    ):  # fmt: skip
        head = ["a", "b", "c", "d", "words", "picture", "kind"]
        with open(folder / f"{name}.csv", "w", newline="") as f:
            csv.writer(f).writerows([[head[i] for i in columns], *([row[i] for i in columns] for row in some)])
    (folder / "damaged.png").write_bytes(b"none")
    (folder / "pictures").mkdir()
    for i in range(24):
        Image.fromarray(draw.integers(0, 255, (24, 24, 3), np.uint8)).save(folder / "pictures" / f"{i}.png")


# --- what is there ------------------------------------------------------------------------------------------------


def state(folder: Path) -> dict[str, bytes]:
    """Content of all files, without what a clock or the way there decides."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = os.fspath(path.relative_to(folder))
        if path.is_symlink() or path.is_file():
            name = re.sub(r"events\.out\.[^/]*", "events", name)
            found[name] = _settled(path.name, path.read_bytes())
        elif path.name.startswith(".") and not any(path.iterdir()):
            found[f"{name}/"] = b""
    return found


def _settled(name: str, content: bytes) -> bytes:
    try:
        if name == "metrics.jsonl":
            lines = [json.loads(line) for line in content.decode().splitlines()]
            return repr([{k: v for k, v in x.items() if k not in ("seconds", "rows_per_second")} for x in lines]).encode()
        if name.endswith(".json"):
            return repr(_timeless(json.loads(content))).encode()
    except ValueError:
        return content
    if name == "report.html":
        return b"whole" if content.rstrip().endswith(b"</html>") else content
    if name == "state.safetensors":  # has the seconds that were spent
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            return b"".join(k.encode() + v.numpy().tobytes() for k, v in sorted(load(content).items()))
        except SafetensorError:
            return content
    if name.startswith("events."):
        return b""
    return re.sub(rb"\d{4}-\d\d-\d\d( \d\d:\d\d)?", b"DAY", content) if name == "README.md" else content


TIMES = {"date", "seconds", "command", "resumed", "written", "nearfar", "just_written", "folder"}


def _timeless(value: object) -> object:
    if isinstance(value, Mapping):
        return {k: _timeless(v) for k, v in value.items() if k not in TIMES}
    return [_timeless(v) for v in value] if isinstance(value, list) else value


def probe(work: Path) -> dict[str, str]:
    """What every model and every classifier there gives, by the real loaders; the kind of error where it is refused."""
    from nearfar import loading
    from nearfar.classifier import Classifier
    from nearfar.errors import NearfarError

    given = {"vector": np.arange(12, dtype=np.float32).reshape(3, 4), "text": ["red tall", "old", "cold new blue"],
             "image": np.arange(1536, dtype=np.uint8).reshape(2, 16, 16, 3)}  # fmt: skip
    found = {}
    for run in sorted({p.parent for p in work.rglob("config.json") if (p.parent / "metrics.jsonl").exists()
                       or (p.parent / "model.safetensors").exists()}):  # fmt: skip
        if run.name.startswith((".", "0_")):
            continue
        name = os.fspath(run.relative_to(work))
        try:
            model = loading.load(run, "cpu")
            z = [model.encode(given[kind], column=column) for column, (kind, _) in model.columns.items()]
            found[name] = hashlib.sha256(b"".join(x.tobytes() for x in z)).hexdigest()[:12]
        except NearfarError as e:
            found[name] = f"refused: {e.message}"
        for place in sorted((run / "classifier").glob("*")):
            try:
                made = Classifier.load(place)
                said = made.predict(made.x[:5] + 0.1)
                found[f"{name} {place.name}"] = hashlib.sha256(said.probabilities.tobytes()).hexdigest()[:12]
            except NearfarError as e:
                found[f"{name} {place.name}"] = f"refused: {e.message}"
    return found


_WARM: set[str] = set()  # verbs that have run in this process

# --- the walk -----------------------------------------------------------------------------------------------------


def run(args: Sequence[str], work: Path, said: Path, root: Path | None = None, at: int | None = None, how: str = "") -> int:
    """A command in a forked child; its exit status, or minus its signal."""
    from nearfar import cli

    log = said.with_suffix(".log")
    log.unlink(missing_ok=True)

    def does() -> int:
        os.chdir(work)
        if root is not None:
            watch(root, log, at, how)
        return cli.run([*args, "-q"])

    return in_a_child(does, said)


class Walk:
    """A place in which one verb is tried again and again.

    Parameters
    ----------
    verb : Verb
    place : Path
        A folder with ``data``.
    """

    def __init__(self, verb: Verb, place: Path) -> None:
        self.verb, self.place = verb, place
        self.work, self.old_files, self.said = place / "work", place / "old", place / "said"
        self.root = place / verb.root
        self._prepare()

    def _prepare(self) -> None:
        for folder in (self.place / "home", self.place / "other"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        self._made(list(self.verb.before), self.verb.cut)
        for name, text in OWN.items():
            path = self.work / name
            if path.parents[len(Path(name).parts) - 2].is_dir():
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
        shutil.rmtree(self.old_files, ignore_errors=True)
        shutil.copytree(self.root, self.old_files)
        self.old, self.old_probe = state(self.root), self.probed()
        self._warm()
        self._ran(self.verb.args)
        self.operations = self.log()
        self.new, self.new_probe = state(self.root), self.probed()

    def _made(self, commands: list[Sequence[str]], cut: int | None = None) -> None:
        """The folder where one works, as these commands leave it; kept for other verbs that begin alike."""
        kept = self.place / "kept" / hashlib.sha256(repr((commands, cut)).encode()).hexdigest()[:12]
        if not kept.exists():
            if commands:
                self._made(commands[:-1])
                before = shutil.copytree(self.work, self.place / "before")
                self._ran(commands[-1])
                if cut is not None:
                    saved = [n for n, line in enumerate(self.log()) if line == "rename\trun/checkpoint/state.safetensors"]
                    shutil.rmtree(self.work)
                    shutil.copytree(before, self.work)
                    self._ran(commands[-1], saved[cut - 1] + 2)
                shutil.rmtree(before)
                shutil.copytree(self.work, kept)
            else:
                kept.mkdir(parents=True)
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(kept, self.work)

    def _ran(self, args: Sequence[str], killed: int | None = None) -> None:
        """Run a command that is to end well, or be killed at an operation."""
        code = run(args, self.work, self.said, self.root, killed, "kill")
        assert code == (0 if killed is None else -9), (args, code, self.said.read_text())

    def _warm(self) -> None:
        """Run the verb here once, so that its children need not import what it needs."""
        from nearfar import cli

        if self.verb.args[0] in _WARM:
            return
        _WARM.add(self.verb.args[0])
        here = os.getcwd()
        os.chdir(self.work)
        assert cli.run([*self.verb.args, "-q"]) == 0, self.verb.args
        os.chdir(here)
        self.back()
        gc.collect()
        gc.freeze()  # or a child would copy whatever its collector looks at

    def probed(self) -> dict[str, str]:
        """What the models and classifiers give, told by another process, which cannot change this one."""
        found = self.place / "probe.json"
        code = in_a_child(lambda: found.write_text(json.dumps(probe(self.work))) and 0, self.said)
        assert code == 0, self.said.read_text()
        return json.loads(found.read_text())

    def log(self) -> list[str]:
        """The operations of the last command, a line each."""
        log = self.said.with_suffix(".log")
        return log.read_text(errors="surrogateescape").splitlines() if log.exists() else []

    def back(self) -> None:
        """What was there before, again."""
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.old_files, self.root)

    def cases(self) -> list[tuple[int, str]]:
        """Every operation and everything that may happen to it."""
        ways = {True: ("enospc", "eio", "full", "kill", "half", "cut"), False: ("enospc", "eio", "full", "kill")}
        return [(k, how) for k, line in enumerate(self.operations) for how in ways[line.startswith("write")]]

    def case(self, at: int, how: str) -> dict[str, str]:
        """What is wrong after operation `at` met `how`: by kind of fault a sentence; nothing, where all is well."""
        self.back()
        code = run(self.verb.args, self.work, self.said, self.root, at, how)
        text, wrong = self.said.read_text(errors="replace"), {}
        if how in ("kill", "cut"):
            if code != -9:
                wrong["not killed"] = f"exit {code}"
        elif fault := _sentence(code, text):
            wrong["sentence"] = fault
        now = state(self.root)
        if any(now.get(name) != self.old[name] for name in OWN if name in self.old):
            return wrong | {"lost": "a file of the user's own"}
        whole = self._whole(now)
        kept = {name: content for name, content in now.items() if name not in _left_over(now)}
        if code == 0 and (differ := _differ(kept, self.new)):
            wrong["sentence"] = f"exit 0, though {differ}"
        if whole and "nothing that was there before is lost" in text and not self.verb.trains:
            wrong["sentence"] = "it says that nothing is lost"
        removing = self.operations[at].startswith(("unlink", "rmdir"))  # what is not removed is there
        if how not in ("kill", "cut") and not removing and (left := _left_over(now)):
            wrong["left over"] = f"before the next command: {', '.join(left)}"
        if self.verb.trains and self._begun():
            between = shutil.copytree(self.root, self.place / "between", dirs_exist_ok=True)
            wrong |= self._goes_on()
            shutil.rmtree(self.root)
            between.rename(self.root)
        elif whole:
            return wrong | {"lost": whole}
        return self._again() | wrong

    def _whole(self, now: dict[str, bytes]) -> str | None:
        """What of the old state is neither there nor replaced, in words; and what was to be new and is half there."""
        for name in [n for n in self.old if not n.endswith("/")]:
            if now.get(name) not in (self.old[name], self.new.get(name)):
                return f"{name} is {'missing' if name not in now else 'neither the old nor the new one'}"
        if not self.verb.trains:
            for name in {*self.new} & {*now} - {*self.old}:
                if now[name] != self.new[name]:
                    return f"{name} is not whole"
        if self.verb.root == "home":
            return None
        found = self.probed()
        for name, given in found.items():
            if given not in (self.old_probe.get(name), self.new_probe.get(name)) and name in self.old_probe:
                return f"{name}: {given}"
        return next((f"{name} is gone" for name in self.old_probe if name not in found and name in self.new_probe), None)

    def _begun(self) -> bool:
        """Whether there is a training to go on with."""
        folder = self.work / self.verb.trains
        if self.verb.goes_on:
            name = f"{self.verb.trains}/config.json"
            return self.old.get(name) != state(self.root).get(name)
        try:
            begun = json.loads((folder / "config.json").read_text()).get("finished") is False
        except (OSError, ValueError):
            return (folder / "seeds.json").exists()
        return begun and (folder / "checkpoint" / "state.safetensors").exists()

    def _goes_on(self) -> dict[str, str]:
        """What is wrong where the begun training is gone on with: it comes to the state of the undisturbed one."""
        command = self.verb.goes_on or ["train", "--resume", "--out", self.verb.trains]
        code = run(command, self.work, self.said)
        if code:
            return {"lost": f"exit {code}: {self.said.read_text(errors='replace').strip()}"}
        return _named(_differ(state(self.root), self.new), "lost")

    def _again(self) -> dict[str, str]:
        """The very same command again, where need be with ``--overwrite``, comes to the state of the undisturbed one."""
        tried = []
        for more in ([], ["--overwrite"]) if "--overwrite" not in self.verb.args else ([],):
            code = run([*self.verb.args, *more], self.work, self.said)
            if code == 0:
                return _named(_differ(state(self.root), self.new), "stuck")
            tried.append(self.said.read_text(errors="replace").strip())
        return {"stuck": " / ".join(tried)}


def _sentence(code: int, text: str) -> str | None:
    """What is wrong with how a failing command ended; an operation whose failing does no harm may be passed over."""
    said = [line for line in text.splitlines() if line.startswith("nearfar: ")]
    if "Traceback" in text or "fault of nearfar" in text or "Exception ignored" in text:
        return text.strip()[-600:]
    if code not in (0, 1) or len(said) != (code == 1):
        return f"exit {code}: {text.strip()[-600:]}"
    return None


def _named(differ: str | None, kind: str) -> dict[str, str]:
    return {"left over" if differ.startswith("more:") else kind: differ} if differ else {}


def _left_over(now: Mapping[str, bytes]) -> list[str]:
    return [name for name in now if any(part.startswith(".") for part in name.split("/"))]


def _differ(now: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> str | None:
    more, less = sorted({*now} - {*wanted}), sorted({*wanted} - {*now})
    other = sorted(name for name in {*now} & {*wanted} if now[name] != wanted[name])
    if other or less:
        return "; ".join(f"{what} {', '.join(names)}" for what, names in (("different:", other), ("missing:", less)) if names)
    return f"more: {', '.join(more)}" if more else None
