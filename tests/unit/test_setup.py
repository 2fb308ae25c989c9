"""What a first-timer's machine lacks does not keep it from Ansible."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from workshop.demo import __main__ as demo
from workshop.lab import LabError

PROJECT = Path(__file__).parents[2]
# Python on a system where the lab cannot have its programs: a Mac, or one without apt.
PYTHON = """#!/bin/sh
case "$*" in
    *workshop.lab*) exit 1 ;;
    *venv*) mkdir -p .venv/bin && ln -s /bin/true .venv/bin/pip ;;
esac
"""


def test_setup_brings_ansible_also_where_the_lab_cannot_run(tmp_path: Path) -> None:
    shutil.copy(PROJECT / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/dev.txt").touch()
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    done = subprocess.run(
        ["make", "setup", "PYTHON=./python"],
        cwd=tmp_path, env={"PATH": os.defpath}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "goes on without" in done.stdout


def test_the_demo_says_what_the_machine_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lacking(*_arguments: object) -> None:
        raise LabError("podman is missing here")

    monkeypatch.setattr(demo.labs, "up", lacking)
    monkeypatch.setattr(demo.labs, "down", lacking)
    assert demo.main() == 1
    assert "podman is missing here" in capsys.readouterr().err
