"""The providers' files, against the tables of keys in the README that lies beside them."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.module_utils import addresses

from workshop.lab import scripted
from workshop.pages import provider_files, provider_schema, providers, replies

FILES = provider_files.files()
PROVIDERS = provider_files.presets()
KEYS = {**provider_schema.PRESET, **provider_schema.REPLY}
TLS = {"implicit", "starttls"}
# Those that there were at first.
EARLY = {
    "fastmail", "icloud", "gmail", "google_relay", "outlook", "microsoft365",
    "mailgun", "brevo", "ses", "sendgrid", "postmark", "mailjet", "smtp2go", "resend",
    "yahoo", "aol", "gmx", "mail_com", "web_de", "zoho", "proton", "migadu", "mailbox_org",
    "posteo", "purelymail", "custom",
}  # fmt: skip

each_file = pytest.mark.parametrize("name", FILES)
each_preset = pytest.mark.parametrize("preset", PROVIDERS.values(), ids=PROVIDERS)


def hosts(preset: dict[str, Any]) -> Iterator[str]:
    """Every host that a preset names."""
    if "host" in preset:
        yield preset["host"]
    yield from preset.get("regions", {}).values()
    yield from preset.get("alternate_hosts", {})


def test_the_readme_tells_of_the_keys() -> None:
    preset, reply = provider_schema.PRESET, provider_schema.REPLY
    assert len(preset) > 25 and len(reply) == 9 and list(provider_schema.EXAMPLE) == ["given", "makes"]
    assert {"name", "kind", "host", "ports", "username", "password_kind", "from"} <= {
        key for key, row in preset.items() if row.always
    }
    assert {row.type for row in (*preset.values(), *reply.values())} <= {
        "str", "list", "dict", "enum", "int", "bool", "regex", "url", "date"
    }  # fmt: skip
    assert preset["kind"].choices == ("mailbox", "service")
    assert preset["username"].choices == ("address", "local_part", "any")
    assert preset["from"].choices == ("owned", "verified", "login", "replaced", "any")
    assert preset["certainty"].choices == ("documented", "measured", "secondary")
    assert reply["kind"].choices == provider_schema.CODE["kind"].choices


def test_no_preset_was_lost() -> None:
    assert set(PROVIDERS) >= EARLY


@each_file
def test_a_file_has_the_keys_of_the_readme_in_its_order(name: str) -> None:
    assert provider_schema.wrong_with(name, FILES[name]) == []


GOOD_REPLY = {"key": "x-y", "kind": "limit", "says": ["No"], "cause": "C.", "remedy": "R.", "met": [{"auth": "535 No"}]}


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        ({"replys": [GOOD_REPLY]}, "'replys' cannot stand here; there can be preset, presets, example"),
        ({"replies": [GOOD_REPLY], "presets": ["gmail"]}, "the order is presets, replies"),
        ({"replies": [{**GOOD_REPLY, "sais": ["No"]}]}, "x-y: there is no key 'sais'; there are key, kind, like"),
        ({"replies": [{**GOOD_REPLY, "kind": "mailbox"}]}, "x-y: kind is 'mailbox'; it can be login, sender"),
        ({"replies": [{**GOOD_REPLY, "met": [{"login": "535 No"}]}]}, "x-y: {'login': '535 No'} is not one step ("),
        ({"replies": [{**GOOD_REPLY, "met": [{"auth": 535}]}]}, "x-y: {'auth': 535} is not one step ("),
        ({"replies": [{**GOOD_REPLY, "link": "sendgrid.com"}]}, "x-y: link is no address that begins with https://"),
        ({"replies": [{**GOOD_REPLY, "cause": "A\nB."}]}, "x-y: cause has a line break"),
        ({"replies": [{key: GOOD_REPLY[key] for key in ("key", "kind", "cause", "remedy")}]}, "nothing tells of it"),
        ({"replies": [{key: GOOD_REPLY[key] for key in GOOD_REPLY if key != "remedy"}]}, "x-y: remedy is missing"),
        ({"preset": {"name": "X", "ports": {}}}, "preset: host is missing"),
        ({"preset": {"name": "X", "ports": {}}}, "it needs one reply with like: login-refused"),
        (None, "'' cannot stand here; there can be preset"),
        ({"preset": None}, "'preset' cannot stand here"),
        ({"example": ["x"]}, "'example' cannot stand here"),
        ({"replies": ["x"]}, "'x': kind is missing"),
        ({"preset": {"ports": {}, "name": "X"}}, "every preset has an example"),
        ({"preset": {"checked": datetime.date(2026, 1, 2)}}, "which is no date; quotes make a text"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_words(file: Any, fault: str) -> None:
    assert fault in "\n".join(provider_schema.wrong_with("x", file))


def test_a_copy_that_keeps_a_key_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("acme", "migadu"):
        (tmp_path / f"{name}.yml").write_text((provider_files.FOLDER / "migadu.yml").read_text())
    monkeypatch.setattr(provider_files, "FOLDER", tmp_path)
    with pytest.raises(provider_files.WrongFileError, match=r"migadu-login-refused: acme\.yml has this key"):
        provider_files.files.__wrapped__()


@each_file
def test_a_file_refers_to_what_there_is(name: str) -> None:
    file = FILES[name]
    here = {reply["key"] for reply in file.get("replies", [])}
    elsewhere = {reply["key"] for other in FILES.values() for reply in other.get("replies", [])} - here
    assert set(file.get("presets", [])) <= set(PROVIDERS)
    assert not {"preset", "presets"} <= set(file)
    assert {reply["like"] for reply in file.get("replies", []) if "like" in reply} <= elsewhere
    assert set(file.get("also", {})) <= elsewhere
    # A preset's name is a value of a variable and an anchor of a page.
    assert "preset" not in file or re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", name)


def test_what_the_host_knows_is_what_the_files_say() -> None:
    assert replies.MODULE.read_text(encoding="utf-8") == replies.module(), "run `make docs`"


def test_every_real_reply_that_the_lab_gives_is_in_the_files() -> None:
    steps = [step for steps in scripted.PERSONALITIES.values() for step in steps.values()]
    replies_ = [step.reply() for step in steps if isinstance(step, scripted.Met)]
    assert len(replies_) > 20 and all(re.match(r"[245]\d\d[ -]", reply) for reply in replies_)


def test_the_page_and_the_readme_are_what_the_files_say() -> None:
    assert providers.PAGE.read_text(encoding="utf-8") == providers.page(), "run `make docs`"
    readme = providers.README.read_text(encoding="utf-8")
    assert readme == providers.readme(readme), "run `make docs`"
    assert readme.count(providers.BEGIN) == readme.count(providers.END) == 1


@each_preset
def test_patterns_and_days_can_be_read(preset: dict[str, Any]) -> None:
    for key, value in preset.items():
        if KEYS[key].type == "regex":
            re.compile(value)
        if KEYS[key].type == "date":
            assert datetime.date.fromisoformat(value) <= datetime.date.today()
        if KEYS[key].type == "list":
            assert all(isinstance(item, str) for item in value), key


@each_preset
def test_ports_say_how_tls_begins_and_never_name_25(preset: dict[str, Any]) -> None:
    tables = [preset["ports"]]
    tables += [host.get("ports", {}) for host in preset.get("alternate_hosts", {}).values()]
    for ports in tables:
        for port, mode in ports.items():
            # Without a login, a hub is a mail server among others.
            without_login = preset.get("auth") == "none"
            assert type(port) is int and 1 <= port <= 65535 and (port != 25 or without_login)
            assert mode in TLS | ({"none"} if without_login else set())
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
    needs = preset.get("from_required") or preset.get("username") == "local_part"
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


def test_of_the_early_ones_only_microsofts_mailboxes_are_refused_or_warned_of() -> None:
    assert [name for name in EARLY if "password_refused" in PROVIDERS[name]] == ["outlook"]
    assert [name for name in EARLY if "warnings" in PROVIDERS[name]] == ["microsoft365"]
