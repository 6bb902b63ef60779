"""Damage to the files of run folders, drawn from a seed, and what comes of it.

`case` damages one file of a copy of a folder and uses it: the outcome is ``same`` (the vectors, weights or pages are
those of the undamaged folder), ``told`` (there was a warning), ``refused`` (a `UserError`, exit status 2), ``changed``
(a config says something else, or a resumed training was told by a knob that may change to go on otherwise), or a fault, whose text is given.
"""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import nearfar
from nearfar.core import files
from nearfar.core.config import assemble, knobs
from nearfar.core.errors import NearfarWarning, UserError
from nearfar.evaluation import evaluate as evaluation
from nearfar.evaluation.report import card, kept, of_run
from nearfar.methods import record
from nearfar.models import loading
from nearfar.models import loading as models
from nearfar.models.run import Run
from nearfar.training import train
from nearfar.training.tuning.outcome import differing, toml

SLOW = 5.0  # seconds of the processor that no case takes
WORDS = ("red", "green", "blue", "big", "small", "cat", "dog", "runs", "sleeps", "eats")
BASE = {"epochs": 1, "batch_size": 16, "threads": 1, "precision": "fp32", "quiet": True, "holdout": 0.0,
        "projector": {"hidden": 16, "out": 8}, "keep_optimizer": True}  # fmt: skip
BAD = (
    None, True, False, 0, -1, 1, 2, 10**6, 2**63, 10**30, 0.5, -0.5, 1e308, float("nan"), float("inf"), "", "x", "auto",
    "none", "1", "x" * 5000, "a\0b", "\ud800", "../..", "/etc/passwd", [], {}, [0], [None], ["x"] * 3, {"x": 1},
)  # fmt: skip


# --- whole folders ------------------------------------------------------------------------------------------------


