"""One server for the house: relays without a login, clients, hubs and their spokes."""

from __future__ import annotations

import json
import re
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
from conftest import INVENTORIES, LAB, NAME, Mail, changed, follow, forget_the_log, run, run_site, said
from testinfra.host import Host

from workshop.lab import labs
from workshop.lab.host import exec
from workshop.lab.provider import Provider

# A relay that goes by addresses; extra variables stand above the login of the inventory.
RELAY = {
    "smarthost_provider": "custom",
    "smarthost_host": "smtp.fastmail.com",
    "smarthost_port": 587,
    "smarthost_tls": "starttls",
    "smarthost_auth": "none",
    "smarthost_username": "",
    "smarthost_password": "",
    "smarthost_from": "casey@fastmail.com",
}


@pytest.fixture(scope="module")
def host() -> Host:
    """Testinfra's view of the host."""
    return testinfra.get_host(f"podman://{LAB}-{NAME}")


@pytest.fixture
def usual(provider: Provider) -> Iterator[None]:
    """The host is given the inventory's configuration again."""
    yield
    provider.reset()
    changed(run())


def address(host: str) -> str:
    """The address of a host of the lab."""
    return exec(f"{LAB}-{host}", "hostname", "-I").stdout.split()[0]


def test_a_relay_that_goes_by_addresses_needs_no_login_and_is_verified(
    host: Host, provider: Provider, usual: None
) -> None:
    """Before that, what would keep all mail waiting is found."""
    refused = run(**RELAY)
    assert refused.returncode != 0, said(refused)
    assert "Nothing was changed: smtp.fastmail.com refused the recipient casey@fastmail.com: 5" in said(refused)
    provider.serve_address(address(NAME))
    provider.use_certificate("untrusted")
    assert "the certificate of smtp.fastmail.com could not be verified" in said(run(**RELAY))
    provider.use_certificate("trusted")
    done = run(**RELAY)
    assert changed(done) == 1, said(done)
    assert changed(run(**RELAY)) == 0
    marker = provider.marker()
    mail = Mail(host)
    assert mail.arrived(provider).sender == "casey@fastmail.com"
    assert "Verified TLS connection established" in mail.log()
    assert "sasl_" not in provider.log_since(marker)
    # Nothing of the login is left.
    passwords = host.check_output("cat /etc/postfix/smarthost/?/sasl_passwd")
    assert re.fullmatch(r"# Managed by Ansible\.\n?", passwords)
    assert "accepts mail of this host without a login" in host.check_output("smarthost login")
    assert host.run("smarthost status").rc == 0


# --- a second host ----------------------------------------------------------------------------------

# Hands in a mail from another machine, and says what became of it; `times` for as many within a moment.
HAND_IN = """
import smtplib, sys
server, recipient, subject, times = sys.argv[1:]
for number in range(int(times)):
    try:
        with smtplib.SMTP(server, 25, "scanner.lan", 20) as session:
            text = f"From: Scanner <scan@elsewhere.example>\\nTo: {recipient}\\nSubject: {subject}\\n\\nA page."
            session.sendmail("scan@elsewhere.example", [recipient], text)
        said = "250"
    except smtplib.SMTPResponseException as error:
        said = str(error.smtp_code)
    except smtplib.SMTPRecipientsRefused as error:
        said = str(error.recipients[recipient][0])
print(said)
"""
# A mail, and one that hides in it behind line ends that are none.
SMUGGLE = """
import socket, sys
session = socket.create_connection((sys.argv[1], 25), 20)
replies = session.makefile("rb")
replies.readline()
end = sys.argv[3].encode().decode("unicode_escape").encode()
inner = b"MAIL FROM:<ceo@bank.example>\\r\\nRCPT TO:<casey@fastmail.com>\\r\\nDATA\\r\\n"
inner += b"Subject: smuggled\\r\\n\\r\\nx\\r\\n.\\r\\n"
for line in (b"HELO scanner.lan", b"MAIL FROM:<a@b.example>", b"RCPT TO:<casey@fastmail.com>", b"DATA"):
    session.sendall(line + b"\\r\\n")
    assert replies.readline()[:1] in b"23", line
session.sendall(b"Subject: " + sys.argv[2].encode() + b"\\r\\n\\r\\nx" + end + inner + b"\\r\\n.\\r\\nQUIT\\r\\n")
session.shutdown(socket.SHUT_WR)
replies.read()
"""


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """A second host, which has a name on the internet; its container."""
    labs.up(LAB, {"web": "trixie"}, hostnames={"web": "web.casey.test"})
    yield f"{LAB}-web"
    labs.down(LAB, ["web"])


