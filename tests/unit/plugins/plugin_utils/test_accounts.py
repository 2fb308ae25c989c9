"""Several accounts: what smarthost_accounts may say, and through which of them a sender's mail leaves."""

from __future__ import annotations

from email.header import decode_header, make_header
from email.utils import getaddresses
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.module_utils import addresses
from ansible_collections.homelab.mail.plugins.plugin_utils import senders

from tests import rendering
from tests.unit.plugins.plugin_utils.test_senders import look_up

PASSWORD = "kqzd-wfrh-xjkm-mvzp"
FAMILY: dict[str, Any] = {
    "name": "family", "provider": "icloud", "username": "sasha@icloud.com", "password": PASSWORD,
    "senders": ["alerts@family.test", "@kids.test", "backup"], "generic": {"zoe": "zoe@family.test"},
}  # fmt: skip
SHOP: dict[str, Any] = {
    "name": "shop", "provider": "fastmail", "username": "eve@fastmail.com", "password": "m3n5b7v9c1x2z4l6", "port": 587,
}  # fmt: skip
ICLOUD = "smarthost-family:[smtp.mail.me.com]:587"


def faults(*accounts: Any, **given: Any) -> list[str]:
    """What is wrong with these accounts."""
    verdict = rendering.judge(accounts=list(accounts), **given)
    assert not any(PASSWORD in fault for fault in verdict.faults)
    return verdict.faults


def files(*accounts: dict[str, Any], **given: Any) -> dict[str, str]:
    """main.cf and the tables of a host nas.lan with these accounts."""
    verdict = rendering.judge(accounts=list(accounts), **given)
    assert not verdict.faults
    return rendering.render(verdict)


# --- whose mail takes which way ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sender", "way", "shown"),
    [
        ("root@nas.lan", None, "bob@fastmail.com"),
        ("bob@fastmail.com", None, "bob@fastmail.com"),
        ("alerts@family.test", ICLOUD, "alerts@family.test"),
        ("ALERTS@family.test", ICLOUD, "alerts@family.test"),
        ("sasha@icloud.com", ICLOUD, "sasha@icloud.com"),
        ("any.one@kids.test", ICLOUD, "any.one@kids.test"),
        ("backup@nas.lan", ICLOUD, "sasha@icloud.com"),
        ("zoe@3f2a1b9c", ICLOUD, "zoe@family.test"),
        ("nut@nas.lan", None, "nut@kids.test"),
        # The default account's own address, although the domain is another's.
        ("nut@kids.test", None, "nut@kids.test"),
        ("eve@fastmail.com", "smarthost-shop:[smtp.fastmail.com]:587", "eve@fastmail.com"),
    ],
)
def test_a_sender_leaves_through_its_account_as_an_address_of_it(sender: str, way: str | None, shown: str) -> None:
    tables = files(FAMILY, SHOP, generic={"nut": "nut@kids.test"})
    waits = look_up(tables["sender"], sender) or sender
    # Whatever waits is private, so that it also leaves when its account is no more.
    assert addresses.is_private_domain(addresses.domain_of(waits))
    assert look_up(tables["relay"], waits) == way
    name = "" if way is None else "-" + str(way).partition(":")[0].removeprefix("smarthost-")
    assert str(look_up(tables["generic" + name], waits)).lower() == shown
    assert str(look_up(tables["generic"], waits)).endswith(("bob@fastmail.com", "nut@kids.test"))


def test_a_domain_inside_the_network_is_left_to_the_account_whose_relay_knows_it() -> None:
    relay = {"name": "relay", "provider": "custom", "host": "relay.casa.lan", "port": 25, "tls": "none", "auth": "none"}
    tables = files({**relay, "from": "nas@casa.lan"}, second_way={"account": "relay"})
    assert look_up(tables["generic-relay"], "scan@casa.lan") is None
    # The provider of the other would refuse it.
    assert look_up(tables["generic"], "scan@casa.lan") == "bob@fastmail.com"
    default = {**{key: value for key, value in relay.items() if key != "name"}, "username": "", "password": ""}
    tables = files(SHOP, **default, from_="nas@casa.lan", aliases={"root": "admin@casa.lan"})
    assert look_up(tables["generic"], "admin@casa.lan") is None
    assert look_up(tables["generic-shop"], "admin@casa.lan") == "eve@fastmail.com"


