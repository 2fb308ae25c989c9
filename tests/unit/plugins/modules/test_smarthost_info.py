"""Which hosts the role cannot work on."""

from __future__ import annotations

import pytest
from ansible_collections.homelab.mail.plugins.modules import smarthost_info

FAMILIES = {"Debian": {"name": "Debian, Ubuntu"}, "Alpine": {"name": "Alpine Linux"}}


def refusal(family: str = "Debian", manager: str = "systemd") -> str:
    facts = {
        "ansible_os_family": family,
        "ansible_distribution": family,
        "ansible_distribution_version": "13",
        "ansible_service_mgr": manager,
    }
    return smarthost_info.refusal(facts, FAMILIES)


@pytest.mark.parametrize("manager", ["systemd", "openrc", "launchd", "tini", "sh"])
def test_a_system_that_the_role_knows_is_taken(manager: str) -> None:
    assert refusal(manager=manager) == ""


@pytest.mark.parametrize(("family", "manager"), [("Gentoo", "systemd"), ("Debian", "runit"), ("Alpine", "dinit")])
def test_another_is_refused_with_those_that_it_knows(family: str, manager: str) -> None:
    assert refusal(family, manager) == (
        f"this host is {family} 13 with {manager}. The role knows Debian, Ubuntu, Alpine Linux, with systemd, openrc, "
        "launchd or in a container with none of them."
    )
