"""What a host is, and which ones the role cannot work on."""

from __future__ import annotations

import os
import platform

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._change import look, surroundings

FAMILIES = {"Debian": {"name": "Debian, Ubuntu"}, "Alpine": {"name": "Alpine Linux"}}


def refusal(family: str = "Debian", manager: str = "systemd") -> str:
    return look.refusal(surroundings.System([family.lower()], family, "13"), manager, FAMILIES)


@pytest.mark.parametrize("manager", ["systemd", "openrc", "launchd", "tini", "sh"])
def test_a_system_that_the_role_knows_is_taken(manager: str) -> None:
    assert refusal(manager=manager) == ""


@pytest.mark.parametrize(("family", "manager"), [("Gentoo", "systemd"), ("Debian", "runit"), ("Alpine", "dinit")])
def test_another_is_refused_with_those_that_it_knows(family: str, manager: str) -> None:
    assert refusal(family, manager) == (
        f"this host is {family} 13 with {manager}. The role knows Debian, Ubuntu, Alpine Linux, with systemd, openrc, "
        "launchd or in a container with none of them."
    )


@pytest.mark.parametrize(
    ("process", "there", "manager"),
    [
        ("systemd", "", "systemd"),
        ("openrc-init", "", "openrc"),
        ("runit", "", "runit"),
        ("runit-init", "", "runit"),
        # It says no more than init, on Alpine Linux and where systemd is started by that name.
        ("init", "/sbin/openrc", "openrc"),
        ("init", "/run/systemd/system", "systemd"),
        # Containers.
        ("tini", "/run/systemd/system", "tini"),
        ("bash", "", "none"),
        ("", "", "none"),
    ],
)
def test_what_starts_services_is_told_by_what_runs(
    monkeypatch: pytest.MonkeyPatch, process: str, there: str, manager: str
) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(surroundings, "first_line", lambda path: process if path == "/proc/1/comm" else "")
    monkeypatch.setattr(os.path, "exists", lambda path: path == there)
    assert surroundings.service_manager() == manager


def test_a_mac_has_launchd_and_a_family_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert surroundings.service_manager() == "launchd"
    assert surroundings.system().family(["Debian", "Darwin"]) == "Darwin"