def link_local(host: str) -> str:
    """The address of a host of the lab on its link, as the other hosts there reach it."""
    found = exec(f"{LAB}-{host}", "ip", "-6", "-br", "address", "show", "scope", "link").stdout
    return f"{found.split()[2].partition('/')[0]}%eth0"


def hand_in(web: str, server: str, recipient: str = "casey@fastmail.com", subject: str = "x", times: int = 1) -> str:
    """The reply to the last of so many mails that the second host hands in."""
    return exec(web, "python3", "-c", HAND_IN, server, recipient, subject, str(times)).stdout.strip()


def test_who_is_listed_sends_as_the_account_and_no_one_else_sends_at_all(
    host: Host, provider: Provider, usual: None, web: str
) -> None:
    """Over IPv6 the second host is in a network that is listed, over IPv4 it is not; then the other way round."""
    firewall = "#!/bin/sh\necho Status: active\n"
    host.run_expect([0], f"printf '{firewall}' >/usr/sbin/ufw && chmod 755 /usr/sbin/ufw")
    done = run(smarthost_clients=["fe80::/64"])
    host.run_expect([0], "rm /usr/sbin/ufw")
    assert changed(done) == 1
    assert "let them in: ufw allow proto tcp from fe80::/64 to any port 25" in said(done)
    assert changed(run(smarthost_clients=["fe80::/64"])) == 0
    listed, unlisted = link_local(NAME), address(NAME)
    for recipient in ("casey@fastmail.com", "root", f"root@{NAME}", "a%b.example@localhost", "@localhost:a@b.example"):
        assert hand_in(web, unlisted, recipient) == "554"
    subject = uuid.uuid4().hex
    assert hand_in(web, listed, "friend@elsewhere.example", subject) == "250"
    mail = provider.wait_for_mail(lambda mail: mail["Subject"] == subject)
    assert (mail.sender, mail.recipient) == ("casey@fastmail.com", "friend@elsewhere.example")
    assert mail["From"] == "Scanner <casey@fastmail.com>"
    # No mail is split in two.
    for end in ("\\n.\\n", "\\n.\\r\\n", "\\r\\n.\\n", "\\r.\\r"):
        exec(web, "python3", "-c", SMUGGLE, listed, subject, end, check=False)
    time.sleep(1)
    assert "smuggled" not in provider.subjects()
    # Of more than 60 in a minute the last has to come back, but not the host's own.
    assert hand_in(web, listed, times=65) == "450"
    assert hand_in(f"{LAB}-{NAME}", "127.0.0.1", times=65) == "250"
    # What is named by its own address is a host that sends for itself, and is not counted.
    changed(run(smarthost_clients=[address("web")]))
    assert hand_in(web, unlisted, times=65) == "250"
    assert hand_in(web, listed) == "554"
    refused = run(smarthost_clients=["2001:db8:1:2::/64"])
    assert "this host has no address in 2001:db8:1:2::/64" in said(refused)


SPOKE = {"suite": "trixie", "smarthost_provider": "hub", "smarthost_host": f"{LAB}-{NAME}"}


@pytest.fixture
def inventory(tmp_path: Path, web: str) -> str:
    """The option for the second host as a spoke of the first one; nothing else is said of it."""
    path = tmp_path / "hosts.yml"
    path.write_text(json.dumps({"all": {"vars": {"lab": LAB}, "hosts": {"web": SPOKE}}}))
    return str(path)


