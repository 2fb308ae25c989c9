"""Where the mails of a fleet are looked for: each mailbox once, and all of them at the same time."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.action import smarthost_report

HOSTS = 16


def look(mailboxes: int, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], list[list[str]]]:
    """What is found of a mail of each host, and which mails each mailbox was asked for."""
    asked: list[list[str]] = []
    together = threading.Barrier(mailboxes, timeout=5)

    def watch(inbox: Any, tokens: list[str], *_how: Any) -> tuple[dict[str, Any], str]:
        together.wait()
        asked.append(tokens)
        return {token: {"folder": inbox["username"]} for token in tokens if token != "0"}, "It does not open Junk."

    monkeypatch.setattr(smarthost_report.inbox, "watch", watch)
    found = {f"host{n}": {"status": "sent", "token": str(n)} for n in range(HOSTS)}
    found["down"] = {"status": "deferred", "token": "x"}
    boxes = [{"inbox": {"host": "imap.test", "username": f"box{n % mailboxes}"}} for n in range(HOSTS)]
    hostvars = {f"host{n}": {"__smarthost_preflight": {"secrets": box}} for n, box in enumerate(boxes)}
    action = SimpleNamespace(_task=SimpleNamespace(args={}), _display=SimpleNamespace(display=print))
    smarthost_report.ActionModule._look(action, found, hostvars)
    return found, asked


def test_a_mailbox_is_asked_once_for_the_mails_of_all_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked = look(1, monkeypatch)
    assert asked == [[str(n) for n in range(HOSTS)]]
    assert found["host0"]["arrival"] == {"said": "It does not open Junk."}
    assert all(found[f"host{n}"]["arrival"] == {"folder": "box0"} for n in range(1, HOSTS))
    assert "arrival" not in found["down"]


def test_16_mailboxes_are_looked_into_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked = look(HOSTS, monkeypatch)
    assert len(asked) == HOSTS and found["host7"]["arrival"] == {"folder": "box7"}
