"""The way to the real relay: what the second Postfix is given for it, and what its end means."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._change import route
from ansible_collections.homelab.mail.plugins.module_utils._program import chroot

ACCOUNT = {"host": "smtp.example.net"}
NO_MECHANISM = (
    "SASL authentication failed; server smtp.example.net[192.0.2.1] offered no compatible authentication mechanisms "
    "for this type of connection security"
)
SNI = "Postfix 3.2.2 cannot."


def filtered(line: str) -> str:
    """What `smtp_reply_filter` makes of a line."""
    for pattern, result in re.findall(r"^/(.*)/ (.*)$", route.REPLIES, re.MULTILINE):
        if found := re.match(pattern, line, re.IGNORECASE):
            return re.sub(r"\$\{?(\d)\}?", lambda number: found.group(int(number.group(1))), result)
    return line


@pytest.mark.parametrize(
    "line", ["250-STARTTLS", "250 AUTH PLAIN LOGIN", "250-AUTH=LOGIN", "220 x ESMTP", "421 4.7.0 no"]
)
def test_what_a_server_says_of_tls_and_logins_reaches_postfix(line: str) -> None:
    assert filtered(line) == line


@pytest.mark.parametrize("line", ["250-PIPELINING", "250 SIZE 1000", "250 8BITMIME"])
def test_a_server_without_a_login_seems_to_offer_one_that_postfix_does_not_know(line: str) -> None:
    assert filtered(line) == f"{line[:4]}AUTH X-NOTHING"


def test_options_of_the_system_s_own_service_stay() -> None:
    line = route.service("smtp  unix  -  -  n  -  10  smtp\n    -o smtp_bind_address=192.0.2.7", "", "/run/t")
    assert line.startswith("route unix - - n - 10 smtp -o smtp_bind_address=192.0.2.7 -o smtp_sasl_auth_enable=yes")
    assert "regexp:/run/t/route_replies" in line and "\n" not in line


@pytest.mark.parametrize("level", ["Anonymous", "Untrusted", "Trusted"])
def test_a_session_whose_server_was_not_verified_is_an_obstacle(level: str) -> None:
    line = f"x postfix/route/smtp[7]: {level} TLS connection established to smtp.example.net[192.0.2.1]:465: TLSv1.3"
    assert route.obstacle(NO_MECHANISM, [line], "secure", "").startswith(
        f"the certificate is not verified: {level} TLS"
    )
    assert route.obstacle(NO_MECHANISM, [line], "encrypt", "") == ""
    assert route.obstacle(NO_MECHANISM, [line.replace(level, "Verified")], "secure", "") == ""


@pytest.mark.parametrize(
    ("offered", "allowed", "said"),
    [
        ("PLAIN LOGIN", "plain, login", ""),
        ("CRAM-MD5 XOAUTH2", "plain, login", "the server offers only: CRAM-MD5 XOAUTH2"),
        ("PLAIN", "login", "the server offers only: PLAIN"),
        ("X-NOTHING", "plain, login", "the server offers only: no login at all"),
        # What else the filter may say.
        ("PLAIN", "!gssapi, static:all", ""),
        ("PLAIN", "", ""),
    ],
)
def test_a_server_that_offers_none_of_the_allowed_mechanisms_is_an_obstacle(
    offered: str, allowed: str, said: str
) -> None:
    line = f"x postfix/route/smtp[7]: warning: x[192.0.2.1]:465 offered no supported AUTH mechanisms: '{offered}'"
    assert route.obstacle(NO_MECHANISM, [line], "secure", allowed) == said


@pytest.mark.parametrize(
    ("why", "later"),
    [
        ("host x[192.0.2.1] refused to talk to me: 421 4.3.2 Too many open connections", True),
        ("host x[192.0.2.1] refused to talk to me: 554 5.7.1 blocked", False),
        ("Server certificate not verified", False),
        ("connect to x[192.0.2.1]:465: Connection refused", False),
    ],
)
def test_a_server_that_is_busy_says_nothing_about_the_way(why: str, later: bool) -> None:
    assert route.is_for_now(why) is later


@pytest.mark.parametrize(
    "why",
    [
        "Host or domain name not found. Name service error for name=relay.local type=A: Host not found",
        "unable to look up host relay.local: Name or service not known",
    ],
)
def test_a_name_that_only_other_programs_find_is_put_where_postfix_looks(why: str) -> None:
    said = route.refusal(why, "Correct smarthost_host.", ACCOUNT, "")
    assert "Use a name that is in DNS, or put it into /etc/hosts." in said
    assert "Correct smarthost_host." not in said


def test_a_certificate_that_only_others_are_shown_is_told_by_sni() -> None:
    why = "Server certificate not verified"
    assert f"(SNI), and {SNI}" in route.refusal(why, "Known.", ACCOUNT, SNI)
    assert route.refusal(why, "Known.", ACCOUNT, "").endswith(f": {why}. Known.")
    assert "See what smarthost_parameters" in route.refusal(why, "", ACCOUNT, "")


def test_a_chroot_gets_what_the_next_start_would_give_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live, copy = tmp_path / "live", tmp_path / "copy"
    (live / "etc").mkdir(parents=True)
    (live / "etc/hosts").write_text("old")
    (live / "etc/own").write_text("own")
    monkeypatch.setattr(chroot, "COPIER", "/nowhere")
    route.copy_chroot(str(live), str(copy))
    assert (copy / "etc/hosts").read_text() == "old"
    assert not chroot.is_renewed_by_a_start(str(live))
    # Where each start copies anew.
    monkeypatch.setattr(chroot, "COPIER", __file__)
    route.copy_chroot(str(live), str(copy))
    assert (copy / "etc/hosts").read_bytes() == Path("/etc/hosts").read_bytes()
    assert (copy / "etc/own").read_text() == "own"
    assert chroot.is_renewed_by_a_start(str(live))
    assert not chroot.is_renewed_by_a_start(str(copy))