def test_a_spoke_needs_its_hub_alone_and_waits_for_it(
    host: Host, provider: Provider, usual: None, web: str, inventory: str
) -> None:
    spoke = testinfra.get_host(f"podman://{web}")

    def connect() -> subprocess.CompletedProcess[str]:
        return run_site(limit="web", inventories=[INVENTORIES[0], Path(inventory)])

    # The hub does not know it yet.
    changed(run(smarthost_clients=["192.0.2.1"]))
    refused = connect()
    assert f"Nothing was changed: {LAB}-{NAME} refused the recipient root@web.localdomain: 554" in said(refused)
    changed(run(smarthost_clients=[address("web")]))
    changed(connect(), "web")
    assert changed(connect(), "web") == 0
    assert spoke.check_output("smarthost login") == f"{LAB}-{NAME} accepts mail of this host without a login."
    # To the hub's alias for each, as the account; also under the name that is one on the internet.
    for to, sender, recipient in (
        ("root", "", "casey@fastmail.com"),
        ("ups", "backup", "alerts@casey.test"),
        ("root@web.casey.test", "app@web.casey.test", "casey@fastmail.com"),
        ("friend@elsewhere.example", "", "friend@elsewhere.example"),
    ):
        mail = Mail(spoke, to=to, sender=sender).arrived(provider)
        assert (mail.sender, mail.recipient) == ("casey@fastmail.com", recipient)
        assert mail["From"].addresses[0].addr_spec == "casey@fastmail.com"
    host.run_expect([0], "systemctl stop postfix")
    waiting = Mail(spoke)
    assert "Connection refused" in waiting.reason_it_waits()
    assert "waiting" in spoke.run("smarthost status").stdout
    host.run_expect([0], "systemctl start postfix")
    assert waiting.arrived(provider, timeout=60)
    spoke.run_expect([0], "smarthost status")


def test_a_test_mail_is_followed_by_the_hub_into_the_inbox(
    host: Host, provider: Provider, usual: None, web: str, inventory: str, mailbox: dict[str, Any], tmp_path: Path
) -> None:
    inventories = [INVENTORIES[0], Path(inventory)]

    def way() -> dict[str, Any]:
        done = follow(mailbox, tmp_path, limit="web", to="root", minutes=0.1, inventories=inventories)
        assert "HANDED IN QUEUED HUB TAKEN ARRIVED" in said(done)
        [row] = json.loads((tmp_path / "mail.json").read_text())
        return dict(row)

    changed(run(smarthost_clients=[address("web")]))
    changed(run_site(limit="web", inventories=inventories), "web")
    row = way()
    assert (row["mail"], row["folder"]) == ("arrived", "INBOX")
    times = row["details"]["times"]
    seen = [times[step] for step in ("handed in", "queued", "hub")]
    assert seen == sorted(seen) and seen[0] - 1 < times["taken"] <= times["arrived"] + 1
    # Taken by the hub, where it waits.
    provider.answer(False)
    row = way()
    assert (row["mail"], row["hub"] != "STOPPED", row["taken"]) == ("NOT THERE", True, "STOPPED")
    assert "does it wait on the hub? smarthost status says so there." in row["notes"][0]
    provider.answer(True)
    host.run_expect([0], "postqueue -f")
    # The hub does not take it.
    host.run_expect([0], "systemctl stop postfix")
    row = way()
    assert (row["mail"], row["hub"], row["taken"]) == ("deferred", "STOPPED", "-")
    exec(web, "postsuper", "-d", "ALL")
    host.run_expect([0], "systemctl start postfix")


def test_no_one_but_those_who_are_named_is_written_to(host: Host, provider: Provider, usual: None) -> None:
    missing = run(smarthost_allowed_recipients=["casey@fastmail.com"])
    assert "so that alerts or their bounces would be refused. Add alerts@casey.test." in said(missing)
    assert changed(run(smarthost_allowed_recipients=["casey@fastmail.com", "@casey.test"])) == 1
    friend = "friend@elsewhere.example"
    assert hand_in(f"{LAB}-{NAME}", "127.0.0.1", friend) == "550"
    provider.clear()
    refused = Mail(host, to=friend)
    # The bounce goes to who sent it, by root's alias.
    bounce = provider.wait_for_mail(lambda mail: not mail.sender)
    assert bounce.recipient == "casey@fastmail.com"
    assert "smarthost_allowed_recipients does not name this address" in " ".join(bounce.as_string().split())
    assert "If the mail was meant to leave, add the address" in host.run("smarthost status").stdout
    for to, recipient in (("root", "casey@fastmail.com"), ("ups", "alerts@casey.test"), ("x@casey.test",) * 2):
        assert Mail(host, to=to).arrived(provider).recipient == recipient
    assert refused.subject not in provider.subjects()
    forget_the_log(host)
