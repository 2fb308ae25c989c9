"""The providers' files, against the tables of keys in the README that lies beside them."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.module_utils import addresses, diagnosis

from docs import provider_files, providers, replies

FILES = provider_files.files()
PROVIDERS = provider_files.presets()
README = (provider_files.FOLDER / "README.md").read_text(encoding="utf-8")


def keys(chapter: str) -> dict[str, tuple[bool, str]]:
    """Key -> whether it is in every one, and its type, as a chapter of the README has them."""
    text = README.partition(f"\n## {chapter}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z_]+)` \| ?(\*?) \| (\w+) \| \S", text, re.M)
    return {key: (star == "*", kind) for key, star, kind in rows}


PRESET, EXAMPLE, REPLY = keys("preset"), keys("example"), keys("replies")
TYPES = {"list": list, "dict": dict, "int": int, "bool": bool}
ENUMS = {
    "kind": {"mailbox", "service", *diagnosis.KINDS},
    "username": {"address", "local_part", "any"},
    "from": {"owned", "verified", "login", "replaced", "any"},
    "certainty": {"documented", "measured", "secondary"},
}
TLS = {"implicit", "starttls"}
# What a file may have, in this order.
CHAPTERS = ("preset", "presets", "example", "replies", "also")
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


def judged(what: str, given: dict[str, Any], known: dict[str, tuple[bool, str]], optional: set[str]) -> list[str]:
    """All that is wrong with the keys and the types of a mapping, in words."""
    faults = [f"{what}: there is no key {key!r}; there are {', '.join(known)}" for key in given if key not in known]
    faults += [
        f"{what}: {key} is missing" for key, (always, _) in known.items() if always and key not in {*given, *optional}
    ]
    order = [key for key in known if key in given]
    if not faults and list(given) != order:
        faults.append(f"{what}: the order of its keys is {', '.join(order)}")
    for key, value in given.items():
        kind = known.get(key, (False, ""))[1]
        if kind and type(value) is not TYPES.get(kind, str):
            faults.append(f"{what}: {key} is {value!r}, which is no {kind}; quotes make a text of a number or a date")
        elif kind == "enum" and value not in ENUMS[key]:
            faults.append(f"{what}: {key} is {value}; it can be {', '.join(sorted(ENUMS[key]))}")
        elif kind == "list" and not (value and all(type(item) in (str, dict) for item in value)):
            faults.append(f"{what}: {key} is empty, or has something that is no text; quotes make one of it")
        elif kind == "url" and not re.fullmatch(r"https://[^\s/]+\.[^\s/]+(/\S*)?", value):
            faults.append(f"{what}: {key} is no address that begins with https://")
        elif kind == "str" and ("\n" in value or "  " in value.strip()):
            faults.append(f"{what}: {key} has a line break or two spaces in a row; write a long text below >-")
    return faults


def wrong_lines(what: str, met: list[Any]) -> list[str]:
    """All that is wrong with real lines."""
    steps = f"one step ({', '.join(provider_files.STEPS)}) and the reply, or a text"
    return [
        f"{what}: {item!r} is not {steps}; a text with a colon and a space in it needs quotes"
        for item in met
        if not (
            isinstance(item, str)
            or (isinstance(item, dict) and len(item) == 1 and item.keys() <= {*provider_files.STEPS})
        )
        or not all(isinstance(said, str) for said in (item.values() if isinstance(item, dict) else [item]))
    ]


def wrong_with(name: str, file: dict[str, Any]) -> list[str]:
    """All that is wrong with the shape of a file, in words that a stranger understands."""
    faults = [f"{name}.yml: there is no {key!r} in a file" for key in file if key not in CHAPTERS]
    if list(file) != (order := [key for key in CHAPTERS if key in file]) and not faults:
        faults.append(f"{name}.yml: the order is {', '.join(order)}")
    if "preset" in file:
        preset = file["preset"]
        optional = {"host"} if {"regions", "region_host"} & set(preset) else set()
        optional |= {"kind", "host", "source", "checked", "certainty"} if name == "custom" else set()
        faults += judged(f"{name}.yml, preset", preset, PRESET, optional)
        if ("example" in file) == ("password_refused" in preset):
            faults.append(f"{name}.yml: every preset has an example, except those with password_refused")
        if "kind" in preset and preset["kind"] not in ("mailbox", "service"):
            faults.append(f"{name}.yml, preset: kind is mailbox or service")
    if "example" in file:
        faults += judged(f"{name}.yml, example", file["example"], EXAMPLE, set())
    for reply in file.get("replies", []):
        what = f"{name}.yml, {reply.get('key', 'a reply without a key')}"
        faults += judged(what, reply, REPLY, set())
        faults += wrong_lines(what, reply.get("met", []))
        if reply.get("kind") not in diagnosis.KINDS:
            faults.append(f"{what}: kind is one of {', '.join(diagnosis.KINDS)}")
        if not {"says", "says_there", "like"} & set(reply):
            faults.append(f"{what}: nothing tells of it; it needs says, says_there or like")
        if "says" in reply and not reply.get("met"):
            faults.append(f"{what}: it needs a real line in met")
    for key, lines in file.get("also", {}).items():
        faults += wrong_lines(f"{name}.yml, also, {key}", lines)
    return faults


def test_the_readme_tells_of_the_keys() -> None:
    assert len(PRESET) > 25 and len(REPLY) == 9 and len(EXAMPLE) == 2
    assert {"name", "kind", "host", "ports", "username", "password_kind", "from"} <= {
        key for key, (always, _) in PRESET.items() if always
    }
    assert {kind for _, kind in (*PRESET.values(), *REPLY.values())} <= {
        "str", "list", "dict", "enum", "int", "bool", "regex", "url", "date"
    }  # fmt: skip
    assert all(f"`{kind}`" in README for kind in diagnosis.KINDS)


def test_no_preset_was_lost() -> None:
    assert set(PROVIDERS) >= EARLY


@each_file
def test_a_file_has_the_keys_of_the_readme_in_its_order(name: str) -> None:
    faults = wrong_with(name, FILES[name])
    assert not faults, "\n".join(faults)


GOOD_REPLY = {"key": "x-y", "kind": "limit", "says": ["No"], "cause": "C.", "remedy": "R.", "met": [{"auth": "535 No"}]}


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        ({"replys": []}, "there is no 'replys' in a file"),
        ({"replies": [], "presets": ["gmail"]}, "the order is presets, replies"),
        ({"replies": [{**GOOD_REPLY, "sais": ["No"]}]}, "x-y: there is no key 'sais'; there are key, kind, like"),
        ({"replies": [{**GOOD_REPLY, "kind": "mailbox"}]}, "x-y: kind is one of login, sender"),
        ({"replies": [{**GOOD_REPLY, "met": [{"login": "535 No"}]}]}, "x-y: {'login': '535 No'} is not one step ("),
        ({"replies": [{**GOOD_REPLY, "met": [{"auth": 535}]}]}, "x-y: {'auth': 535} is not one step ("),
        ({"replies": [{**GOOD_REPLY, "link": "sendgrid.com"}]}, "x-y: link is no address that begins with https://"),
        ({"replies": [{**GOOD_REPLY, "cause": "A\nB."}]}, "x-y: cause has a line break"),
        ({"replies": [{key: GOOD_REPLY[key] for key in ("key", "kind", "cause", "remedy")}]}, "nothing tells of it"),
        ({"replies": [{key: GOOD_REPLY[key] for key in GOOD_REPLY if key != "remedy"}]}, "x-y: remedy is missing"),
        ({"preset": {"name": "X", "ports": {}}}, "preset: host is missing"),
        ({"preset": {"ports": {}, "name": "X"}}, "every preset has an example"),
        ({"preset": {"checked": datetime.date(2026, 1, 2)}}, "which is no date; quotes make a text"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_words(file: dict[str, Any], fault: str) -> None:
    assert fault in "\n".join(wrong_with("x", file))


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
    assert (
        "preset" not in file
        or name == "custom"
        or [reply["like"] for reply in file.get("replies", []) if reply.get("like") == "login-refused"]
    ), f"{name}.yml needs one reply that is like login-refused: which login the provider wants"


def test_what_the_host_knows_is_what_the_files_say() -> None:
    assert replies.MODULE.read_text(encoding="utf-8") == replies.module(), "run `make docs`"


def test_the_page_and_the_readme_are_what_the_files_say() -> None:
    assert providers.PAGE.read_text(encoding="utf-8") == providers.page(), "run `make docs`"
    readme = providers.README.read_text(encoding="utf-8")
    assert readme == providers.readme(readme), "run `make docs`"
    assert readme.count(providers.BEGIN) == readme.count(providers.END) == 1


@each_preset
def test_values_are_of_the_type_that_the_readme_names(preset: dict[str, Any]) -> None:
    for key, value in preset.items():
        if PRESET[key][1] == "regex":
            re.compile(value)
        if PRESET[key][1] == "date":
            assert datetime.date.fromisoformat(value) <= datetime.date.today()
        if PRESET[key][1] == "list":
            assert all(isinstance(item, str) for item in value), key


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


def test_of_the_early_ones_only_microsofts_mailboxes_are_refused_or_warned_of() -> None:
    assert [name for name in EARLY if "password_refused" in PROVIDERS[name]] == ["outlook"]
    assert [name for name in EARLY if "warnings" in PROVIDERS[name]] == ["microsoft365"]