@pytest.mark.parametrize("sender", ["x@xfamily.test", "alerts@family.tester", "alertsx@family.test", "a@b.kids.test"])
def test_a_sender_that_merely_looks_like_one_takes_the_default_way(sender: str) -> None:
    tables = files(FAMILY)
    assert look_up(tables["sender"], sender) is None
    assert look_up(tables["relay"], senders.private_form(sender)) is None


def test_signs_of_patterns_in_a_sender_are_data() -> None:
    tables = files({**FAMILY, "senders": ["a.*/+?^x@family.test"]})
    assert look_up(tables["relay"], "a.*/+?^x@family.test.localdomain") == ICLOUD
    assert look_up(tables["relay"], "abc/x@family.test.localdomain") is None


def test_each_account_has_its_own_login_and_settings() -> None:
    twice = {**SHOP, "name": "twice", "port": 465, "username": "ann@fastmail.com"}
    tables = files(FAMILY, SHOP, twice)
    assert f"[smtp.mail.me.com]:587 sasha@icloud.com:{PASSWORD}\n" in tables["sasl_passwd-family"]
    assert [name for name, text in tables.items() if PASSWORD in text] == ["sasl_passwd-family"]
    assert "[smtp.fastmail.com]:465 ann@fastmail.com:" in tables["sasl_passwd-twice"]
    main_cf = tables["main.cf"]
    assert "smarthost_twice_smtp_tls_wrappermode = yes" in main_cf
    assert "smarthost_shop_smtp_tls_wrappermode = no" in main_cf
    # The larger of what the two providers take.
    sizes = [rendering.PROVIDERS[name]["size_limit"] for name in ("icloud", "fastmail")]
    assert f"message_size_limit = {max(sizes)}\n" in main_cf
    # The systems' own parameters are the default account's.
    assert "\nrelayhost = [smtp.fastmail.com]:465\n" in main_cf


def test_a_provider_s_pace_is_kept_by_each_account() -> None:
    office = {"name": "office", "provider": "microsoft365", "username": "nas@bobs.org", "password": "correct horse 7"}
    main_cf = files(office)["main.cf"]
    assert "smarthost-office_destination_rate_delay = 2s" in main_cf
    assert "\nconnection_cache_ttl_limit = 10s" in main_cf and "\nsmtp_destination_rate_delay" not in main_cf
    alone = rendering.render(rendering.judge(**{key: office[key] for key in office if key != "name"}))["main.cf"]
    assert "\nsmtp_destination_rate_delay = 2s\n" in alone


def test_a_name_is_shown_as_it_was_given_whatever_is_in_it() -> None:
    for name in ("nas", 'A "b" \\ c', "Büro, Keller", "x" * 200, "Ä" * 60, "=?x?= <a@b>"):
        [(shown, address)] = getaddresses([f"{senders.phrase(name).replace('$$', '$')} <a@b.test>"])
        assert (str(make_header(decode_header(shown))), address) == (name, "a@b.test")


@pytest.mark.parametrize(
    ("name", "fits"), [("x" * 200, True), ("Ä" * 60, True), ("x" * 300, False), ("Ä" * 100, False)]
)
def test_a_name_that_postfix_would_leave_out_is_refused(name: str, fits: bool) -> None:
    found = rendering.judge(from_name=name).faults
    assert found == (
        [] if fits else ["smarthost_from_name: is so long that Postfix leaves it out. Write a shorter one."]
    )


@pytest.mark.parametrize("given", [{}, {"accounts": []}, {"rewrite": "all"}, {"clients": ["172.17.0.0/16"]}])
def test_a_host_with_one_account_has_nothing_of_others(given: dict[str, Any]) -> None:
    verdict = rendering.judge(**given)
    tables = rendering.render(verdict)
    assert not any(line.startswith(("smarthost", "sender_dependent")) for line in tables["main.cf"].splitlines())
    assert not any("-" in name for name in tables)
    assert (verdict.plan["services"], verdict.plan["settings"].get("accounts")) == ({}, None)


