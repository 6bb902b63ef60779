"""Walk over the operations of verbs, in a process of its own: ``python -m tests.faults.walk PLACE SEED VERB=SAMPLE …``.

SAMPLE is ``all``, every operation meeting all that may happen to it; ``each``, every operation meeting one of these,
drawn by the seed; or a number of cases, drawn by the seed. What was tried and what was wrong is printed as JSON, a line
a verb.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import random
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.judging import differ, left_over, probe, state
from tests.faults.operations import OF_ANY, OF_WRITES, in_a_child, watch
from tests.faults.verbs import OWN, USED, VERBS, Verb, make_data

_WARM: set[str] = set()  # verbs that have run in this process


def _in_this_process(folder: Path, commands: Sequence[Sequence[str]]) -> None:
    """Run commands here, so that children need not import what these need."""
    from nearfar import cli

    folder.mkdir(exist_ok=True)
    here = os.getcwd()
    os.chdir(folder)
    for args in commands:
        assert cli.run([*args, "-q"]) == 0, args
        _WARM.add(args[0])
    os.chdir(here)
    gc.collect()
    gc.freeze()  # or a child would copy whatever its collector looks at


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
        for folder in (self.work, self.place / "home", self.place / "other"):
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
                before = shutil.copytree(self.root, self.place / "before")
                self._ran(commands[-1])
                if cut is not None:
                    saved = [n for n, line in enumerate(self.log()) if line == "rename\trun/checkpoint/state.safetensors"]
                    shutil.rmtree(self.root)
                    shutil.copytree(before, self.root)
                    self._ran(commands[-1], saved[cut - 1] + 2)
                shutil.rmtree(before)
                shutil.copytree(self.root, kept)
            else:
                kept.mkdir(parents=True)
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(kept, self.root)

    def _ran(self, args: Sequence[str], killed: int | None = None) -> None:
        """Run a command that is to end well, or be killed at an operation."""
        code = run(args, self.work, self.said, self.root, killed, "kill")
        assert code == (0 if killed is None else -9), (args, code, self.said.read_text())

    def _warm(self) -> None:
        if self.verb.args[0] not in _WARM:
            _in_this_process(self.work, [self.verb.args])
            self.back()

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
        return [
            (at, how) for at, line in enumerate(self.operations)
            for how in OF_ANY + OF_WRITES * line.startswith("write")
        ]  # fmt: skip

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
        kept = {name: content for name, content in now.items() if name not in left_over(now)}
        if code == 0 and (other := differ(kept, self.new)):
            wrong["sentence"] = f"exit 0, though {other}"
        if whole and "nothing that was there before is lost" in text and not self.verb.trains:
            wrong["sentence"] = "it says that nothing is lost"
        removing = self.operations[at].startswith(("unlink", "rmdir"))  # what is not removed is there
        if how not in ("kill", "cut") and not removing and (left := [n for n in left_over(now) if n not in self.old]):
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
        if not self.verb.trains and self.verb.root == "work":  # in the cache only what has a manifest is there
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
            said = json.loads((folder / "config.json").read_text())
            begun = not (said["finished"] and said["config"]["train"]["keep_optimizer"])
        except (OSError, ValueError):
            name = f"{self.verb.trains}/seeds.json"
            return state(self.root).get(name) not in (None, self.old.get(name))
        return begun and (folder / "checkpoint" / "state.safetensors").exists()

    def _goes_on(self) -> dict[str, str]:
        """What is wrong where the begun training is resumed: it comes to the state of the undisturbed one."""
        command = self.verb.goes_on or ["train", "--resume", "--out", self.verb.trains]
        code = run(command, self.work, self.said)
        if code:
            return {"lost": f"exit {code}: {self.said.read_text(errors='replace').strip()}"}
        return _named(differ(state(self.root), self.new), "lost")

    def _again(self) -> dict[str, str]:
        """The very same command again, where need be with ``--overwrite``, comes to the state of the undisturbed one."""
        tried = []
        for more in ([], ["--overwrite"]) if "--overwrite" not in self.verb.args else ([],):
            code = run([*self.verb.args, *more], self.work, self.said)
            if code == 0:
                return _named(differ(state(self.root), self.new), "stuck")
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


def _named(other: str | None, kind: str) -> dict[str, str]:
    return {"left over" if other.startswith("more:") else kind: other} if other else {}


def main(place: Path, seed: int, verbs: list[str]) -> None:
    from nearfar.downstream import demo
    from nearfar.evaluation import evaluate as api

    os.environ["NEARFAR_HOME"] = str(place / "home")
    (place / "data").mkdir(parents=True)
    make_data(place / "data")
    digits, evaluate = demo.digits, api.evaluate  # the demonstration, in a second
    demo.digits = lambda: {split: (x[:120], y[:120]) for split, (x, y) in digits().items()}
    api.evaluate = lambda *args, **said: evaluate(*args, **{"protocols": ["knn"], "floors": False} | said)
    _in_this_process(place / "warm", USED)
    for name, sample in (verb.rsplit("=", 1) for verb in verbs):
        began, draw = time.monotonic(), random.Random(f"{seed} {name}")
        walk = Walk(VERBS[name], place)
        chosen = drawn(walk.cases(), sample, draw)
        faults = []
        for at, how in chosen:
            if wrong := walk.case(at, how):
                faults.append({"operation": walk.operations[at], "at": at, "how": how, **wrong})
                print(name, faults[-1], file=sys.stderr, flush=True)
        spent = os.times()
        found = {"verb": name, "operations": len(walk.operations), "cases": len(chosen), "faults": faults}
        cpu = round(sum(spent[:4]), 1)
        print(json.dumps(found | {"seconds": round(time.monotonic() - began, 1), "cpu_so_far": cpu}), flush=True)


def drawn(cases: list[tuple[int, str]], sample: str, draw: random.Random) -> list[tuple[int, str]]:
    """The cases to try."""
    if sample == "all":
        return cases
    if sample == "three":
        return [c for c in cases if c[1] in ("enospc", "eio", "kill")]
    if sample == "each":
        return [draw.choice([c for c in cases if c[0] == at]) for at in sorted({at for at, _ in cases})]
    return sorted(draw.sample(cases, min(len(cases), int(sample))))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]), sys.argv[3:])
