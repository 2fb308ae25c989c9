"""What was not seen is not believed: services of master.cf, restarts, timers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import testinfra
from conftest import LAB, NAME, PROJECT, Change, changed, run, run_site, said
from testinfra.host import Host


@pytest.fixture(scope="module")
def host(usual: Change) -> Host:
    """Testinfra's view of the one host that these tests are about."""
    return testinfra.get_host(f"podman://{LAB}-{NAME}")


@pytest.fixture
def master_cf(host: Host) -> Iterator[None]:
    """The host's master.cf again after the test."""
    host.run_expect([0], "cp -a /etc/postfix/master.cf /run/master.cf")
    yield
    host.run_expect([0], "mv /run/master.cf /etc/postfix/master.cf && postfix reload")


def test_a_service_that_would_give_the_password_away_is_refused_and_its_cure_works(host: Host, master_cf: None) -> None:
    host.run_expect([0], "postconf -P smtp/unix/smtp_tls_security_level=encrypt && postfix reload")
    host.run_expect([0], "postconf -M 0.0.0.0:2525/inet='0.0.0.0:2525 inet n - y - - smtpd'")
    host.run_expect([0], "postconf -P 0.0.0.0:2525/inet/smtpd_client_restrictions='$mua_client_restrictions'")
    told = {said(run()), said(run_site(limit=NAME, playbook=PROJECT / "playbooks/check.yml"))}
    for text in told:
        cures = re.findall(r"\(cure: (.*?)\)", text)
        assert "master.cf of this host breaks what the configuration promises" in text
        assert "smarthost_parameters" not in text
        assert {cure.split()[-1] for cure in cures} == {"smtp/unix/smtp_tls_security_level", "0.0.0.0:2525/inet"}
    for cure in set(cures):
        host.run_expect([0], cure)
    host.run_expect([0], "postfix reload")
    assert changed(run()) == 0


def test_the_examples_of_a_distribution_and_a_filter_are_taken_and_the_filter_is_named(
    host: Host, master_cf: None
) -> None:
    host.run_expect([0], "postconf -M submission/inet='submission inet n - y - - smtpd'")
    host.run_expect([0], "postconf -P submission/inet/smtpd_client_restrictions='$mua_client_restrictions'")
    host.run_expect([0], "postconf -P submission/inet/content_filter=scan:[127.0.0.1]:10024")
    done = run()
    assert changed(done) == 0
    assert "submission/inet has content_filter = scan:[127.0.0.1]:10024" in said(done)
    # Also where the configuration is tried.
    assert changed(run(smarthost_parameters={"biff": "yes"})) > 0
    assert changed(run()) > 0
