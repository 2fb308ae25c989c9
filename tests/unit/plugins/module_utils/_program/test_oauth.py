"""Logins with a token: renewal, the proxy between Postfix and the provider, and who gets what."""

from __future__ import annotations

import base64
import datetime
import multiprocessing
import os
import smtplib
import socket
import socketserver
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._program import (
    accounts,
    diagnosis,
    health,
    login,
    oauth,
    proxy,
    queued,
    tokens,
    watch,
)

trustme = pytest.importorskip("trustme", reason="A host's Python has none.")
from workshop.lab import idp as stand_in  # noqa: E402  # it needs trustme

USER = "nas@casey.test"


class Server(socketserver.ThreadingTCPServer):
    """A provider that takes tokens."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, idp: stand_in.Idp, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.idp, self.context = idp, context
        self.mechanism, self.seen = "XOAUTH2", list[bytes]()
        # Of a mailbox that refuses a good token.
        self.refusal = b""


class Session(socketserver.BaseRequestHandler):
    """One connection of it."""

    server: Server

    def handle(self) -> None:
        with suppress(OSError), self.server.context.wrap_socket(self.request, server_side=True) as connection:
            self._talk(connection)

    def _talk(self, connection: ssl.SSLSocket) -> None:
        connection.sendall(b"220 x\r\n")
        offers = self.server.mechanism.encode()
        features = b"250-x\r\n250-SIZE 1000\r\n250-CHUNKING\r\n250 AUTH LOGIN %s\r\n" % offers
        with connection.makefile("rb") as lines:
            self._answer(connection, lines, {b"EHLO": features, b"QUIT": b"221 x\r\n"})

    def _answer(self, connection: ssl.SSLSocket, lines: Any, replies: dict[bytes, bytes]) -> None:
        while line := lines.readline():
            self.server.seen.append(line)
            verb = line.split()[0].upper()
            if verb == b"AUTH":
                said = base64.b64decode(line.split()[2]).decode()
                token = said.split("auth=Bearer ")[1].split("\1")[0]
                _status, answer = self.server.idp.form("/introspect", {"token": token})
                port = self.server.server_address[1]
                who, nothing = {
                    b"XOAUTH2": (f"user={USER}", b""),
                    b"OAUTHBEARER": (f"n,a={USER},\1host=localhost\1port={port}", b"AQ=="),
                }[line.split()[1]]
                if answer["active"] and not self.server.refusal and said == f"{who}\1auth=Bearer {token}\1\1":
                    connection.sendall(b"235 2.7.0 in\r\n")
                else:
                    connection.sendall(b"334 eyJzdGF0dXMiOiI0MDEifQ==\r\n")
                    assert lines.readline().strip() == nothing
                    connection.sendall((self.server.refusal or b"535 5.7.3 Authentication unsuccessful") + b"\r\n")
            elif verb == b"DATA":
                connection.sendall(b"354 go\r\n")
                while lines.readline() != b".\r\n":
                    pass
                connection.sendall(b"250 2.0.0 taken\r\n")
            else:
                connection.sendall(replies.get(verb, b"250 2.0.0 ok\r\n"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificates of both servers, and of one that is neither."""
    folder = tmp_path_factory.mktemp("certificates")
    ours, other = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(folder / "ca.pem")
    for name, by, whom in (("good", ours, "localhost"), ("foreign", other, "localhost"), ("name", ours, "example.org")):
        by.issue_cert(whom).private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    for name, start, end in (("past", now - 2 * day, now - day), ("future", now + day, now + 2 * day)):
        made = ours.issue_cert("localhost", not_before=start, not_after=end)
        made.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
    return folder


@pytest.fixture
def idp() -> stand_in.Idp:
    return stand_in.Idp(USER)


