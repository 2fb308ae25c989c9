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
    files = render(verdict.plan)
    assert "smtp_sasl_auth_enable = no\n" in files["main.cf"]
    assert "smtp_sasl_password_maps" not in files["main.cf"]
    assert _lines(files["sasl_passwd"]) == []


@pytest.mark.parametrize("variables", [HUB, PROXY])
def test_without_tls_none_is_asked_for(judge: Judge, render: Render, variables: dict[str, Any]) -> None:
    main_cf = render(judge(**variables).plan)["main.cf"]
    assert "smtp_tls_security_level = none\n" in main_cf and "smtp_tls_wrappermode = no\n" in main_cf


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        ({**ISP, "from_": None}, "from: is not set, and no login tells which address to send as."),
        ({**ISP, "username": "me"}, "username: is given, but this host does not log in"),
        ({**HUB, "password": "x"}, "password: is given, but this host does not log in"),
        ({**ISP, "auth": "oauth3"}, "auth: 'oauth3' is not one of its values. Write password or none."),
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
    files = render(judge(**HUB).plan)
    assert "mydestination = \n" in files["main.cf"]
    assert not any(line.startswith("/./") for name in ("generic", "virtual") for line in _lines(files[name]))
    # Nor is its mail without a From another's.
    assert "REPLACE From: root@nas.lan" in files["header_checks"]


def test_what_a_spoke_says_itself_holds(judge: Judge, render: Render) -> None:
    one = render(judge(**HUB, aliases={"ups": "ups@casey.test"}).plan)
    assert "/^ups@/ ups@casey.test" in one["virtual"] and "/./" not in one["virtual"]
    all_ = render(judge(**HUB, from_="web@casey.test").plan)
    assert "/./ web@casey.test" in all_["virtual"] and "/./ web@casey.test" in all_["generic"]
    assert "mydestination = nas.lan" in all_["main.cf"]


@pytest.mark.parametrize(("given", "users"), [("", "root"), ("web.casey.test", ".*")])
def test_a_spoke_hands_over_what_is_written_under_its_public_name(
    judge: Judge, render: Render, given: str, users: str
) -> None:
    own = {"__smarthost_names": [given] if given else [], "__smarthost_public_names": ["web.casey.test"]}
    files = render(judge(**HUB, hostname=given).plan, **own)
    assert f"/^({users})@/ ${{1}}@web.casey.test.localdomain" in files["virtual"]
    assert "/^(.*)@(web\\.casey\\.test)$/ ${1}@${2}.localdomain" in files["sender"]
