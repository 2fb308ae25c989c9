"""What is written down on a host, and read again."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._program import files


@pytest.mark.parametrize("text", [None, "", "[1]", "{"])
def test_a_memory_that_is_damaged_is_none(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "memory.json"
    if text is not None:
        path.write_text(text)
    assert files.remembered(str(path)) == {}
