"""What is told to launchd, and what of a Mac's log counts."""

from __future__ import annotations

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._program import launchd

DELIVERY = (
    "2026-11-27 20:00:00.000 Df smtp[7:1a] 4F5A: to=<{}>, relay=none, delay=1, dsn=4.7.5, status=deferred (Cannot "
    "start TLS: handshake failure)"
)


@pytest.mark.parametrize(
    ("process", "stopped"),
    [
        ("/usr/libexec/postfix/master", False),
        ("master -e 60", True),
        ("/usr/libexec/postfix/master -w", True),
        ("/opt/salt/salt-master -d", False),
    ],
)
def test_another_master_daemon_makes_room_and_our_own_is_not_cut_off(
    process: str, stopped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def run(*argv: str) -> tuple[int, str, str]:
        told.append(" ".join(argv))
        return 0, f"/sbin/launchd\n{process}\nps -A -o args=\n" if argv[0] == "ps" else "", ""

    mac = launchd.Launchd(run)
    monkeypatch.setattr(mac, "holds", lambda: True)
    mac.restart()
    assert ("postfix stop" in told) == stopped
    assert told[-1] == f"launchctl kickstart -k system/{launchd.LABEL}"


def test_a_mail_of_a_trial_is_no_delivery() -> None:
    log = "\n".join(DELIVERY.format(to) for to in ("me@casey.test", "check@example.com", "check@example.org"))
    [line] = launchd.Launchd(lambda *_argv: (0, log, "")).recent()
    assert "to=<me@casey.test>" in line
