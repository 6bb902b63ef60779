"""Handing a model to other libraries, one file a target: ``sentence_transformers``, ``onnx``.

A target's file has a one-line ``SUMMARY`` and a function
``export(model, out, *, column=None, overwrite=False) -> Exported``, which writes all that the other library needs to
give the vectors of ``model.encode``: of unit length, and of the layer that the run keeps. Its arguments
and errors are those of `export`. A target that can also write weights of 8 bits takes ``int8`` as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.core import files, options
from nearfar.core.errors import ConfigError, RunError, UnknownName
from nearfar.core.options import checked
from nearfar.core.registry import TARGETS
from nearfar.core.replacing import replaced
from nearfar.models import loading
from nearfar.models.run import EXPORTED, Run

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.models.model import Model

WITHIN = 1e-5  # by which a number of an exported vector may differ


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes
    ----------
    out : str
        Folder or file.
    form : str
        What it consists of, in the other library's words.
    opens : str
        A line of Python that opens it as ``model``.
    notes : sequence of str
        What one should know of it, in sentences.
    run, to : str
        What was exported, and the target.
    """

    out: str
    form: str
    opens: str
    notes: Sequence[str] = ()
    run: str = ""
    to: str = ""

    def __repr__(self) -> str:
        return "\n".join([f"{self.out} holds {self.form}.", *self.notes, f"Open it in Python: {self.opens}"])

    def as_dict(self) -> dict[str, Any]:
        """What ``nearfar export --json`` prints."""
        return {"schema": 1, "verb": "export", "run": self.run, "to": self.to, "out": self.out, "form": self.form,
                "opens": self.opens, "notes": list(self.notes)}  # fmt: skip


@checked
def export(
    run: Model | str | Path, *, to: str, out: str | Path, column: str | None = None, overwrite: bool = False,
    int8: bool = False, console: Console | None = None,
) -> Exported:  # fmt: skip
    """Write a model so that another library opens it and gives the same vectors.

    Arguments that are not described here are those of `nearfar`.

    Parameters
    ----------
    to : {"onnx", "sentence-transformers"}
        A file of this folder, or a plug-in.
    out : path
        Folder to write.
    column : str, optional
        Whose encoder is exported; needed where the model has several and the target takes one.
    overwrite : bool
        Replace the export that `out` already holds.
    int8 : bool
        Write products of matrices in 8 bits: smaller and quicker on a processor, with vectors a little different.

    Raises
    ------
    UnknownName
        There is no such target or column.
    ConfigError
        The target takes no such model.
    RunError
        `out` is taken.
    """
    names = {name.replace("_", "-"): name for name in TARGETS}
    if (target := to.replace("_", "-")) not in names:
        raise UnknownName("target", to, names, where="--to")
    write = TARGETS.get(names[target]).export
    more = {"int8": True} if int8 else {}
    if int8 and "int8" not in options.names(write):
        raise ConfigError(f"{target} has no weights of 8 bits here.", where="--int8", hint="Use --to onnx.")
    model, called = loading.opened(run, "cpu")
    made = write(model, out, column=column, overwrite=overwrite, **more)
    return replace(made, run=called, to=target)


class Unfit(Exception):
    """The other library has no part that does this; the message is what, in words."""


def column_of(model: Model, modality: str, asked: str | None = None) -> str:
    """The column of a model whose encoder is to be exported.

    Raises
    ------
    ConfigError
        It takes no such modality, is an ensemble, or has several such columns with encoders of their own.
    UnknownName
        There is no column of that name.
    """
    if len(model.members) > 1:
        raise ConfigError(f"{model.name} is an ensemble.", hint="Export one of the models that it was made of.")
    fitting = [name for name, (kind, _) in model.columns.items() if kind == modality]
    if asked is not None and asked not in model.columns:
        raise UnknownName("column", asked, model.columns, where="--column")
    if asked is not None and asked not in fitting:
        raise ConfigError(f"holds {model.columns[asked][0]}, not {modality}.", where=f"column {asked!r}")
    if not fitting:
        kinds = ", ".join(sorted({kind for kind, _ in model.columns.values()}))
        raise ConfigError(f"this target takes {modality}, the model takes {kinds}.", where="--to")
    if asked is None and len({id(model.branches[name]) for name in fitting}) > 1:
        raise ConfigError(f"the model has the columns {', '.join(fitting)}.", hint=f"Pass --column {fitting[0]}.")
    return asked or fitting[0]


@contextmanager
def folder(out: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A new folder to write into, which takes its place at `out` once all of it is written.

    What it holds is written down in it, so that only that is removed when it is overwritten.

    Raises
    ------
    RunError
        Something is there already and is not to be overwritten, or is no export.
    StorageError
        It cannot be written.
    """
    out = Path(out)
    if os.path.exists(out) and not os.path.isdir(out):
        raise RunError("is a file, not a folder.", where=str(out), hint="Choose another --out.")
    if os.path.isdir(out) and any(out.iterdir()):
        if not (out / EXPORTED).exists():
            what = "is a run folder" if Run(out).is_there else "is not empty and no export of nearfar"
            raise RunError(f"{what}.", where=str(out), hint="Choose another --out.")
        if not overwrite:
            raise RunError("exists.", where=str(out), hint="Choose another --out, or pass --overwrite.")
    with replaced(out, _written) as made:
        yield made
        # Written down, so that overwriting removes these files and nothing that its user put beside them.
        names = sorted(p.relative_to(made).as_posix() for p in made.rglob("*") if not p.is_dir())
        files.write_json(made / EXPORTED, {"schema": 1, "files": names})


def _written(folder: Path) -> Iterator[Path]:
    """The files that the export in a folder consists of."""
    stored = files.read_json(folder / EXPORTED)
    names = stored.get("files") if isinstance(stored, dict) else None
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise RunError("is damaged: it does not say which files are the export's.", where=str(folder / EXPORTED))
    yield from (folder / name for name in (EXPORTED, *names))
