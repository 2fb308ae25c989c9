"""Who is told of an outage: once when it breaks, once when it heals, and nothing is disturbed by the telling."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._program import health, watch

REFUSED = {"messages": 2, "reason": "535 5.7.8 no", "kind": "login", "cause": "Wrong password.", "remedy": "Make one."}
AWAY = {"messages": 2, "reason": "Connection refused", "kind": "network", "cause": "It is away.", "remedy": "Wait."}
STUCK = 900


def state(messages: int = 0, oldest: int = 0, reason: dict[str, Any] | None = None, **given: Any) -> dict[str, Any]:
    """What `smarthost status` found."""
    queue = {"messages": messages, "oldest_seconds": oldest, "reasons": [reason] if reason else []}
    return {
        "host": "nas.lan", "time": 0, "relayhost": "[x]:465", "running": True, "port_25": {"::1": "x"}, "queue": queue,
        "last_delivery": {"time": 5.0}, "losses": [], "not_handed_in": [], "unreached": "", "idle": [], "ended": [],
        "sendmail": "", "unlogged": "", **given,
    }  # fmt: skip


WELL = state()
BROKEN = state(2, 20, REFUSED)


LOST = {
    "messages": 1, "to": ["you@example.com"], "said": "599 42", "status": "bounced", "told": True, "last": None,
}  # fmt: skip


class Endpoint:
    """Takes what is told, and keeps it."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, dict[str, str]]] = []
        self.status = 200
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                endpoint.told.append((self.path, body, dict(self.headers)))
                self.send_response(endpoint.status)
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """An address on loopback that can be told something."""
    endpoint = Endpoint()
    thread = threading.Thread(target=endpoint.server.serve_forever, args=[0.01])
    thread.start()
    yield endpoint
    endpoint.server.shutdown()
    thread.join()
    endpoint.server.server_close()


@pytest.mark.parametrize(
    ("found", "broken"),
    [
        (WELL, False),
        (state(2, 20, AWAY), False),  # it may pass by itself
        (state(2, STUCK + 1, AWAY), True),
        (state(2, STUCK + 1), True),
        (BROKEN, True),  # waiting does not help
        (state(running=False), True),
        (state(losses=[LOST]), True),  # although none waits
        (state(unreached="This host reaches x, but Postfix does not."), True),
    ],
)
def test_what_somebody_should_be_told(found: dict[str, Any], broken: bool) -> None:
    assert bool(health.faults(found, STUCK)) is broken


def test_three_outages_are_three_alerts_and_three_all_clears(endpoint: Endpoint, tmp_path: Path) -> None:
    for _outage in range(3):
        for found in (WELL, BROKEN, BROKEN, BROKEN, WELL, WELL):
            assert watch.watch(found, {"ntfy": endpoint.url}, str(tmp_path / "state")) == []
    titles = [headers["Title"] for _path, _body, headers in endpoint.told]
    assert titles == ["Mail of nas.lan does not leave", "Mail of nas.lan leaves again"] * 3
    assert "Wrong password. Make one." in endpoint.told[0][1]


@pytest.mark.parametrize(
    ("style", "text"),
    [
        ("slack", lambda body: body["text"]),
        ("discord", lambda body: body["content"]),
        ("gotify", lambda body: f"{body['title']}\n{body['message']}"),
    ],
)
def test_a_webhook_gets_the_shape_that_it_takes(endpoint: Endpoint, tmp_path: Path, style: str, text: Any) -> None:
    watch.watch(BROKEN, {"webhook": endpoint.url, "webhook_style": style}, str(tmp_path / "state"))
    [(_path, body, headers)] = endpoint.told
    assert headers["Content-Type"] == "application/json"
    assert text(json.loads(body)).startswith("Mail of nas.lan does not leave\n2 waiting: 535 5.7.8 no")


