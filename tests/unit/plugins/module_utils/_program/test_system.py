"""Where Postfix answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._program import system


@pytest.mark.parametrize("interfaces", ["loopback-only", "all", "localhost, 192.168.1.5", "nas.lan", "cafe.de", ""])
def test_postfix_is_asked_on_loopback_unless_it_has_other_addresses_alone(interfaces: str) -> None:
    assert system.addresses(interfaces) == ["127.0.0.1", "::1"]


def test_postfix_is_asked_at_the_addresses_that_it_has() -> None:
    assert system.addresses("127.0.0.1 192.168.1.5,[fd00::1]") == ["127.0.0.1", "192.168.1.5", "fd00::1"]


def test_a_sendmail_of_another_mailer_is_said(tmp_path: Path) -> None:
    (tmp_path / "msmtp").write_bytes(b"\x7fELF msmtp")
    (tmp_path / "sendmail").symlink_to(tmp_path / "msmtp")
    assert system.other_sendmail(f"{tmp_path}/sendmail").startswith(f"{tmp_path}/sendmail is {tmp_path}/msmtp, so what")
    assert system.other_sendmail(f"{tmp_path}/msmtp").startswith(f"{tmp_path}/msmtp is not Postfix's, so what")
    assert system.other_sendmail(f"{tmp_path}/mail").startswith(f"There is no {tmp_path}/mail, so what")


@pytest.mark.parametrize("program", [b"\x7fELF /postdrop", b"#!/bin/sh\nexec /usr/sbin/sendmail.postfix"])
def test_postfix_own_sendmail_and_one_that_may_hand_on_is_no_fault(tmp_path: Path, program: bytes) -> None:
    (tmp_path / "sendmail").write_bytes(program)
    assert system.other_sendmail(f"{tmp_path}/sendmail") == ""
