"""One server for the house: a relay without a login."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import testinfra
from conftest import LAB, NAME, Mail, changed, run, said
from testinfra.host import Host

from workshop.lab.host import exec
from workshop.lab.provider import Provider

# A relay that goes by addresses; extra variables stand above the login of the inventory.
RELAY = {
    "smarthost_provider": "custom",
    "smarthost_host": "smtp.fastmail.com",
    "smarthost_port": 587,
    "smarthost_tls": "starttls",
    "smarthost_auth": "none",
    "smarthost_username": "",
    "smarthost_password": "",
    "smarthost_from": "casey@fastmail.com",
}


@pytest.fixture(scope="module")
def host() -> Host:
    """Testinfra's view of the host."""
    return testinfra.get_host(f"podman://{LAB}-{NAME}")


@pytest.fixture
def usual(provider: Provider) -> Iterator[None]:
    """The host is given the inventory's configuration again."""
    yield
    provider.reset()
    changed(run())


def address(host: str) -> str:
    """The address of a host of the lab."""
    return exec(f"{LAB}-{host}", "hostname", "-I").stdout.split()[0]


def test_a_relay_that_goes_by_addresses_needs_no_login_and_is_verified(
    host: Host, provider: Provider, usual: None
) -> None:
    """Before that, what would keep all mail waiting is found."""
    refused = run(**RELAY)
    assert refused.returncode != 0
    assert "Nothing was changed: smtp.fastmail.com refused the recipient casey@fastmail.com: 5" in said(refused)
    provider.serve_address(address(NAME))
    provider.use_certificate("untrusted")
    assert "the certificate of smtp.fastmail.com could not be verified" in said(run(**RELAY))
    provider.use_certificate("trusted")
    done = run(**RELAY)
    assert changed(done) == 1, said(done)
    assert changed(run(**RELAY)) == 0
    marker = provider.marker()
    mail = Mail(host)
    assert mail.arrived(provider).sender == "casey@fastmail.com"
    assert "Verified TLS connection established" in mail.log()
    assert "sasl_" not in provider.log_since(marker)
    # Nothing of the login is left.
    passwords = host.check_output("cat /etc/postfix/smarthost/?/sasl_passwd")
    assert re.fullmatch(r"# Managed by Ansible\.\n?", passwords)
    assert "accepts mail of this host without a login" in host.check_output("smarthost login")
    assert host.run("smarthost status").rc == 0
