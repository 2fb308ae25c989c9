"""The lines of the regexp tables, as a regular expression reads them; Postfix itself reads them in test_tables.py."""

from __future__ import annotations

import re

import pytest
from ansible_collections.homelab.mail.plugins.module_utils import addresses
from ansible_collections.homelab.mail.plugins.plugin_utils import senders
from hypothesis import example, given
from hypothesis import strategies as st

from tests import rendering


def look_up(text: str, address: str) -> str | None:
    """What a regexp table of this text says of an address: `if` and `endif` nest, the first line that fits counts."""
    skipped = depth = 0
    for line in text.splitlines():
        if line.startswith("if "):
            depth += 1
            [(negated, pattern)] = re.findall(r"^if (!?)/(.*)/$", line)
            if not skipped and bool(_search(pattern, address)) == bool(negated):
                skipped = depth
        elif line == "endif":
            skipped = 0 if skipped == depth else skipped
            depth -= 1
        elif line.startswith("/") and not skipped:
            [(pattern, result)] = re.findall(r"^/((?:[^/\\]|\\.)*)/ (.*)$", line)
            if found := _search(pattern, address):
                return re.sub(r"\$\{(\d)\}", lambda group: found.group(int(group.group(1))), result)
    return None


def _search(pattern: str, text: str) -> re.Match[str] | None:
    # What Python spells otherwise.
    pattern = pattern.replace("[^].@<>[:space:][]", r"[^\].@<>\s\[]").replace("[^]@<>]", r"[^\]@<>]")
    return re.search(pattern, text, re.IGNORECASE)


def tables(**given: object) -> dict[str, str]:
    """The tables of a host nas.lan."""
    verdict = rendering.judge(**given)
    assert not verdict.faults
    return rendering.render(verdict)


@pytest.mark.parametrize(
    "domain",
    [
        "nas.lan",
        "NAS.LAN",
        "3f2a1b9c",
        "my_nas",
        "web.my_nas.lan",
        "my_nas.casey.test",
        "a.my_nas.casey.test",
        "[127.0.0.1]",
        "[IPv6:::1]",
        "192.168.1.5",
        "nas.1",
        "box.home.arpa",
        "lan",
        "nas.intern",
        "nas.speedport.ip",
        "localhost6.localdomain6",
    ],
)
def test_a_sender_that_can_belong_to_no_account_becomes_the_accounts(domain: str) -> None:
    assert look_up(tables()["generic"], f"root@{domain}") == "bob@fastmail.com"


@pytest.mark.parametrize(
    "address", ["friend@elsewhere.test", "bob@fastmail.com", "a@planet.example.lan.test", "a@xlan.org"]
)
def test_a_public_address_is_never_a_key_of_generic(address: str) -> None:
    given = {"nut": "ups@bobs.test", "old@bobs.test": "bob@fastmail.com", "@big.test": "bob@fastmail.com"}
    assert look_up(tables(generic=given)["generic"], address) is None


@given(st.from_regex(r"[a-z][a-z0-9-]{0,8}(\.[a-z][a-z0-9-]{0,8}){0,2}", fullmatch=True))
@example("my_nas.casey.test")
@example("192.168.1.5")
@example("nas.1")
@example("nas.1a")
@example("casey.test1")
def test_the_pattern_says_of_each_domain_what_the_rules_say(domain: str) -> None:
    pattern = f"@{senders.private_domain()}$"
    assert bool(_search(pattern, f"a@{domain}")) == addresses.is_private_domain(domain)


def test_a_public_sender_with_an_address_of_its_own_waits_in_a_private_form() -> None:
    files = tables(generic={"old@bobs.test": "ups@bobs.test", "@big.test": "bob@fastmail.com", "nut": "ups@bobs.test"})
    for sender, public in {"old@bobs.test": "ups@bobs.test", "x@big.test": "bob@fastmail.com"}.items():
        form = look_up(files["sender"], sender)
        assert form == f"{sender}.localdomain"
        assert look_up(files["generic"], form) == public
    assert look_up(files["generic"], "nut@3f2a1b9c") == "ups@bobs.test"


