"""Where systemd does not start Postfix: a Mac, OpenRC, and a container in which nothing starts services."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from conftest import LAB, MAIN_CF, PASSWORD, UNTIDY, Mail, changed, long, proves, run, said
from testinfra.host import Host

from workshop.lab import labs
from workshop.lab.host import exec
from workshop.lab.provider import ACCOUNT, Provider

PLIST = "/Library/LaunchDaemons/homelab.mail.smarthost.plist"
JOB = "system/homelab.mail.smarthost"
# How each is told not to start Postfix at boot.
FORGET = {
    "macbook": f"launchctl bootout {JOB}; rm {PLIST}",
    "openrc": "rc-update del postfix default; postfix stop",
    "noinit": "postfix stop",
}


def answers(name: str, seconds: float = 20) -> bool:
    """Whether an SMTP server greets on port 25 of loopback within that time."""
    program = "import socket; print(socket.create_connection(('127.0.0.1', 25), 5).recv(99).decode())"
    end = time.monotonic() + seconds
    while not exec(f"{LAB}-{name}", "python3", "-c", program, check=False).stdout.startswith("220 "):
        if time.monotonic() > end:
            return False
        time.sleep(0.3)
    return True


@pytest.fixture
def usual(name: str) -> Iterator[None]:
    """The host as the inventory has it, after the test too."""
    yield
    changed(run(limit=name), name)


def test_an_app_hands_its_mail_in_without_a_password(host: Host, name: str, provider: Provider) -> None:
    subject = f"From an app on {name}"
    text = f"From: Wyatt <wyatt@{name}.local>\nSubject: {subject}\n\nHi"
    program = f"""
import smtplib
with smtplib.SMTP("127.0.0.1", 25) as server:
    server.sendmail("wyatt@{name}.local", ["{ACCOUNT}"], {text!r})
