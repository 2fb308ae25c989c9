"""What the unit tests share: the role's own providers, defaults and templates, without Ansible."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import jinja2
import pytest
import yaml
from ansible_collections.homelab.mail.plugins.module_utils import addresses, rules
from hypothesis import settings

ROLE = Path(__file__).resolve().parents[2] / "roles" / "smarthost"

# A slow machine is no reason to fail; a failure found once is found again.
settings.register_profile("unit", deadline=None, derandomize=True)
settings.load_profile("unit")


def _load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROLE / name).read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="session")
def role() -> Path:
    """The folder of the role."""
    return ROLE


@pytest.fixture(scope="session")
def providers() -> dict[str, dict[str, Any]]:
    """The presets that the role ships."""
    presets: dict[str, dict[str, Any]] = _load("vars/providers.yml")["__smarthost_providers"]
    return presets


@pytest.fixture(scope="session")
def judge(providers: dict[str, dict[str, Any]]) -> Callable[..., rules.Verdict]:
    """Judge variables (without their prefix, `from_` for from) over those of a good Fastmail host."""
    good = {
        "provider": "fastmail",
        "username": "bob@fastmail.com",
        "password": "k3j5h6g7f8d9s0a1",
    }

    def judge(**given: Any) -> rules.Verdict:
        # A preset of its own starts without the login at Fastmail.
        base = good if given.get("provider", "fastmail") == "fastmail" else {}
        chosen = {name.rstrip("_"): value for name, value in given.items()}
        return rules.judge({**base, **chosen}, providers)

    return judge


def _is_version(value: str, other: str, operator: str) -> bool:
    """Ansible's test, as far as the templates use it."""
    assert operator == "<=", operator
    return [int(part) for part in value.split(".")] <= [int(part) for part in other.split(".")]


@pytest.fixture(scope="session")
def render() -> Callable[..., dict[str, str]]:
    """Render the role's own templates for a plan, as Ansible would: file -> text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLE / "templates"),
        trim_blocks=True,
        lstrip_blocks=False,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    environment.tests["version"] = _is_version
    defaults = {**_load("defaults/main.yml"), **_load("vars/Debian.yml")}

    def render(plan: dict[str, Any], **given: Any) -> dict[str, str]:
        hostname = plan["hostname"] or "nas.lan"
        variables = {
            **defaults,
            "__smarthost_plan": plan,
            "__smarthost_account": plan["accounts"][0],
            "__smarthost_hostname": hostname,
            "__smarthost_names": addresses.local_names(hostname, "nas.lan", "nas"),
            "__smarthost_version": "3.7.11",
            "__smarthost_levels": _load("vars/main.yml")["__smarthost_levels"],
            "__smarthost_login": {"ca_file": plan["ca_file"] or defaults["__smarthost_default_ca_file"]},
            **given,
        }
        names = ["main.cf", "sasl_passwd", "canonical", "virtual", "header_checks"]
        return {name: environment.get_template(f"{name}.j2").render(variables) for name in names}

    return render
