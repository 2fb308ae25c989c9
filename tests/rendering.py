"""The role's own providers, defaults and templates, without Ansible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible_collections.homelab.mail.plugins.module_utils import addresses
from ansible_collections.homelab.mail.plugins.plugin_utils import rules, templates, wanted

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


def found(verdict: rules.Verdict, family: str = "Debian") -> tuple[dict[str, Any], dict[str, Any]]:
    """What the preflight and the look at a host nas.lan of a family of systems leave behind."""
    system, domains = load(f"families/{family}.yml"), rules.public_domains(verdict.plan)
    names = addresses.names(verdict.plan["hostname"], "nas.lan", "nas", "", domains)
    info = {
        "of_family": {**system, "ca_file": verdict.plan["ca_file"] or system["ca_file"]},
        "hostname": verdict.plan["hostname"] or "nas.lan",
        "origin": names.origin,
        "names": names.own,
        "public_names": names.public,
        "earlier_senders": [],
        "service_manager": "systemd",
        "missing": {},
        "version": "3.7.11",
        "release": "12",
        "seen": {},
        "in_place": False,
    }
    preflight = {"plan": verdict.plan, "secrets": verdict.secrets, "public_domains": sorted(domains), "key": "k"}
    return preflight, info


def render(verdict: rules.Verdict, family: str = "Debian", **given: Any) -> dict[str, str]:
    """The role's own templates for the plan of a verdict on a family of systems, as Ansible renders them."""
    known = wanted.variables(*found(verdict, family), "3.7.11")
    return templates.render(templates.TEMPLATES, {**known, **given})
