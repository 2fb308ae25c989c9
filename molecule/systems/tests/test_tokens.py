"""A Mac whose account has no password: a user by dscl, the login by Postfix' spawn, the renewal by launchd."""

from __future__ import annotations

import json
import subprocess

from conftest import PROJECT, Mail, changed, long, run, run_site
from testinfra.host import Host

from workshop.lab.idp import CLIENT
from workshop.lab.provider import TOKEN_ACCOUNT, Provider

MAC = "macbook"
RENEWAL = "launchctl print system/homelab.mail.renew"
STORE = "/var/lib/smarthost/oauth"
VARIABLES = {
    "smarthost_provider": "microsoft365",
    "smarthost_auth": "oauth",
    "smarthost_username": TOKEN_ACCOUNT,
    "smarthost_password": None,
    "smarthost_port": None,
    "smarthost_oauth_tenant": "casey.test",
    "smarthost_oauth_client_id": CLIENT,
    "smarthost_aliases": {"root": TOKEN_ACCOUNT},
}


def consent() -> subprocess.CompletedProcess[str]:
    """Let a person consent."""
    extra = f"--extra-vars={json.dumps(VARIABLES)}"
    return run_site(extra, limit=MAC, playbook=PROJECT / "playbooks/consent.yml")


@long
def test_a_mac_sends_with_a_token_and_keeps_it_good(host: Host, name: str, provider: Provider) -> None:
    if name != MAC:
        return
    provider.take_tokens()
    changed(consent(), MAC)
    assert changed(run(limit=MAC, **VARIABLES), MAC) == 1
    assert Mail(host).arrived(provider).login == TOKEN_ACCOUNT
    assert host.check_output(f"stat -c '%U %a' {STORE} {STORE}/secret") == "_smarthost 700\n_smarthost 600"
    assert int(host.check_output("id -u _smarthost")) < 500
    host.run_expect([0], f"{RENEWAL} && smarthost login && smarthost renew && smarthost status")
    assert changed(run(limit=MAC, **VARIABLES), MAC) == 0
    provider.identity(revoke=True)
    host.run_expect([0], "postfix reload")
    mail = Mail(host)
    assert "invalid_grant" in mail.reason_it_waits()
    assert "playbooks/consent.yml" in host.run_expect([1], "smarthost status").stdout
    changed(consent(), MAC)
    assert mail.arrived(provider).login == TOKEN_ACCOUNT
    # With a password, nothing of it is left; given back, not even the user.
    changed(run(limit=MAC), MAC)
    assert host.run(RENEWAL).rc and not host.file(STORE).exists
    assert changed(run(limit=MAC, smarthost_state="absent"), MAC) == 2
    assert host.run("id -u _smarthost").rc
