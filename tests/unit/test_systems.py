"""Each supported system, by Ansible's own reading of its files, leads to what the role has for it."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.module_utils import distro
from ansible.module_utils.common import sys_info
from ansible.module_utils.facts.system import distribution
from ansible_collections.homelab.mail.plugins.module_utils._program import managers

from tests import rendering

SYSTEMS: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "systems.yml").read_text())
MAIN = rendering.load("vars/main.yml")
# The level of main.cf -> the first Postfix that has it.
LEVELS = {"3.11": [3, 11], "3.6": [3, 6], "2": [3, 0]}


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """What Ansible says of a system, asked as if it ran there."""
    exists, content = distribution._file_exists, distribution.get_file_content

    def of(name: str) -> dict[str, str]:
        (tmp_path / "etc").mkdir()
        for path, text in {"/etc/os-release": SYSTEMS[name]["os_release"], **SYSTEMS[name].get("files", {})}.items():
            (tmp_path / path[1:]).write_text(text)
        there = distro.LinuxDistribution(
            include_lsb=False, include_uname=False, include_oslevel=False, root_dir=str(tmp_path)
        )
        for function in ("id", "version", "codename", "os_release_info"):
            monkeypatch.setattr(sys_info.distro, function, getattr(there, function))
        monkeypatch.setattr(platform, "system", lambda: "Linux")
        monkeypatch.setattr(distribution, "_file_exists", lambda path, **how: exists(f"{tmp_path}{path}", **how))
        monkeypatch.setattr(distribution, "get_file_content", lambda path, **how: content(f"{tmp_path}{path}", **how))
        return dict(distribution.Distribution(module=None).get_distribution_facts())

    return of


def parameters(main_cf: str) -> dict[str, str]:
    """What a main.cf sets."""
    return dict(re.findall(r"^(\w+) = ?(.*)$", main_cf, re.MULTILINE))


def evaluated(text: str, **variables: object) -> str:
    """An expression of the role's variables, as Ansible would evaluate it."""
    return jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text).render(variables)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_supported_system_is_known_by_its_family(name: str, facts: Callable[[str], dict[str, str]]) -> None:
    family = facts(name)["os_family"]
    assert family == SYSTEMS[name]["family"]
    assert family in MAIN["__smarthost_systems"]


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_dry_run_tells_what_a_supported_system_will_get(
    name: str,
    facts: Callable[[str], dict[str, str]],
    judge: Callable[..., Any],
    render: Callable[..., dict[str, str]],
) -> None:
    system = rendering.load(f"vars/{SYSTEMS[name]['family']}.yml")
    version = evaluated(system["__smarthost_version_to_come"], ansible_facts=facts(name), **system)
    assert version == SYSTEMS[name]["postfix"]
    plan = judge().plan
    values = parameters(render(plan, family=SYSTEMS[name]["family"], __smarthost_version=version)["main.cf"])
    number = [int(part) for part in version.split(".")]
    level = next(level for level, since in LEVELS.items() if number >= since)
    assert values["compatibility_level"] == level
    assert values["smtp_tls_CAfile"] == system["__smarthost_default_ca_file"]
    # Nothing but what the oldest Postfix knows, with which the lab tries it, and what the system itself needs.
    oldest = parameters(render(plan, __smarthost_version="3.5")["main.cf"])
    base = system.get("__smarthost_base_parameters", {})
    assert {name: values[name] for name in values.keys() - oldest.keys()} == base


@pytest.mark.parametrize("family", MAIN["__smarthost_systems"])
def test_every_family_says_how_to_install_and_to_remove(family: str) -> None:
    system = rendering.load(f"vars/{family}.yml")
    if family == "Darwin":
        # A Mac comes with its Postfix, and no package of it.
        assert system["__smarthost_packages"] == {}
        return
    assert {"postfix", "ca-certificates"} <= {name.removesuffix("-mozilla") for name in system["__smarthost_packages"]}
    # Debian's way is in the tasks.
    assert ("__smarthost_install" in system, "__smarthost_remove" in system) == (family != "Debian",) * 2


def test_every_family_that_has_a_file_is_named_and_the_other_way_round() -> None:
    files = {path.stem for path in (rendering.ROLE / "vars").glob("[A-Z]*.yml")}
    assert files == set(MAIN["__smarthost_systems"])
    assert files >= {system["family"] for system in SYSTEMS.values()}


@pytest.mark.parametrize(
    ("fact", "manager"),
    [
        ("systemd", "systemd"),
        ("openrc", "openrc"),
        # As Ansible says in a container: by the name of process 1, or where that is a shell.
        ("catatonit", "none"),
        ("sleep", "none"),
        ("service", "none"),
        ("sysvinit", "none"),
    ],
)
def test_a_host_where_nobody_starts_services_is_told_from_one_with_a_service_manager(fact: str, manager: str) -> None:
    assert managers.known(fact) == manager
