"""What was there before the role belongs to its owner: it is named before it goes, and given back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import testinfra
from conftest import LAB, MAIN_CF, Mail, changed, long, run, said
from testinfra.host import Host

from workshop.lab import labs
from workshop.lab.provider import Provider

APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq --no-install-recommends install"
REMOTES = "/etc/nullmailer/remotes"


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[tuple[Host, str]]:
    """A host without Postfix that knows where packages come from, and the inventory that has it."""
    labs.up(LAB, {"fresh": "trixie"})
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: {hosts: {fresh: {suite: trixie}}}")
    host = testinfra.get_host(f"podman://{LAB}-fresh")
    host.run_expect([0], "apt-get -qq -o Acquire::Retries=5 update")
    yield host, f"--inventory={inventory}"
    labs.down(LAB, ["fresh"])


@long
def test_another_mailer_is_named_before_it_goes_and_given_back(bare: tuple[Host, str], provider: Provider) -> None:
    host, inventory = bare
    host.run_expect([0], f"{APT} nullmailer bsd-mailx && systemctl stop nullmailer")
    host.run_expect([0], f"echo 'old.test smtp --pass=s3cret' >{REMOTES}; echo 'root: me@casey.test' >/etc/aliases")
    settings = "find /etc/aliases /etc/mailname /etc/nullmailer -printf '%p %U %m\\n' -type f -exec cat {} +"
    before = host.check_output(settings)
    host.run_expect([0], "echo x | sendmail me@casey.test")

    for mode in (["--check"], []):
        told = run(inventory, *mode, limit="fresh")
        assert told.returncode != 0
        assert "Nothing was changed: 1 mail would stay behind in the queue of nullmailer" in said(told)
        assert "`systemctl restart nullmailer` lets it try them again" in said(told)
    assert host.package("nullmailer").is_installed and not host.file("/etc/postfix").exists
    host.run_expect([0], "rm /var/spool/nullmailer/queue/*")

    # What is refused when the packages were exchanged is exchanged back.
    refused = run(inventory, limit="fresh", smarthost_parameters={"smtp_tls_loglevl": "2"})
    assert refused.returncode != 0
    assert "postfix, libsasl2-modules had been installed in place of nullmailer." in said(refused)
    assert "The packages are as they were before." in said(refused)
    assert (host.check_output(settings), host.file("/usr/sbin/postconf").exists) == (before, False)
    assert not host.file("/etc/postfix").exists

    for mode in (["--check"], []):
        told = run(inventory, *mode, limit="fresh")
        assert changed(told, "fresh") == 2
        assert "Postfix takes the place of nullmailer, which" in said(told)
        assert "The settings in /etc/nullmailer stay." in said(told)
    assert not host.package("nullmailer").is_installed
    assert host.package("bsd-mailx").is_installed
    assert host.file("/etc/postfix/smarthost/original/packages.json").mode == 0o600
    assert Mail(host).arrived(provider)
    assert changed(run(inventory, limit="fresh"), "fresh") == 0

    assert changed(run(inventory, limit="fresh", smarthost_state="absent"), "fresh") == 1
    assert host.check_output(settings) == before
    assert host.package("nullmailer").is_installed and host.package("bsd-mailx").is_installed
    assert not host.package("libsasl2-modules").is_installed
    assert not host.file("/usr/sbin/postconf").exists and not host.file("/etc/postfix").exists
    assert changed(run(inventory, limit="fresh", smarthost_state="absent"), "fresh") == 0


@long
def test_postfix_stays_where_another_package_came_to_need_it(bare: tuple[Host, str]) -> None:
    host, inventory = bare
    # A source of packages that does not answer need not be the one that has them.
    host.run_expect([0], "echo 'deb http://127.0.0.1:9/x stable main' >/etc/apt/sources.list.d/away.list")
    log = {"maillog_file": "/var/log/postfix.log"}
    assert changed(run(inventory, limit="fresh", smarthost_parameters=log), "fresh") == 2
    # Also where the journal has none of it.
    assert "took it: 250 2.0.0 Ok" in host.check_output("smarthost test casey@fastmail.com")
    host.run_expect([0], f"{APT} bsd-mailx")
    done = run(inventory, limit="fresh", smarthost_state="absent")
    assert changed(done, "fresh") == 1
    assert "postfix stays installed: bsd-mailx needs it" in said(done)
    assert host.package("bsd-mailx").is_installed and host.package("postfix").is_installed
    assert not host.socket("tcp://127.0.0.1:25").is_listening
    assert not host.file("/etc/postfix/smarthost").exists


@long
def test_an_exim_that_serves_others_is_not_taken_over_unless_one_says_so(
    bare: tuple[Host, str], provider: Provider
) -> None:
    host, inventory = bare
    host.run_expect([0], f"{APT} exim4-daemon-light")
    host.run_expect(
        [0],
        "sed -i -e s/^dc_other_hostnames=.*/dc_other_hostnames=\\'casey.test\\'/ "
        "-e s/^dc_local_interfaces=.*/dc_local_interfaces=\\'\\'/ /etc/exim4/update-exim4.conf.conf",
    )
    # Started by a person: its package will not stop it.
    host.run_expect([0], "update-exim4.conf && systemctl stop exim4 && exim4 -bd -q30m")
    done = run(inventory, limit="fresh")
    assert done.returncode != 0
    assert "this host is a mail server: dc_other_hostnames is 'casey.test'; port 25 is open to other hosts" in said(
        done
    )
    assert host.package("exim4-daemon-light").is_installed
    assert changed(run(inventory, limit="fresh", smarthost_take_over=True), "fresh") == 2
    assert Mail(host).arrived(provider)


@long
def test_exim_is_given_back_or_absent_refused_before_anything_changes(
    bare: tuple[Host, str], provider: Provider
) -> None:
    host, inventory = bare
    host.run_expect([0], f"{APT} exim4-daemon-light bsd-mailx")
    settings = "find /etc/aliases /etc/exim4 -printf '%p %U %m\\n' -type f -exec cat {} +"
    before = host.check_output(settings)
    assert changed(run(inventory, limit="fresh"), "fresh") == 2
    assert not host.package("exim4-daemon-light").is_installed
    away = "/etc/apt/apt.conf.d/zz-away"
    host.run_expect([0], f"""apt-get clean; echo 'Acquire::http::Proxy "http://127.0.0.1:9";' >{away}""")
    main_cf = host.file(MAIN_CF).content_string
    for mode in (["--check"], []):
        told = run(*mode, inventory, limit="fresh", smarthost_state="absent")
        assert told.returncode != 0
        assert "Nothing was changed: exim4-" in said(told) and "cannot be installed again: E: " in said(told)
    assert host.file(MAIN_CF).content_string == main_cf
    assert Mail(host).arrived(provider)
    host.run_expect([0], f"rm {away}")
    assert changed(run(inventory, limit="fresh", smarthost_state="absent"), "fresh") == 1
    assert host.check_output(settings) == before
    assert host.package("bsd-mailx").is_installed and not host.file("/usr/sbin/postconf").exists
    assert host.service("exim4").is_running
    assert "exim4" in host.check_output("readlink -f /usr/sbin/sendmail")
    assert changed(run(inventory, limit="fresh", smarthost_state="absent"), "fresh") == 0


GUIDE = """\
myhostname = mail.casey.test
mydomain = casey.test
mydestination = $myhostname, localhost.$mydomain, localhost, $mydomain
"""


@long
def test_a_host_that_became_a_mail_server_after_a_run_that_failed_is_left_alone(bare: tuple[Host, str]) -> None:
    host, inventory = bare
    host.run_expect([0], f"{APT} postfix")
    # What a run leaves that ends late, and the admin's own work of the weeks that follow.
    host.run_expect([0], "mkdir -p /etc/postfix/smarthost/original && touch /etc/postfix/smarthost/original/main.cf")
    host.run_expect(
        [0],
        """echo '{"running": false, "enabled": false, "mode": 420, "password_tables": []}' \
        >/etc/postfix/smarthost/original/found.json""",
    )
    host.run_expect([0], f"printf %s '{GUIDE}' >{MAIN_CF} && postfix start; postfix reload")
    told = run(inventory, limit="fresh")
    assert told.returncode != 0
    assert "Nothing was changed: this host is a mail server: mydestination names casey.test" in said(told)
    assert changed(run(inventory, limit="fresh", smarthost_take_over=True), "fresh") == 2
    assert changed(run(inventory, limit="fresh", smarthost_state="absent"), "fresh") == 1
    assert host.file(MAIN_CF).content_string == GUIDE
    assert host.run("postfix status").rc == 0
    # absent leaves a configuration alone that is not the role's.
    host.run_expect([0], "mkdir -p /etc/postfix/smarthost/original && touch /etc/postfix/smarthost/original/main.cf")
    assert changed(run(inventory, limit="fresh", smarthost_state="absent"), "fresh") == 1
    assert host.file(MAIN_CF).content_string == GUIDE


# What makes a mail server of a host that only sends, and what is said of it.
SIGNS = {
    "postconf -e mailbox_transport=lmtp:unix:private/dovecot-lmtp": "mailbox_transport is lmtp:unix:private",
    "postconf -M 'submission/inet=submission inet n - y - - smtpd'": "master.cf has submission/inet",
    "postconf -e multi_instance_directories=/etc/postfix-out": "multi_instance_directories names /etc/postfix-out",
    "echo 'one.test x' >/etc/postfix/v; postmap /etc/postfix/v; postconf -e virtual_alias_maps=hash:/etc/postfix/v": (
        "virtual_alias_domains is one.test"
    ),
    "echo two.test >/etc/postfix/d; postconf -e 'mydestination = localhost, /etc/postfix/d, $mydomain'": (
        "mydestination names two.test casey.test"
    ),
    "postconf -e mydomain=casey.test": "casey.test",
    "postconf -P smtp/inet/mynetworks=192.0.2.0/24": "mynetworks lets 192.0.2.0/24 send",
    "echo 'team: \"|/usr/lib/mailman/mail/mailman post team\"' >/etc/aliases; newaliases": (
        "mail of team goes to the command /usr/lib/mailman/mail/mailman"
    ),
    "echo '|/usr/bin/proxmox-mail-forward' >/root/.forward": "mail of root goes to the command /usr/bin/proxmox",
}


def test_a_real_mail_server_is_told_from_a_postfix_as_debian_installs_it(bare: tuple[Host, str]) -> None:
    host, inventory = bare
    host.run_expect([0], f"{APT} postfix libsasl2-modules")
    assert changed(run("--check", inventory, limit="fresh"), "fresh") == 1
    host.run_expect([0], "\n".join(SIGNS))
    done = run("--check", inventory, limit="fresh")
    assert done.returncode != 0
    assert [reason for reason in ("this host is a mail server: ", *SIGNS.values()) if reason not in said(done)] == []
