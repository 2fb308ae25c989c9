"""The trial of a configuration at the real relay: what it accepts delivers; what cannot deliver is refused before."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator

import pytest
from conftest import LAB, OLD_AND_NEW, Mail, changed, run, run_on_host, said
from testinfra.host import Host

from workshop import lab
from workshop.lab.host import exec, podman
from workshop.lab.provider import Provider

pytestmark = OLD_AND_NEW

NAME = "smtps-proxy.fastmail.com"
PORT = 2465
# A server with TLS from the first byte on. It takes every login and every mail, and writes down what it is told.
SERVER = r"""
import socket, socketserver, ssl, sys
offers, named, usual, older, log = sys.argv[1:]
def context(path):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(path)
    return made
right, other, before = context(named), context(usual), context(older)
def choose(connection, name, shown):
    connection.context = right if name else shown
other.sni_callback = before.sni_callback = choose
class Talk(socketserver.StreamRequestHandler):
    def handle(self):
        self.say("220 relay ESMTP")
        while line := self.rfile.readline().decode().strip():
            with open(log, "a") as file:
                print(line, file=file)
            verb = line[:4].upper()
            if verb == "EHLO":
                lines = ["250-relay", *(f"250-{offer}" for offer in offers.split(";")), "250 8BITMIME"]
                self.say("\r\n".join(lines))
            elif verb == "DATA":
                self.say("354 go on")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                self.say("250 2.0.0 taken")
            elif verb == "QUIT":
                return self.say("221 bye")
            else:
                self.say("235 2.7.0 welcome" if verb == "AUTH" else "250 2.0.0 well")
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    def get_request(self):
        # The handshake is the handler's, so that no client keeps the others waiting.
        peer, address = super().get_request()
        # Among the versions that a client names (extension 43) is TLS 1.3.
        newest = b"\x03\x04" in peer.recv(4096, socket.MSG_PEEK).partition(b"\x00\x2b\x00")[2][:16]
        return (other if newest else before).wrap_socket(peer, server_side=True, do_handshake_on_connect=False), address
    def handle_error(self, *_about):
        with open(log, "a") as file:
            print("(broken off)", file=file)
Server(("", PORT), Talk).serve_forever()
""".replace("PORT", str(PORT))


class Relay:
    """A server beside the provider's, with an answer to EHLO and certificates of one's choice."""

    container = f"{LAB}-provider"

    def __init__(self) -> None:
        self.there = {"smarthost_host": NAME, "smarthost_port": PORT, "smarthost_tls": "implicit"}
        self.pid = ""
        self._shell("cat >/run/relay.py", SERVER)
        for kind in ("trusted", "wrong-name"):
            self._shell(f"umask 077; cat >/run/{kind}.pem", (lab.STATE / LAB / f"{kind}.pem").read_text())

    def serve(self, offers: str = "AUTH PLAIN LOGIN", usual: str = "trusted", older: str = "") -> None:
        """Begin anew; who names no server sees the `usual` certificate, and before TLS 1.3 the `older` one."""
        self.stop()
        shown = " ".join(f"/run/{kind}.pem" for kind in ("trusted", usual, older or usual))
        command = f"python3 /run/relay.py '{offers}' {shown} /run/relay.log"
        self.pid = self._shell(f": >/run/relay.log; {command} >/run/relay.out 2>&1 & echo $!").strip()
        self._shell(
            f"for n in $(seq 100); do grep -q ':{PORT:04X} 0*:0000 0A ' /proc/net/tcp && break; sleep 0.1; done"
        )

    def heard(self) -> list[str]:
        """The verbs that it was told."""
        return [line[:4].strip().upper() for line in self._shell("cat /run/relay.log").splitlines()]

    def stop(self) -> None:
        """Be gone."""
        if self.pid:
            self._shell(f"kill {self.pid} || true")
            self.pid = ""

    def _shell(self, script: str, text: str = "") -> str:
        return exec(self.container, "sh", "-euc", script, input=text).stdout


@pytest.fixture
def relay() -> Iterator[Relay]:
    """A server that a test may shape."""
    relay = Relay()
    yield relay
    relay.stop()


@pytest.fixture(autouse=True)
def usual(host: Host, name: str) -> Iterator[None]:
    """The inventory's configuration again after each test, and no mail."""
    yield
    run(limit=name)
    host.run_expect([0], "postsuper -d ALL")


