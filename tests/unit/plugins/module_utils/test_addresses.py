"""Addresses and host names: what is one, and which names a host goes by."""

from __future__ import annotations

import pytest
from ansible_collections.homelab.mail.plugins.module_utils import addresses
from hypothesis import given
from hypothesis import strategies as st

LABEL = "a" * 63

# What would break a table, main.cf or a log line, put where a careless pattern lets it through.
BREAKERS = ["\n", "\r", "\t", "\0", "\x0b", "\x0c", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", " "]


@pytest.mark.parametrize(
    "text",
    [
        "bob@fastmail.com",
        "BOB@Fastmail.COM",
        "bob.builder+nas@mail.example.co.uk",
        "o'brien@fastmail.com",
        "root@nas",
        "1@2.org",
        "a/b=c#d@bobs.org",
        f"{'a' * 64}@{LABEL}.org",
        "bob@xn--mller-kva.de",
        "bob@10.0.0.5",
    ],
)
def test_a_usual_address_is_an_address(text: str) -> None:
    assert addresses.is_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "bob",
        "bob@",
        "@fastmail.com",
        "bob@@fastmail.com",
        "bob@fast mail.com",
        "bob@fastmail.com,eve@fastmail.com",
        "Bob <bob@fastmail.com>",
        "<bob@fastmail.com>",
        '"bob bob"@fastmail.com',
        ".bob@fastmail.com",
        "bob.@fastmail.com",
        "b..b@fastmail.com",
        "#bob@fastmail.com",
        "bob:pw@fastmail.com",
        "bob@-fastmail.com",
        "bob@fastmail-.com",
        "bob@fastmail..com",
        "bob@fastmail.com.",
        "bob@[10.0.0.5]",
        f"bob@{LABEL}a.org",
        "bob@" + ".".join([LABEL] * 4),
        "jürgen@fastmail.com",
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert not addresses.is_address(text)


@pytest.mark.parametrize("breaker", BREAKERS, ids=repr)
@pytest.mark.parametrize("shape", ["{}bob@x.org", "b{}ob@x.org", "bob@x{}.org", "bob@x.org{}"])
def test_nothing_that_ends_a_line_or_a_key_hides_in_an_address(shape: str, breaker: str) -> None:
    assert not addresses.is_address(shape.format(breaker))


@pytest.mark.parametrize("breaker", BREAKERS, ids=repr)
@pytest.mark.parametrize("shape", ["{}nas", "n{}as", "nas{}"])
def test_nothing_that_ends_a_line_or_a_key_hides_in_a_name(shape: str, breaker: str) -> None:
    assert not addresses.is_host_name(shape.format(breaker))
    assert not addresses.is_local_part(shape.format(breaker))


@given(st.text())
def test_whatever_passes_is_plain_ascii_without_spaces(text: str) -> None:
    for check in (addresses.is_address, addresses.is_host_name, addresses.is_local_part):
        if check(text):
            assert text.isascii() and text.isprintable() and " " not in text
            assert not text.startswith("#")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nas", True),
        ("nas.lan", True),
        ("smtp.mail.me.com", True),
        ("10.0.0.5", True),
        ("n-a-s.lan", True),
        (f"{LABEL}.{LABEL}.{LABEL}.{'a' * 61}", True),
        (f"{LABEL}.{LABEL}.{LABEL}.{'a' * 62}", False),
        ("", False),
        ("nas_1.lan", False),
        ("-nas.lan", False),
        ("nas.lan.", False),
        ("[nas.lan]", False),
        ("nas.lan:25", False),
        ("::1", False),
    ],
)
def test_host_names(name: str, expected: bool) -> None:
    assert addresses.is_host_name(name) is expected


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("root", True),
        ("www-data", True),
        ("_apt", True),
        ("first.last", True),
        ("bob@x.org", False),
        ("#root", False),
        ("", False),
        ("a b", False),
        ("a:b", False),
        ("(x)", False),
    ],
)
def test_names_of_local_users(user: str, expected: bool) -> None:
    assert addresses.is_local_part(user) is expected


@pytest.mark.parametrize(
    ("address", "domain"),
    [("Bob@Fastmail.COM", "fastmail.com"), ("bob", ""), ("", ""), ("a@b@c.org", "c.org")],
)
def test_the_domain_is_what_stands_after_the_last_at(address: str, domain: str) -> None:
    assert addresses.domain_of(address) == domain


@pytest.mark.parametrize(
    ("domain", "private"),
    [
        ("nas", True),
        ("nas.lan", True),
        ("NAS.LAN", True),
        ("macbook.local", True),
        ("localhost.localdomain", True),
        ("pi.home.arpa", True),
        ("pi.fritz.box", True),
        ("pi.internal", True),
        ("bobs.org", False),
        ("nas.1", True),
        ("1.org", False),
        ("lan.org", False),
        ("mylan.de", False),
        ("local.fastmail.com", False),
        # What test systems, those of this project among them, call their mail domains.
        ("mail.test", False),
    ],
)
def test_a_domain_that_no_provider_can_know_is_private(domain: str, private: bool) -> None:
    assert addresses.is_private_domain(domain) is private


