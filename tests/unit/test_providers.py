"""The presets, against the table of keys that stands at the head of their own file."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.homelab.mail.plugins.module_utils import addresses

FILE = Path(__file__).resolve().parents[2] / "roles" / "smarthost" / "vars" / "providers.yml"
TEXT = FILE.read_text(encoding="utf-8")
PROVIDERS: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["__smarthost_providers"]

# name, an asterisk where it is in every preset, type
KEYS = re.findall(r"^# ([a-z_]+)( \*)? +(str|list|dict|enum|int|bool|regex|url|date) ", TEXT, re.M)
TYPES = {"list": list, "dict": dict, "int": int, "bool": bool}
ENUMS = {
    "username": {"address", "local_part", "any"},
    "from": {"owned", "verified", "login", "replaced", "any"},
    "certainty": {"documented", "measured", "secondary"},
}
TLS = {"implicit", "starttls"}

each_preset = pytest.mark.parametrize("preset", PROVIDERS.values(), ids=PROVIDERS)


def hosts(preset: dict[str, Any]) -> Iterator[str]:
    """Every host that a preset names."""
    if "host" in preset:
        yield preset["host"]
    yield from preset.get("regions", {}).values()
    yield from preset.get("alternate_hosts", {})


def test_the_head_of_the_file_tells_of_its_keys() -> None:
    assert len(KEYS) > 25
    assert {"name", "host", "ports", "username", "password_kind", "from"} <= {key[0] for key in KEYS}


def test_no_preset_was_lost() -> None:
    assert {
        "fastmail", "icloud", "gmail", "google_relay", "outlook", "microsoft365",
        "mailgun", "brevo", "ses", "sendgrid", "postmark", "mailjet", "smtp2go", "resend",
        "yahoo", "aol", "gmx", "mail_com", "web_de", "zoho", "proton", "migadu", "mailbox_org",
        "posteo", "purelymail", "custom",
    } <= set(PROVIDERS)  # fmt: skip


@each_preset
def test_a_preset_has_the_keys_of_the_head_in_its_order(preset: dict[str, Any]) -> None:
    known = [key for key, _always, _type in KEYS]
    assert list(preset) == [key for key in known if key in preset]


@each_preset
def test_a_preset_has_what_every_preset_has(preset: dict[str, Any]) -> None:
    always = {key for key, star, _type in KEYS if star}
    if "regions" in preset or "region_host" in preset:
        always.discard("host")
    if preset is PROVIDERS["custom"]:
        always -= {"host", "source", "checked", "certainty"}
    assert always <= set(preset)


@each_preset
def test_values_are_of_the_type_that_the_head_names(preset: dict[str, Any]) -> None:
    types = {key: kind for key, _star, kind in KEYS}
    for key, value in preset.items():
        assert type(value) is TYPES.get(types[key], str), key
        if types[key] == "enum":
            assert value in ENUMS[key]
        if types[key] == "regex":
            re.compile(value)
        if types[key] == "url":
            assert value.startswith("https://")
        if types[key] == "date":
            assert datetime.date.fromisoformat(value) <= datetime.date.today()
        if types[key] == "list":
            assert value and all(isinstance(item, str) for item in value), key


@each_preset
def test_ports_say_how_tls_begins_and_never_name_25(preset: dict[str, Any]) -> None:
    tables = [preset["ports"]]
    tables += [host.get("ports", {}) for host in preset.get("alternate_hosts", {}).values()]
    for ports in tables:
        for port, mode in ports.items():
            assert type(port) is int and 1 <= port <= 65535 and port != 25
            assert mode in TLS
    # Where one port carries one mode everywhere, the opposite would be a slip.
    assert preset["ports"].get(465, "implicit") == "implicit"
    assert preset["ports"].get(587, "starttls") == "starttls"


@each_preset
def test_an_alternate_host_has_ports_or_one_mode_for_all(preset: dict[str, Any]) -> None:
    for host in preset.get("alternate_hosts", {}).values():
        assert set(host) in ({"ports"}, {"any_port"})
        assert host.get("any_port", "implicit") in TLS


@each_preset
def test_hosts_are_names_on_the_internet(preset: dict[str, Any]) -> None:
    for host in hosts(preset):
        assert addresses.is_host_name(host) and host == host.lower()
        assert not addresses.is_private_domain(host)


def test_a_host_belongs_to_one_provider() -> None:
    named = [host for preset in PROVIDERS.values() for host in set(hosts(preset))]
    assert len(named) == len(set(named))


def test_a_domain_belongs_to_one_provider() -> None:
    named = [domain for preset in PROVIDERS.values() for domain in preset.get("domains", [])]
    assert len(named) == len(set(named))
    assert all(domain == domain.lower() and "@" not in domain for domain in named)


@each_preset
def test_regions_are_a_table_or_a_rule(preset: dict[str, Any]) -> None:
    assert not {"regions", "region_host"} <= set(preset)
    assert ("region_host" in preset) == ("region_pattern" in preset)
    if "region_host" in preset:
        assert preset["region_host"].count("{region}") == 1
        host = preset["region_host"].format(region="eu-central-1")
        assert addresses.is_host_name(host)
        # Without anchors a region could bring a host of its own.
        assert preset["region_pattern"][0] == "^" and preset["region_pattern"][-1] == "$"
    if "region_default" in preset:
        assert preset["region_default"] in preset["regions"]
    if "regions" in preset:
        # YAML makes false of a bare "no".
        assert all(isinstance(region, str) for region in preset["regions"])


@each_preset
def test_what_is_shown_to_people_is_sentences(preset: dict[str, Any]) -> None:
    keys = ("username_help", "from_help", "password_refused")
    sentences = [preset[key] for key in keys if key in preset]
    sentences += preset.get("requires", []) + preset.get("warnings", [])
    for sentence in sentences:
        assert sentence.endswith("."), sentence
        assert "\n" not in sentence and "  " not in sentence, sentence
    for key in ("password_steps", "daily_limit", "password_kind", "name"):
        # These stand within a sentence.
        assert not preset.get(key, "").endswith(".") and "\n" not in preset.get(key, "")


@each_preset
def test_a_from_that_must_be_given_is_explained(preset: dict[str, Any]) -> None:
    needs = preset.get("from_required") or preset["username"] == "local_part"
    if needs or "username_fixed" in preset:
        assert preset.get("from_required") is True
        assert preset.get("from_help")


@each_preset
def test_every_fact_has_a_source_that_can_be_opened(preset: dict[str, Any]) -> None:
    for url in preset.get("source", []):
        assert re.fullmatch(r"https://[^\s/]+\.[^\s/]+(/\S*)?", url)


@each_preset
def test_limits_are_plausible(preset: dict[str, Any]) -> None:
    assert 1 <= preset["concurrency"] <= 5
    assert 10_000_000 <= preset.get("size_limit", 10_000_000) <= 157_286_400


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("fastmail", "size_limit", 52_428_800),
        ("icloud", "size_limit", 20_000_000),
        ("gmail", "size_limit", 35_882_577),
        ("microsoft365", "size_limit", 157_286_400),
        ("postmark", "size_limit", 10_000_000),
        ("ses", "size_limit", 40_000_000),
        ("sendgrid", "username_fixed", "apikey"),
        ("sendgrid", "messages_per_connection", 5000),
        ("resend", "username_fixed", "resend"),
        ("web_de", "username", "local_part"),
        ("gmx", "from", "login"),
        ("gmail", "from", "replaced"),
        ("fastmail", "password_strip", " "),
        ("gmail", "password_strip", " "),
        ("yahoo", "password_strip", " "),
        ("aol", "password_strip", " "),
        ("icloud", "password_strip", None),
        ("smtp2go", "region_default", "global"),
        ("custom", "any_port", True),
    ],
)
def test_facts_that_mail_depends_on(name: str, key: str, value: object) -> None:
    assert PROVIDERS[name].get(key) == value


@pytest.mark.parametrize("name", ["icloud", "outlook", "microsoft365", "postmark", "proton"])
def test_465_is_not_offered_where_nobody_answers(name: str) -> None:
    assert 465 not in PROVIDERS[name]["ports"]


@pytest.mark.parametrize(
    ("name", "port"),
    [("fastmail", 465), ("icloud", 587), ("gmail", 465), ("mailgun", 587), ("purelymail", 465)],
)
def test_the_first_port_is_the_one_that_the_provider_prefers(name: str, port: int) -> None:
    assert next(iter(PROVIDERS[name]["ports"])) == port


def test_only_microsofts_mailboxes_are_refused_or_warned_of() -> None:
    assert [name for name, preset in PROVIDERS.items() if "password_refused" in preset] == ["outlook"]
    assert [name for name, preset in PROVIDERS.items() if "warnings" in preset] == ["microsoft365"]
