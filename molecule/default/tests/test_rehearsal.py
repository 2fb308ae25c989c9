"""The second Postfix that a configuration is tried with: what it finds, and what it lets through."""

from __future__ import annotations

import json
import time

import pytest
from conftest import LAB, OLD_AND_NEW, run_on_host

from workshop.lab.host import exec

# What only a daemon reads -> a word of its complaint.
BAD = {
    "smtp_tls_mandatory_protocols = TLSv9": "TLSv9",
    "smtp_tls_security_level = bogus": "bogus",
    "smtp_tls_mandatory_ciphers = bogus": "bogus",
    "smtp_tls_CAfile = /etc/hostname": "certificate",
    "smtpd_tls_security_level = bogus": "bogus",
    "smtpd_relay_restrictions = permit_mynetwork, reject": "permit_mynetwork",
    "mynetworks = 10.0.0.1/8": "10.0.0.1/8",
    "canonical_classes = everything": "everything",
    "virtual_alias_maps = texthash:/nowhere": "/nowhere",
    "smtp_header_checks = regexp:/nowhere": "/nowhere",
    "smtp_bind_address = nonsense": "nonsense",
    "smtp_sasl_tls_security_options = noplaintext": "mech",
    "transport_maps = hash:/nowhere": "/nowhere",
    "sender_dependent_relayhost_maps = texthash:/nowhere": "/nowhere",
    "sender_dependent_default_transport_maps = hash:/nowhere": "/nowhere",
    "mail_owner = nobody-has-this-name": "nobody-has-this-name",
    # All mail would vanish, or a part of it, without a word.
    "header_checks = static:DISCARD": "discard: header",
    "body_checks = static:DISCARD": "discard: body handed in",
    "header_checks = static:HOLD": "hold: header",
    "header_checks = static:{REDIRECT else@example.com}": "redirect: header",
    "header_checks = static:{REJECT no}": "reject: header",
    "smtp_header_checks = static:IGNORE": "subject",
    "body_checks = static:IGNORE": "text",
    "smtp_body_checks = static:IGNORE": "text",
    "smtpd_recipient_restrictions = static:discard": "discard: RCPT",
    "smtpd_end_of_data_restrictions = check_client_access static:HOLD": "hold: ",
    "smtpd_data_restrictions = check_sender_access static:DISCARD": "discard: DATA",
    "transport_maps = static:discard:": "me@casey.test would be given to discard",
    "transport_maps = inline:{casey.test=local:}": "me@casey.test would be given to local",
    "sender_dependent_default_transport_maps = static:discard:": "me@casey.test would be given to discard",
    "relay_domains = casey.test\nrelay_transport = error:no": "me@casey.test would be given to error",
}
GOOD = (
    "",
    "smtp_tls_wrappermode = no\nsmtp_tls_security_level = may",
    "smtp_tls_wrappermode = no\nsmtp_tls_security_level = none",
    "inet_protocols = ipv4",
    "inet_protocols = ipv6",
    "defer_transports = smtp",
    "content_filter = elsewhere:[127.0.0.1]:10024",
    "default_transport = elsewhere",
    "transport_maps = inline:{example.com=elsewhere:}",
    "smtpd_recipient_restrictions = reject",
    "smtpd_recipient_restrictions = defer",
    "maillog_file = /var/log/postfix.log",
    "soft_bounce = no",
    "default_destination_rate_delay = 30s",
    "always_bcc = other@example.com",
    "header_checks = static:{PREPEND X-Host: nas}",
)
PROGRAM = """\
import json, sys
sys.path.insert(0, "/run/modules")
from ansible_collections.homelab.mail.plugins.module_utils._change import rehearsal
main_cf = open("/etc/postfix/main.cf").read()
found = {}
for values in json.load(sys.stdin):
    try:
        trial = rehearsal.Trial(main_cf + values + "\\n", {}, {}, "/etc/postfix", "/usr/sbin", {}, ["me@casey.test"])
        found[values] = rehearsal.rehearse(trial).complaints
    except rehearsal.CannotRehearse as error:
        found[values] = ["cannot rehearse: " + str(error)]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def complaints(name: str) -> dict[str, list[str]]:
    """What each of the values above leads to on a host."""
    found: dict[str, list[str]] = json.loads(run_on_host(f"{LAB}-{name}", PROGRAM, json.dumps([*BAD, *GOOD])))
    return found


@OLD_AND_NEW
def test_what_only_a_daemon_refuses_is_found_in_its_own_words(complaints: dict[str, list[str]]) -> None:
    missed = {value: complaints[value] for value, word in BAD.items() if word not in " ".join(complaints[value])}
    assert missed == {}


@OLD_AND_NEW
def test_what_sends_mail_is_let_through(complaints: dict[str, list[str]]) -> None:
    assert {value: complaints[value] for value in GOOD if complaints[value]} == {}


@OLD_AND_NEW
def test_nothing_of_it_stays_on_the_host(complaints: dict[str, list[str]], name: str) -> None:
    assert complaints
    assert exec(f"{LAB}-{name}", "sh", "-c", "ls -d /run/postfix-check-* 2>&1", check=False).returncode
    # One whose run was killed ends by itself.
    deadline = time.monotonic() + 20
    while "postfix-check" in _processes(name):
        assert time.monotonic() < deadline
        time.sleep(0.5)


def _processes(name: str) -> str:
    return exec(f"{LAB}-{name}", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout
