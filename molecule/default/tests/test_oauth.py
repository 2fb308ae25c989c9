"""Accounts without a password: a person consents once, and mail leaves with a token."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
import testinfra
from conftest import LAB, MAIN_CF, NAME, PASSWORD, PROJECT, Mail, changed, long, run, run_site, said
from testinfra.host import Host

from workshop.lab.idp import CLIENT, SECRET
from workshop.lab.provider import ACCOUNT, TOKEN_ACCOUNT, Provider

VARIABLES = {
    "smarthost_provider": "microsoft365",
    "smarthost_auth": "oauth",
    "smarthost_username": TOKEN_ACCOUNT,
    "smarthost_password": None,
    "smarthost_port": None,
    "smarthost_oauth_tenant": "casey.test",
    "smarthost_oauth_client_id": CLIENT,
    "smarthost_aliases": {"root": TOKEN_ACCOUNT},
    "smarthost_generic": {},
}
STORE = "/var/lib/smarthost/oauth"
# The same as a further account, beside that of the inventory, which has a password.
BESIDE = {
    "smarthost_accounts": [
        {
            "name": "family",
            "senders": ["family@nas.lan"],
            **{
                name.removeprefix("smarthost_"): VARIABLES[name]
                for name in VARIABLES
                if name in ("smarthost_provider", "smarthost_auth", "smarthost_username") or "_oauth_" in name
            },
        }
    ]
}


def play(name: str, variables: dict[str, object] = VARIABLES) -> subprocess.CompletedProcess[str]:
    """Run one of playbooks/ on the host."""
    return run_site(f"--extra-vars={json.dumps(variables)}", limit=NAME, playbook=PROJECT / f"playbooks/{name}.yml")


def consent(variables: dict[str, object] = VARIABLES) -> subprocess.CompletedProcess[str]:
    """Let a person consent."""
    return play("consent", variables)


def lapse(host: Host) -> None:
    """Let the tokens of a host have ended, and no connection be kept that needs none."""
    host.run_expect([0], "postfix reload")
    host.run_expect([0], f'sed -i \'s/"until": [0-9.]*/"until": 1/\' {STORE}/token-*.json')


@pytest.fixture(scope="module")
def host() -> Host:
    """The host that has an account of that kind."""
    return testinfra.get_host(f"podman://{LAB}-{NAME}")


@pytest.fixture(scope="module")
def identity() -> Iterator[Provider]:
    """A provider that takes tokens, and a host with a consent; afterwards as usual."""
    provider = Provider(LAB)
    provider.take_tokens()
    refused = run(**VARIABLES)
    assert refused.returncode != 0 and "playbooks/consent.yml" in said(refused), said(refused)
    asked = consent()
    assert f"enter HOMELAB42 and sign in as {TOKEN_ACCOUNT}" in said(asked)
    assert f"{NAME}: {TOKEN_ACCOUNT} has consented." in said(asked)
    assert changed(asked) >= 1
    changed(run(**VARIABLES))
    yield provider
    provider.identity(answers=True, refuses=None, lives=3600)
    changed(run())
    # With a password, nothing of the tokens is left.
    assert not testinfra.get_host(f"podman://{LAB}-{NAME}").file(STORE).exists
    provider.reset()


@pytest.fixture
def tokens(identity: Provider, host: Host) -> Iterator[Provider]:
    """The same after each test: with a consent, and no mail that waits."""
    identity.clear()
    yield identity
    identity.identity(answers=True, refuses=None, lives=3600)
    host.run_expect([0], "postsuper -d ALL")
    if host.run("smarthost login").rc:
        changed(consent())


def test_mail_leaves_by_a_token_and_a_second_run_changes_nothing(tokens: Provider, host: Host) -> None:
    mail = Mail(host).arrived(tokens)
    assert mail.login == TOKEN_ACCOUNT and mail.sender == TOKEN_ACCOUNT
    assert (
        host.run_expect([0], "smarthost login").stdout == f"smtp.office365.com accepts the login of {TOKEN_ACCOUNT}.\n"
    )
    host.run_expect([0], "smarthost status")
    assert changed(run(**VARIABLES)) == 0


def test_no_token_is_anywhere_but_in_the_file_of_the_user_who_logs_in(tokens: Provider, host: Host) -> None:
    # What processes are called with, meanwhile.
    watch = "while :; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; sleep 0.02; done >/run/seen 2>/dev/null"
    host.run_expect([0], f"({watch} & echo $! >/run/watch.pid) >/dev/null 2>&1")
    done = run("--diff", "-vvv", smarthost_hostname="other.lan", **VARIABLES)
    assert changed(done)
    tokens.identity(revoke=True)
    changed(consent())
    Mail(host).arrived(tokens)
    host.run_expect([0], "smarthost login")
    host.run_expect([0], "kill $(cat /run/watch.pid)")
    assert host.run("tr '\\0' ' ' </run/seen | grep -aq 'smarthost proxy'").rc == 0
    given = tokens.identity()
    secrets = [*given["refresh"], *given["access"], host.file(f"{STORE}/secret").content_string]
    assert len(secrets) > 2
    log = host.check_output("journalctl --no-pager; cat /var/log/mail.log 2>/dev/null || true")
    for secret in secrets:
        assert secret not in done.stdout + done.stderr and secret not in log
    pattern = "|".join(secret[:40] for secret in secrets)
    found = host.check_output(
        f"grep -rlE '{pattern}' /etc /var/lib /var/spool/postfix /var/tmp /tmp /root /run/seen 2>/dev/null || true"
    )
    slot, token = host.check_output("ls -d /etc/postfix/smarthost/?"), host.check_output(f"ls {STORE}/token-*")
    owners = {f"{slot}/sasl_passwd": "root", f"{STORE}/secret": "_smarthost", token: "_smarthost"}
    # Where tables are compiled, that copy, too.
    assert {path.removesuffix(".db") for path in found.split()} == {*owners}
    for path in found.split():
        assert (host.file(path).user, host.file(path).mode) == (owners[path.removesuffix(".db")], 0o600)
    assert host.file(STORE).mode == 0o700


def test_a_local_user_without_the_secret_gets_nowhere(tokens: Provider, host: Host) -> None:
    talk = (
        "import smtplib; s = smtplib.SMTP('127.0.0.1', 10587); s.ehlo();"
        "print(s.docmd('AUTH', 'PLAIN AF9zbWFydGhvc3QAeA==')[0], s.docmd('MAIL', 'FROM:<x@casey.test>')[0])"
    )
    assert host.check_output(f'su -s /bin/sh nobody -c "python3 -c \\"{talk}\\""') == "535 530"
    listens = host.check_output("awk '$2 ~ /:295B$/ && $4 == \"0A\" {print $2}' /proc/net/tcp /proc/net/tcp6")
    assert listens == "0100007F:295B"


def test_a_withdrawn_consent_is_named_with_its_remedy_and_a_new_one_sends_what_waits(
    tokens: Provider, host: Host
) -> None:
    tokens.identity(revoke=True)
    # A connection that was kept needs no token.
    host.run_expect([0], "postfix reload")
    mail = Mail(host)
    assert "535 5.7.8 invalid_grant: AADSTS50173" in mail.reason_it_waits()
    for command in ("smarthost status", "smarthost login"):
        shown = host.run_expect([1], command).stdout
        assert "The consent" in shown and "playbooks/consent.yml" in shown
    # Also where no mail waits that would tell, and until it is good again.
    host.run_expect([0], "postsuper -H ALL; postsuper -d ALL")
    shown = host.run_expect([1], "smarthost status").stdout
    assert f"{TOKEN_ACCOUNT} gets no token: invalid_grant: AADSTS50173" in shown and "playbooks/consent.yml" in shown
    assert "playbooks/consent.yml" in said(play("check"))
    mail = Mail(host)
    mail.reason_it_waits()
    changed(consent())
    mail.arrived(tokens)
    host.run_expect([0], "smarthost status")


def test_while_the_identity_provider_is_down_mail_goes_on_until_the_token_ends_and_leaves_when_it_is_back(
    tokens: Provider, host: Host
) -> None:
    tokens.identity(answers=False)
    Mail(host).arrived(tokens)
    lapse(host)
    mail = Mail(host)
    why = "the identity provider login.microsoftonline.com cannot be reached"
    assert f"421 4.4.1 smtp.office365.com: logging in: {why}" in mail.reason_it_waits()
    assert "The identity provider, which gives tokens" in host.run("smarthost status").stdout
    assert why in host.run_expect([1], "smarthost login").stdout
    # As its timer does.
    assert host.run_expect([0], "smarthost retry").stdout == ""
    tokens.identity(answers=True)
    assert "can be reached again" in host.run_expect([0], "smarthost retry").stdout
    mail.arrived(tokens)
    # A clock that is off looks as if it were down, and is told apart.
    lapse(host)
    tokens.use_certificate("expired")
    shown = host.run_expect([1], "smarthost login").stdout
    assert "certificate" in shown and "clock" in shown
    tokens.use_certificate("trusted")


def test_a_provider_that_takes_tokens_in_the_standard_way_alone_gets_them_so(tokens: Provider, host: Host) -> None:
    tokens.offer("oauthbearer")
    lapse(host)
    Mail(host).arrived(tokens)
    assert f"sasl_method=OAUTHBEARER, sasl_username={TOKEN_ACCOUNT}" in tokens.log_since(0)
    tokens.offer("xoauth2 oauthbearer")


RENEW = """
import sys
sys.path.insert(0, "/usr/local/lib/smarthost")
from ansible_collections.homelab.mail.plugins.module_utils._program import oauth, system
print(len(oauth.access_token(system.settings("oauth.json")[""])))
"""


def test_two_processes_that_renew_at_once_ask_once(tokens: Provider, host: Host) -> None:
    lapse(host)
    before = tokens.identity()["asked"].count("refresh_token")
    assert host.check_output(f"(python3 -c '{RENEW}' & python3 -c '{RENEW}'; wait)").split() == ["2000", "2000"]
    assert tokens.identity()["asked"].count("refresh_token") == before + 1


def test_to_a_wrong_certificate_goes_no_token(tokens: Provider, host: Host) -> None:
    tokens.use_certificate("untrusted")
    marker = tokens.marker()
    why = Mail(host).reason_it_waits()
    assert "454 4.7.5 smtp.office365.com: verifying the certificate of smtp.office365.com" in why
    assert "sasl" not in tokens.log_since(marker)
    tokens.use_certificate("trusted")


@long
def test_a_proxy_that_was_taken_out_of_master_cf_is_told_and_put_back(tokens: Provider, host: Host) -> None:
    host.run_expect([0], "postconf -MX 127.0.0.1:10587/inet && postfix reload")
    mail = Mail(host)
    mail.reason_it_waits()
    assert "its master.cf lacks that line" in host.run_expect([1], "smarthost status").stdout
    changed(run(**VARIABLES))
    mail.arrived(tokens)


def test_an_application_with_a_secret_needs_no_person(tokens: Provider, host: Host) -> None:
    changed(run(**{**VARIABLES, "smarthost_oauth_client_secret": SECRET}))
    assert Mail(host).arrived(tokens).login == TOKEN_ACCOUNT
    assert tokens.identity()["asked"][-1] == "client_credentials"
    done = run(**{**VARIABLES, "smarthost_oauth_client_secret": "Q~wrong-secret"})
    assert done.returncode != 0 and "AADSTS7000215" in said(done) and "Q~wrong-secret" not in said(done)
    # What is in place goes on.
    Mail(host).arrived(tokens)
    log = host.check_output("journalctl --no-pager")
    assert SECRET not in log and "Q~wrong-secret" not in log
    [place] = host.check_output(f"grep -rlF {SECRET} /etc /var/lib /var/tmp /tmp /root || true").split()
    assert place.endswith("/oauth.json") and (host.file(place).user, host.file(place).mode) == ("_smarthost", 0o600)


@long
def test_an_account_goes_from_a_token_to_a_password_and_back_with_the_mail_that_waits(
    tokens: Provider, host: Host
) -> None:
    tokens.identity(refuses=("invalid_client", "AADSTS7000222: The provided client secret keys are expired."))
    lapse(host)
    mail = Mail(host)
    assert "535 5.7.8 invalid_client: AADSTS7000222" in mail.reason_it_waits()
    assert "The secret of the application has ended" in host.run_expect([1], "smarthost status").stdout
    tokens.identity(refuses=None)
    changed(run())
    assert mail.arrived(tokens).login == ACCOUNT
    assert not host.file(STORE).exists and host.run("systemctl cat smarthost-renew.timer").rc
    tokens.set_password("another one")
    mail = Mail(host)
    mail.reason_it_waits()
    changed(consent())
    before = host.file(MAIN_CF).content_string
    squat = "import socket, time; s = socket.create_server(('127.0.0.1', 10587)); time.sleep(300)"
    host.run_expect([0], f'(python3 -c "{squat}" >/dev/null 2>&1 & echo $! >/run/squat.pid)')
    refused = run(**VARIABLES)
    host.run_expect([0], "kill $(cat /run/squat.pid)")
    assert refused.returncode != 0 and "port 10587 of 127.0.0.1, and another program has it" in said(refused)
    assert host.file(MAIN_CF).content_string == before and host.run("postfix status").rc == 0
    changed(run(**VARIABLES))
    assert mail.arrived(tokens).login == TOKEN_ACCOUNT
    tokens.set_password(PASSWORD)


def test_a_further_account_without_a_password_is_asked_for_and_told_by_its_name(tokens: Provider, host: Host) -> None:
    # What the account alone was given may be gone, where it had a secret or a password since.
    changed(consent(BESIDE))
    changed(run(**BESIDE))
    assert Mail(host).arrived(tokens).login == ACCOUNT
    assert Mail(host, sender="family@nas.lan").arrived(tokens).login == TOKEN_ACCOUNT
    tokens.identity(revoke=True)
    lapse(host)
    mail = Mail(host, sender="family@nas.lan")
    mail.reason_it_waits()
    assert Mail(host).arrived(tokens).login == ACCOUNT
    shown = host.run_expect([1], "smarthost status").stdout
    assert "1 waiting (family): " in shown and "playbooks/consent.yml" in shown
    shown = host.run_expect([1], "smarthost login").stdout.splitlines()
    assert shown[0] == f"smtp.fastmail.com accepts the login of {ACCOUNT}."
    assert shown[1].startswith("family: smtp.office365.com refused the login: invalid_grant: ")
    checked = said(play("check", BESIDE))
    assert "family: The consent to send for this account has ended" in checked and "playbooks/consent.yml" in checked
    changed(consent(BESIDE))
    assert mail.arrived(tokens).login == TOKEN_ACCOUNT
    assert changed(run(**BESIDE)) == 0
