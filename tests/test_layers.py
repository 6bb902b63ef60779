"""The rooms of `src/nearfar`: what stands in them, and that no import runs back up or in a circle.

The allowed order is written once, as the list of layers in docs/architecture.md.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
LAYERS = [line.split("  ")[0].split(" · ") for line in
          re.search(r"<!-- layers -->\n```text\n(.*?)```\n<!-- /layers -->", PAGE, re.S)[1].splitlines()]  # fmt: skip
LEVEL = {room: len(LAYERS) - i for i, rooms in enumerate(LAYERS) for room in rooms}


def name_of(file: Path) -> str:
    parts = file.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(f): f for f in sorted((SRC / "nearfar").rglob("*.py"))}


def imports_of(text: str, modules: set[str]) -> Iterator[tuple[str, bool]]:
    """The modules of nearfar that a source imports, anywhere in it, and whether for types alone."""
    tree = ast.parse(text)
    typing = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    for_types = {n for block in typing for n in ast.walk(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((a.name, node in for_types) for a in node.names if a.name.partition(".")[0] == "nearfar")
        elif isinstance(node, ast.ImportFrom) and (node.level or node.module.partition(".")[0] == "nearfar"):
            assert not node.level, "imports say the whole name"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in modules else node.module, node in for_types


@cache
def imports() -> dict[str, set[tuple[str, bool]]]:
    """What each module imports; not read when tests are collected, since that takes a second."""
    return {name: set(imports_of(file.read_text(encoding="utf-8"), set(FILES))) for name, file in FILES.items()}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def runs_up(module: str, imported: str) -> bool:
    """Whether an import of another room is none from below."""
    a, b = room_of(module), room_of(imported)
    return a != b and not (b and LEVEL[b] < LEVEL.get(a, len(LAYERS) + 1))  # what stands in no room is above all


def circles(graph: dict[str, set[str]]) -> list[str]:
    """Those that can be reached from themselves."""
    found = []
    for start in graph:
        seen, ahead = set(), list(graph[start])
        while ahead:
            if (at := ahead.pop()) not in seen:
                seen.add(at)
                ahead += graph.get(at, ())
        if start in seen:
            found.append(start)
    return found


def package_of(module: str) -> str:
    return module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]


def test_the_rooms_are_those_of_the_page_and_nothing_else_stands_beside_them():
    there = {p.name for p in (SRC / "nearfar").iterdir() if p.name != "__pycache__"}
    assert there == {*LEVEL, "__init__.py", "__main__.py", "py.typed"}


@pytest.mark.parametrize("room", LEVEL)
def test_no_import_runs_back_up(room):
    """Imports for types and within functions count as well."""
    up = [(m, i) for m, found in imports().items() if room_of(m) == room for i, _ in found if runs_up(m, i)]
    assert not up, up


def test_no_modules_import_each_other_in_a_circle():
    """Those of one room may know each other's types."""
    assert not circles({m: {i for i, types in found if not types} for m, found in imports().items()})


def test_no_packages_import_each_other_in_a_circle():
    """A folder and what lies in it count as one; folders beside each other do not."""
    graph: dict[str, set[str]] = {}
    for module, found in imports().items():
        own = package_of(module)
        others = {package_of(i) for i, _ in found}
        graph.setdefault(own, set()).update(o for o in others if not f"{o}.".startswith(f"{own}.")
                                            and not f"{own}.".startswith(f"{o}."))  # fmt: skip
    assert not circles(graph)


def test_every_kind_of_import_would_be_noticed():
    text = "import nearfar.b\nif TYPE_CHECKING:\n    from nearfar.a import x\ndef f():\n    from nearfar import c"
    found = set(imports_of(text, {"nearfar.a", "nearfar.b", "nearfar.c"}))
    assert found == {("nearfar.b", False), ("nearfar.a", True), ("nearfar.c", False)}
    assert runs_up("nearfar.core.files", "nearfar.cli.train") and not runs_up("nearfar.cli.train", "nearfar.core.files")
    assert runs_up("nearfar.core.files", "nearfar") and runs_up("nearfar.data.read", "nearfar.objectives.info_nce")
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c"]
