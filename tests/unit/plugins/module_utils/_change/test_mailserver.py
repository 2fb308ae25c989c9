"""What tells a real mail server from a host that only sends."""

from __future__ import annotations

import pytest
from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._change import aliases, mailserver


@pytest.mark.parametrize(
    ("values", "signs"),
    [
        pytest.param({}, 0, id="nothing said"),
        pytest.param({"mydestination": "$myhostname, nas.lan, localhost.lan, , localhost"}, 0, id="Debian's own"),
        pytest.param({"mydestination": "nas.bobs.org, localhost"}, 0, id="its own public name"),
        pytest.param({"mynetworks": "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128"}, 0, id="loopback"),
        pytest.param(
            {"mynetworks": "10.0.0.0/8", "inet_interfaces": "loopback-only"}, 0, id="clients that cannot come"
        ),
        pytest.param({"relay_domains": "$mydestination"}, 0, id="the old default of relay_domains"),
        pytest.param({"mydestination": "localhost, bobs.org"}, 1, id="a public domain"),
        pytest.param({"virtual_mailbox_domains": "bobs.org"}, 1, id="mailboxes"),
        pytest.param({"virtual_alias_domains": "hash:/etc/postfix/domains"}, 1, id="alias domains"),
        pytest.param({"mynetworks": "127.0.0.0/8, 192.168.1.0/24"}, 1, id="other clients"),
        pytest.param({"mydestination": "bobs.org", "relay_domains": "x.org"}, 2, id="two signs"),
        pytest.param(
            {"mydestination": "nas.bobs.org, localhost.bobs.org, localhost, bobs.org"}, 1, id="the guides' line"
        ),
        pytest.param({"mydestination": "ldap:/etc/postfix/domains"}, 1, id="domains in a table that does not tell"),
        pytest.param({"mailbox_transport": "lmtp:unix:private/dovecot-lmtp"}, 1, id="a mail store by LMTP"),
        pytest.param({"mailbox_command": "/usr/lib/dovecot/dovecot-lda"}, 1, id="a mail store by its command"),
        pytest.param({"mailbox_command": "procmail -a $EXTENSION", "home_mailbox": "Maildir/"}, 0, id="local mail"),
        pytest.param({"smtpd_sasl_auth_enable": "yes"}, 1, id="logins"),
        pytest.param({"multi_instance_directories": "/etc/postfix-out"}, 1, id="several Postfix"),
    ],
)
def test_a_mail_server_is_told_from_a_host_that_only_sends(values: dict[str, str], signs: int) -> None:
    assert len(mailserver.signs(values, ["nas.bobs.org", "nas"])) == signs


def test_a_proxmox_ve_as_it_was_installed_is_no_mail_server() -> None:
    # After its installer; the role then names what it drops.
    values = configuration.parse_main_cf(
        "myhostname=pve.example.org\nsmtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)\nbiff = no\n"
        "append_dot_mydomain = no\nalias_maps = hash:/etc/aliases\nalias_database = hash:/etc/aliases\n"
        "mydestination = $myhostname, localhost.$mydomain, localhost\nrelayhost =\nmynetworks = 127.0.0.0/8\n"
        "inet_interfaces = loopback-only\nrecipient_delimiter = +\ncompatibility_level = 2\n"
    )
    assert mailserver.signs(values, ["pve.example.org", "pve"]) == []


def test_the_domain_of_mailname_is_the_hosts_own_only_where_other_hosts_cannot_reach_it() -> None:
    values, names = {"mydestination": "nas.bobs.org, bobs.org"}, ["nas.bobs.org", "nas", "bobs.org"]
    assert mailserver.signs({**values, "inet_interfaces": "loopback-only"}, names) == []
    assert mailserver.signs(values, names) == ["mydestination names bobs.org"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("smtp inet n - y - - smtpd", []),
        ("pickup unix n - y 60 1 pickup", []),
        ("127.0.0.1:10025 inet n - y - - smtpd -o content_filter=", []),
        ("submission inet n - y - - smtpd -o smtpd_tls_security_level=encrypt", ["submission/inet"]),
        ("192.0.2.1:465 inet n - y - - smtpd", ["192.0.2.1:465/inet"]),
    ],
)
def test_a_service_that_takes_mail_of_others_is_a_sign(line: str, found: list[str]) -> None:
    assert mailserver.signs({}, [], [line]) == [f"master.cf has {name}" for name in found]


def test_a_service_that_takes_mail_of_this_host_alone_is_none() -> None:
    """Apple's master.cf has it so."""
    assert mailserver.signs({"inet_interfaces": "loopback-only"}, [], ["submission inet n - n - - smtpd"]) == []


@pytest.mark.parametrize(
    ("text", "signs"),
    [
        ("dc_eximconfig_configtype='local'\ndc_other_hostnames='nas.lan;nas'\ndc_relay_nets=''\n", 0),
        ("dc_eximconfig_configtype='satellite'\ndc_other_hostnames=''\n", 0),
        ("dc_eximconfig_configtype='smarthost'\ndc_other_hostnames='bobs.org'\n", 1),
        ("dc_eximconfig_configtype='internet'\ndc_relay_domains='x.org'\ndc_relay_nets='10.0.0.0/8'\n", 3),
        ("", 0),
    ],
)
def test_an_exim_of_debians_is_judged_by_its_own_file(text: str, signs: int) -> None:
    assert len(mailserver.exim_signs(text, ["nas.lan"])) == signs


def test_commands_that_make_lists_or_are_there_get_mail() -> None:
    before = aliases.Before(
        aliases={"team": ["|/nowhere/mailman post team"], "ups": ["|/nowhere/page"], "x": ["|/bin/sh -c s3cret"]},
        forwards={"root": ["|/usr/bin/proxmox-mail-forward"]},
    )
    assert mailserver.commands(before) == [
        "mail of team goes to the command /nowhere/mailman",
        "mail of x goes to the command /bin/sh",
        "mail of root goes to the command /usr/bin/proxmox-mail-forward",
    ]
