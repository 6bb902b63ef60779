"""A folder is a registry: what it and its sub-folders offer are modules, found by name, imported when asked for.

Adding a method, encoder, objective, modality, reader, protocol, transform or verb is adding one file; no list is
edited. Files in ``$NEARFAR_PLUGINS/<folder>/`` count as well. One that cannot be read, defines nothing of its kind or
has the name of what nearfar has itself is refused by name as soon as anything of that kind is asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from types import ModuleType

from nearfar.core import environment
from nearfar.core.errors import ConfigError, NearfarError, UnknownName, reason

ROOT = "NEARFAR_PLUGINS"
PACKAGE = "nearfar_plugins"  # what the modules of plug-ins are called
HOME = Path(__file__).parents[1]  # the folder of nearfar


# What is no function among the things that a plug-in defines, and how it is recognised without importing what is heavy.
CONSTANTS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "RECORD": ("Method", lambda v: type(v).__name__ == "Method"),
    "MODALITIES": ("tuple of words", lambda v: isinstance(v, tuple | list) and all(isinstance(w, str) for w in v)),
    "INFO": ("Objective", lambda v: type(v).__name__ == "Objective"), "NAME": ("word", lambda v: isinstance(v, str)),
    "command": ("click command", lambda v: hasattr(v, "params")),
}  # fmt: skip


class Registry:
    """The modules of one folder of nearfar and of the folders in it, by name.

    `kind` is what one entry is called in messages, such as "method". `marker` is what a module must define to count as
    an entry, within a class where it begins with a dot (``".kind"``); helpers beside the entries lack it. It is looked
    for in the source text, so that listing names imports nothing. `plugins` are the names that the folder may have
    among plug-ins, the proposed one last, by default `folder`; `needs` is what else a plug-in must define.
    """

    def __init__(
        self, folder: str, kind: str, marker: str, *, plugins: tuple[str, ...] = (), needs: tuple[str, ...] = ()
    ) -> None:
        self.folder, self.kind, self.marker, self.needs = folder, kind, marker.lstrip("."), needs
        self.plugins = plugins or (folder,)
        self._inside = marker.startswith(".")
        indent = r"[ \t]+" if self._inside else ""
        self._line = re.compile(rf"^{indent}(def )?{self.marker}\s*[:=(]", re.M)
        self._plugins: dict[Path, ModuleType] = {}
        self._sound: dict[Path, int] = {}  # checked files, and when they were last changed

    @cached_property
    def _built_in(self) -> dict[str, Path]:
        home = HOME / self.folder
        # a name in a registry inside this one is an entry of that alone
        others = [HOME / r.folder for r in ALL if home in (HOME / r.folder).parents]
        own = (f for f in _files(home, "**/*.py") if not set(others) & set(f.parents))
        return {f.stem: f for f in own if self._line.search(f.read_text(encoding="utf-8"))}

    def plugged(self) -> dict[str, Path]:
        """The files of the plug-ins of this kind, by name; a `ConfigError` where one of them cannot be an entry."""
        plugins: dict[str, Path] = {}
        for file in self._candidates():
            self._add(file, plugins)
        return plugins

    def tried(self) -> tuple[list[str], list[NearfarError]]:
        """The plug-ins of this kind that can be imported, by name, and what is wrong with the others."""
        plugins: dict[str, Path] = {}
        names, wrong = [], []
        for file in self._candidates():
            try:
                self._add(file, plugins)
                self._load_plugin(file.stem, file)
                names.append(file.stem)
            except NearfarError as e:
                wrong.append(e)
        return names, wrong

    def _candidates(self) -> list[Path]:
        root = _root()
        return [f for folder in self.plugins if root for f in _files(root / folder)]

    def _add(self, file: Path, plugins: dict[str, Path]) -> None:
        name, another = file.stem, "Give the file another name."
        if not name.replace("-", "_").isidentifier():
            raise ConfigError("a plug-in's name has letters, digits, _ and - alone.", where=str(file), hint=another)
        if name in self._built_in or name in plugins:
            own = "nearfar has" if name in self._built_in else "there already is"
            raise ConfigError(f"{own} a {self.kind} named {name!r}.", where=str(file), hint=another)
        self._check_source(file)
        plugins[name] = file

    def _check_source(self, file: Path) -> None:
        """Raise a `ConfigError` where a file is no Python, or not of this kind; once, until it is changed."""
        try:
            changed = file.stat().st_mtime_ns
            if self._sound.get(file) == changed:
                return
            text = file.read_text(encoding="utf-8")
            compile(text, str(file), "exec")
        except (SyntaxError, ValueError, OSError, RecursionError, MemoryError) as e:
            line = f", line {e.lineno}" if isinstance(e, SyntaxError) and e.lineno else ""
            said = e.msg if isinstance(e, SyntaxError) else "it is nested too deep"
            said = reason(e) if isinstance(e, OSError | ValueError) else said
            said = "it is not UTF-8 text" if isinstance(e, UnicodeDecodeError) else said
            raise ConfigError(f"cannot be read as Python: {said}.", where=f"{file}{line}") from e
        if self._line.search(text) is None:
            raise ConfigError(f"is no {self.kind}: it does not define {self.marker!r}.", where=str(file),
                              hint="A helper's file begins with an underscore.")  # fmt: skip
        self._sound[file] = changed

    def names(self) -> list[str]:
        """All names, built-in and plugged in, in alphabetical order."""
        return sorted({**self._built_in, **self.plugged()})

    def __contains__(self, name: str) -> bool:
        return name in self._built_in or name in self.plugged()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def get(self, name: str) -> ModuleType:
        """The module called `name`; an `UnknownName` for none, a `ConfigError` for a plug-in that cannot be used."""
        plugged = self.plugged()
        if name in plugged:
            return self._load_plugin(name, plugged[name])
        if name not in self._built_in:
            root, file = _root(), f"{name}.py"
            for path in (root / file, *root.glob(f"*/{file}")) if root and Path(file).name == file else ():
                if path.is_file():
                    raise ConfigError(f"is in none of the folders for a {self.kind}.", where=str(path),
                                      hint=f"Move it to {root / self.plugins[-1]}/.")  # fmt: skip
            raise UnknownName(self.kind, name, self.names())
        path = self._built_in[name].relative_to(HOME).with_suffix("")
        return importlib.import_module(".".join(("nearfar", *path.parts)))

    def find(self, text: str, where: str) -> tuple[ModuleType, str]:
        """The module and the argument of ``name:argument``, which the knob `where` says."""
        name, _, argument = text.partition(":")
        if name not in self:
            raise UnknownName(self.kind, name, self, where=where)
        return self.get(name), argument

    def _load_plugin(self, name: str, file: Path) -> ModuleType:
        if file not in self._plugins:
            module_name = ".".join((PACKAGE, *self.plugins[0].split("/"), name))
            spec = importlib.util.spec_from_file_location(module_name, file)
            module = importlib.util.module_from_spec(spec)
            sys.modules[module_name] = module
            try:
                spec.loader.exec_module(module)
                self._check_defined(module, file)
            except (Exception, SystemExit) as e:
                del sys.modules[module_name]
                if isinstance(e, NearfarError):
                    raise
                raise ConfigError(f"fails when it is imported: {type(e).__name__}: {e}.", where=str(file)) from e
            self._plugins[file] = module
        return self._plugins[file]

    def _check_defined(self, module: ModuleType, file: Path) -> None:
        """Raise a `ConfigError` where a plug-in lacks something, or has something else in its place."""
        wanted = (*([] if self._inside else [self.marker]), *self.needs)
        if lacking := [n for n in wanted if not hasattr(module, n)]:
            raise ConfigError(f"is no {self.kind}: it does not define {lacking[0]!r}.", where=str(file))
        for name in wanted:
            what, fits = CONSTANTS.get(name, ("function", callable))
            if not fits(getattr(module, name)):
                raise ConfigError(f"its {name!r} is no {what}.", where=str(file))


def line_of_plugin(e: BaseException) -> str | None:
    """The file and line of the plug-in that was at work when an exception was raised; None where none was."""
    at_work = [
        f"{frame.f_code.co_filename}, line {line}"
        for frame, line in traceback.walk_tb(e.__traceback__)
        if frame.f_globals.get("__name__", "").startswith(f"{PACKAGE}.")
    ]
    return at_work[-1] if at_work else None


def _root() -> Path | None:
    """The folder of the plug-ins, if one is named."""
    if (root := environment.folder(ROOT)) is not None and not os.path.isdir(root):
        raise ConfigError("there is no such folder.", where=environment.said(ROOT))
    return None if root is None else root.absolute()


def _files(folder: Path, pattern: str = "*.py") -> list[Path]:
    return [f for f in sorted(folder.glob(pattern)) if not f.stem.startswith("_")] if folder.is_dir() else []


METHODS = Registry("methods", "method", "RECORD", needs=("compare",))
LOGGERS = Registry("training/loggers", "logger", "logger", plugins=("loggers",))
POSITIVES = Registry("training/positives", "kind of positives", "build", plugins=("positives",))
ENCODERS = Registry("encoders", "encoder", "build", needs=("MODALITIES",))
FIXED = Registry("encoders/fixed", "kind of fixed features", "build", plugins=("fixed",), needs=("MODALITIES",))
OBJECTIVES = Registry("objectives", "objective", "INFO")
MODALITIES = Registry("modalities", "modality", "NAME", needs=("recognise", "plan", "decode", "views", "neutral"))
READERS = Registry("data/readers", "reader", "recognises", plugins=("data/readers", "readers"), needs=("open",))
TOKENISERS = Registry("modalities/text/tokenisers", "tokeniser", "tokenise", plugins=("tokenisers",), needs=("plan",))
TRANSFORMS = Registry("transforms", "transform", ".kind")
PROTOCOLS = Registry("evaluation/protocols", "protocol", "measure", plugins=("evaluation", "protocols"))
TARGETS = Registry("downstream/export", "target", "export", plugins=("exporting", "targets"))
VERBS = Registry("cli", "verb", "command", plugins=("cli", "verbs"))
ALL = (METHODS, POSITIVES, ENCODERS, FIXED, OBJECTIVES, MODALITIES, READERS, TOKENISERS, TRANSFORMS, PROTOCOLS, TARGETS,
       LOGGERS, VERBS)  # fmt: skip
