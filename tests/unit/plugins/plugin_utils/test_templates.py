"""Compiled templates that are kept for the next run."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest
from ansible_collections.homelab.mail.plugins.plugin_utils import templates


def test_templates_are_compiled_once(tmp_path: Path) -> None:
    templates.load(str(tmp_path / "kept"))
    assert len(list((tmp_path / "kept").iterdir())) == len(templates.TEMPLATES)
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", ["", "garbage", "half", "one sign"])
def test_what_is_damaged_is_compiled_anew(tmp_path: Path, damage: str) -> None:
    templates.load(str(tmp_path))
    for path in tmp_path.iterdir():
        whole = path.read_bytes()
        damaged = {"half": whole[: len(whole) // 2], "one sign": whole.replace(b"Managed by", b"Mangled by")}
        path.write_bytes(damaged.get(damage, whole[:30] + damage.encode()))
    loaded = templates.load(str(tmp_path))
    assert loaded.keys() == templates.TEMPLATES.keys()
    assert (
        loaded["foreign_sender"]
        .render(__smarthost_plan=Mock(), __smarthost_origin="nas.lan")
        .startswith("# Managed by Ansible.\n")
    )


def test_where_nothing_can_be_kept_templates_are_loaded_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert templates.load(str(tmp_path / "file" / "kept")).keys() == templates.TEMPLATES.keys()
