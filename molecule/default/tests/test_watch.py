"""A person is told by another way than mail: one alert for an outage, and one all-clear."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest
import testinfra
from conftest import LAB, NAME, NEW_PASSWORD, PASSWORD, Change, Mail, changed, forget_the_log, lose_a_mail, run, said
from testinfra.host import Host

from workshop.lab.host import exec
from workshop.lab.provider import Provider

CONTAINER = f"{LAB}-{NAME}"
TOPIC = "http://127.0.0.1:8099/a-secret-topic"
ENDPOINT = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        with open("/run/told", "a") as file:
            print(self.headers["Title"], file=file)
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8099), Handler).serve_forever()
"""
WATCH = {"smarthost_watch_ntfy": TOPIC, "smarthost_watch_textfile": "/run/textfiles"}


@pytest.fixture
def host(usual: Change) -> Iterator[Host]:
    """A host with something that can be told, and as the inventory has it after the test."""
    host = testinfra.get_host(f"podman://{CONTAINER}")
    forget_the_log(host)
    exec(CONTAINER, "sh", "-c", "cat >/run/endpoint.py; rm -f /run/told", input=ENDPOINT)
    host.run_expect([0], "(python3 /run/endpoint.py >/dev/null 2>&1 & echo $! >/run/endpoint.pid)")
    yield host
    host.run_expect([0], "kill $(cat /run/endpoint.pid)")
    assert "failed" not in usual.make()
    host.run_expect([0], "postsuper -d ALL")


def look(host: Host) -> list[str]:
    """Let the timer's unit run now; all that was told so far."""
    host.run_expect([0], "systemctl start smarthost-watch.service")
    return host.check_output("cat /run/told 2>/dev/null || true").splitlines()


def test_three_outages_are_three_alerts_and_three_all_clears(host: Host, provider: Provider) -> None:
    assert changed(run(**WATCH)) == 1
    assert changed(run(**WATCH)) == 0
    assert host.service("smarthost-watch.timer").is_enabled
    assert host.service("smarthost-watch.timer").is_running
    expected: list[str] = []
    for _outage in range(3):
        provider.set_password(NEW_PASSWORD)
        mail = Mail(host)
        assert "535 5.7.8" in mail.reason_it_waits()
        expected.append(f"Mail of {NAME}.localdomain does not leave")
        assert look(host) == look(host) == expected
        provider.set_password(PASSWORD)
        host.run_expect([0], "postqueue -f")
        assert mail.arrived(provider)
        _wait_for_an_empty_queue(host)
        expected.append(f"Mail of {NAME}.localdomain leaves again")
        assert look(host) == look(host) == expected
    metrics = host.file("/run/textfiles/smarthost.prom").content_string
    assert "\nsmarthost_queue_messages 0\n" in metrics and "\nsmarthost_login_ok 1\n" in metrics
    assert re.search(r"^smarthost_last_delivery_timestamp_seconds 1\d{9}", metrics, re.MULTILINE)


def _wait_for_an_empty_queue(host: Host) -> None:
    end = time.monotonic() + 20
    while host.check_output("postqueue -j"):
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_mail_that_was_lost_is_told_once(host: Host) -> None:
    assert changed(run(**WATCH)) == 1
    look(host)
    lose_a_mail(host)
    expected = [f"Mail of {NAME}.localdomain does not leave"]
    assert look(host) == look(host) == expected
    # A mail that leaves does not bring it back.
    assert host.run("smarthost test root").rc == 0
    assert look(host) == expected
    # As a day later.
    forget_the_log(host)
    expected.append(f"Mail of {NAME}.localdomain leaves again")
    assert look(host) == look(host) == expected


def test_who_can_be_told_nothing_is_no_harm_to_mail_and_no_secret_in_the_log(host: Host, provider: Provider) -> None:
    host.run_expect([0], "kill $(cat /run/endpoint.pid); sleep 300 & echo $! >/run/endpoint.pid")
    assert changed(run(**WATCH)) == 1
    since = host.check_output("date +%s")
    provider.set_password(NEW_PASSWORD)
    assert "535 5.7.8" in Mail(host).reason_it_waits()
    host.run_expect([0], "systemctl start smarthost-watch.service")
    log = host.check_output(f"journalctl --no-pager --since=@{since} --unit=smarthost-watch.service")
    assert "could not be told: 127.0.0.1:8099: [Errno 111] Connection refused" in log
    assert "a-secret-topic" not in log
    place = host.check_output("grep -rlsF a-secret-topic /etc /var /run /usr/local").split()
    assert len(place) == 1
    assert host.file(place[0]).mode == 0o600


def test_a_watch_that_is_taken_out_of_the_variables_is_gone(host: Host) -> None:
    done = run("--diff", "-vvv", **WATCH)
    assert changed(done) == 1
    assert TOPIC not in done.stdout.replace(json.dumps(WATCH), "")
    look(host)
    assert host.file("/run/textfiles/smarthost.prom").exists
    assert changed(run()) == 1
    # Else Prometheus would go on telling of this day.
    assert not host.file("/run/textfiles/smarthost.prom").exists
    assert not host.run("systemctl cat smarthost-watch.timer").succeeded
    assert host.check_output("find /etc/postfix /etc/systemd -name '*watch*'") == ""


def test_an_address_that_is_none_is_refused(host: Host) -> None:
    done = run(smarthost_watch_ntfy="ntfy.sh/topic", smarthost_watch_minutes=0)
    assert done.returncode != 0
    assert "smarthost_watch_ntfy: is not a web address" in said(done)
    assert "smarthost_watch_minutes: 0 is no sensible time" in said(done)
