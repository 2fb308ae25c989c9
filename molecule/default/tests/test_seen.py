"""What was not seen is not believed: services of master.cf, restarts, timers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import testinfra
from conftest import CHOSEN, LAB, NAME, PROJECT, Change, changed, run, run_site, said
from testinfra.host import Host

from workshop.lab.host import exec


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


def test_a_service_that_mail_needs_is_asked_for_and_its_cure_works(host: Host, master_cf: None) -> None:
    host.run_expect([0], "postconf -M# qmgr/unix && postfix reload")
    told = {said(run()), said(run_site(limit=NAME, playbook=PROJECT / "playbooks/check.yml"))}
    for text in told:
        [cure] = set(re.findall(r"qmgr/unix is not there, .*? \(cure: (.*?)\)", text))
    host.run_expect([0], f"{cure} && postfix reload")
    assert changed(run()) == 0


def test_the_examples_of_a_distribution_and_a_filter_are_taken_and_the_filter_is_named(
    host: Host, master_cf: None
) -> None:
    host.run_expect([0], "postconf -M submission/inet='submission inet n - y - - smtpd'")
    host.run_expect([0], "postconf -P submission/inet/smtpd_client_restrictions='$mua_client_restrictions'")
    host.run_expect([0], "postconf -P submission/inet/content_filter=scan:[127.0.0.1]:10024")
    host.run_expect([0], "postfix reload")
    done = run()
    assert changed(done) == 0
    assert "submission/inet has content_filter = scan:[127.0.0.1]:10024" in said(done)
    # Also where the configuration is tried.
    assert changed(run(smarthost_parameters={"biff": "yes"})) > 0
    assert changed(run()) > 0


@pytest.mark.parametrize("old", [CHOSEN[0]])
def test_a_postfix_that_no_unit_keeps_is_noticed_and_becomes_the_units(old: str) -> None:
    host = testinfra.get_host(f"podman://{LAB}-{old}")
    run(limit=old)
    main_cf = host.check_output("cat /etc/postfix/main.cf")
    # Not by `postfix start`, which newer packages leave to the unit.
    master = "$(postconf -h daemon_directory)/master -w"
    host.run_expect([0], f"systemctl stop postfix postfix@-; postconf -e inet_interfaces=all && {master}")
    # As a person puts it back who trusts in a restart, whatever that says.
    host.run_expect([0], f"cat >/etc/postfix/main.cf <<'END'\n{main_cf}\nEND\nsystemctl restart postfix || true")
    before = host.check_output("cat /var/spool/postfix/pid/master.pid")
    assert changed(run(limit=old), old) == 1
    pid = host.check_output("cat /var/spool/postfix/pid/master.pid")
    assert pid != before
    assert "postfix" in host.check_output(f"cat /proc/{pid.strip()}/cgroup")
    assert {line.split()[3] for line in host.check_output("ss -Htln 'sport = 25'").splitlines()} == {
        "127.0.0.1:25", "[::1]:25"
    }  # fmt: skip
    assert changed(run(limit=old), old) == 0


def test_a_daemon_that_listens_more_widely_than_it_should_is_noticed(host: Host) -> None:
    host.run_expect([0], "postconf -e inet_interfaces=all && systemctl restart postfix")
    host.run_expect([0], "postconf -e inet_interfaces=loopback-only")
    assert "it also listens on 0.0.0.0, ::" in said(run("--check", "-v"))
    assert changed(run()) == 1
    assert "0.0.0.0:25" not in host.check_output("ss -Htln")
    assert changed(run()) == 0


def test_another_mailer_s_sendmail_is_said_on_the_host_and_by_each_run(host: Host) -> None:
    host.run_expect([0], "mv /usr/sbin/sendmail /run/sendmail && ln -s /bin/true /usr/sbin/sendmail")
    try:
        told = host.run("smarthost status")
        assert told.rc == 1 and "/usr/sbin/sendmail is /usr/bin/true, so what cron and other programs" in told.stdout
        assert "/usr/sbin/sendmail is /usr/bin/true, so what cron and other programs" in said(run())
        assert "1 of 1 hosts is not well" in said(run_site(limit=NAME, playbook=PROJECT / "playbooks/check.yml"))
    finally:
        host.run_expect([0], "mv /run/sendmail /usr/sbin/sendmail")
    assert host.run("smarthost status").rc == 0


def test_the_recap_blames_the_host_that_is_unwell_and_no_other(host: Host) -> None:
    run(limit=",".join(CHOSEN))
    host.run_expect([0], "systemctl stop postfix")
    done = run_site(limit=",".join(CHOSEN), playbook=PROJECT / "playbooks/check.yml")
    assert done.returncode != 0
    assert f"1 of {len(CHOSEN)} hosts is not well: {NAME}" in said(done)
    failed = dict(re.findall(r"^(\w+) .* failed=(\d+)", done.stdout, re.MULTILINE))
    assert {name: count for name, count in failed.items() if name in CHOSEN} == {
        name: str(int(name == NAME)) for name in CHOSEN
    }
    assert changed(run()) == 1


def test_who_is_not_in_mynetworks_cannot_even_write_to_root(host: Host) -> None:
    assert changed(run(smarthost_parameters={"inet_interfaces": "all"})) == 1
    talk = (
        "import smtplib, sys\ntry:\n smtplib.SMTP(sys.argv[1], timeout=20).sendmail('a@b.example', ['root'], 'x')\n"
        "except smtplib.SMTPRecipientsRefused as e: print(e)"
    )
    address = host.check_output("hostname -I").split()[0]
    answer = exec(f"{LAB}-provider", "python3", "-c", talk, address).stdout
    assert "Access denied" in answer
    assert "listens on 0.0.0.0 and [::] port 25" in host.run("smarthost status").stdout
    assert changed(run()) == 1
