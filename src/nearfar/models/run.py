"""The run folder: create, lock, checkpoint, resume.

::

    runs/NAME/
      config.json          everything that was asked for and decided, and what the data were
      model.safetensors    encoders and projectors
      rows.safetensors     which rows were trained on: hashes of their content
      histories.safetensors
                           who took what, of users and items
      metrics.jsonl        one line per logged step
      evaluations/         the measurements, one file for each data set and way of measuring
      evaluation.json      the latest of them
      README.md            model card
      report.html
      skipped.csv          rows that could not be read, and why
      checkpoint/          state.safetensors: everything needed to go on, bit for bit; removed at the end of the
                           training, unless ``train.keep_optimizer``
      classifier/NAME/     classifier.json, weights.safetensors: what `nearfar classify` made

Other files in it are its user's: they are never removed, also where the run is overwritten.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from nearfar.core import files, leftovers, replacing
from nearfar.core.errors import RunError, meant
from nearfar.core.names import is_utf8, real
from nearfar.core.schema import By, fits, within
from nearfar.core.version import __version__

if TYPE_CHECKING:
    import torch

SCHEMA = 1
EXPORTED = "nearfar-export.json"  # what an export holds, which is no run whatever else is there
MEASURED = ("evaluation.json", "evaluations/*.json")
CLASSIFIERS = ("classifier/*/classifier.json", "classifier/*/weights.safetensors")
WRITTEN = (
    *MEASURED, *CLASSIFIERS, "config.json", "model.safetensors", "rows.safetensors", "histories.safetensors",
    "metrics.jsonl", "README.md", "report.html", "skipped.csv", "checkpoint/state.safetensors",
    "tensorboard/events.out.tfevents.*",
)  # fmt: skip
METRICS_LIMIT = 2**30  # bytes
WEIGHTS = "Are these weights of a library's model? Name both, such as timm:NAME@FILE.safetensors."
DATA = "Is it data? Those of `nearfar eval` follow --on, and those of `nearfar search` --in."


class _Line(TypedDict):
    step: Annotated[int, within(0)]
    epoch: Annotated[int, within(0)]


Line = Annotated[dict[str, float | None], By(lambda _: _Line)]  # of metrics.jsonl; None for what is not finite


class Run:
    """A run folder."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._lock: Any = None
        self._new: replacing.Replacement | None = None
        self._config: dict[str, Any] | None = None  # as it was read or written

    @property
    def path(self) -> Path:
        """Where it lies now: until it is settled, a new run lies beside the one that it replaces."""
        return replacing.now(self._path)

    # --- opening ----------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, path: str | Path, *, resume: bool = False, overwrite: bool = False, beside: bool = False) -> Run:
        """The folder, locked for this process; raises as `check`, or where another process uses it.

        Instead of a run that is there, and always with `beside`, its `path` is that of a folder beside it, which
        `settle` or the first checkpoint swaps to its place: until then the other one stays.
        """
        run = cls.check(path, resume=resume, overwrite=overwrite)
        run.take(written if beside or (run.is_there and not resume) else None)
        return run

    @classmethod
    def check(cls, path: str | Path, *, resume: bool = False, overwrite: bool = False) -> Run:
        """The folder, which is not touched.

        Raises
        ------
        RunError
            It exists and neither `resume` nor `overwrite` was asked for; there is nothing to resume; it is not a run
            at all, or cannot be replaced as a whole.
        """
        run, elsewhere = cls(path), "Choose another --out."
        if not is_utf8(run.path.absolute()):
            raise RunError("the path is not UTF-8, as weights need it.", where=str(path), hint=elsewhere)
        if os.path.exists(run.path) and not os.path.isdir(run.path):
            raise RunError("is a file, not a folder.", where=str(path), hint=elsewhere)
        leftovers.sweep(Path(os.path.realpath(path)))
        occupied, begun = leftovers.occupied(run.path), os.path.exists(run.checkpoint_file)
        if occupied and not run.is_there:
            raise RunError("is not empty and not a run.", where=str(path), hint=elsewhere)
        if occupied and not (resume or overwrite):
            hint = f"Pass {'--resume to go on, or ' * begun}--overwrite to begin again."
            raise RunError("the run folder exists.", where=str(path), hint=hint)
        if resume and not begun and not run.trained:
            raise RunError(
                "has no checkpoint to resume from.", where=str(path), hint="Pass --overwrite to begin again."
            )
        for pattern in WRITTEN:
            file, folder = run.path / pattern, run.path / pattern.partition("/")[0]
            hint = "Move it, or choose another --out."
            if os.path.isdir(file):
                raise RunError("is a folder, and a run has a file there.", where=str(file), hint=hint)
            if folder != file and os.path.lexists(folder) and not os.path.isdir(folder):
                raise RunError("is no folder, and a run has one there.", where=str(folder), hint=hint)
        if occupied and overwrite:
            replacing.check(path)
        return run

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """A run that is there.

        Raises
        ------
        RunError
            No run is there, its ``config.json`` is damaged, or it was written by a newer version of nearfar.
        """
        run = cls(path)
        if not os.path.exists(run.path):
            leftovers.sweep(Path(os.path.realpath(path)))
        if not os.path.exists(run.config_file):
            there = os.path.exists(run.path)
            known = [] if there else [p.parent.name for p in run.path.parent.glob("*/config.json")]
            weights = there and (run.path.suffix == ".safetensors" or (run.path / "model.safetensors").is_file())
            raise RunError(
                f"is not a run folder: {'it has no config.json' if there else 'there is nothing of that name'}.",
                where=str(path), hint=(WEIGHTS if weights else DATA) if there else meant(run.path, known),
            )  # fmt: skip
        run.config  # noqa: B018 - which is checked when it is first read
        return run

    def take(self, instead_of: Callable[[Path], Iterable[Path]] | None = None) -> None:
        """Lock the folder for this process, with a new one beside it if what is there is to be replaced.

        `instead_of` gives the paths of what may be replaced, see `replacing.Replacement`.
        """
        from filelock import FileLock, Timeout

        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise files.storage_error(self.path, e) from e
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as e:
            raise RunError("another process is training in this folder.", where=str(self.path)) from e
        self._lock = lock
        try:
            leftovers.sweep(Path(os.path.realpath(self.path)))
            leftovers.sweep_within(self.path)
            if instead_of is not None:
                self._new = replacing.Replacement(self.path, instead_of)
                self._path = self._new.place
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let others write here again; what was not settled is given up."""
        if self._new is not None:
            self._path = self._new.path
            self._new.discard()
        if self._lock is not None:
            self._lock.release()
            (self.path / ".lock").unlink(missing_ok=True)
            self._lock = None
            with contextlib.suppress(OSError):
                self.path.rmdir()  # only where nothing came to be written

    def settle(self) -> None:
        """Swap what was written beside an earlier run to its place."""
        replacing.settle(self.path)

    def forget(self) -> None:
        """Remove what was made of other weights than those of the run: measurements, and what classifies with them."""
        weights = self.weights
        others = [f for pattern in MEASURED for f in self.path.glob(pattern) if _value(f, "weights") != weights]
        for file in self.path.glob(CLASSIFIERS[0]):
            if _value(file, "about", "model") != weights:
                made = [f for f in file.parent.iterdir() if any(f.match(pattern) for pattern in CLASSIFIERS)]
                others += sorted(made, key=lambda f: f == file)  # by which they are found, if it fails between
        try:
            for file in others:
                file.unlink()
        except OSError as e:
            raise files.storage_error(self.path, e) from e
        for folder in (*{file.parent for file in others}, self.path / "classifier"):
            with contextlib.suppress(OSError):
                folder.rmdir()  # where nothing else is in it

    # --- what is inside ---------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return replacing.final(real(self.path)).name

    @property
    def is_there(self) -> bool:
        """Whether a run is there: its ``config.json``, be it damaged otherwise, is one that nearfar wrote."""
        return not os.path.exists(self.path / EXPORTED) and _value(self.config_file, "nearfar") is not None

    @property
    def config_file(self) -> Path:
        return self.path / "config.json"

    @property
    def model_file(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def checkpoint_file(self) -> Path:
        return self.path / "checkpoint" / "state.safetensors"

    @property
    def weights(self) -> str:
        """Hash of ``model.safetensors``."""
        return files.sha256(self.model_file)

    @property
    def finished(self) -> bool:
        """Whether the training came to its end, and the model is that of the end."""
        return os.path.exists(self.model_file) and self.config.get("finished", True)

    @property
    def trained(self) -> bool:
        """Whether `finished` is what a training says of itself: it may have left no checkpoint."""
        return _value(self.config_file, "finished") is True and self.finished

    @property
    def config(self) -> dict[str, Any]:
        """What ``config.json`` says, which fits `nearfar.models.stored`; it is read once.

        Raises
        ------
        RunError
            It does not, or was written by a newer version of nearfar.
        """
        if self._config is None:
            self._config = self._settled(files.read_json(self.config_file, dict[str, Any]))
        return dict(self._config)

    def write_config(self, values: dict[str, Any]) -> None:
        values = {"schema": SCHEMA, "nearfar": __version__, **values}
        files.write_json(self.config_file, values)
        self._config = self._settled(json.loads(json.dumps(files.finite(values))))

    def _settled(self, values: dict[str, Any]) -> dict[str, Any]:
        from nearfar.models import stored

        files.check_schema(values, SCHEMA, str(self.path))
        return stored.settled(values, str(self.config_file))

    # --- metrics ----------------------------------------------------------------------------------------------

    def append_metrics(self, row: dict[str, Any]) -> None:
        files.append_line(self.path / "metrics.jsonl", json.dumps(files.finite(row)))

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``; a last one that a kill cut short is left out.

        Raises
        ------
        RunError
            Another one is damaged.
        """
        file, rows = self.path / "metrics.jsonl", []
        lines = files.read_bytes(file, METRICS_LIMIT).splitlines() if os.path.lexists(file) else []
        for number, line in enumerate(lines, 1):
            where = f"{file}, line {number}"
            try:
                row = files.json_of(line, where)
                fits(row, Line, where)
            except RunError:
                if number == len(lines):
                    break
                raise
            rows.append(row)
        return rows

    def cut_metrics(self, step: int) -> None:
        """Drop the lines after `step`: they will be written again."""
        kept = [json.dumps(row) for row in self.metrics() if row["step"] <= step]
        if (self.path / "metrics.jsonl").exists():
            files.write_atomic(self.path / "metrics.jsonl", "".join(f"{line}\n" for line in kept).encode())

    # --- checkpoints ------------------------------------------------------------------------------------------

    def save_checkpoint(self, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
        """All tensors and the JSON values of a moment, as one file that is either the old or the new one."""
        files.sync(self.path / "metrics.jsonl")  # no checkpoint is later than the lines that lead to it
        self.checkpoint_file.parent.mkdir(exist_ok=True)
        files.save_tensors(self.checkpoint_file, tensors, {"state": json.dumps(files.finite(state))})
        self.settle()

    def load_checkpoint(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        tensors, metadata = files.load_tensors(self.checkpoint_file)
        return tensors, files.json_of(metadata.get("state", "null"), str(self.checkpoint_file))

    def finish(self) -> None:
        """Write down that the model which lies there is that of the end, and remove what only going on would need.

        In this order, so that whatever was not done when the process ends can be done by the next one that goes on.
        """
        if not self.config.get("finished", True):
            self.write_config({**self.config, "finished": True})
        if self.config["config"]["train"]["keep_optimizer"]:
            return
        try:
            self.checkpoint_file.unlink(missing_ok=True)
        except OSError as e:
            raise files.storage_error(self.checkpoint_file, e) from e
        with contextlib.suppress(OSError):
            self.checkpoint_file.parent.rmdir()  # where nothing else is in it


def written(folder: Path) -> Iterator[Path]:
    """The files of a run that nearfar wrote."""
    for pattern in WRITTEN:
        yield from folder.glob(pattern)


def _value(file: Path, *keys: str) -> Any:
    """What a JSON file has under these keys; None where it does not, or is damaged."""
    try:
        value = files.read_json(file)
        for key in keys:
            value = value[key]
    except (RunError, LookupError, TypeError):
        return None
    return value