def test_with_all_rewritten_an_account_s_own_senders_stay_themselves() -> None:
    tables = files(FAMILY, rewrite="all")
    waits = str(look_up(tables["sender"], "alerts@family.test"))
    assert look_up(tables["foreign_sender"], waits) is None
    assert look_up(tables["foreign_sender"], "visitor@elsewhere.test") == "root@nas.lan"


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"port": 466}, "[family].port: iCloud Mail has no port 466."),
        ({"port": "abc"}, "[family].port: 'abc' is not a TCP port."),
        ({"username": "sasha"}, "[family].username: 'sasha' is not a full address"),
        ({"password": ""}, "[family].password: is empty."),
        ({"password": ["x"]}, "[family].password: is not text"),
        ({"password": "x\ny"}, "[family].password: has a line break"),
        ({"from": "root@nas.lan"}, "[family].from: 'root@nas.lan' exists only inside"),
        ({"generic": ["x"]}, "[family].generic: is not a mapping"),
        ({"host": {"a": 1}}, "[family].host: is not a text."),
        ({"region": "eu"}, "[family].region: iCloud Mail has no regions. Take smarthost_accounts[family].region out."),
        ({"senders": "a@b.test"}, "[family].senders: is not a list."),
        ({"senders": ["a@gmail.com"]}, "[family].senders: 'a@gmail.com' is an address at"),
        ({"senders": ["@gmail.com"]}, "[family].senders: 'mail@gmail.com', as one of '@gmail.com', is an address at"),
        ({"senders": ["@icloud.com"]}, "[family].senders: '@icloud.com' are all customers of iCloud Mail."),
        ({"senders": ["a|b@x.test"]}, "[family].senders: 'a|b@x.test' is not an address."),
        ({"senders": ["$x@y.test"]}, "[family].senders: '$x@y.test' is not an address."),
        ({"senders": ["@"]}, "[family].senders: '@' is not an address."),
        ({"senders": [None]}, "[family].senders: '' is not an address."),
        ({"senders": ["a@x.test\nb"]}, "[family].senders: has a line break"),
        ({"pasword": "x"}, "[family].name: the account has a key 'pasword', which there is not. Write password."),
        ({"provider": "iclod"}, "[family].provider: there is no preset 'iclod'."),
        ({"name": "a/b"}, "[0].name: 'a/b' cannot be one."),
        ({"name": "$x"}, "[0].name: '$x' cannot be one."),
        ({"name": "Family"}, "[0].name: 'Family' cannot be one."),
        ({"name": None}, "[0].name: '' cannot be one."),
    ],
)
def test_what_is_wrong_with_an_account_is_said_of_that_account(changed: dict[str, Any], fault: str) -> None:
    (said,) = faults({**FAMILY, **changed})
    assert said.startswith(f"smarthost_accounts{fault}")


def test_what_is_no_account_is_refused() -> None:
    assert faults("family") == [
        "smarthost_accounts[0]: is not a mapping. Write the keys of an account: name, provider, …"
    ]


def test_behind_a_hub_mail_to_users_does_not_go_to_an_address_that_only_sends() -> None:
    service = {
        "name": "bulk", "provider": "brevo", "username": "1234ab001@smtp-brevo.com", "password": "xsmtpsib-k3j5h6g7",
        "from": "backup@casey.test", "senders": ["backup"],
    }  # fmt: skip
    hub = {"provider": "hub", "host": "hub.casa.lan", "username": "", "password": ""}
    (said,) = faults(service, **hub)
    assert said.startswith("smarthost_aliases: does not say who gets root's mail. It would go to backup@casey.test")
    assert not faults(service, **hub, aliases={"root": "bob@fastmail.com"})
    assert not faults(FAMILY, **hub)


def test_an_account_s_name_is_there_once() -> None:
    assert any("'family' is there twice" in fault for fault in faults(FAMILY, {**SHOP, "name": "family"}))


