"""One server for the house: relays without a login, containers and machines at home that send through a host."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
from conftest import LAB, NAME, PROJECT, Mail, changed, forget_the_log, long, run, run_site, said
from testinfra.host import Host

from tests import pages
from workshop.lab import labs
from workshop.lab.host import exec, podman
from workshop.lab.provider import ACCOUNT, ALIASES, NAMES, Delivered, Provider

# What people copy, with the lab's names.
PAGE = pages.blocks(
    "docs/house.md",
    {
        "you@example.com": ACCOUNT,
        "archive@example.com": "archive@casey.test",
        "@example.org": "@casey.test",
        "you@isp.example": ACCOUNT,
        "relay.isp.example": NAMES[0],
    },
)
# What is of the inventory's login; extra variables stand above it.
NO_LOGIN = {"smarthost_username": "", "smarthost_password": ""}


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


def address() -> str:
    """The address by which the host goes to the provider."""
    return exec(f"{LAB}-{NAME}", "hostname", "-I").stdout.split()[0]


def page(heading: str, **more: object) -> dict[str, Any]:
    """The variables that stand under a heading of the page, and more."""
    [variables] = PAGE[heading]
    return {**variables, **more}


def test_a_relay_that_goes_by_addresses_needs_no_login_and_is_verified(
    host: Host, provider: Provider, usual: None, tmp_path: Path
) -> None:
    """Before that, what would keep all mail waiting is found."""
    # The lab's provider has no port 25.
    relay = page("An ISP's or a company's relay", smarthost_port=587, **NO_LOGIN)
    refused = run(**relay)
    assert refused.returncode != 0, said(refused)
    assert "Nothing was changed: smtp.fastmail.com refused the recipient casey@fastmail.com: 5" in said(refused)
    provider.serve_address(address())
    provider.use_certificate("untrusted")
    assert "the certificate of smtp.fastmail.com could not be verified" in said(run(**relay))
    provider.use_certificate("trusted")
    done = run(**relay)
    assert changed(done) == 1, said(done)
    assert changed(run(**relay)) == 0
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
    forget_the_log(host)
    extra = json.dumps({"json": f"{tmp_path}/check.json", **relay})
    checked = run_site("--extra-vars", extra, limit=NAME, playbook=PROJECT / "playbooks/check.yml")
    [row] = json.loads((tmp_path / "check.json").read_text())
    assert (row["mail"], row["login"], row["notes"]) == ("leaves", "none needed", []), said(checked)


def test_a_proxy_on_loopback_needs_neither_a_login_nor_tls(host: Host, provider: Provider, usual: None) -> None:
    provider.serve_address(address())
    provider.offer_tls(False)
    listen = "systemd-run --unit=proxy systemd-socket-activate --listen=127.0.0.1:1025"
    host.run_expect([0], f"{listen} /usr/lib/systemd/systemd-socket-proxyd {NAMES[0]}:587")
    proxy = {"smarthost_provider": "custom", "smarthost_host": "127.0.0.1", "smarthost_port": 1025}
    changed(run(**proxy, **NO_LOGIN, smarthost_tls="none", smarthost_auth="none", smarthost_from=ACCOUNT))
    mail = Mail(host)
    assert mail.arrived(provider).sender == ACCOUNT
    assert "relay=127.0.0.1[127.0.0.1]:1025" in mail.log()
    host.run_expect([0], "systemctl stop proxy")


def test_the_parameters_of_the_page_do_what_they_say(host: Host, provider: Provider, usual: None) -> None:
    pages_parameters = [page(heading)["smarthost_parameters"] for heading in ("IPv4 only", "A copy of all mail")]
    changed(run(smarthost_parameters={**pages_parameters[0], **pages_parameters[1]}))
    mail = Mail(host)
    provider.wait_for_mail(lambda copy: copy["Subject"] == mail.subject and copy.recipient == "archive@casey.test")
    provider.wait_for_mail(lambda own: own["Subject"] == mail.subject and own.recipient == ACCOUNT)
    assert "[::1]" not in host.check_output("ss -Hltn sport = :25")


# --- machines at home -------------------------------------------------------------------------------

# Behind a bridge of the host, each in a network namespace of its own: by these addresses.
BRIDGE = ("172.17.0.1/16", "192.168.1.1/24", "192.168.2.1/24", "192.168.3.1/24",
          "fd12:3456:789a:1::1/64", "fd12:3456:789a:2::1/64")  # fmt: skip
MACHINES = {
    "shop": "172.17.0.2/16",
    "blog": "172.17.0.3/16",
    "scanner": "192.168.1.20/24",
    "camera": "192.168.2.7/24",
    "camera6": "fd12:3456:789a:1::7/64",
    "stranger": "192.168.3.9/24",
    "stranger6": "fd12:3456:789a:2::9/64",
}
# Hands in mails, each on a connection of its own, and says what became of each.
HAND_IN = """
import smtplib, sys
server, sender, subject, *recipients = sys.argv[1:]
for recipient in recipients:
    with smtplib.SMTP(server, 25, "scanner.lan", 20) as session:
        session.ehlo()
        code = session.docmd(f"MAIL FROM:<{sender}>")[0]
        # As it stands, whatever smtplib would make of it.
        code = session.docmd(f"RCPT TO:<{recipient}>")[0] if code == 250 else code
        if code == 250:
            text = f"From: Scanner <{sender}>\\nTo: a person\\nSubject: {subject}\\n\\nA page."
            code = session.data(text)[0]
        print(code)
