"""What was started once may be dead by now: jobs that were killed, timers that do not fire, old programs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import testinfra
from conftest import LAB, NAME, PROJECT, Change, Mail, changed, run, run_site, said
from testinfra.host import Host

from workshop.lab.provider import Provider


@pytest.fixture
def host(usual: Change) -> Iterator[Host]:
    """A configured host, and again so after the test."""
    host = testinfra.get_host(f"podman://{LAB}-{NAME}")
    yield host
    assert "failed" not in usual.make()
    host.run_expect([0], "postsuper -d ALL")


def test_a_job_that_was_killed_is_told_and_healed_by_the_next_run(host: Host, provider: Provider) -> None:
    provider.answer(False)
    assert "Connection refused" in Mail(host).reason_it_waits()
    # As one that hangs.
    host.run_expect([0], "systemctl stop smarthost-retry.timer && mv /usr/sbin/postqueue /run/postqueue")
    host.run_expect([0], "printf '#!/bin/sh\\nsleep 300' >/usr/sbin/postqueue && chmod 755 /usr/sbin/postqueue")
    host.run_expect([0], "systemctl start --no-block smarthost-retry.service && sleep 1")
    host.run_expect([0], "systemctl kill --signal=KILL smarthost-retry.service && sleep 1")
    host.run_expect([0], "mv /run/postqueue /usr/sbin/postqueue && postsuper -d ALL")
    host.run_expect([0], "systemctl start smarthost-retry.timer")
    assert (
        "smarthost retry does not do its work: it was ended before it was through"
        in host.run("smarthost status").stdout
    )
    done = run_site(limit=NAME, playbook=PROJECT / "playbooks/check.yml")
    assert done.returncode != 0 and "smarthost retry does not do its work" in said(done)
    assert changed(run()) == 1
    assert host.run("smarthost status").rc == 0
    assert changed(run()) == 0


@pytest.mark.parametrize("how", ["disable", "stop"])
def test_a_timer_that_will_not_fire_is_told_and_healed_by_the_next_run(host: Host, how: str) -> None:
    host.run_expect([0], f"systemctl {how} smarthost-retry.timer")
    told = host.run("smarthost status")
    assert told.rc == 1
    assert "smarthost retry does not do its work: its timer does not run as it should" in told.stdout
    assert changed(run()) == 1
    assert host.run("smarthost status").rc == 0
    assert changed(run()) == 0


def test_a_postfix_that_an_update_has_replaced_without_a_restart_is_started_anew(host: Host) -> None:
    master = host.check_output("postconf -xh daemon_directory") + "/master"
    host.run_expect([0], f"cp -a {master} {master}.new && mv {master}.new {master}")
    pid = host.check_output("cat /var/spool/postfix/pid/master.pid")
    assert "an update has replaced its program, and the old one goes on" in said(run("--check", "-v"))
    assert changed(run()) == 1
    assert host.check_output("cat /var/spool/postfix/pid/master.pid") != pid
    assert changed(run()) == 0


def test_a_postfix_that_goes_by_another_main_cf_than_the_one_in_place_is_started_anew(host: Host) -> None:
    # Someone tries something, and puts the file back.
    host.run_expect([0], "cp -a /etc/postfix/main.cf /root && postconf -e smtp_destination_concurrency_limit=20")
    host.run_expect([0], "postfix reload && sleep 1 && mv /root/main.cf /etc/postfix/main.cf")
    assert "it has not read main.cf and master.cf since they were put there" in said(run("--check", "-v"))
    assert changed(run()) == 1
    assert changed(run()) == 0
