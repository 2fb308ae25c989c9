"""Each line of Python has its place: a host imports nothing of the controller's, and has all that it needs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._program import installed

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
OURS = "ansible_collections.homelab.mail.plugins"
# Place -> the places that it may import from.
MAY_IMPORT = {
    "module_utils": {"module_utils"},
    "module_utils._program": {"module_utils", "module_utils._program"},
    "module_utils._change": {"module_utils", "module_utils._program", "module_utils._change"},
    "plugin_utils": {"module_utils", "module_utils._program", "plugin_utils"},
    "modules": {"module_utils", "module_utils._program", "module_utils._change"},
    "doc_fragments": set(),
    "action": {"module_utils", "module_utils._program", "plugin_utils"},
}
FILES = sorted(PLUGINS.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """The modules of ours that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(OURS):
            inside = PLUGINS.joinpath(*node.module.removeprefix(OURS).strip(".").split("."))
            found |= (
                {node.module} if inside.with_suffix(".py").exists() else {f"{node.module}.{n.name}" for n in node.names}
            )
    return found


def file_of(module: str) -> Path:
    """Where a module of ours lies."""
    return PLUGINS.joinpath(*module.removeprefix(f"{OURS}.").split(".")).with_suffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PLUGINS)))
def test_a_file_imports_from_the_places_that_it_may_know(path: Path) -> None:
    place = ".".join(path.relative_to(PLUGINS).parts[:-1])
    places = {module.removeprefix(f"{OURS}.").rpartition(".")[0] for module in imports(path)}
    assert places <= MAY_IMPORT[place]


def test_what_is_installed_on_a_host_is_all_that_the_program_imports_and_no_more() -> None:
    needed, todo = set(), {f"{installed.PROGRAM}.smarthost"}
    while todo:
        module = todo.pop()
        needed.add(module)
        todo |= imports(file_of(module)) - needed
    assert set(installed.MODULES) == needed


@pytest.mark.parametrize("path", [path for path in FILES if "_program" in path.parts], ids=lambda path: path.stem)
def test_the_program_needs_no_more_than_python(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not str(node.module).startswith("ansible.")