def test_what_bears_an_address_of_the_account_keeps_it_and_follows_the_account() -> None:
    one, other = tables(generic={"nut": "ups@bobs.test"}), tables(username="ann@fastmail.com")
    for address in ("bob@fastmail.com", "ups@bobs.test"):
        form = look_up(one["sender"], address)
        assert form
        assert look_up(one["generic"], form) == address
        assert look_up(other["generic"], form) == "ann@fastmail.com"


def test_the_login_of_a_mailbox_keeps_its_address_and_follows_the_account() -> None:
    one = tables(from_="ups@bobs.test", generic={"bob": "alerts@bobs.test", "ups": "alerts@bobs.test"})
    other = tables(username="ann@fastmail.com")
    for address in ("bob@fastmail.com", "ups@bobs.test"):
        form = look_up(one["sender"], address)
        assert form
        assert look_up(one["generic"], form) == address
        assert look_up(other["generic"], form) == "ann@fastmail.com"


def test_a_domain_inside_the_network_that_the_relay_knows_is_left_to_it() -> None:
    files = tables(
        provider="custom", host="mail.corp.lan", port=587, tls="starttls", username="nas", password="k3j5h6g7",
        from_="nas@corp.lan", aliases={"root": "admin@corp.lan"},
    )  # fmt: skip
    assert look_up(files["generic"], "boss@corp.lan") is None
    assert look_up(files["virtual"], "boss@corp.lan") is None
    assert look_up(files["generic"], "root@nas.lan") == "nas@corp.lan"
    assert look_up(files["virtual"], "root@nas.lan") == "admin@corp.lan"


def test_as_whom_mail_left_before_the_role_leaves_as_the_account() -> None:
    earlier = ["ann+ups@old.test", "ups@fastmail.com"]
    text = rendering.render(rendering.judge(), __smarthost_earlier_senders=earlier)["sender"]
    assert look_up(text, "ann+ups@old.test") == "ann+ups@old.test.localdomain"
    assert look_up(text, "annups@old.test") is None
    # An alias of the account, as far as can be told.
    assert look_up(text, "ups@fastmail.com") is None


def test_no_mode_gives_the_null_sender_an_address() -> None:
    files = tables(rewrite="all")
    for name in ("sender", "foreign_sender", "generic"):
        assert look_up(files[name], "") is None
    assert look_up(files["foreign_sender"], "visitor@elsewhere.test") == "root@nas.lan"
    assert look_up(files["foreign_sender"], "ups@nas.lan") is None


def test_a_whole_address_comes_before_a_user_and_a_user_before_a_domain() -> None:
    generic = {"@nas.lan": "a@bobs.test", "nut": "b@bobs.test", "nut@nas.lan": "c@bobs.test"}
    text = tables(generic=generic)["generic"]
    assert look_up(text, "nut@nas.lan") == "c@bobs.test"
    assert look_up(text, "nut@nas") == "b@bobs.test"
    assert look_up(text, "ups@nas.lan") == "a@bobs.test"
    assert look_up(text, "ups@web.nas.lan") == "bob@fastmail.com"


@given(key=st.text(max_size=8), value=st.text(max_size=8))
def test_an_accepted_value_is_one_line_and_no_more(key: str, value: str) -> None:
    plain = tables(aliases={"root": "bob@bobs.test"}, generic={"u": "u@bobs.test"})
    verdict = rendering.judge(
        aliases={"root": "bob@bobs.test", f"u{key}": f"{value}@bobs.test"}, generic={f"u{key}": f"u{value}@bobs.test"}
    )
    if not verdict.faults:
        files = rendering.render(verdict)
        assert files["virtual"].count("\n") == plain["virtual"].count("\n") + 1
        assert files["generic"].count("\n") == plain["generic"].count("\n")
        assert files["sender"].count("\n") == plain["sender"].count("\n")
