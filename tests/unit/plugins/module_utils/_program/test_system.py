"""Where Postfix answers."""

from __future__ import annotations

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._program import system


@pytest.mark.parametrize("interfaces", ["loopback-only", "all", "localhost, 192.168.1.5", "nas.lan", "cafe.de", ""])
def test_postfix_is_asked_on_loopback_unless_it_has_other_addresses_alone(interfaces: str) -> None:
    assert system.addresses(interfaces) == ["127.0.0.1", "::1"]


def test_postfix_is_asked_at_the_addresses_that_it_has() -> None:
    assert system.addresses("127.0.0.1 192.168.1.5,[fd00::1]") == ["127.0.0.1", "192.168.1.5", "fd00::1"]