def files(host: Host) -> str:
    """The configuration: each file with its time."""
    return host.check_output("find /etc/postfix -type f -printf '%p %T@ %m\n' | sort")


def test_the_way_is_tried_without_a_login_a_sender_or_a_mail(name: str, relay: Relay) -> None:
    for offers in ("AUTH PLAIN LOGIN", "SIZE 1000;PIPELINING;AUTH=PLAIN"):
        relay.serve(offers)
        assert changed(run(limit=name, smarthost_verify_login=False, **relay.there), name) == 1
        assert relay.heard() == []
        # The login stays as it is, so Postfix alone goes there.
        assert changed(run(limit=name, **relay.there, smarthost_parameters={"delay_warning_time": "4h"}), name) == 1
        assert relay.heard() == ["EHLO", "QUIT"]


def test_without_tls_1_3_a_relay_like_googles_shows_a_postfix_that_cannot_name_it_the_right_certificate(
    host: Host, name: str, relay: Relay
) -> None:
    """As on a Mac, whose Postfix cannot name the server; the role then leaves TLS 1.3 out there."""
    relay.serve(usual="wrong-name", older="trusted")
    unnamed = {"smtp_tls_servername": ""}
    done = run(limit=name, **relay.there, smarthost_parameters=unnamed)
    assert f"Nothing was changed: Postfix cannot send through {NAME}" in said(done)
    assert "(SNI)" in said(done)
    # This Postfix masks the bit of tls_ssl_options by which 3.2.2 does the same.
    as_on_a_mac = {**unnamed, "smtp_tls_mandatory_protocols": "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1, !TLSv1.3"}
    assert changed(run(limit=name, **relay.there, smarthost_parameters=as_on_a_mac), name) == 1
    Mail(host)
    deadline = time.monotonic() + 30
    while "DATA" not in relay.heard():
        assert time.monotonic() < deadline, relay.heard()
        time.sleep(0.2)


def test_a_server_that_asks_for_no_login_is_sent_no_mail_by_the_trial(host: Host, name: str, relay: Relay) -> None:
    relay.serve("SIZE 1000;PIPELINING")
    before = files(host)
    done = run(limit=name, **relay.there)
    assert f"Nothing was changed: Postfix cannot send through {NAME}" in said(done)
    assert "the server offers only: no login at all" in said(done)
    assert set(relay.heard()) == {"EHLO", "QUIT"}
    assert files(host) == before


def test_a_server_that_takes_no_password_is_refused_and_the_old_one_stays(
    host: Host, name: str, provider: Provider, relay: Relay
) -> None:
    relay.serve("AUTH CRAM-MD5 XOAUTH2")
    before = files(host)
    done = run(limit=name, **relay.there)
    assert f"Nothing was changed: Postfix cannot send through {NAME}" in said(done)
    assert "the server offers only: CRAM-MD5 XOAUTH2" in said(done)
    assert set(relay.heard()) == {"EHLO", "QUIT"}
    assert files(host) == before
    assert Mail(host).arrived(provider)


def test_a_server_that_has_several_certificates_is_asked_for_its_own(host: Host, name: str, relay: Relay) -> None:
    relay.serve(usual="wrong-name")
    before = files(host)
    done = run(limit=name, **relay.there, smarthost_parameters={"smtp_tls_servername": ""})
    assert f"Nothing was changed: Postfix cannot send through {NAME}" in said(done)
    assert "(SNI), and smtp_tls_servername is empty. Take it out of smarthost_parameters." in said(done)
    assert "AUTH" not in relay.heard()
    assert files(host) == before
    assert changed(run(limit=name, **relay.there), name) == 1
    host.run_expect([0], "echo x | /usr/sbin/sendmail root")
    deadline = time.monotonic() + 20
    while "DATA" not in relay.heard():
        assert time.monotonic() < deadline, host.check_output("postqueue -j")
        time.sleep(0.2)


def test_a_certificate_that_postfix_does_not_take_is_refused(host: Host, name: str, relay: Relay) -> None:
    relay.serve()
    before = files(host)
    done = run(limit=name, **relay.there, smarthost_parameters={"smtp_tls_secure_cert_match": "smtp.example.org"})
    assert f"Nothing was changed: Postfix cannot send through {NAME}" in said(done)
    assert "Server certificate not verified" in said(done)
    assert "AUTH" not in relay.heard()
    assert files(host) == before


