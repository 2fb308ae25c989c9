"""A Python that is too old gets a sentence, and not the traceback of what it cannot read."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.homelab.mail.plugins.module_utils import old_python

PLUGINS = Path(old_python.__file__).resolve().parents[1]
# Those that a playbook calls first.
FIRST = ("smarthost_info", "smarthost_test_mail")
AS_IF = """
import runpy, sys
sys.version_info = (3, 8, 20, "final", 0)
sys.path[:0] = sys.argv[2:]
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.mark.parametrize("module", FIRST)
def test_a_module_that_comes_first_refuses_it_in_a_sentence(module: str) -> None:
    path = PLUGINS / f"modules/{module}.py"
    done = subprocess.run(
        [sys.executable, "-c", AS_IF, str(path), *sys.path], capture_output=True, text=True, check=False
    )
    answer = json.loads(done.stdout)
    assert answer["failed"] is True
    assert answer["msg"].startswith("Nothing was changed: the Python of this host, ")
    assert "is 3.8; the role needs 3.9." in answer["msg"]


@pytest.mark.parametrize("path", ["module_utils/old_python", *(f"modules/{module}" for module in FIRST)])
def test_an_old_python_can_read_as_far_as_that(path: str) -> None:
    ast.parse((PLUGINS / f"{path}.py").read_text(encoding="utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize("module", FIRST)
def test_nothing_of_ours_is_loaded_before_that(module: str) -> None:
    lines = (PLUGINS / f"modules/{module}.py").read_text(encoding="utf-8").splitlines()
    ours = [line for line in lines if line.startswith("from ansible_collections.")]
    assert " import old_python " in ours[0]
