"""What the role writes is what Postfix 3.2.2, the one of every macOS, understands."""

from __future__ import annotations

import re

import pytest

from tests import rendering
from workshop.lab.mac import postconf

KNOWN = postconf.table()
# What macOS' Postfix was built with.
MAP_TYPES = {"btree", "cidr", "hash", "inline", "ldap", "pcre", "proxy", "regexp", "static", "tcp", "texthash"}


def complaints(main_cf: str) -> list[str]:
    """What 3.2.2 does not know or refuses in a main.cf."""
    found = []
    for name, value in postconf.parameters(main_cf):
        if version := postconf.came_after(name, KNOWN):
            found.append(f"{name} came with {version}")
        if name == "compatibility_level" and not value.isdecimal():
            found.append(f"{name} = {value} is no whole number")
        if name.endswith("_protocols") and re.search("[<>]=", value):
            found.append(f"{name} = {value}: bounds came with 3.6")
        found += [
            f"{name}: no {kind} tables" for kind in re.findall(r"\b([a-z]+):[@/{]", value) if kind not in MAP_TYPES
        ]
    return found


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("smtp_tls_chain_files = /x.pem", "smtp_tls_chain_files came with 3.4"),
        ("smtp_tls_connection_reuse = yes", "smtp_tls_connection_reuse came with 3.4"),
        ("smtpd_forbid_bare_newline = yes", "smtpd_forbid_bare_newline came with 3.9"),
        ("lmtp_tlsrpt_enable = yes", "lmtp_tlsrpt_enable came with 3.10"),
        ("compatibility_level = 3.6", "compatibility_level = 3.6 is no whole number"),
        ("smtp_tls_mandatory_protocols = >=TLSv1.2", "smtp_tls_mandatory_protocols = >=TLSv1.2: bounds came with 3.6"),
        ("canonical_maps =\n  lmdb:/etc/postfix/canonical", "canonical_maps: no lmdb tables"),
    ],
)
def test_what_is_newer_than_3_2_2_is_found(line: str, complaint: str) -> None:
    assert complaints(f"# newer = 1\nmyhostname = mac.local\n{line}\n") == [complaint]


@pytest.mark.parametrize("map_type", ["texthash", "hash"])
@pytest.mark.parametrize("rewrite", ["local", "all"])
@pytest.mark.parametrize("level", ["secure", "verify", "encrypt"])
def test_the_whole_main_cf_is_understood(level: str, rewrite: str, map_type: str) -> None:
    verdict = rendering.judge(tls_security_level=level, rewrite=rewrite, map_type=map_type)
    assert not verdict.faults
    main_cf = rendering.render(verdict, __smarthost_version="3.2.2", __smarthost_keeps_connections=False)["main.cf"]
    assert "compatibility_level = 2\n" in main_cf
    assert complaints(main_cf) == []
    # Google's servers show a client without SNI the right certificate only if it does not speak TLS 1.3.
    assert "tls_ssl_options = 0x20000000\n" in main_cf


def test_several_accounts_and_a_second_way_are_understood() -> None:
    accounts = [
        {
            "name": "family", "provider": "icloud", "username": "sasha@icloud.com", "password": "kqzd-wfrh-xjkm-mvzp",
            "senders": ["@family.test", "backup"],
        },
        {"name": "office", "provider": "microsoft365", "username": "nas@bobs.org", "password": "correct horse 7"},
    ]  # fmt: skip
    verdict = rendering.judge(accounts=accounts, second_way={"account": "family"}, from_name="Büro")
    assert not verdict.faults
    main_cf = rendering.render(verdict, __smarthost_version="3.2.2", __smarthost_keeps_connections=False)["main.cf"]
    # What only our services of master.cf read is no parameter of Postfix's.
    theirs = re.sub("(?m)^smarthost[_-].*\n", "", main_cf)
    assert "sender_dependent_default_transport_maps" in theirs and complaints(theirs) == []
    named = {f"smtp{name.partition('_smtp')[2]} = x" for name in re.findall(r"(?m)^(smarthost_\w+) =", main_cf)}
    assert complaints("\n".join(sorted(named))) == []
    for name in ("destination_concurrency_limit", "initial_destination_concurrency", "destination_rate_delay"):
        assert f"\nsmarthost-office_{name} = " in main_cf and complaints(f"smtp_{name} = 1") == []
