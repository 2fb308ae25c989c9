"""Copies of the host's files in Postfix's chroot, compared with what they are copies of."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.homelab.mail.plugins.module_utils._program import chroot


def test_copies_are_compared_with_what_they_are_copies_of(tmp_path: Path) -> None:
    copies = tmp_path / "etc"
    copies.mkdir()
    (copies / "hosts").write_bytes(Path("/etc/hosts").read_bytes())
    (copies / "not-in-etc").write_text("x")
    assert chroot.stale_copies(str(tmp_path)) == []
    (copies / "hosts").write_text("192.0.2.1 smtp.fastmail.com\n")
    assert chroot.stale_copies(str(tmp_path)) == [str(copies / "hosts")]
    assert chroot.stale_copies("/not/there") == []
