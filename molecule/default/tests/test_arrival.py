"""A test mail is seen where it arrives: the controller looks over IMAP, here into the mailbox of the lab's provider."""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.plugin_utils import inbox
from conftest import LAB, NAME, PASSWORD, follow, said

from workshop.lab.host import exec
from workshop.lab.provider import ACCOUNT, Provider

BY = "mx.lab.test"
PASSED = f"{BY}; spf=pass smtp.mailfrom={ACCOUNT}; dkim=pass (sha256) header.d=fastmail.com; dmarc=pass"
FAILED = f"{BY}; spf=fail smtp.mailfrom={ACCOUNT}; dkim=none; dmarc=fail"


def at_provider(script: str) -> str:
    """What a script says in the provider's container."""
    return exec(f"{LAB}-provider", "sh", "-euc", script).stdout.strip()


def text(token: str, *headers: str) -> str:
    """A test mail, with what the servers on its way have written on top of it."""
    lines = [*headers, "Received: from nas.lan", f"Subject: Test mail from nas ({token})", f"From: NAS <{ACCOUNT}>"]
    return "\n".join([*lines, "", "x", ""])


def watch(mailbox: dict[str, Any], *tokens: str, minutes: float = 0, tidy: bool = False) -> tuple[dict[str, Any], str]:
    """What is seen of these mails in the mailbox."""
    return inbox.watch(mailbox, list(tokens), minutes, tidy, print)


def test_a_test_mail_is_followed_into_the_inbox_and_deleted_there(
    provider: Provider, mailbox: dict[str, Any], tmp_path: Path
) -> None:
    provider.put("Subject: marked by its owner\n\nx\n")
    at_provider("cd /var/mail/lab/inbox; mv new/* cur/1.M1P1.lab:2,T")
    provider.judge(PASSED)
    done = follow(mailbox, tmp_path, "-vvv", "--extra-vars=tidy=true", limit=NAME)
    assert done.returncode == 0, done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    [row] = json.loads((tmp_path / "mail.json").read_text())
    assert (row["mail"], row["folder"], row["notes"]) == ("arrived", "INBOX", [])
    assert row["judged"] == "SPF pass, DKIM pass, DMARC pass" and row["details"]["server"] == BY
    assert row["shown as"].endswith(f"<{ACCOUNT}>") or row["shown as"] == ACCOUNT
    times = [row["details"]["times"][step] for step in ("handed in", "queued", "taken")]
    assert times == sorted(times) and abs(row["details"]["times"]["arrived"] - times[-1]) < 10
    assert "1 of 1 mails are in the mailbox" in said(done)
    assert "HOST MAIL HANDED IN QUEUED TAKEN ARRIVED FOLDER SHOWN AS JUDGED" in said(done)
    # The test mail alone is gone, although another one was marked to be deleted.
    assert provider.subjects() == ["marked by its owner"]


def test_16_hosts_at_once_are_each_followed_into_the_inbox(
    provider: Provider, mailbox: dict[str, Any], tmp_path: Path
) -> None:
    hosts = {f"house{number}": {"ansible_host": f"{LAB}-{NAME}"} for number in range(16)}
    more = tmp_path / "hosts.yml"
    more.write_text(json.dumps({"all": {"hosts": hosts}}))
    done = follow(mailbox, tmp_path, f"--inventory={more}", "--forks=16", limit="house*")
    assert done.returncode == 0, said(done)
    rows = json.loads((tmp_path / "mail.json").read_text())
    assert {(row["host"], row["mail"], row["folder"]) for row in rows} == {(host, "arrived", "INBOX") for host in hosts}
    assert "16 of 16 mails are in the mailbox" in said(done) and len(provider.mails()) == 16


