"""The run folder: create, lock, checkpoint, resume.

::

    runs/NAME/
      config.json          everything that was asked for and decided, and what the data were
      model.safetensors    encoders and projectors
      rows.safetensors     which rows were trained on: hashes of their content
      metrics.jsonl        one line per logged step
      evaluations/         the measurements, one file for each data set and way of measuring
      evaluation.json      the latest of them
      README.md            model card
      report.html
      checkpoint/          state.safetensors: everything needed to go on, bit for bit
      classifier/NAME/     classifier.json, weights.safetensors: what `nearfar classify` made
"""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar import files
from nearfar.errors import RunError
from nearfar.names import is_utf8

if TYPE_CHECKING:
    import torch

SCHEMA = 1


class Run:
    """A run folder.

    Parameters
    ----------
    path : str or Path
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock: Any = None

    # --- opening ----------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, path: str | Path, *, resume: bool = False, overwrite: bool = False) -> Run:
        """The folder, locked for this process.

        Raises
        ------
        RunError
            As `check`; or it is in use by another process.
        """
        run = cls.check(path, resume=resume, overwrite=overwrite)
        run.path.mkdir(parents=True, exist_ok=True)
        run.lock()
        return run

    @classmethod
    def check(cls, path: str | Path, *, resume: bool = False, overwrite: bool = False) -> Run:
        """The folder, which is not touched.

        Raises
        ------
        RunError
            It exists and neither `resume` nor `overwrite` was said; there is nothing to resume; it is not a run at all.
        """
        run = cls(path)
        if not is_utf8(run.path.absolute()):
            raise RunError("the path is no UTF-8, as weights need it.", where=str(path), hint="Choose another --out.")
        if run.path.exists() and not run.path.is_dir():
            raise RunError("is a file, not a folder.", where=str(path), hint="Choose another --out.")
        occupied = run.path.is_dir() and any(p.name != ".lock" for p in run.path.iterdir())
        if occupied and not run.config_file.exists():
            raise RunError("is not empty and not a run.", where=str(path), hint="Choose another --out.")
        if occupied and not (resume or overwrite):
            raise RunError(
                "the run folder exists.", where=str(path), hint="Say --resume to go on, or --overwrite to begin anew."
            )
        if resume and not run.checkpoint_file.exists():
            raise RunError("has no checkpoint to go on from.", where=str(path), hint="Say --overwrite to begin anew.")
        return run

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """A run that is there.

        Raises
        ------
        RunError
            No run is there, or it was written by a newer version of nearfar.
        """
        run = cls(path)
        if not run.config_file.exists():
            raise RunError("is not a run folder: it has no config.json.", where=str(path))
        schema = run.config.get("schema")
        if not isinstance(schema, int) or schema > SCHEMA:
            raise RunError(
                f"was written by a newer nearfar ({run.config.get('nearfar', 'unknown version')}).",
                where=str(path), hint="Upgrade nearfar to read it.",
            )  # fmt: skip
        return run

    def lock(self) -> None:
        """Keep other processes from writing here until this one ends."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as e:
            raise RunError("another process is training in this folder.", where=str(self.path)) from e
        self._lock = lock

    def release(self) -> None:
        """Let others write here again."""
        if self._lock is not None:
            self._lock.release()
            (self.path / ".lock").unlink(missing_ok=True)
            self._lock = None
            with contextlib.suppress(OSError):
                self.path.rmdir()  # only where nothing came to be written

    def clear(self) -> None:
        """Remove what an earlier training left; other files stay."""
        self.forget()
        for name in ("config.json", "model.safetensors", "rows.safetensors", "metrics.jsonl", "README.md",
                     "report.html", "skipped.csv"):  # fmt: skip
            (self.path / name).unlink(missing_ok=True)
        for name in ("checkpoint", "tensorboard"):
            shutil.rmtree(self.path / name, ignore_errors=True)

    def forget(self) -> None:
        """Remove what was made of the weights: what was measured and what classifies with them."""
        (self.path / "evaluation.json").unlink(missing_ok=True)
        for name in ("evaluations", "classifier"):
            shutil.rmtree(self.path / name, ignore_errors=True)

    # --- what is inside ---------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @property
    def config_file(self) -> Path:
        """``config.json``."""
        return self.path / "config.json"

    @property
    def model_file(self) -> Path:
        """``model.safetensors``."""
        return self.path / "model.safetensors"

    @property
    def checkpoint_file(self) -> Path:
        """``checkpoint/state.safetensors``."""
        return self.path / "checkpoint" / "state.safetensors"

    @property
    def finished(self) -> bool:
        """Whether the training came to its end, and the model is that of the end."""
        return self.model_file.exists() and self.config.get("finished", True)

    @property
    def config(self) -> dict[str, Any]:
        """What ``config.json`` says."""
        return files.read_json(self.config_file)

    def write_config(self, values: dict[str, Any]) -> None:
        """Write ``config.json``."""
        from nearfar import __version__

        files.write_json(self.config_file, {"schema": SCHEMA, "nearfar": __version__, **values})

    # --- metrics ----------------------------------------------------------------------------------------------

    def append_metrics(self, row: dict[str, Any]) -> None:
        """One more line of ``metrics.jsonl``."""
        files.append_line(self.path / "metrics.jsonl", json.dumps(files.finite(row)))

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``; a last line that a kill cut short is left out."""
        file, rows = self.path / "metrics.jsonl", []
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
        return rows

    def cut_metrics(self, step: int) -> None:
        """Drop the lines after `step`: they will be written again."""
        kept = [json.dumps(row) for row in self.metrics() if row["step"] <= step]
        files.write_atomic(self.path / "metrics.jsonl", "".join(f"{line}\n" for line in kept).encode())

    # --- checkpoints ------------------------------------------------------------------------------------------

    def save_checkpoint(self, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
        """All tensors and the JSON values of a moment, as one file that is either the old or the new one.

        The lines of metrics before that moment are on the disk first.
        """
        files.sync(self.path / "metrics.jsonl")
        self.checkpoint_file.parent.mkdir(exist_ok=True)
        files.save_tensors(self.checkpoint_file, tensors, {"state": json.dumps(state)})

    def load_checkpoint(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """What `save_checkpoint` wrote."""
        tensors, metadata = files.load_tensors(self.checkpoint_file)
        return tensors, json.loads(metadata["state"])
