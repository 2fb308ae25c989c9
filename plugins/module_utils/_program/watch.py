"""Sends one alert when mail stops leaving and one all-clear, by another way than mail.

Standard library only. `smarthost watch` runs it on the managed host, every few minutes.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.homelab.mail.plugins.module_utils import addresses
from ansible_collections.homelab.mail.plugins.module_utils._program import files, health, services

STATE = os.path.join(services.STATE, "watch.json")
SECONDS = 10


class Message(NamedTuple):
    """What is told: a title, the text, whether it is bad news, and the account that mail leaves through meanwhile."""

    title: str
    text: str
    broken: bool
    through: str = ""


def message(found: Mapping[str, Any], wrong: list[str]) -> Message:
    """What is told of the state."""
    text = "\n".join(health.told(found, wrong))
    if len(wrong) == 1 and found.get("second_way"):
        # That this stops as well is news of its own.
        through = found["second_way"]["account"]
        return Message(f"Mail of {found['host']} leaves through {through}", text, True, through)
    if wrong:
        return Message(f"Mail of {found['host']} does not leave", text, True)
    return Message(f"Mail of {found['host']} leaves again", "Nothing waits for longer than it should.", False)


class Call(NamedTuple):
    """What is sent where."""

    url: str
    body: bytes | None = None
    headers: Mapping[str, str] = {}


def requests(news: Message, ways: Mapping[str, Any]) -> dict[str, Call]:
    """The call that tells of it by each way that is set up."""
    calls = {}
    if ways.get("ntfy"):
        headers = {"Title": news.title, "Priority": "high" if news.broken else "default"}
        calls["ntfy"] = Call(ways["ntfy"], news.text.encode(), headers)
    if ways.get("webhook"):
        whole = f"{news.title}\n{news.text}"
        shapes = {
            "slack": {"text": whole},
            "discord": {"content": whole[:2000]},
            "gotify": {"title": news.title, "message": news.text, "priority": 8 if news.broken else 4},
        }
        body = json.dumps(shapes[ways.get("webhook_style") or "slack"]).encode()
        calls["webhook"] = Call(ways["webhook"], body, {"Content-Type": "application/json"})
    return calls


def metrics(found: Mapping[str, Any], healthy: bool) -> str:
    """What Prometheus' node_exporter reads from a file."""
    waiting, sent = found["queue"], found["last_delivery"]
    refused = any(reason.get("kind") == "login" for reason in waiting["reasons"])
    rows = [
        ("smarthost_healthy", "0 where smarthost status finds something wrong.", int(healthy)),
        ("smarthost_queue_messages", "Mails in the queue.", waiting["messages"]),
        ("smarthost_oldest_message_seconds", "How long the oldest of them has waited.", waiting["oldest_seconds"]),
        ("smarthost_login_ok", "0 where mail waits because the provider refuses the login.", 0 if refused else 1),
    ]
    if sent and sent["time"]:
        rows.append(("smarthost_last_delivery_timestamp_seconds", "When the provider last took a mail.", sent["time"]))
    return "".join(f"# HELP {name} {text}\n# TYPE {name} gauge\n{name} {value}\n" for name, text, value in rows)


def watch(found: Mapping[str, Any], ways: Mapping[str, Any], state: str = STATE) -> list[str]:
    """Tell of a change; returns what could not be told, which the next run tries again."""
    told = files.remembered(state)
    wrong = health.faults(found, int(ways.get("stuck") or health.STUCK_SECONDS))
    news, untold, before = message(found, wrong), [], dict(told)
    for way, call in requests(news, ways).items():
        # Each way knows that mail leaves, that it does not, or through whom; a new one begins with the first.
        if told.get(way, False) != (news.through or news.broken):
            failed = _make(call)
            if failed:
                untold.append(failed)
            else:
                told[way] = news.through or news.broken
    if told != before:
        files.replace(state, json.dumps(told))
    if ways.get("ping"):
        # The sign of life for a service that notices when it stays away.
        untold.append(_make(Call(ways["ping"].rstrip("/") + ("/fail" if news.broken else ""))))
    if ways.get("textfile"):
        try:
            files.replace(os.path.join(ways["textfile"], services.TEXTFILE), metrics(found, not wrong))
        except OSError as error:
            untold.append(str(error))
    return [reason for reason in untold if reason]


def _make(call: Call) -> str:
    """Make the call; says what went wrong. The address is left out: anyone who knows it can write there."""
    address = addresses.WEB_ADDRESS.fullmatch(call.url)
    if not address:
        return "an address that is none"
    started = time.monotonic()
    scheme, server = call.url.partition("://")[0], address["server"]
    # Some services turn Python's own name away.
    headers = {"User-Agent": "smarthost", **call.headers}
    try:
        request = urllib.request.Request(f"{scheme}://{server}{address['rest'] or ''}", data=call.body)
        for name, value in headers.items():
            request.add_header(name, value.encode("ascii", "replace").decode())
        if address["login"]:
            login = base64.b64encode(urllib.parse.unquote(address["login"]).encode()).decode()
            # Not for whom a server sends on to.
            request.add_unredirected_header("Authorization", f"Basic {login}")
        with urllib.request.urlopen(request, timeout=SECONDS):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        reason = f"HTTP {error.code}"
    except OSError as error:
        reason = str(getattr(error, "reason", error))
    except (ValueError, OverflowError, http.client.HTTPException) as error:
        # What these say may repeat the address.
        reason = f"no answer in HTTP ({type(error).__name__})"
    return f"{server}: {reason} after {time.monotonic() - started:.0f} s"