def test_the_mails_of_16_hosts_are_found_by_one_login_wherever_they_are(
    provider: Provider, mailbox: dict[str, Any]
) -> None:
    tokens = [secrets.token_hex(6) for _ in range(16)]
    verdict = f"Authentication-Results: {PASSED}"
    provider.put(*(text(token, verdict) for token in tokens[:13]))
    provider.put(text(tokens[13], verdict), folder="Junk")
    provider.put(text(tokens[14], verdict), folder="K&APw-che &- Bad")
    # A copy of what was sent is not what arrived.
    provider.put(text(tokens[15]), folder="Sent")
    before = at_provider("grep -c 'imap-login: Info: Log' /var/log/dovecot.log || true")
    late = threading.Timer(2, provider.put, [text(tokens[15], verdict)])
    late.start()
    start = time.monotonic()
    found, missing = watch(mailbox, *tokens, minutes=1)
    late.join()
    assert 2 < time.monotonic() - start < 20 and not missing
    assert [found[token]["folder"] for token in tokens] == ["INBOX"] * 13 + ["Junk", "Küche & Bad", "INBOX"]
    assert [token for token in tokens if found[token]["junk"]] == [tokens[13]]
    assert all(found[token]["results"]["dkim"] == "pass" for token in tokens)
    assert at_provider("grep -c 'imap-login: Info: Log' /var/log/dovecot.log || true") == str(int(before) + 1)


def test_a_mail_was_judged_by_the_topmost_header_alone(provider: Provider, mailbox: dict[str, Any]) -> None:
    passed = f"Authentication-Results: {PASSED}"
    provider.put(
        text("aaaa1111", f"Authentication-Results: {FAILED}", passed),
        text("bbbb2222"),
        text("cccc3333").replace("From: NAS", f"{passed}\nFrom: NAS"),
        # A header for each method, as iCloud writes them, and one that came with the mail.
        text(
            "dddd4444",
            "Received: by mx.lab.test",
            *(f"Authentication-Results: {said}" for said in ("spf.lab.test; spf=pass", "dkim.lab.test;\n\tdkim=fail")),
            "Authentication-Results: mx.example; dmarc=pass",
        ),
    )
    found, _said = watch(mailbox, "aaaa1111", "bbbb2222", "cccc3333", "dddd4444")
    assert found["dddd4444"]["results"] == {"spf": "pass", "dkim": "fail"}
    assert found["aaaa1111"]["results"] == {"spf": "fail", "dkim": "none", "dmarc": "fail"}
    assert len(found["aaaa1111"]["notes"]) == 3
    assert found["bbbb2222"]["results"] == found["cccc3333"]["results"] == {}


def test_looking_leaves_no_trace(provider: Provider, mailbox: dict[str, Any]) -> None:
    provider.put(text("aaaa1111"), text("bbbb2222"))
    before = at_provider("cd /var/mail/lab/inbox; ls new cur")
    assert "aaaa1111" in watch(mailbox, "aaaa1111")[0]
    log = at_provider("sleep 0.2; tail -1 /var/log/dovecot.log")
    assert "hdr_count=1 " in log and "body_count=0 " in log
    assert at_provider("cd /var/mail/lab/inbox; ls new cur") == before


def test_a_mail_that_cannot_be_deleted_alone_stays(provider: Provider, mailbox: dict[str, Any]) -> None:
    provider.withhold_uidplus()
    provider.put(text("aaaa1111"))
    found, _said = watch(mailbox, "aaaa1111", tidy=True)
    assert found["aaaa1111"]["stays"] is True and len(provider.mails()) == 1


def test_a_mail_that_is_nowhere_is_missing(mailbox: dict[str, Any]) -> None:
    assert watch(mailbox, "aaaa1111", minutes=0.02) == ({}, "")


def test_a_folder_that_cannot_be_opened_is_named(provider: Provider, mailbox: dict[str, Any]) -> None:
    provider.put(text("aaaa1111"), folder="Shut")
    at_provider("chmod 000 /var/mail/lab/inbox/.Shut")
    found, reason = watch(mailbox, "aaaa1111")
    at_provider("rm -r /var/mail/lab/inbox/.Shut")
    assert (found, reason) == ({}, "localhost does not open Shut: it may be there.")


def test_why_a_mailbox_cannot_be_read_is_said_without_the_password(
    mailbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, reason = watch({**mailbox, "password": "not-this-one"}, "aaaa1111")
    assert found == {} and reason.startswith(f"localhost did not let {ACCOUNT} read: [AUTHENTICATIONFAILED]")
    assert reason.endswith("The app password must be one that may read.") and "not-this-one" not in reason
    found, reason = watch({**mailbox, "port": 1}, "aaaa1111")
    assert found == {} and reason == "localhost port 1 could not be read: [Errno 111] Connection refused."
    # Without trust, no login.
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    found, reason = watch(mailbox, "aaaa1111")
    assert found == {} and "certificate verify failed" in reason