@pytest.fixture
def account(authority: Path, idp: stand_in.Idp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An account at both of them, with a consent."""
    monkeypatch.setattr(tokens, "FOLDER", str(tmp_path))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority / "good.pem")
    asked = stand_in.server(idp, 0, str(authority / "good.pem"))
    forms = f"https://localhost:{asked.server_address[1]}/common/oauth2/v2.0"
    with Server(idp, context) as provider:
        threading.Thread(target=provider.serve_forever, args=[0.01], daemon=True).start()
        found = {
            "provider": "custom", "host": "localhost", "port": provider.server_address[1], "tls": "implicit",
            "tls_security_level": "secure", "ca_file": str(authority / "ca.pem"), "helo": "nas.lan",
            "username": USER, "password": "", "sender": USER, "server": provider, "context": context,
            "oauth": {
                "token_url": f"{forms}/token", "device_url": f"{forms}/devicecode", "client_id": stand_in.CLIENT,
                "client_secret": "", "scope": "offline_access send",
            },
        }  # fmt: skip
        oauth.begin(found)
        oauth.finish(found)
        found["context of idp"] = asked.socket.context  # type: ignore[attr-defined]
        yield found
        provider.shutdown()
        asked.close()


# --- the token -------------------------------------------------------------------------------------


def test_a_consent_is_kept_for_its_owner_alone_and_says_whose_it_is(account: Any, tmp_path: Path) -> None:
    assert oauth.begin(account)["code"] == "HOMELAB42"
    assert oauth.finish(account) == USER
    assert [(path.name, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == [
        (os.path.basename(tokens.path(account)), 0o600)
    ]


def test_nothing_is_left_to_another_user_who_has_the_number_by_now(
    account: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens.os, "geteuid", lambda: 0)
    monkeypatch.setattr(tokens.files, "own_folder", lambda path, _mode, _owner: os.makedirs(path, exist_ok=True))
    monkeypatch.setattr(tokens, "owner", lambda: (os.getuid(), os.getgid()))
    assert tokens.own_folder() and tokens.kept(account)
    monkeypatch.setattr(tokens, "owner", lambda: (os.getuid() + 1, os.getgid()))
    assert tokens.own_folder() and not tokens.kept(account)


def test_until_the_person_has_consented_there_is_nothing(account: Any, idp: stand_in.Idp) -> None:
    idp.approves = False
    token = oauth.access_token(account)
    oauth.begin(account)
    with pytest.raises(oauth.Pending):
        oauth.finish(account)
    # An earlier consent serves until then.
    assert oauth.access_token(account) == token


def test_a_question_that_is_lost_does_not_end_a_consent(account: Any) -> None:
    oauth.begin(account)
    away = {**account, "oauth": {**account["oauth"], "token_url": "https://localhost:1/token"}}
    tokens.keep(away, tokens.kept(account))
    with pytest.raises(oauth.Pending):
        oauth.finish(away)
    assert oauth.finish(account) == USER


def test_a_token_is_used_until_shortly_before_its_end(account: Any, idp: stand_in.Idp) -> None:
    first = oauth.access_token(account)
    assert oauth.access_token(account) == first and idp.asked == ["device_code"]
    idp.lives = oauth.LEFT_SECONDS - 1
    second = oauth.access_token(account, renew=True)
    third = oauth.access_token(account)
    assert len({first, second, third}) == 3 and idp.asked[1:] == ["refresh_token"] * 2


def test_a_refused_token_is_renewed_but_not_one_that_another_has_renewed(account: Any, idp: stand_in.Idp) -> None:
    first = oauth.access_token(account)
    second = oauth.access_token(account, refused=first)
    assert second != first and oauth.access_token(account, refused=first) == second
    assert idp.asked.count("refresh_token") == 1


def test_a_token_of_another_account_is_none(account: Any) -> None:
    other, token = {**account, "username": "other@casey.test"}, oauth.access_token(account)
    with pytest.raises(oauth.Ended, match="no_consent"):
        oauth.access_token(other)
    # A consent that is asked for something else leaves the one in use alone, until that is what is in use.
    oauth.begin(other)
    oauth.finish(other)
    assert oauth.access_token(account) == token
    tokens.local_secret(make=True)
    tokens.forget_others([other])
    assert tokens.local_secret() and tokens.kept(other) and not tokens.kept(account)


def test_while_the_identity_provider_is_away_a_good_token_serves(account: Any, idp: stand_in.Idp) -> None:
    idp.lives = oauth.LEFT_SECONDS - 1
    token = oauth.access_token(account, renew=True)
    idp.answers = False
    assert oauth.access_token(account) == token
    with pytest.raises(oauth.Away, match="localhost cannot be reached"):
        oauth.access_token(account, refused=token)


def test_a_clock_that_was_set_back_lets_no_token_live_longer(
    account: Any, idp: stand_in.Idp, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, now = oauth.access_token(account), time.time()
    monkeypatch.setattr(oauth.time, "time", lambda: now - 86400)
    assert oauth.access_token(account) != first


def test_the_end_of_a_consent_is_told_in_the_words_of_the_identity_provider(account: Any, idp: stand_in.Idp) -> None:
    idp.revoke()
    with pytest.raises(oauth.Ended, match=r"^invalid_grant: AADSTS50173: [^\n]*revoked\.$"):
        oauth.access_token(account, renew=True)


def test_no_secret_is_part_of_what_is_said(account: Any, idp: stand_in.Idp) -> None:
    account["oauth"]["client_secret"] = "kept from everybody"
    tokens.keep(account, {})
    idp.refuses = ("invalid_client", "wrong secret: kept from everybody")
    with pytest.raises(oauth.Ended) as end:
        oauth.access_token(account, renew=True)
    assert str(end.value) == "invalid_client: wrong secret: ********"


def test_an_application_with_a_secret_needs_no_person(account: Any, idp: stand_in.Idp) -> None:
    account["oauth"]["client_secret"] = stand_in.SECRET
    assert login.try_login(account).verdict == login.ACCEPTED
    assert idp.asked[-1] == "client_credentials" and not idp.refresh & {account["oauth"]["client_secret"]}


def test_a_consent_that_is_not_used_is_renewed_once_a_week(
    account: Any, idp: stand_in.Idp, monkeypatch: pytest.MonkeyPatch
) -> None:
    oauth.renew_idle(account)
    assert idp.asked == ["device_code"]
    now = time.time()
    monkeypatch.setattr(oauth.time, "time", lambda: now + oauth.IDLE_SECONDS + 1)
    oauth.renew_idle(account)
    oauth.renew_idle(account)
    assert idp.asked == ["device_code", "refresh_token"]
    # One that had ended is tried each time.
    assert not tokens.ended(account)
    idp.refuses = ("invalid_grant", "AADSTS50173: revoked")
    for _time in range(2):
        with pytest.raises(oauth.Ended):
            oauth.access_token(account, renew=True)
    assert tokens.ended(account) == "invalid_grant: AADSTS50173: revoked"
    idp.refuses = None
    oauth.renew_idle(account)
    assert not tokens.ended(account)


def _renew(account: Any, token: str, tokens: Any) -> None:
    tokens.put(oauth.access_token(account, refused=token))


def test_two_processes_that_renew_at_once_renew_once(account: Any, idp: stand_in.Idp) -> None:
    apart = multiprocessing.get_context("fork")
    tokens, first = apart.Queue(), oauth.access_token(account)
    account = {name: account[name] for name in account if name not in ("server", "context")}
    both = [apart.Process(target=_renew, args=(account, first, tokens)) for _ in range(2)]
    for process in both:
        process.start()
    assert len({tokens.get(timeout=20) for _ in both}) == 1
    assert idp.asked.count("refresh_token") == 1
    for process in both:
        process.join()


@pytest.mark.parametrize("certificate", ["foreign", "name"])
def test_who_is_not_the_identity_provider_is_told_nothing(account: Any, authority: Path, certificate: str) -> None:
    other = stand_in.Idp(USER)
    asked = stand_in.server(other, 0, str(authority / f"{certificate}.pem"))
    account["oauth"]["token_url"] = f"https://localhost:{asked.server_address[1]}/token"
    account["oauth"]["client_secret"] = stand_in.SECRET
    with pytest.raises(oauth.Away, match="certificate"):
        oauth.access_token(account)
    assert not other.asked
    asked.close()


# --- the login -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_the_login_is_accepted(account: Any, idp: stand_in.Idp, mechanism: str) -> None:
    account["server"].mechanism = mechanism
    assert login.try_login(account) == login.Outcome(login.ACCEPTED)
    # A token that has ended early is renewed; the session goes on behind the refusal.
    idp.access.clear()
    assert login.try_login(account) == login.Outcome(login.ACCEPTED)
    assert sum(line.startswith(f"AUTH {mechanism} ".encode()) for line in account["server"].seen) == 3


def test_a_login_with_signs_of_the_mechanism_in_it_is_shown_whole(account: Any) -> None:
    account.update(username="a=b,c@casey.test")
    account["server"].mechanism = "OAUTHBEARER"
    oauth.begin(account)
    oauth.finish(account)
    assert login.try_login(account).verdict == login.REFUSED
    shown = next(line for line in account["server"].seen if b"AUTH" in line).split()[2]
    assert base64.b64decode(shown).startswith(b"n,a=a=3Db=2Cc@casey.test,\1host=localhost\1port=")


def test_a_server_that_takes_no_token_gets_none(account: Any) -> None:
    account["server"].mechanism = "CRAM-MD5"
    outcome = login.try_login(account)
    assert outcome == login.Outcome(login.REFUSED, "logging in", "the server offers only: LOGIN CRAM-MD5")


def test_a_mailbox_that_refuses_a_good_token_says_so_itself(account: Any, idp: stand_in.Idp) -> None:
    account["username"] = "other@casey.test"
    oauth.begin(account)
    oauth.finish(account)
    outcome = login.try_login(account)
    assert outcome == login.Outcome(login.REFUSED, "logging in", "535 5.7.3 Authentication unsuccessful")


@pytest.mark.parametrize("certificate", ["foreign", "name"])
def test_who_is_not_the_provider_gets_no_token(account: Any, authority: Path, certificate: str) -> None:
    account["context"].load_cert_chain(authority / f"{certificate}.pem")
    assert login.try_login(account).verdict == login.REFUSED
    assert not any(b"AUTH" in line for line in account["server"].seen)


# --- the proxy -------------------------------------------------------------------------------------


@pytest.fixture
def through(account: Any) -> Iterator[smtplib.SMTP]:
    """Postfix's side of a proxy."""
    tokens.local_secret(make=True)
    here, there = socket.socketpair()
    thread = threading.Thread(target=lambda: (proxy.serve(there, {"": account}), there.close()), daemon=True)
    thread.start()
    session = smtplib.SMTP(timeout=20)
    session.sock, session.file = here, None
    yield session
    session.close()
    thread.join(20)
    assert not thread.is_alive()


def _plain(secret: str) -> str:
    return "PLAIN " + base64.b64encode(f"\0{tokens.USER}\0{secret}".encode()).decode()


def test_mail_passes_the_proxy_after_its_login(account: Any, through: smtplib.SMTP) -> None:
    assert through.getreply()[0] == 220
    assert through.ehlo("nas.lan")[0] == 250
    # What only concerns the way to the provider is not passed on.
    assert {"size", "8bitmime"} <= set(through.esmtp_features) and "chunking" not in through.esmtp_features
    assert through.docmd("MAIL", f"FROM:<{USER}>")[0] == 530
    assert through.docmd("AUTH", _plain(tokens.local_secret()))[0] == 235
    for _mail in range(3):
        through.sendmail(USER, ["root@casey.test"], "Subject: x\r\n\r\n" + "y" * 100_000)
    through.quit()
    assert sum(b"AUTH" in line for line in account["server"].seen) == 1


@pytest.mark.parametrize("secret", ["", "wrong"])
def test_without_the_secret_of_this_host_no_login_is_made(account: Any, through: smtplib.SMTP, secret: str) -> None:
    through.getreply()
    assert through.docmd("AUTH", _plain(secret))[0] == 535
    assert through.docmd("RCPT", "TO:<root@casey.test>")[0] == 530
    assert not any(b"AUTH" in line for line in account["server"].seen)


def test_the_proxy_tells_postfix_what_the_identity_provider_says(through: smtplib.SMTP, idp: stand_in.Idp) -> None:
    through.getreply()
    idp.revoke()
    code, said = through.docmd("AUTH", _plain(tokens.local_secret()))
    assert code == 535 and said.startswith(b"5.7.8 invalid_grant: AADSTS50173:")


def test_an_identity_provider_that_is_away_keeps_mail_waiting(
    account: Any, through: smtplib.SMTP, idp: stand_in.Idp
) -> None:
    through.getreply()
    # What the provider says to a token that has ended may be about anything.
    idp.access.clear()
    idp.answers = False
    code, said = through.docmd("AUTH", _plain(tokens.local_secret()))
    assert (code, said) == (535, b"5.7.3 Authentication unsuccessful")
    tokens.keep(account, {**tokens.kept(account), "until": 0})
    assert not login.answers(account)
    # As of a provider that is away: smarthost retry sends it when both are back.
    code, said = through.docmd("AUTH", _plain(tokens.local_secret()))
    assert code == 421 and said.startswith(b"4.4.1 localhost: logging in: the identity provider localhost cannot be r")
    idp.answers = True
    assert login.answers(account)


def test_a_provider_that_is_away_is_named_as_what_smarthost_retry_asks_for(account: Any, through: smtplib.SMTP) -> None:
    account["port"] = 1
    through.getreply()
    code, said = through.docmd("AUTH", _plain(tokens.local_secret()))
    assert (code, said) == (421, b"4.4.1 localhost: connecting to localhost port 1: Connection refused")
    reason = f"SASL authentication failed; server 127.0.0.1[127.0.0.1] said: 421 {said.decode()}"
    assert queued.reason_away({"queue_name": "deferred", "recipients": [{"delay_reason": reason}]}, "localhost", 587)


def test_a_wrong_certificate_is_no_outage(account: Any, authority: Path, through: smtplib.SMTP) -> None:
    account["context"].load_cert_chain(authority / "foreign.pem")
    through.getreply()
    code, said = through.docmd("AUTH", _plain(tokens.local_secret()))
    assert code == 454 and said.startswith(b"4.7.5 localhost: verifying the certificate of localhost: ")


SAID = "[AM0PR02CA0123.eurprd02.prod.outlook.com 2026-11-21T08:15:02.123Z 08DE1234567890AB]"
OFF = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the"
# How it ends -> what the identity provider says, or the provider, or which certificate the first one shows; the entry.
ENDS = {
    "withdrawn": ("invalid_grant: AADSTS50173: The grant was revoked.", "oauth-consent-ended"),
    "not used": ("invalid_grant: AADSTS700082: The refresh token has expired due to inactivity.", "oauth-consent-idle"),
    "secret ended": ("invalid_client: AADSTS7000222: The client secret keys are expired.", "oauth-secret-ended"),
    "conditional access": ("invalid_grant: AADSTS53003: Access has been blocked.", "oauth-conditional-access"),
    "device code blocked": ("invalid_grant: AADSTS530036: Blocked by checks.", "oauth-conditional-access"),
    "permission": ("invalid_grant: AADSTS65001: Not consented.", "oauth-permission"),
    "mailbox off": (f"{OFF} Mailbox. {SAID}", "microsoft365-smtp-auth-off-mailbox"),
    "tenant off": (f"{OFF} Tenant. {SAID}", "microsoft365-smtp-auth-off-tenant"),
    "not the owner": (f"535 5.7.3 Authentication unsuccessful {SAID}", "microsoft-login-refused"),
    "personal mailbox": (f"535 5.7.3 Authentication unsuccessful {SAID}", "outlook-no-passwords"),
    "down": ("", "oauth-identity-provider-away"),
    "clock behind": ("future.pem", "oauth-clock"),
    "clock ahead": ("past.pem", "oauth-clock"),
    "in between": ("foreign.pem", "oauth-certificate"),
}


@pytest.mark.parametrize("end", ENDS)
def test_every_end_has_the_same_name_and_remedy_wherever_it_is_told(
    end: str, account: Any, idp: stand_in.Idp, authority: Path, through: smtplib.SMTP
) -> None:
    said, key = ENDS[end]
    account["provider"] = "outlook" if end == "personal mailbox" else "microsoft365"
    name, _colon, about = said.partition(": ")
    if said.startswith("535"):
        account["server"].refusal = said.encode()
    else:
        tokens.keep(account, {**tokens.kept(account), "until": 0})
    if about:
        idp.refuses = (name, about)
    elif said.endswith(".pem"):
        account["context of idp"].load_cert_chain(authority / said)
    idp.answers = bool(said)
    entry = next(entry for entry in diagnosis.TABLE if entry.key == key)
    through.getreply()
    code, reply = through.docmd("AUTH", _plain(tokens.local_secret()))
    reason = f"SASL authentication failed; server 127.0.0.1[127.0.0.1] said: {code} {reply.decode()}"
    queue = {"messages": 1, "oldest_seconds": 901, "reasons": queued.grouped(Counter([reason]), account["provider"])}
    found = {
        "time": 0, "host": "nas", "relayhost": tokens.PROXY, "running": True, "idle": [], "not_handed_in": [],
        "sendmail": "", "unlogged": "", "queue": queue, "ended": [], "losses": [], "unreached": "",
    }  # fmt: skip
    told = watch.message(found, health.faults(found)).text
    # This is what `smarthost login` and playbooks/check.yml say.
    tried = login.sentence(login.try_login(account), account)
    for text in (told, tried):
        assert entry.cause in text and entry.remedy in text
    assert queue["reasons"][0]["key"] == key
    if not said.startswith("535") and code == 535:
        # Where no mail waits, the renewal has seen it.
        ended = [{"username": USER, "said": tokens.ended(account), **health.explained(tokens.ended(account), None)}]
        [alone] = health.faults({**found, "queue": {**queue, "oldest_seconds": 0, "reasons": []}, "ended": ended})
        assert alone.startswith(f"{USER} gets no token: {name}") and entry.cause in alone and entry.remedy in alone
        assert not any("gets no token" in line for line in health.faults({**found, "ended": ended}))
    else:
        assert not tokens.ended(account)


def test_what_ends_of_a_further_account_names_it(account: Any, through: smtplib.SMTP, idp: stand_in.Idp) -> None:
    account["id"] = "family"
    oauth.finish({**account, **oauth.begin(account)})
    idp.revoke()
    through.getreply()
    code, said = through.docmd("AUTH", _plain(tokens.local_secret()))
    assert code == 535 and said.endswith(b"(family)")


@pytest.mark.parametrize(("names", "untold"), [(["family"], "family"), (["family", "work"], ""), (["", "family"], "")])
def test_what_the_proxy_says_is_told_of_the_account_that_it_is_about(
    names: list[str], untold: str, account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "by_token", lambda: dict.fromkeys(names, account))
    monkeypatch.setattr(accounts.system, "main_cf", lambda: "relayhost = [smtp.fastmail.com]:465\n")
    others = [{"id": name, "provider": "outlook", "relayhost": "[smtp.office365.com]:587"} for name in names if name]
    others.append({"id": "club", "provider": "gmx", "relayhost": "[mail.gmx.net]:587"})
    presets = accounts.presets({"provider": "microsoft365"}, others)
    about = {
        f"server 127.0.0.1[127.0.0.1] said: 535 invalid_grant: x. ({names[-1]})": names[-1],
        "server 127.0.0.1[127.0.0.1] said: 421 4.4.1 smtp.office365.com: logging in: x (family)": "family",
        "host 127.0.0.1[127.0.0.1] said: 550 x": untold,
        "host mail.gmx.net[1.2.3.4] said: 550 x": "club",
    }
    for text, name in about.items():
        assert health.explained(text, presets).get("account", "") == name


def test_an_account_is_named_by_its_user(account: Any, tmp_path: Path) -> None:
    tokens.local_secret(make=True)
    secret = tokens.local_secret()
    both = {"": {"username": "a"}, "family": {"username": "b"}}
    assert proxy._known(_plain(secret), both) == {"username": "a"}
    assert proxy._known(_plain(secret).replace(" ", "  "), both) is None
    family = "PLAIN " + base64.b64encode(f"\0family\0{secret}".encode()).decode()
    assert proxy._known(family, both) == {"username": "b"}