"""
# A mail, and one that hides in it behind line ends that are none.
SMUGGLE = """
import socket, sys
for end in sys.argv[3:]:
    session = socket.create_connection((sys.argv[1], 25), 20)
    replies = session.makefile("rb")
    replies.readline()
    end = end.encode().decode("unicode_escape").encode()
    inner = b"MAIL FROM:<ceo@bank.example>\\r\\nRCPT TO:<casey@fastmail.com>\\r\\nDATA\\r\\n"
    inner += b"Subject: smuggled\\r\\n\\r\\nx\\r\\n.\\r\\n"
    for line in (b"HELO scanner.lan", b"MAIL FROM:<a@b.example>", b"RCPT TO:<casey@fastmail.com>", b"DATA"):
        session.sendall(line + b"\\r\\n")
        assert replies.readline()[:1] in b"23", line
    session.sendall(b"Subject: " + sys.argv[2].encode() + b"\\r\\n\\r\\nx" + end + inner + b"\\r\\n.\\r\\nQUIT\\r\\n")
    session.shutdown(socket.SHUT_WR)
    replies.read()
"""
# Ways to write friend@elsewhere.example behind a name of this host, so that it would pass the mail on.
ROUTES = (
    f"friend%elsewhere.example@{NAME}.localdomain",
    "friend%elsewhere.example@localhost",
    "@localhost:friend@elsewhere.example",
    "friend@elsewhere.example@localhost",
    '"friend@elsewhere.example"@localhost',
    "elsewhere.example!friend",
    "elsewhere.example!friend@localhost",
)


def connect_machines() -> None:
    """Let there be the bridge, and what is behind it."""
    lines = ["ip link add docker0 type bridge", "ip link set docker0 up"]
    lines += [f"ip address add {address} dev docker0 {'nodad' * (':' in address)}" for address in BRIDGE]
    for name, address in MACHINES.items():
        lines += [
            f"ip netns add {name}",
            f"ip link add {name} up master docker0 type veth peer name eth0 netns {name}",
            f"ip -n {name} address add {address} dev eth0 {'nodad' * (':' in address)}",
            f"ip -n {name} link set eth0 up",
        ]
    podman("exec", "--privileged", "--interactive", f"{LAB}-{NAME}", "sh", "-eu", input="\n".join(lines))


@pytest.fixture(scope="module")
def machines(host: Host) -> Iterator[None]:
    """Machines at home, which reach the host by its bridge."""
    connect_machines()
    yield
    gone = [f"ip netns delete {name}" for name in MACHINES]
    podman("exec", "--privileged", f"{LAB}-{NAME}", "sh", "-euc", "\n".join([*gone, "ip link delete docker0"]))


def inside(machine: str, *command: str, input: str | None = None) -> str:
    """What a command says that runs on a machine at home; on the host itself without a name."""
    netns = ["nsenter", f"--net=/run/netns/{machine}"] if machine else []
    return podman("exec", "--privileged", "--interactive", f"{LAB}-{NAME}", *netns, *command, input=input).stdout


def host_of(machine: str) -> str:
    """The address by which a machine reaches the host: the first one of its network."""
    return re.sub(r"[.:]\w+/.*", lambda found: f"{found[0][0]}1", MACHINES[machine]) if machine else "127.0.0.1"


def hand_in(machine: str, *recipients: str, subject: str = "x", sender: str = "scan@elsewhere.example") -> list[str]:
    """The reply to a mail for each of these, handed in by a machine at home."""
    return inside(machine, "python3", "-c", HAND_IN, host_of(machine), sender, subject, *recipients).split()


def arrived(provider: Provider, subject: str) -> Delivered:
    """The mail of this subject, as the provider has it."""
    return provider.wait_for_mail(lambda mail: mail["Subject"] == subject)


@long
def test_a_container_needs_no_mailer_and_its_bridge_may_come_late(
    host: Host, provider: Provider, usual: None, machines: None
) -> None:
    changed(run(**page("Containers")))
    subject = uuid.uuid4().hex
    assert hand_in("shop", "friend@elsewhere.example", subject=subject) == ["250"]
    mail = arrived(provider, subject)
    assert (mail.sender, mail.recipient) == ("casey@fastmail.com", "friend@elsewhere.example")
    # By programs that are no mailer.
    host.run_expect([0], "apt-get install --yes --no-install-recommends curl swaks")
    text = f"From: Shop <shop@3f2a1b>\r\nSubject: {subject} curl\r\n\r\nSold.\r\n"
    envelope = ("--mail-from", "shop@3f2a1b", "--mail-rcpt", ACCOUNT)
    inside("blog", "curl", "--silent", "--show-error", "smtp://172.17.0.1", *envelope, "--upload-file", "-", input=text)
    mail = arrived(provider, f"{subject} curl")
    assert (mail.sender, mail["From"]) == ("casey@fastmail.com", "Shop <casey@fastmail.com>")
    envelope = ("--from", "shop@3f2a1b", "--to", ACCOUNT, "--header", f"Subject: {subject} swaks")
    inside("shop", "swaks", "--server", "172.17.0.1", *envelope)
    assert arrived(provider, f"{subject} swaks").sender == "casey@fastmail.com"
    labs.reboot(LAB, NAME)
    assert "docker0" not in host.check_output("ip -br link")
    assert Mail(host).arrived(provider)
    connect_machines()
    assert hand_in("shop", ACCOUNT, subject=f"{subject} late") == ["250"]
    arrived(provider, f"{subject} late")


def test_who_is_listed_sends_as_the_account_and_no_one_else_sends_at_all(
    host: Host, provider: Provider, usual: None, machines: None
) -> None:
    """Over IPv4 and IPv6."""
    clients = page("A printer, a camera, a network at home")["smarthost_clients"]
    firewall = "#!/bin/sh\necho Status: active\n"
    host.run_expect([0], f"printf '{firewall}' >/usr/sbin/ufw && chmod 755 /usr/sbin/ufw")
    done = run(smarthost_clients=clients)
    host.run_expect([0], "rm /usr/sbin/ufw")
    assert changed(done) == 1
    for network in ("192.168.1.20/32", "192.168.2.0/24", "fd12:3456:789a:1::/64"):
        assert f"ufw allow proto tcp from {network} to any port 25" in said(done)
    assert changed(run(smarthost_clients=clients)) == 0
    for stranger in ("stranger", "stranger6", "shop"):
        recipients = ("casey@fastmail.com", "root", f"root@{NAME}", "friend@elsewhere.example", *ROUTES)
        assert set(hand_in(stranger, *recipients)) == {"554"}
    for listed in ("scanner", "camera", "camera6"):
        subject = uuid.uuid4().hex
        assert hand_in(listed, "friend@elsewhere.example", subject=subject) == ["250"]
        mail = arrived(provider, subject)
        assert (mail.sender, mail.recipient) == ("casey@fastmail.com", "friend@elsewhere.example")
        assert mail["From"] == "Scanner <casey@fastmail.com>"
    # What the account may send as, they may, too.
    assert hand_in("scanner", "root", subject=f"{subject} own", sender=ALIASES[0]) == ["250"]
    mail = arrived(provider, f"{subject} own")
    assert (mail.sender, mail["From"], mail.recipient) == (ALIASES[0], f"Scanner <{ALIASES[0]}>", ACCOUNT)
    # No mail is split in two.
    for listed in ("camera", "camera6"):
        ends = ("\\n.\\n", "\\n.\\r\\n", "\\r\\n.\\n", "\\r.\\r")
        inside(listed, "python3", "-c", SMUGGLE, host_of(listed), subject, *ends)
    time.sleep(1)
    assert "smuggled" not in provider.subjects()
    refused = run(smarthost_clients=["2001:db8:1:2::/64"])
    assert "this host has no address in 2001:db8:1:2::/64" in said(refused)


def test_a_machine_of_a_network_may_send_sixty_mails_in_a_minute(
    host: Host, provider: Provider, usual: None, machines: None
) -> None:
    changed(run(smarthost_clients=["172.17.0.0/16", "192.168.1.20"]))
    assert hand_in("shop", *[ACCOUNT] * 61) == ["250"] * 60 + ["450"]
    # It alone; neither the host's own mail, nor who is named by an address, such as another host that sends for itself.
    assert hand_in("blog", ACCOUNT) == ["250"]
    for free in ("", "scanner"):
        assert hand_in(free, *[ACCOUNT] * 65) == ["250"] * 65
    assert hand_in("camera", ACCOUNT) == ["554"]


def test_no_one_but_those_who_are_named_is_written_to(
    host: Host, provider: Provider, usual: None, machines: None
) -> None:
    missing = run(smarthost_allowed_recipients=["casey@fastmail.com"])
    assert "so that alerts or their bounces would be refused. Add alerts@casey.test." in said(missing)
    assert changed(run(**page("A printer, a camera, a network at home"))) == 1
    friend = "friend@elsewhere.example"
    provider.clear()
    for machine in ("", "camera", "camera6"):
        # At once, not by a bounce.
        assert set(hand_in(machine, friend, *ROUTES)) == {"550"}
        assert set(hand_in(machine, "root", f"root@{NAME}", "x@casey.test", "x@[192.168.1.1]")) == {"250"}
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