def make(home: Path) -> dict[str, Path]:
    """A run of each modality, an ensemble of either kind, two seeds, and a config; by name."""
    from PIL import Image

    home.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    lines = [
        [" ".join(draw.choice(WORDS, 5)), " ".join(draw.choice(WORDS, 5)), *map(str, draw.normal(size=3).round(3)), "ab"[i % 2]]
        for i in range(32)
    ]  # fmt: skip
    table = home / "rows.csv"
    table.write_text("\n".join(",".join(line) for line in [["left", "right", "p", "q", "r", "label"], *lines]) + "\n")
    for i, pixels in enumerate(draw.integers(0, 255, (16, 12, 12, 3), dtype=np.uint8)):
        (home / "pictures" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(home / "pictures" / "ab"[i % 2] / f"{i}.png")
    bag = BASE | {"encoder_options": {"dim": 8}, "label": "label"}
    rows = BASE | {"encoder_options": {"width": 8, "out": 8, "layers": 2}, "label": "label", "column": ("p", "q", "r")}
    runs = {name: home / name for name in ("image", "text", "words", "vector", "pairs", "other", "seeds")}
    train.train(home / "pictures", out=runs["image"], **BASE, size=12, encoder="small_cnn", encoder_options={"widths": [4, 8]})
    train.train(table, out=runs["text"], **bag, column="left", tokens="bpe:270")
    train.train(table, out=runs["words"], **bag, column="left", tokens="hashed:300")
    train.train(table, out=runs["vector"], **rows, method="moco_v2", parts={"memory": {"size": 32}})
    train.train(table, out=runs["other"], **rows, seed=1)
    train.train(table, out=runs["pairs"], **bag | {"projector": {"out": 8}}, column=("left", "right"), tokens="hashed:300")
    nearfar.train(table, out=runs["seeds"], seeds=2, **rows)
    for how in ("concat", "average"):
        runs[how] = home / how
        nearfar.ensemble([runs["vector"], runs["other"]], out=runs[how], how=how, quiet=True)
    for kind in ("logistic", "knn"):
        nearfar.classify(runs["vector"], table, label="label", kind=kind, name=kind, quiet=True)
    for protocols in (["knn", "linear_probe"], ["clustering"]):
        model = models.load(runs["vector"])
        of_run.keep(model, evaluation.evaluate(model, table, label="label", protocols=protocols, quiet=True), layout="pca")
    model = models.load(runs["pairs"])
    of_run.keep(model, evaluation.evaluate(model, table, protocols=["retrieval"], quiet=True), layout="pca")
    runs["config"] = home / "config"
    runs["config"].mkdir()
    values = differing(Run.open(runs["vector"]).config and models.load(runs["vector"]).config)
    (runs["config"] / "best.toml").write_text(toml(values))
    files.write_json(runs["config"] / "best.json", values)
    return runs


# --- uses ---------------------------------------------------------------------------------------------------------


def encode(run: Path, home: Path) -> Any:
    """Vectors of a few rows by each column."""
    model = loading.load(run)
    given = {"image": home / "pictures" / "a", "text": ["red cat", "a big blue dog runs"]}
    rows = {"p": [0.5, 2.0], "q": [1.0, -1.0], "r": [0.0, 0.25]}
    found = {name: model.encode(given.get(kind, rows), column=name) for name, (kind, _) in model.columns.items()}
    return {name: z.tobytes() for name, z in found.items()}


def series(run: Path, home: Path) -> Any:
    """Vectors of every seed."""
    return [m.encode({"p": [0.5], "q": [1.0], "r": [0.0]}).tobytes() for m in loading.models([run])]


def classify(run: Path, home: Path) -> Any:
    """What the kept classifiers say of the rows."""
    found = [nearfar.classify(run, new=home / "rows.csv", use=name, quiet=True) for name in ("logistic", "knn")]
    return [str(f.lines()) for f in found]


def evaluate(run: Path, home: Path) -> Any:
    """A figure of the run."""
    found = evaluation.evaluate(run, home / "rows.csv", label="label", protocols=["knn"], floors=False, quiet=True)
    return found.results[0]["knn"]["accuracy"]


def report(run: Path, home: Path) -> Any:
    """The card, and the page without map."""
    from nearfar.evaluation.report import write

    there = Run.open(run)
    config, measured, metrics = there.config, kept.every(there), there.metrics()
    card.write(run / "README.md", name="run", config=config, measured=measured)
    write.write(run / "report.html", name="run", config=config, metrics=metrics, measured=measured)
    return [m.get("results") for m in measured]


def resume(run: Path, home: Path) -> Any:
    """The weights after another epoch."""
    train.train(out=run, resume=True, epochs=2, quiet=True)
    return (run / "model.safetensors").read_bytes()[-500:]


def begin(run: Path, home: Path) -> Any:
    """Whether another training can begin with the run."""
    train.rehearse(home / "rows.csv", init_from=str(run), **BASE, column=("p", "q", "r"),
                 encoder_options={"width": 8, "out": 8, "layers": 2})  # fmt: skip


def configure(run: Path, home: Path) -> Any:
    """The configs that are read, and whose method there is."""
    found = [assemble(run / name)[0] for name in ("best.toml", "best.json")]
    for config in found:
        record.resolve(config.model.method, config.method)
    return found


Use = Callable[[Path, Path], Any]
CASES: tuple[tuple[str, str, Use, int], ...] = (  # folder, file, use, how often beside others
    ("image", "config.json", encode, 5), ("text", "config.json", encode, 6), ("words", "config.json", encode, 4),
    ("vector", "config.json", encode, 6), ("pairs", "config.json", encode, 5), ("concat", "config.json", encode, 3),
    ("average", "config.json", encode, 4), ("vector", "config.json", report, 3), ("vector", "config.json", resume, 2),
    ("vector", "config.json", evaluate, 1), ("vector", "config.json", begin, 1), ("seeds", "seeds.json", series, 3),
    ("vector", "classifier/knn/classifier.json", classify, 2), ("vector", "evaluation.json", report, 3),
    ("vector", "classifier/logistic/classifier.json", classify, 2), ("vector", "evaluations/*.json", report, 6),
    ("vector", "classifier/*/weights.safetensors", classify, 1), ("pairs", "evaluation*/*.json", report, 3),
    ("vector", "metrics.jsonl", report, 3), ("vector", "metrics.jsonl", resume, 1),
    ("vector", "checkpoint/state.safetensors", resume, 3), ("vector", "model.safetensors", encode, 2),
    ("vector", "rows.safetensors", encode, 1), ("average", "model.safetensors", encode, 1),
    ("config", "best.json", configure, 4), ("config", "best.toml", configure, 3),
)  # fmt: skip


# --- kinds of damage ----------------------------------------------------------------------------------------------


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all that a value of JSON holds; of long lists, the first."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, item in list(inner)[:60]:
        yield (*path, key)
        yield from places(item, (*path, key))


def changed(value: Any, draw: random.Random) -> tuple[str, str, str]:
    """A value of JSON with something in it changed, as text; the kind of damage and the path."""
    value, paths = copy.deepcopy(value), list(places(value))
    if not isinstance(value, dict | list) or not paths:
        return "another value", "", json.dumps(draw.choice(BAD))
    depths = [p for p in paths if len(p) == draw.choice(sorted({len(p) for p in paths}))] or paths
    *above, key = path = draw.choice(depths)
    part = value
    for k in above:
        part = part[k]
    said, kind = ".".join(map(str, path)), draw.choice(("value", "value", "value", "gone", "renamed", "swapped", "deep", "twice"))
    if kind == "gone" or (kind in ("renamed", "twice") and isinstance(part, list)):
        del part[key]
        kind = "gone"
    elif kind == "renamed":
        part[f"{key}x"[draw.randrange(2) :]] = part.pop(key)
    elif kind == "swapped":
        other = draw.choice(list(part) if isinstance(part, dict) else range(len(part)))
        part[key], part[other] = part[other], part[key]
    elif kind == "deep":
        part[key] = "DEEP"
    elif kind == "twice":
        part["TWICE"] = draw.choice(BAD)
    else:
        part[key] = draw.choice(BAD)
    text = json.dumps(value)
    if kind == "deep":
        many = draw.choice((30, 100, 900, 10_000))
        text = text.replace('"DEEP"', "[" * many + "]" * many if draw.random() < 0.5 else '{"a":' * many + "1" + "}" * many, 1)
    return kind, said, text.replace('"TWICE"', json.dumps(str(key)), 1) if kind == "twice" else text


def of_bytes(content: bytes, draw: random.Random) -> tuple[str, bytes]:
    """The bytes of a file with some of them changed."""
    kind = draw.choice(("cut", "flipped", "flipped", "flipped", "empty", "BOM", "UTF-16", "NUL", "no UTF-8", "inserted", "twice"))
    at = draw.randrange(max(1, len(content)))
    spoilt = bytearray(content)
    if kind == "flipped" and content:
        spoilt[at] ^= 1 << draw.randrange(8)
    elif kind in ("NUL", "no UTF-8", "inserted"):
        spoilt[at:at] = {"NUL": b"\0", "no UTF-8": b"\xff"}.get(kind, draw.choice((b"\n", b"}", b'"', b",", b"0", b"\x1b[31m")))
    done = {"cut": content[:at], "empty": b"", "BOM": b"\xef\xbb\xbf" + content, "twice": content + content}
    return kind, done.get(kind, content.decode("latin-1").encode("utf-16") if kind == "UTF-16" else bytes(spoilt))


def of_place(file: Path, draw: random.Random) -> str:
    """The file as something else."""
    kind = draw.choice(("missing", "folder", "loop", "pipe", "64 MiB", "unreadable", "device"))
    mode = file.stat().st_mode
    content = file.read_bytes()
    file.unlink()
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind in ("loop", "device"):
        file.symlink_to(file.name if kind == "loop" else "/dev/zero")
    elif kind != "missing":
        file.write_bytes(content)
        os.chmod(file, 0 if kind == "unreadable" else mode)
    if kind == "64 MiB":
        os.truncate(file, 65 * 2**20)
    return kind


def spoil(file: Path, draw: random.Random) -> tuple[str, str]:
    """Damage a file; the kind, and where in it."""
    way = draw.random()
    if way < 0.08:
        return of_place(file, draw), ""
    content = file.read_bytes()
    if file.suffix in (".json", ".jsonl") and way < 0.8:
        lines = content.decode().splitlines() if file.suffix == ".jsonl" else [content.decode()]
        i = draw.randrange(len(lines))
        kind, where, lines[i] = changed(json.loads(lines[i]), draw)
        content = "\n".join(lines).encode("utf-8", "surrogatepass")
    elif file.suffix == ".safetensors" and way < 0.6:
        tensors, about = files.load_tensors(file)  # as a stranger would write it, with the right checksum
        if "state" in about:
            kind, where, about["state"] = changed(json.loads(about["state"]), draw)
        else:
            kind, where, text = changed(about or {"x": 1}, draw)
            try:
                about = json.loads(text)
            except (ValueError, RecursionError):
                about = [text[:50]]
            about = about if isinstance(about, dict) else {"x": about}
        files.save_tensors(file, tensors, about)
        return f"metadata {kind}", where
    else:
        kind, content = of_bytes(content, draw)
        where = ""
    file.unlink()
    file.write_bytes(content)
    return kind, where


# --- a case -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What came of a case."""

    folder: str
    file: str
    use: str
    damage: str
    where: str
    found: str
    text: str
    seconds: float


def case(seed: int, runs: dict[str, Path], home: Path, place: Path, known: dict[Any, Any]) -> Outcome:
    """Damage a copy of a folder, and use it; `known` keeps what the undamaged folders give."""
    draw = random.Random(seed)
    name, pattern, use, _ = draw.choices(CASES, [c[3] for c in CASES])[0]
    if (name, use) not in known:
        known[name, use] = used(use, copied(runs[name], place / "run"), home)
        shutil.rmtree(place / "run")
    run = copied(runs[name], place / "run")
    file = draw.choice(sorted(run.glob(pattern)))
    damage, where = spoil(file, draw)
    began, text = time.process_time(), ""
    try:
        (result, said), (whole, usual) = used(use, run, home), known[name, use]
        free = {f"config.{s}.{f.name}" for s, f, _ in knobs() if f.metadata["resumes"]}
        may = use is configure or (use is resume and where.replace("asked", "config") in free)
        found = "same" if result == whole else "told" if said - usual else "changed" if may else "FAULT"
        text = "silently different" if found == "FAULT" else ""
    except UserError as e:
        found, text = "refused", str(e)
    except BaseException as e:
        if isinstance(e, KeyboardInterrupt):
            raise
        found, text = "FAULT", "".join(traceback.format_exception(e)[-3:])
    seconds = time.process_time() - began
    if seconds > SLOW:
        found, text = "FAULT", f"took {seconds:.1f} s: {text}"
    elif found == "refused" and ("\n" in text or len(text) > 3000):
        found = "FAULT"
    shutil.rmtree(run)
    return Outcome(name, pattern, use.__name__, damage, where, found, text, seconds)


def used(use: Use, run: Path, home: Path) -> tuple[Any, set[str]]:
    """What a use gives, and the warnings."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = use(run, home)
    return result, {str(w.message) for w in said if issubclass(w.category, NearfarWarning)}


def copied(run: Path, to: Path) -> Path:
    """A copy of a folder, whose files are the same until one is replaced."""

    def copy_file(a: str, b: str) -> None:
        (shutil.copy2 if a.endswith(".jsonl") else os.link)(a, b)  # to which lines are added in place

    return Path(shutil.copytree(run, to, copy_function=copy_file, ignore=shutil.ignore_patterns("*.html", "*.md")))
