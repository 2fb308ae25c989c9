"""Each supported system, by its os-release, leads to what families/ has for it."""

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
from ansible_collections.homelab.mail.plugins.module_utils._change import surroundings
from ansible_collections.homelab.mail.plugins.module_utils._program import managers

from tests import rendering

SYSTEMS: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "systems.yml").read_text())
MAIN = rendering.load("vars/main.yml")
FAMILIES = {path.stem: rendering.load(f"families/{path.name}") for path in (rendering.ROLE / "families").glob("*.yml")}
# A row of README's table: whether the key is in every file, and the type of its value.
KEYS = {
    key: (star == "*", kind)
    for keys, star, kind in re.findall(
        r"^\| (`[a-z_`, ]+`) \| ?(\*?) \| (\w+) \| ", (rendering.ROLE / "families/README.md").read_text(), re.MULTILINE
    )
    for key in re.findall(r"\w+", keys)
}
# The level of main.cf -> the first Postfix that has it.
LEVELS = {"3.11": [3, 11], "3.6": [3, 6], "2": [3, 0]}


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], surroundings.System]:
    """What the role makes of a system, asked as if it ran there."""

    def of(name: str) -> surroundings.System:
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc/os-release").write_text(SYSTEMS[name]["os_release"])
        there = distro.LinuxDistribution(
            include_lsb=False, include_uname=False, include_oslevel=False, root_dir=str(tmp_path)
        )
        monkeypatch.setattr(distro, "os_release_info", there.os_release_info)
        monkeypatch.setattr(platform, "system", lambda: "Linux")
        return surroundings.system()

    return of


def parameters(main_cf: str) -> dict[str, str]:
    """What a main.cf sets."""
    return dict(re.findall(r"^(\w+) = ?(.*)$", main_cf, re.MULTILINE))


def version_to_come(family: dict[str, Any], release: str) -> str:
    """What vars/main.yml makes of a release, as Ansible would evaluate it."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    return environment.from_string(MAIN["__smarthost_version_to_come"]).render(
        __smarthost_family=family, __smarthost_release=release.split(".")
    )


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_supported_system_is_known_by_its_family(name: str, system: Callable[[str], surroundings.System]) -> None:
    family = system(name).family(FAMILIES)
    assert family == SYSTEMS[name]["family"]
    assert family in FAMILIES


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_dry_run_tells_what_a_supported_system_will_get(
    name: str,
    system: Callable[[str], surroundings.System],
    judge: Callable[..., Any],
    render: Callable[..., dict[str, str]],
) -> None:
    family = FAMILIES[SYSTEMS[name]["family"]]
    version = version_to_come(family, system(name).release)
    assert version == SYSTEMS[name]["postfix"]
    verdict = judge()
    values = parameters(render(verdict, family=SYSTEMS[name]["family"], __smarthost_version=version)["main.cf"])
    number = [int(part) for part in version.split(".")]
    level = next(level for level, since in LEVELS.items() if number >= since)
    assert values["compatibility_level"] == level
    assert values["smtp_tls_CAfile"] == family["ca_file"]
    # Nothing but what the oldest Postfix knows, with which the lab tries it, and what the system itself needs.
    oldest = parameters(render(verdict, __smarthost_version="3.5")["main.cf"])
    base = family.get("base_parameters", {})
    assert {name: values[name] for name in values.keys() - oldest.keys()} == base


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_has_the_keys_of_the_readme_in_its_order(family: str) -> None:
    file = FAMILIES[family]
    assert list(file) == [key for key in KEYS if key in file]
    assert [key for key, (always, _kind) in KEYS.items() if always and key not in file] == []
    for key, value in file.items():
        assert type(value).__name__ == KEYS[key][1], key
    # A number would lose its zero, and never be the text that the release is.
    assert {type(text) for pair in file["versions"].items() for text in pair} == {str}
    assert "newer" in file["versions"]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_says_how_to_install_and_to_remove(family: str) -> None:
    file = FAMILIES[family]
    assert all(package.keys() == {"name", "file"} for package in file["packages"].values())
    ways = ["install" in file, "remove" in file]
    if family == "Darwin":
        # A Mac comes with its Postfix, and no package of it.
        assert (file["packages"], any(ways)) == ({}, False)
        return
    assert {"postfix", "sasl", "ca"} == set(file["packages"])
    assert all(ways)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_system_that_a_family_names_has_a_row(family: str) -> None:
    # By the lab's stand-in, and by its name in test_look.py.
    rows = [name for name in SYSTEMS if SYSTEMS[name]["family"] == family] + (["macOS"] if family == "Darwin" else [])
    missing = [name for name in FAMILIES[family]["name"].split(", ") if not any(row.startswith(name) for row in rows)]
    assert missing == [], "write them into tests/unit/systems.yml"


def test_what_the_tasks_do_for_a_family_is_in_its_file() -> None:
    for path in (rendering.ROLE / "tasks").glob("*.yml"):
        # The one use of a system's own name is to compare it with what a file says.
        said = path.read_text().replace("__smarthost_info.system != item.not_on", "")
        assert not re.search(r"os_family|ansible_facts|info\.(system|family)|Debian|SUSE", said, re.IGNORECASE), (
            path.name
        )
        assert not re.search(r"^ +(name|argv): \[?'?postfix'?\]?$", said, re.MULTILINE), path.name


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