def test_a_sender_is_one_account_s() -> None:
    where = "smarthost_accounts[family].senders: 'backup' is a sender of the default account, too."
    assert faults(FAMILY, generic={"backup": "bob@fastmail.com"}) == [f"{where} Keep it in one of them."]
    (said,) = faults({**SHOP, "senders": ["Bob@fastmail.com"]})
    assert "'bob@fastmail.com' is a sender of the default account, too." in said
    (said,) = faults(FAMILY, {**SHOP, "senders": ["backup"]})
    assert said.startswith("smarthost_accounts[shop].senders: 'backup' is a sender of family, too.")
    # One address of another's domain is an exception, and no contradiction.
    assert not faults(
        FAMILY, {**SHOP, "provider": "custom", "host": "h.test", "tls": "starttls", "senders": ["a@kids.test"]}
    )


def test_all_faults_of_all_accounts_are_told_at_once() -> None:
    found = faults({**FAMILY, "port": 466}, {**SHOP, "password": ""}, port=466)
    assert [fault.partition(":")[0] for fault in found] == [
        "smarthost_port", "smarthost_accounts[family].port", "smarthost_accounts[shop].password"
    ]  # fmt: skip


@pytest.mark.parametrize("given", ["family", {"name": "family"}, 7])
def test_what_is_no_list_is_refused(given: Any) -> None:
    assert rendering.judge(accounts=given).faults == [
        "smarthost_accounts: is not a list. Write one, an entry for each further account."
    ]


def test_who_may_be_written_to_must_have_the_senders_of_all_accounts() -> None:
    (said,) = faults(FAMILY, allowed_recipients=["bob@fastmail.com"])
    assert "Add sasha@icloud.com, zoe@family.test, alerts@family.test, @kids.test." in said


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"account": "famly"}, "names no account of smarthost_accounts. Write account: and one of family."),
        ({"acount": "family"}, "names no account of smarthost_accounts."),
        ({"account": "family", "after_minutes": 0}, "0 is no sensible time."),
        ({"account": "family", "after_minutes": "soon"}, "soon is no sensible time."),
    ],
)
def test_a_second_way_is_one_of_the_accounts(given: dict[str, Any], fault: str) -> None:
    (said,) = faults(FAMILY, second_way=given)
    assert said.startswith(f"smarthost_second_way: {fault}")


def test_a_second_way_is_not_away_with_the_default_account() -> None:
    (said,) = faults({**SHOP, "port": 465}, second_way={"account": "shop"})
    assert said.startswith("smarthost_second_way: shop is at the server of the default account")
    # A network may block a port.
    assert not faults(SHOP, second_way={"account": "shop"})


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ({"aliases": {"root": "root@casa.lan"}}, "goes to or comes from casa.lan"),
        ({"from_": "nas@casa.lan", "aliases": {"root": "a@b.test"}}, "goes to or comes from casa.lan"),
        ({}, "root has no alias"),
    ],
)
def test_a_second_way_is_not_for_mail_that_only_a_relay_of_one_s_own_knows(given: dict[str, Any], known: str) -> None:
    hub = {"provider": "hub", "host": "hub.casa.lan", **given}
    (said,) = faults(FAMILY, second_way={"account": "family"}, **hub)
    assert said.startswith("smarthost_second_way: ") and f"{known}, so that only your own relay knows" in said
    assert not faults(FAMILY, **hub)


def test_what_the_other_account_may_not_send_as_waits() -> None:
    table = files(FAMILY, second_way={"account": "family"})["second_way"]
    assert look_up(table, "root@nas.lan") is None
    counts = table.replace("#/", "/")
    for sender in ("root@nas.lan", "bob@fastmail.com.localdomain", "root@3f2a1b9c", "<>"):
        assert look_up(counts, sender) == ICLOUD
    assert look_up(counts, "visitor@elsewhere.test") is None


def test_the_second_way_is_the_last_table_of_those_who_have_one() -> None:
    assert "second_way" not in files(FAMILY)["main.cf"]
    main_cf = files(FAMILY, second_way={"account": "family"})["main.cf"]
    assert "transport_maps = regexp:@slot@/relay, regexp:@slot@/second_way\n" in main_cf
