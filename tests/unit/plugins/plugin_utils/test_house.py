"""One server for the house: relays without a login, hubs, and who may hand in mail."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from ansible_collections.homelab.mail.plugins.plugin_utils import rules

Judge = Callable[..., rules.Verdict]
Render = Callable[..., dict[str, str]]

ISP = {"provider": "custom", "host": "relay.isp.test", "port": 587, "tls": "starttls", "auth": "none",
       "from_": "casey@isp.test"}  # fmt: skip
HUB = {"provider": "hub", "host": "nas.lan"}
PROXY = {**ISP, "host": "127.0.0.1", "port": 1025, "tls": "none"}


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


# --- without a login --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "variables", [ISP, HUB, PROXY, {"provider": "google_relay", "auth": "none", "from_": "nas@bobs.org"},
                  {**HUB, "host": "192.168.1.5"}, {**HUB, "host": "nas.casey.test", "tls": "starttls"},
                  {**ISP, "host": "relay.lan", "from_": "root@web.lan"}]
)  # fmt: skip
def test_a_relay_without_a_login_is_accepted(judge: Judge, render: Render, variables: dict[str, Any]) -> None:
    verdict = judge(**variables)
    assert verdict.faults == []
    files = render(verdict)
    assert "smtp_sasl_auth_enable = no\n" in files["main.cf"]
    assert "smtp_sasl_password_maps" not in files["main.cf"]
    assert _lines(files["sasl_passwd"]) == []


@pytest.mark.parametrize("variables", [HUB, PROXY])
def test_without_tls_none_is_asked_for(judge: Judge, render: Render, variables: dict[str, Any]) -> None:
    main_cf = render(judge(**variables))["main.cf"]
    assert "smtp_tls_security_level = none\n" in main_cf and "smtp_tls_wrappermode = no\n" in main_cf


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        ({**ISP, "from_": None}, "from: is not set, and no login tells which address to send as."),
        ({**ISP, "username": "me"}, "username: is given, but this host does not log in"),
        ({**HUB, "password": "x"}, "password: is given, but this host does not log in"),
        ({**ISP, "auth": "oauth3"}, "auth: 'oauth3' is not one of its values. Write password, oauth or none."),
        ({**ISP, "tls": "none"}, "tls: is none, but relay.isp.test is not inside your network"),
        ({**HUB, "host": "203.0.113.5"}, "tls: is none, but 203.0.113.5 is not inside your network"),
        ({**HUB, "host": "nas.casey.test"}, "tls: is none, but nas.casey.test is not inside your network"),
        ({**HUB, "host": None}, "host: is not set. Name the host that sends for this one: nas.lan."),
        (
            {**ISP, "tls": "none", "auth": None, "host": "relay.lan", "username": "me", "password": "k3j5h6g7f8"},
            "tls: is none, so that the password would cross the network in plain text.",
        ),
    ],
)
def test_a_relay_that_cannot_be_is_refused(judge: Judge, variables: dict[str, Any], fault: str) -> None:
    assert any(said.startswith(f"smarthost_{fault}") for said in judge(**variables).faults), judge(**variables).faults


# --- a spoke ----------------------------------------------------------------------------------------


def test_a_spoke_leaves_senders_and_users_to_its_hub(judge: Judge, render: Render) -> None:
    files = render(judge(**HUB))
    assert "mydestination = \n" in files["main.cf"]
    assert not any(line.startswith("/./") for name in ("generic", "virtual") for line in _lines(files[name]))
    # Nor is its mail without a From another's.
    assert "REPLACE From: root@nas.lan" in files["header_checks"]


def test_what_a_spoke_says_itself_holds(judge: Judge, render: Render) -> None:
    one = render(judge(**HUB, aliases={"ups": "ups@casey.test"}))
    assert "/^ups@/ ups@casey.test" in one["virtual"] and "/./" not in one["virtual"]
    all_ = render(judge(**HUB, from_="web@casey.test"))
    assert "/./ web@casey.test" in all_["virtual"] and "/./ web@casey.test" in all_["generic"]
    assert "mydestination = nas.lan" in all_["main.cf"]


@pytest.mark.parametrize(("given", "users"), [("", "root"), ("web.casey.test", ".*")])
def test_a_spoke_hands_over_what_is_written_under_its_public_name(
    judge: Judge, render: Render, given: str, users: str
) -> None:
    own = {"__smarthost_names": [given] if given else [], "__smarthost_public_names": ["web.casey.test"]}
    files = render(judge(**HUB, hostname=given), **own)
    assert f"/^({users})@/ ${{1}}@web.casey.test.localdomain" in files["virtual"]
    assert "/^(.*)@(web\\.casey\\.test)$/ ${1}@${2}.localdomain" in files["sender"]


# --- who may hand in mail ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "networks", "machines"),
    [
        ([], [], []),
        (["172.17.0.0/16", "192.168.1.20"], ["172.17.0.0/16", "192.168.1.20/32"], ["192.168.1.20/32"]),
        (["[fd00:d0c::]/64", "fd00::5"], ["[fd00:d0c::]/64", "[fd00::5]/128"], ["[fd00::5]/128"]),
        (["10.0.0.0/8", "fd00:1::/48", "100.64.0.0/10"], ["10.0.0.0/8", "[fd00:1::]/48", "100.64.0.0/10"], []),
        # The host is asked whether it is in it; and who names a single machine means it.
        (["2001:db8:1:2::/64"], ["[2001:db8:1:2::]/64"], []),
        (["203.0.113.7"], ["203.0.113.7/32"], ["203.0.113.7/32"]),
    ],
)
def test_networks_at_home_may_send(
    judge: Judge, render: Render, given: list[str], networks: list[str], machines: list[str]
) -> None:
    verdict = judge(clients=given)
    assert verdict.faults == []
    assert verdict.plan["clients"] == {"networks": networks, "machines": machines}
    assert verdict.plan["rewrite"] == ("all" if given else "")
    main_cf = render(verdict)["main.cf"]
    own = "127.0.0.0/8, [::ffff:127.0.0.0]/104, [::1]/128"
    assert f"mynetworks = {', '.join([own, *networks])}\n" in main_cf
    assert "smtpd_client_restrictions = permit_mynetworks, reject\n" in main_cf
    assert ("smtpd_relay_restrictions = permit_mynetworks, reject\n" in main_cf) == bool(given)
    assert not given or f"smtpd_client_event_limit_exceptions = {', '.join([own, *machines])}\n" in main_cf


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        ("0.0.0.0/0", "is on the internet"),
        ("::/0", "is on the internet"),
        ("[::ffff:0.0.0.0]/96", "is on the internet"),
        ("203.0.113.0/24", "is on the internet"),
        ("2001:db8::/48", "is on the internet"),
        ("2000::/3", "is on the internet"),
        ("10.0.0.0/7", "is on the internet"),
        ("fd00::/8", "is wider than any network at home"),
        ("192.168.1.5/24", "is an address in a network. Write the network, 192.168.1.0/24, or no /."),
        ("fd00::5/64", "is an address in a network. Write the network, fd00::/64, or no /."),
        ("docker0", "'docker0' is not a network. Write one, or an address"),
        ("192.168.1", "is not a network"),
    ],
)
def test_a_network_of_strangers_is_refused(judge: Judge, network: str, reason: str) -> None:
    [fault] = judge(clients=["172.17.0.0/16", network]).faults
    assert fault.startswith("smarthost_clients: ") and reason in fault


@pytest.mark.parametrize("name", ["mynetworks", "smtpd_client_restrictions", "smtpd_relay_restrictions"])
def test_no_parameter_lets_in_who_is_not_listed(judge: Judge, name: str) -> None:
    [fault] = judge(clients=["172.17.0.0/16"], parameters={name: "192.168.1.0/24"}).faults
    assert f"{name} is said by smarthost_clients" in fault


@pytest.mark.parametrize(
    ("version", "known"),
    [("3.2.2", False), ("3.5.23", False), ("3.5.25", True), ("3.7.9", False), ("3.7.11", True), ("3.8.1", False),
     ("3.9.0", True), ("3.10.5", True)],
)  # fmt: skip
def test_what_this_postfix_knows_against_smuggling_is_set(
    judge: Judge, render: Render, version: str, known: bool
) -> None:
    main_cf = render(judge(clients=["172.17.0.0/16"]), __smarthost_version=version)["main.cf"]
    assert ("smtpd_forbid_bare_newline = normalize" in main_cf) == known
    assert "reject_unauth_pipelining" in main_cf


def test_clients_get_tls_where_there_is_a_certificate(judge: Judge, render: Render) -> None:
    clients = {"clients": ["172.17.0.0/16"]}
    assert "smtpd_tls_security_level" not in render(judge(**clients))["main.cf"]
    for name in ("smtpd_tls_chain_files", "smtpd_tls_cert_file"):
        main_cf = render(judge(**clients, parameters={name: "/etc/ssl/nas.pem"}))["main.cf"]
        assert "smtpd_tls_security_level = may\n" in main_cf


# --- whom they may write to -------------------------------------------------------------------------


def test_all_may_be_written_to_where_nothing_is_said(judge: Judge, render: Render) -> None:
    assert "transport_maps" not in render(judge())["main.cf"]


def test_no_one_else_than_those_named_may_be_written_to(judge: Judge, render: Render) -> None:
    verdict = judge(allowed_recipients=["Bob@Fastmail.com", "@casey.test"], aliases={"ups": "ups@casey.test"})
    assert verdict.faults == []
    files = render(verdict)
    assert "transport_maps = regexp:@slot@/allowed\n" in files["main.cf"]
    assert "if !/^(bob@fastmail\\.com|.*@casey\\.test)$/\n/@/ error:5.7.1" in files["allowed"]


def test_what_is_written_to_a_name_of_the_host_waits_for_its_alias(judge: Judge, render: Render) -> None:
    files = render(judge(allowed_recipients=["bob@fastmail.com"]), __smarthost_public_names=["web.casey.test"])
    assert "smtpd_recipient_restrictions = check_recipient_access regexp:@slot@/refused\n" in files["main.cf"]
    assert "|web\\.casey\\.test)$/\nif !/^(bob@fastmail\\.com)$/\n/@./ 550 5.7.1" in files["refused"]


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        ({"allowed_recipients": []}, "is empty, so that no mail would leave."),
        ({"allowed_recipients": [""]}, "is empty, so that no mail would leave."),
        ({"allowed_recipients": ["bob@fastmail.com", "casey"]}, "'casey' is not an address."),
        ({"allowed_recipients": ["bob@fastmail.com", "@"]}, "'@' is not an address."),
        ({"allowed_recipients": ["@casey.test"]}, "Add bob@fastmail.com."),
        (
            {
                "allowed_recipients": ["bob@fastmail.com"],
                "aliases": {"root": ["a@one.test", "ups"], "ups": "b@two.test"},
                "generic": {"nut": "c@three.test"},
                "parameters": {"always_bcc": "d@four.test"},
            },
            "Add a@one.test, b@two.test, c@three.test, d@four.test.",
        ),
    ],
)
def test_a_list_that_would_keep_alerts_back_is_refused(judge: Judge, variables: dict[str, Any], fault: str) -> None:
    [said] = judge(**variables).faults
    assert said.startswith("smarthost_allowed_recipients: ") and fault in said


def test_it_is_not_got_round_by_a_way_of_ones_own(judge: Judge) -> None:
    variables = {"allowed_recipients": ["bob@fastmail.com"], "parameters": {"transport_maps": "hash:/etc/postfix/t"}}
    [fault] = judge(**variables).faults
    assert "transport_maps is said by smarthost_allowed_recipients. Take one of them out." in fault
