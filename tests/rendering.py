"""The role's own providers, defaults and templates, without Ansible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible_collections.homelab.mail.plugins.module_utils import addresses
from ansible_collections.homelab.mail.plugins.plugin_utils import rules, templates

from workshop.pages import provider_files

ROLE = Path(__file__).resolve().parents[1] / "roles" / "smarthost"


def load(name: str) -> dict[str, Any]:
    """A YAML file of the role."""
    loaded: dict[str, Any] = yaml.safe_load((ROLE / name).read_text(encoding="utf-8"))
    return loaded


PROVIDERS = provider_files.presets()
_GOOD = {"provider": "fastmail", "username": "bob@fastmail.com", "password": "k3j5h6g7f8d9s0a1"}


def judge(**given: Any) -> rules.Verdict:
    """Judge variables (without their prefix, `from_` for from) over those of a good Fastmail host."""
    # A preset of its own starts without the login at Fastmail.
    base = _GOOD if given.get("provider", "fastmail") == "fastmail" else {}
    chosen = {name.rstrip("_"): value for name, value in given.items()}
    return rules.judge({**base, **chosen}, PROVIDERS)


def variables(verdict: rules.Verdict, family: str = "Debian") -> dict[str, Any]:
    """The variables of the role for a verdict on a host nas.lan of a family of systems."""
    plan, system = verdict.plan, load(f"families/{family}.yml")
    hostname = plan["hostname"] or "nas.lan"
    domains = rules.public_domains(plan)
    names = addresses.names(plan["hostname"], "nas.lan", "nas", "", domains)
    root = f"root@{names.origin}"
    ca_file = plan["ca_file"] or system["ca_file"]
    logins = [
        {"sender": root, "recipient": root, **login, "ca_file": ca_file, "helo": hostname}
        for login in verdict.secrets["logins"]
    ]
    return {
        **load("defaults/main.yml"),
        "__smarthost_family": {**system, "ca_file": ca_file},
        "__smarthost_plan": plan,
        "__smarthost_account": plan["accounts"][0],
        "__smarthost_logins": logins,
        "__smarthost_login": logins[0],
        "__smarthost_hostname": hostname,
        "__smarthost_origin": names.origin,
        "__smarthost_names": names.own,
        "__smarthost_public_names": names.public,
        "__smarthost_earlier_senders": [],
        "__smarthost_mail_domains": sorted(domains),
        "__smarthost_version": "3.7.11",
        "__smarthost_keeps_connections": True,
        "__smarthost_service_manager": "systemd",
    }


def render(verdict: rules.Verdict, family: str = "Debian", **given: Any) -> dict[str, str]:
    """The role's own templates for the plan of a verdict on a family of systems, as Ansible renders them."""
    return templates.render(templates.TEMPLATES, {**variables(verdict, family), **given}.__getitem__)