@pytest.mark.parametrize(
    ("domain", "example"),
    [
        ("example.com", True),
        ("EXAMPLE.org", True),
        ("mail.example.net", True),
        ("nas.example", True),
        ("example", True),
        ("myexample.com", False),
        ("example.com.de", False),
        ("fastmail.com", False),
        ("", False),
    ],
)
def test_domains_of_documentation_are_placeholders(domain: str, example: bool) -> None:
    assert addresses.is_example_domain(domain) is example


@pytest.mark.parametrize(
    ("fqdn", "nodename", "expected"),
    [
        ("nas.lan", "nas", "nas.lan"),
        ("NAS.Lan", "NAS", "nas.lan"),
        ("localhost", "nas", "nas.localdomain"),
        ("localhost.localdomain", "nas", "nas.localdomain"),
        ("localhost", "nas.lan", "nas.lan"),
        ("", "", "localhost.localdomain"),
        ("localhost", "localhost", "localhost.localdomain"),
        ("nas_1.lan", "nas_1", "nas-1.localdomain"),
        ("localhost", "My_NAS", "my-nas.localdomain"),
        ("localhost", "___", "localhost.localdomain"),
        ("nas", "nas.fritz.box", "nas.fritz.box"),
    ],
)
def test_a_host_gets_a_name_with_a_dot(fqdn: str, nodename: str, expected: str) -> None:
    assert addresses.host_name(fqdn, nodename) == expected


@pytest.mark.parametrize(("fqdn", "nodename"), [("192.168.1.5", "nas"), ("localhost", "192.168.1.5")])
def test_an_ip_address_is_not_taken_for_the_name(fqdn: str, nodename: str) -> None:
    """Postfix refuses to start with a myhostname of digits and dots."""
    assert any(letter.isalpha() for letter in addresses.host_name(fqdn, nodename).split(".")[-1])


@given(st.text(), st.text())
def test_whatever_a_host_calls_itself_it_gets_a_valid_name(fqdn: str, nodename: str) -> None:
    name = addresses.host_name(fqdn, nodename)
    assert addresses.is_host_name(name) and "." in name and name == name.lower()


def test_mail_programs_may_use_any_of_the_names_of_a_host() -> None:
    assert addresses.local_names("mail.bobs.org", "nas.lan", "nas") == [
        "mail.bobs.org",
        "nas.lan",
        "nas",
        "mail",
        "mail.local",
        "mail.localdomain",
        "nas.local",
        "nas.localdomain",
        "localhost",
        "localhost.bobs.org",
        "localhost.lan",
        "localhost.localdomain",
        "localhost.local",
    ]


def test_the_domain_above_a_host_is_not_one_of_its_names() -> None:
    """Mail to bobs.org belongs to the provider, also on the host mail.bobs.org."""
    assert "bobs.org" not in addresses.local_names("mail.bobs.org", "mail.bobs.org", "mail")


@given(st.text(), st.text(), st.text())
def test_names_are_valid_in_lower_case_and_there_once(host: str, fqdn: str, node: str) -> None:
    names = addresses.local_names(host, fqdn, node)
    assert "localhost" in names
    assert len(set(names)) == len(names)
    assert all(addresses.is_host_name(name) and name == name.lower() for name in names)


# --- Which of them are the host's alone -----------------------------------------------------------


@pytest.mark.parametrize(
    ("fqdn", "mail_domains", "origin", "public"),
    [
        ("nas.lan", [], "nas.lan", []),
        # What may be a mail domain on the internet is never taken whole.
        ("casey.test", [], "casey.localdomain", ["casey.test"]),
        ("web.casey.test", [], "web.localdomain", ["web.casey.test", "localhost.casey.test"]),
        # Even a private domain is not this host's, where its mail goes to.
        ("corp.lan", ["corp.lan"], "corp.localdomain", ["corp.lan"]),
    ],
)
def test_a_name_that_may_be_a_mail_domain_is_not_the_hosts_alone(
    fqdn: str, mail_domains: list[str], origin: str, public: list[str]
) -> None:
    names = addresses.names("", fqdn, fqdn.partition(".")[0], "", mail_domains)
    assert names.origin == names.own[0] == origin
    assert [name for name in names.public if not name.startswith("localhost.t")] == public
    assert fqdn not in names.own or fqdn == origin


def test_a_name_that_a_person_asks_for_is_the_hosts_also_on_the_internet() -> None:
    names = addresses.names("mail.casey.test", "casey.test", "casey", "old.test", [])
    assert names.origin == "mail.localdomain"
    assert "mail.casey.test" in names.own
    assert not {"casey.test", "old.test"} & set(names.own)
    assert {"mail.casey.test", "casey.test", "old.test"} <= set(names.public)