def test_the_sign_of_life_says_how_it_is_each_time(endpoint: Endpoint, tmp_path: Path) -> None:
    for found in (WELL, BROKEN, BROKEN, WELL):
        watch.watch(found, {"ping": endpoint.url + "/uuid"}, str(tmp_path / "state"))
    assert [path for path, _body, _headers in endpoint.told] == ["/uuid", "/uuid/fail", "/uuid/fail", "/uuid"]


def test_what_could_not_be_told_is_told_the_next_time(endpoint: Endpoint, tmp_path: Path) -> None:
    ways, place = {"ntfy": endpoint.url + "/secret-topic"}, str(tmp_path / "state")
    endpoint.status = 500
    [reason] = watch.watch(BROKEN, ways, place)
    assert "secret-topic" not in reason
    endpoint.status = 200
    assert watch.watch(BROKEN, ways, place) == []
    assert watch.watch(BROKEN, ways, place) == []
    assert len(endpoint.told) == 2


def test_one_way_that_never_works_does_not_repeat_the_other_for_ever(endpoint: Endpoint, tmp_path: Path) -> None:
    ways = {"ntfy": endpoint.url, "webhook": "http://127.0.0.1:9/nobody"}
    for _minute in range(10):
        watch.watch(BROKEN, ways, str(tmp_path / "state"))
    assert len(endpoint.told) == 1


def test_prometheus_gets_whole_files_of_the_promised_names(tmp_path: Path) -> None:
    watch.watch(BROKEN, {"textfile": str(tmp_path)}, str(tmp_path / "state"))
    lines = (tmp_path / "smarthost.prom").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "smarthost_healthy 0",
        "smarthost_queue_messages 2",
        "smarthost_oldest_message_seconds 20",
        "smarthost_login_ok 0",
        "smarthost_last_delivery_timestamp_seconds 5.0",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["smarthost.prom"]


def test_a_title_beyond_ascii_is_no_fault(endpoint: Endpoint, tmp_path: Path) -> None:
    assert watch.watch({**BROKEN, "host": "nas.łan"}, {"ntfy": endpoint.url}, str(tmp_path / "state")) == []
    assert len(endpoint.told) == 1


def test_a_user_and_a_password_in_an_address_log_in_there(endpoint: Endpoint, tmp_path: Path) -> None:
    login = endpoint.url.replace("//", "//me:pa%2Fss%40w0rd@")
    assert watch.watch(BROKEN, {"ntfy": login + "/topic", "ping": login}, str(tmp_path / "state")) == []
    assert [path for path, _body, _headers in endpoint.told] == ["/topic", "/fail"]
    assert {headers["Authorization"] for _path, _body, headers in endpoint.told} == {"Basic bWU6cGEvc3NAdzByZA=="}


def test_one_bad_address_silences_no_other_way_and_is_not_repeated(endpoint: Endpoint, tmp_path: Path) -> None:
    refuses = "http://me:w0rd@127.0.0.1:9/w0rd"
    bad = [
        "https://me:w0/rd@host.test",
        "http://[::1",
        "ftp://w0rd",
        "http://127.0.0.1:99999/w0rd",
        "http://h/w0rd w0rd",
        refuses,
    ]
    for number, url in enumerate(bad):
        ways = {"ntfy": url, "webhook": endpoint.url, "ping": url, "textfile": "/proc/nothere"}
        said = watch.watch(BROKEN, ways, str(tmp_path / f"state{number}"))
        assert len(said) == 3
        assert "w0" not in "".join(said)
    assert len(endpoint.told) == len(bad)


def test_an_answer_that_is_no_http_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection = server.accept()[0]
            connection.recv(4096)
            connection.sendall(b"220 mail.lan ESMTP\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://me:w0rd@127.0.0.1:{server.getsockname()[1]}/"
        [said] = watch.watch(BROKEN, {"ntfy": url}, str(tmp_path / "state"))
        thread.join()
    assert "no answer in HTTP" in said and "w0rd" not in said