def test_a_service_that_lowers_the_level_of_tls_is_refused(host: Host, name: str) -> None:
    host.run_expect([0], "cp -a /etc/postfix/master.cf /run/master.cf")
    host.run_expect([0], "postconf -P smtp/unix/smtp_tls_security_level=encrypt")
    try:
        done = run(limit=name, smarthost_parameters={"smtp_tls_secure_cert_match": "smtp.example.org"})
    finally:
        host.run_expect([0], "cp -a /run/master.cf /etc/postfix/master.cf")
    assert "Nothing was changed: " in said(done) and done.returncode != 0
    assert "master.cf of this host breaks what the configuration promises" in said(done)
    assert "smtp/unix/smtp_tls_security_level" in said(done)


def test_a_relay_that_only_etc_hosts_knows_delivers(host: Host, name: str, provider: Provider) -> None:
    address = podman(
        "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", provider.container
    ).stdout.strip()
    hosts = host.file("/etc/hosts").content_string
    there = {"smarthost_host": "relay.casey.test", "smarthost_tls_security_level": "encrypt"}
    # In place, because it is mounted.
    exec(f"{LAB}-{name}", "tee", "/etc/hosts", input=f"{hosts}{address} relay.casey.test\n")
    try:
        before = files(host)
        done = run(limit=name, **there, smarthost_parameters={"smtp_host_lookup": "dns"})
        assert "Nothing was changed: Postfix cannot send through relay.casey.test" in said(done)
        assert "Use a name that is in DNS, or put it into /etc/hosts." in said(done)
        assert files(host) == before
        assert changed(run(limit=name, **there), name) == 1
        assert Mail(host).arrived(provider)
    finally:
        exec(f"{LAB}-{name}", "tee", "/etc/hosts", input=hosts)


def test_a_change_heals_a_chroot_that_has_an_old_name_server(host: Host, name: str, provider: Provider) -> None:
    host.run_expect([0], "echo nameserver 192.0.2.1 >/var/spool/postfix/etc/resolv.conf")
    done = run(limit=name, smarthost_parameters={"delay_warning_time": "4h"})
    assert changed(done, name) == 1
    assert Mail(host).arrived(provider)


def test_a_map_that_is_not_there_is_refused(host: Host, name: str) -> None:
    before = files(host)
    for parameter in ("transport_maps", "sender_dependent_default_transport_maps", "sender_dependent_relayhost_maps"):
        done = run(limit=name, smarthost_parameters={parameter: "hash:/etc/postfix/nothere"})
        assert "Nothing was changed: Postfix does not send mail" in said(done), parameter
        assert "/etc/postfix/nothere" in said(done)
    assert files(host) == before


def test_a_run_that_only_looks_tries_the_way_too(name: str, relay: Relay) -> None:
    relay.serve(usual="wrong-name")
    done = run("--check", limit=name, **relay.there, smarthost_parameters={"smtp_tls_servername": ""})
    assert f"Nothing was changed: Postfix cannot send through {NAME}" in said(done)


def test_another_alias_connects_to_nobody(name: str, relay: Relay) -> None:
    relay.serve()
    changed(run(limit=name, smarthost_verify_login=False, **relay.there), name)
    done = run(limit=name, **relay.there, smarthost_aliases={"root": "casey@fastmail.com", "ann": "alerts@casey.test"})
    assert changed(done, name) == 1
    assert relay.heard() == []


# --- what it costs ------------------------------------------------------------------------------

PROGRAM = """\
import json, sys, time
sys.path.insert(0, "/run/modules")
from ansible_collections.homelab.mail.plugins.module_utils._change import rehearsal
main_cf, seconds = open("/etc/postfix/main.cf").read(), {"": [], "secure": []}
for level in ["", "secure"] * 5:
    begun = time.monotonic()
    levels = {"": level} if level else {}
    found = rehearsal.rehearse(rehearsal.Trial(main_cf, {}, {}, "/etc/postfix", "/usr/sbin", levels))
    seconds[level].append(time.monotonic() - begun)
    assert found == ([], dict.fromkeys(levels, "")), found
print(json.dumps(list(seconds.values())))
"""


def test_the_trial_at_the_relay_takes_half_a_second_at_most(name: str) -> None:
    done = run_on_host(f"{LAB}-{name}", PROGRAM)
    without, with_it = (statistics.median(seconds) for seconds in json.loads(done))
    assert with_it - without <= 0.5
