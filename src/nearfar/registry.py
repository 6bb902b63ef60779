"""A folder is a registry: what it offers are the modules in it, found by name and imported when asked for.

Adding a method, encoder, objective, modality, reader or protocol is adding one file; no list is edited. Files
in ``$NEARFAR_PLUGINS/<folder>/`` count as well.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import ModuleType

from nearfar.errors import UnknownName


class Registry:
    """The modules of one folder of nearfar, by name.

    Parameters
    ----------
    folder : str
        Folder inside the package, for example ``"methods"``.
    kind : str
        What one entry is called in messages, for example ``"method"``.
    marker : str
        Attribute that a module must define to count as an entry; helpers beside the entries lack it.
        It is looked for in the source text, so listing names imports nothing.
    """

    def __init__(self, folder: str, kind: str, marker: str) -> None:
        self.folder, self.kind, self.marker = folder, kind, marker
        self._plugins: dict[Path, ModuleType] = {}

    @cached_property
    def _built_in(self) -> dict[str, Path]:
        return self._scan(Path(__file__).parent / self.folder)

    def _scan(self, folder: Path) -> dict[str, Path]:
        files = sorted(folder.glob("*.py")) if folder.is_dir() else []
        return {f.stem: f for f in files if not f.stem.startswith("_") and self._marked(f)}

    def _marked(self, file: Path) -> bool:
        starts = (f"{self.marker} ", f"{self.marker}:", f"{self.marker}=", f"def {self.marker}(")
        return any(line.startswith(starts) for line in file.read_text(encoding="utf-8").splitlines())

    def _plugged(self) -> dict[str, Path]:
        root = os.environ.get("NEARFAR_PLUGINS")
        return self._scan(Path(root).expanduser() / self.folder) if root else {}

    def names(self) -> list[str]:
        """All names, built-in and plugged in, in alphabetical order."""
        return sorted({**self._built_in, **self._plugged()})

    def __contains__(self, name: str) -> bool:
        return name in self._built_in or name in self._plugged()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def get(self, name: str) -> ModuleType:
        """The module called `name`.

        Raises
        ------
        UnknownName
            Nothing of that name exists; the nearest names are proposed.
        """
        if (file := self._plugged().get(name)) is not None:
            return self._load_plugin(name, file)
        if name not in self._built_in:
            raise UnknownName(self.kind, name, self.names())
        return importlib.import_module(".".join(("nearfar", *self.folder.split("/"), name)))

    def _load_plugin(self, name: str, file: Path) -> ModuleType:
        if file not in self._plugins:
            module_name = ".".join(("nearfar_plugins", *self.folder.split("/"), name))
            spec = importlib.util.spec_from_file_location(module_name, file)
            module = importlib.util.module_from_spec(spec)
            sys.modules[module_name] = module
            spec.loader.exec_module(module)
            self._plugins[file] = module
        return self._plugins[file]


METHODS = Registry("methods", "method", "RECORD")
POSITIVES = Registry("positives", "kind of positives", "build")
ENCODERS = Registry("encoders", "encoder", "build")
OBJECTIVES = Registry("objectives", "objective", "INFO")
MODALITIES = Registry("modalities", "modality", "NAME")
READERS = Registry("data/readers", "reader", "recognises")
TOKENISERS = Registry("tokenisers", "tokeniser", "tokenise")
PROTOCOLS = Registry("evaluation", "protocol", "measure")
TARGETS = Registry("exporting", "target", "export")