"""
    exec(f"{LAB}-{name}", "python3", "-", input=program)
    mail = provider.wait_for_mail(lambda mail: mail["Subject"] == subject)
    if name == "macbook":
        assert mail["From"] == f"Wyatt <{ACCOUNT}>"
    assert "TLSv1.3" in str(mail["Received"])


@proves("delivery")
def test_mail_for_root_arrives_from_the_account(host: Host, provider: Provider) -> None:
    mail = Mail(host).arrived(provider)
    assert mail["From"].addresses[0].addr_spec == ACCOUNT
    assert mail["Return-Path"] == f"<{ACCOUNT}>"


@pytest.mark.parametrize("form", ["macbook.local", "macbook", "localhost", "MacBook.local"])
def test_every_form_of_a_macs_name_is_rewritten(host: Host, name: str, provider: Provider, form: str) -> None:
    if name == "macbook":
        mail = Mail(host, sender=f"wyatt@{form}", headers=f"From: wyatt@{form}").arrived(provider)
        assert mail["From"].addresses[0].addr_spec == ACCOUNT


def test_nothing_listens_to_the_network(name: str) -> None:
    listening = exec(f"{LAB}-{name}", "cat", "/proc/net/tcp", "/proc/net/tcp6").stdout
    # State 0A is listening, port 25 is 0019; addresses as the kernel writes them.
    found = set(re.findall(r": ([0-9A-F]+):0019 \S+ 0A ", listening))
    assert found == {"0100007F", "00000000000000000000000001000000"}


def test_the_program_says_that_mail_leaves(host: Host, provider: Provider) -> None:
    done = host.run(f"smarthost test {ACCOUNT}")
    assert done.rc == 0 and "took it: 250 2.0.0" in done.stdout, done.stdout + done.stderr
    done = host.run("smarthost status")
    assert done.rc == 0 and "Last sent    " in done.stdout and f"to {ACCOUNT}: 250 2.0.0" in done.stdout
    assert host.run("smarthost login").stdout == f"smtp.fastmail.com accepts the login of {ACCOUNT}.\n"


@proves("reboot")
def test_it_is_there_after_a_reboot(host: Host, name: str, provider: Provider) -> None:
    labs.reboot(LAB, name)
    if name == "noinit":
        # As the run has said, nothing starts it.
        assert not answers(name, seconds=3)
        host.run_expect([0], "postfix start")
    assert answers(name)
    assert Mail(host).arrived(provider)


@proves("idempotence")
def test_a_second_run_changes_nothing(name: str) -> None:
    assert changed(run(limit=name), name) == 0


def test_one_that_nobody_starts_any_more_is_put_right(host: Host, name: str) -> None:
    host.run(FORGET[name])
    assert changed(run("--check", limit=name), name) == 1
    assert not answers(name, seconds=1)
    assert changed(run(limit=name), name) == 1
    assert answers(name, seconds=1)
    assert changed(run(limit=name), name) == 0


@pytest.mark.usefixtures("usual")
def test_a_port_that_is_taken_brings_the_old_configuration_back(host: Host, name: str, provider: Provider) -> None:
    address = host.check_output("hostname -I").split()[0] if name != "macbook" else _address(host)
    squat = f"import socket, time; s = socket.create_server(('{address}', 25)); time.sleep(300)"
    host.run_expect([0], f'(python3 -c "{squat}" >/dev/null 2>&1 & echo $! >/var/run/squat.pid)')
    before = host.file(MAIN_CF).content_string
    done = run(limit=name, smarthost_parameters={"inet_interfaces": f"127.0.0.1, {address}"})
    host.run_expect([0], "kill $(cat /var/run/squat.pid)")
    assert done.returncode != 0
    assert "The configuration from before is back in place and runs." in said(done)
    assert host.file(MAIN_CF).content_string == before
    assert Mail(host).arrived(provider)


def _address(host: Host) -> str:
    found = re.search(r"inet (?!127\.)([\d.]+)", host.check_output("ifconfig -a"))
    assert found
    return found.group(1)


@pytest.mark.usefixtures("usual")
@long
def test_the_watch_runs_by_what_the_system_has(host: Host, name: str) -> None:
    watch = {"smarthost_watch_textfile": "/var/run/textfiles", "smarthost_watch_minutes": 1}
    done = run(limit=name, **watch)
    assert changed(done, name) == 1
    if name != "noinit":
        # launchd's interval, or cron.
        end = time.monotonic() + 75
        while not host.file("/var/run/textfiles/smarthost.prom").exists:
            assert time.monotonic() < end
            time.sleep(1)
    else:
        # Nothing is run there.
        assert "Let something run every 1 minutes: /usr/local/bin/smarthost watch" in said(done)
        assert host.run("smarthost watch").rc == 0
    assert "smarthost_queue_messages 0" in host.file("/var/run/textfiles/smarthost.prom").content_string
    assert changed(run(limit=name, **watch), name) == 0


@long
def test_what_waited_for_the_provider_leaves_when_it_is_back(host: Host, name: str, provider: Provider) -> None:
    provider.answer(False)
    mail = Mail(host)
    assert "Connection refused" in mail.reason_it_waits()
    provider.answer(True)
    if name == "noinit":
        # Nothing is run there.
        assert "what waited for it is being sent" in host.check_output("smarthost retry")
    assert mail.arrived(provider, timeout=100)


def test_a_mac_that_is_killed_heals(host: Host, name: str) -> None:
    if name == "macbook":
        host.run_expect([0], "kill -9 $(head -1 /var/spool/postfix/pid/master.pid)")
        assert answers(name)


def test_a_postfix_that_was_started_by_hand_is_replaced(host: Host, name: str, provider: Provider) -> None:
    host.run(FORGET[name])
    host.run_expect([0], "postfix start")
    assert answers(name)
    expected = 0 if name == "noinit" else 1
    assert changed(run(limit=name), name) == expected
    assert answers(name, seconds=1)
    assert Mail(host).arrived(provider)
    assert changed(run(limit=name), name) == 0


def test_apples_own_job_is_left_alone(host: Host, name: str) -> None:
    if name == "macbook":
        assert host.run("launchctl print system/com.apple.postfix.master").rc == 0
        assert host.check_output(f"ls -l {PLIST}").startswith("-rw-r--r-- 1 root wheel ")


def test_a_mac_without_a_ca_bundle_is_refused_in_plain_words(host: Host, name: str) -> None:
    if name == "macbook":
        host.run_expect([0], "mv /etc/ssl/cert.pem /etc/ssl/cert.away")
        done = run(limit=name)
        host.run_expect([0], "mv /etc/ssl/cert.away /etc/ssl/cert.pem")
        assert done.returncode != 0
        assert "there is no CA bundle /etc/ssl/cert.pem on this host" in said(done)
        assert "brew install ca-certificates" in said(done)


@proves("absent")
@pytest.mark.usefixtures("usual")
def test_absent_gives_the_host_back(host: Host, name: str) -> None:
    assert changed(run(limit=name, smarthost_state="absent"), name) == 1
    assert answers(name, seconds=1) == (name in UNTIDY)
    assert not host.file("/usr/local/bin/smarthost").exists
    assert not host.file("/usr/local/lib/smarthost").exists
    assert not host.file("/etc/postfix/smarthost").exists
    assert host.run(f"grep -rlsF {PASSWORD} / --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev").stdout == ""
    if name == "macbook":
        original = "/etc/postfix/main.cf.default"
        assert host.file(MAIN_CF).content_string == host.file(original).content_string
        assert not host.file(PLIST).exists
        assert host.run(f"launchctl print {JOB}").rc != 0
    elif name in UNTIDY:
        assert host.check_output("postconf -h relayhost myorigin") == "[127.0.0.1]:9\n/etc/mailname"
    else:
        assert not host.package("postfix").is_installed
    assert changed(run(limit=name, smarthost_state="absent"), name) == 0
