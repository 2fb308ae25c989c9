"""What a run of site.yml does to a host: what it tells beforehand, what it puts right, what it refuses."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import testinfra
import yaml
from conftest import (
    INVENTORIES,
    LAB,
    MAIN_CF,
    NAME,
    NEW_PASSWORD,
    PASSWORD,
    PROJECT,
    Change,
    Mail,
    changed,
    forget_the_log,
    long,
    run,
    run_site,
    said,
)  # fmt: skip
from testinfra.host import Host

from workshop.lab import labs
from workshop.lab.certificates import Kind
from workshop.lab.provider import Provider


@pytest.fixture
def host(usual: Change) -> Iterator[Host]:
    """A configured host, and again so after the test."""
    yield testinfra.get_host(f"podman://{LAB}-{NAME}")
    assert "failed" not in usual.make()


# --- a fresh host -----------------------------------------------------------------------------


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[tuple[Host, str]]:
    """A host that is not configured yet, and the inventory that has it."""
    labs.up(LAB, {"fresh": "trixie"})
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: {hosts: {fresh: {suite: trixie}}}")
    yield testinfra.get_host(f"podman://{LAB}-fresh"), f"--inventory={inventory}"
    labs.down(LAB, ["fresh"])


def test_a_dry_run_on_a_fresh_host_tells_the_truth_and_changes_nothing(
    fresh: tuple[Host, str], provider: Provider
) -> None:
    host, inventory = fresh
    places = " -o ".join(f"-path {path}" for path in ("/run", "/tmp", "/var/log", "/root/.ansible"))
    listing = f"find / -xdev \\( {places} \\) -prune -o -type f -printf '%p %T@ %m %u\\n'"
    before = host.check_output(listing)
    told = run("--check", "--diff", inventory, limit="fresh")
    assert changed(told, "fresh") == 2
    assert host.check_output(listing) == before
    assert "Would install postfix, libsasl2-modules" in told.stdout
    assert PASSWORD not in told.stdout + told.stderr

    marker = provider.marker()
    done = run("--diff", inventory, limit="fresh")
    assert changed(done, "fresh") == 2
    assert logins(provider, marker) == 1
    assert PASSWORD not in done.stdout + done.stderr
    promised = told.stdout.partition(f"+++ after: {MAIN_CF}\n")[2].partition("\n--- before")[0].splitlines()[1:]
    assert [line.removeprefix("+") for line in promised if line] == host.file(MAIN_CF).content_string.splitlines()

    assert changed(run(inventory, limit="fresh"), "fresh") == 0
    assert changed(run("--check", inventory, limit="fresh"), "fresh") == 0


def test_a_fresh_postfix_listens_to_nobody_before_it_has_its_configuration(fresh: tuple[Host, str]) -> None:
    host, inventory = fresh
    # What listens when the packages are installed and have started what they start.
    host.run_expect(
        [0], """echo 'DPkg::Post-Invoke { "ss -Htln >>/root/listening"; };' >/etc/apt/apt.conf.d/listening"""
    )
    assert changed(run(inventory, limit="fresh"), "fresh") == 2
    assert host.check_output("cat /root/listening") == ""


# --- bad input ----------------------------------------------------------------------------------


def test_bad_input_is_refused_in_one_go_before_the_host_is_touched(host: Host) -> None:
    before = host.check_output("find /etc/postfix -printf '%p %T@ %m\\n'")
    done = run(
        smarthost_username="casey",
        smarthost_password="q7w2\nrelayhost = evil",
        smarthost_port=2525,
        smarthost_from="root@nas.lan",
        smarthost_aliases={"root": "you@example.com"},
    )
    assert done.returncode != 0
    for fault in (
        "smarthost_username: 'casey' is not a full address",
        "smarthost_password: has a line break at position 5",
        "smarthost_port: Fastmail has no port 2525. It offers 465 (implicit), 587 (starttls)",
        "smarthost_from: 'root@nas.lan' exists only inside your network",
        "smarthost_aliases: 'root' leads to 'you@example.com', the placeholder of a guide",
    ):
        assert fault in said(done)
    assert "Ask for the system" not in done.stdout
    assert "relayhost = evil" not in done.stdout + done.stderr
    assert host.check_output("find /etc/postfix -printf '%p %T@ %m\\n'") == before


def test_a_misspelt_parameter_is_refused_and_the_host_stays_as_it_was(host: Host) -> None:
    before = host.file(MAIN_CF).content_string
    done = run(smarthost_parameters={"smtp_tls_securty_level": "may"})
    assert done.returncode != 0
    assert "Nothing was changed: Postfix does not accept the configuration: unused parameter" in said(done)
    assert host.file(MAIN_CF).content_string == before


@pytest.mark.parametrize(
    ("mode", "parameter", "words"),
    [
        (["--check"], {"smtp_tls_mandatory_protocols": "TLSv9"}, 'Invalid TLS protocol list "TLSv9"'),
        ([], {"smtp_tls_mandatory_protocols": "TLSv9"}, 'Invalid TLS protocol list "TLSv9"'),
        (["--check"], {"transport_maps": "static:discard:"}, "mail to alerts@casey.test would be given to discard"),
    ],
)
def test_a_value_that_only_a_daemon_refuses_is_refused_beforehand(
    host: Host, mode: list[str], parameter: dict[str, str], words: str
) -> None:
    before = host.check_output("find /etc/postfix -printf '%p %T@ %m\\n'")
    done = run(*mode, smarthost_parameters=parameter)
    assert done.returncode != 0
    assert "Nothing was changed: Postfix does not send mail with this configuration" in said(done)
    assert words in said(done)
    assert host.check_output("find /etc/postfix -printf '%p %T@ %m\\n'") == before


def test_a_missing_ca_bundle_is_refused(host: Host) -> None:
    done = run(smarthost_ca_file="/etc/ssl/nowhere.pem")
    assert done.returncode != 0
    assert "there is no CA bundle /etc/ssl/nowhere.pem on this host" in said(done)


def test_a_system_that_is_not_supported_is_refused_in_plain_words(host: Host) -> None:
    # The list is the role's own; as if it did not have this system yet.
    done = run(__smarthost_families={"Haiku": {"name": "Haiku"}, "Plan9": {"name": "Plan 9"}})
    assert done.returncode != 0
    assert "Nothing was changed: this host is Debian" in said(done)
    assert "The role knows Haiku, Plan 9, with systemd, openrc, launchd or in a container with none" in said(done)


# --- a change -----------------------------------------------------------------------------------


def test_a_new_password_replaces_the_old_one_everywhere(host: Host, provider: Provider) -> None:
    provider.set_password(NEW_PASSWORD)
    waiting = Mail(host)
    assert "535 5.7.8" in waiting.reason_it_waits()
    done = run("--diff", "-vvv", smarthost_password=NEW_PASSWORD)
    assert changed(done) == 1
    assert "casey@fastmail.com:(the new password)" in done.stdout
    for secret in (PASSWORD, NEW_PASSWORD):
        assert secret not in done.stdout + done.stderr
    find = "grep -rlsF {} / --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev"
    assert host.run(find.format(PASSWORD)).stdout.split() == []
    assert len(host.run(find.format(NEW_PASSWORD)).stdout.split()) == 1
    # What the old password kept waiting has left by itself.
    assert waiting.arrived(provider)


# --- the login ----------------------------------------------------------------------------------


def logins(provider: Provider, marker: int) -> int:
    """How many logins, good and bad, the provider has seen since then."""
    return len(re.findall(r"disconnect from .* auth=", provider.log_since(marker)))


def test_a_run_without_a_change_makes_no_login(host: Host, provider: Provider) -> None:
    marker = provider.marker()
    assert changed(run()) == 0
    assert changed(run(smarthost_parameters={"delay_warning_time": "4h"})) == 1
    assert logins(provider, marker) == 0


@pytest.mark.parametrize("playbook", ["site.yml", "playbooks/check.yml"])
def test_where_nothing_is_to_be_done_the_host_is_called_once(host: Host, tmp_path: Path, playbook: str) -> None:
    # What other tests lost is a fault for a day.
    forget_the_log(host)
    counting = tmp_path / "ssh"
    counting.write_text(f'#!/bin/sh\necho >>"{tmp_path}/calls"\nexec "{PROJECT}/workshop/lab/podman-ssh" "$@"\n')
    counting.chmod(0o700)
    variables = json.dumps({"ansible_ssh_executable": str(counting)})
    assert changed(run_site("--extra-vars", variables, limit=NAME, playbook=PROJECT / playbook)) == 0
    assert len((tmp_path / "calls").read_text().splitlines()) == 1


@pytest.fixture
def with_a_broken_one(tmp_path: Path) -> tuple[Path, ...]:
    """Inventories of two hosts, of which the first is not there."""
    path = tmp_path / "two.yml"
    path.write_text(f"all: {{hosts: {{gone: , {NAME}: }}}}")
    return (path, *INVENTORIES)


def test_a_broken_host_keeps_no_other_from_its_mail(host: Host, with_a_broken_one: tuple[Path, ...]) -> None:
    changing = '--extra-vars={"smarthost_parameters": {"delay_warning_time": "4h"}}'
    done = run_site(changing, limit=f"gone,{NAME}", inventories=with_a_broken_one)
    assert done.returncode != 0
    assert re.search(rf"^{NAME} .*changed=1 .*failed=0", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^gone .*unreachable=1", done.stdout, re.MULTILINE), done.stdout
    assert host.check_output("postconf -h delay_warning_time") == "4h"


def test_what_breaks_the_host_that_goes_first_breaks_no_other(host: Host, with_a_broken_one: tuple[Path, ...]) -> None:
    changing = '--extra-vars={"smarthost_parameters": {"delay_warning_time": "4h"}, "canary": 1}'
    done = run_site(changing, limit=f"gone,{NAME}", inventories=with_a_broken_one)
    assert done.returncode != 0
    assert re.search(r"^gone .*unreachable=1", done.stdout, re.MULTILINE), done.stdout
    assert host.check_output("postconf -h delay_warning_time") == "0h"


def test_no_host_is_touched_where_canary_is_no_number(host: Host) -> None:
    done = run_site("--extra-vars=canary=some", limit=NAME)
    assert done.returncode != 0
    assert "canary says how many hosts go first" in said(done)
    assert f"ok: [{NAME}]" not in done.stdout


def test_a_refused_login_changes_nothing_and_says_what_to_do(host: Host, provider: Provider) -> None:
    before = host.check_output("find /etc/postfix -printf '%p %T@ %m\\n'")
    marker = provider.marker()
    done = run(smarthost_password=NEW_PASSWORD)
    assert done.returncode != 0
    assert "Nothing was changed: smtp.fastmail.com refused the login: 535 5.7.8" in said(done)
    assert "app password" in said(done)
    assert NEW_PASSWORD not in done.stdout + done.stderr
    assert logins(provider, marker) == 1
    assert host.check_output("find /etc/postfix -printf '%p %T@ %m\\n'") == before
    assert Mail(host).arrived(provider)


def test_a_sender_that_the_account_does_not_own_is_refused_beforehand(host: Host, provider: Provider) -> None:
    provider.refuse_at_mail(True)
    before = host.check_output("find /etc/postfix -printf '%p %T@ %m\\n'")
    done = run(smarthost_from="somebody@fastmail.com")
    assert done.returncode != 0
    assert "Nothing was changed: smtp.fastmail.com refused the sender somebody@fastmail.com: 553" in said(done)
    assert "553 5.7.1 <somebody@fastmail.com>: Sender address rejected" in said(done)
    assert host.check_output("find /etc/postfix -printf '%p %T@ %m\\n'") == before


@pytest.mark.parametrize("kind", ["untrusted", "wrong-name", "expired"])
def test_a_login_is_tried_with_nobody_but_the_provider(host: Host, provider: Provider, kind: Kind) -> None:
    marker = provider.marker()
    provider.use_certificate(kind)
    done = run(smarthost_password=NEW_PASSWORD)
    assert done.returncode != 0
    assert "the certificate of smtp.fastmail.com could not be verified" in said(done)
    assert logins(provider, marker) == 0


@pytest.mark.parametrize("sign", "#/=")
def test_a_login_with_another_sign_than_the_at_gets_through_to_the_provider(
    host: Host, provider: Provider, sign: str
) -> None:
    done = run(smarthost_username=f"casey{sign}fastmail.com", smarthost_verify_login="required")
    assert changed(done) == 1
    mail = Mail(host).arrived(provider)
    assert mail["Return-Path"] == "<casey@fastmail.com>"
    assert (
        f"casey{sign}fastmail.com"
        in host.file(host.check_output("postconf -h smtp_sasl_password_maps").partition(":")[2]).content_string
    )


def test_a_provider_that_only_sends_needs_an_address_for_roots_mail(host: Host) -> None:
    before = host.check_output("find /etc/postfix -printf '%p %T@ %m\\n'")
    mailgun = {
        "smarthost_provider": "mailgun",
        "smarthost_region": "eu",
        "smarthost_username": "nas@casey.test",
        "smarthost_aliases": {"ups": "casey@fastmail.com"},
    }
    done = run(**mailgun)
    assert done.returncode != 0
    assert "smarthost_aliases: does not say who gets root's mail. It would go to nas@casey.test" in said(done)
    assert "Mailgun only sends: it keeps no mailbox for that address" in said(done)
    assert host.check_output("find /etc/postfix -printf '%p %T@ %m\\n'") == before


def test_an_open_relay_is_refused(host: Host) -> None:
    done = run(smarthost_parameters={"inet_interfaces": "all", "mynetworks": "0.0.0.0/0"})
    assert done.returncode != 0
    assert "mynetworks has 0.0.0.0/0: an open relay" in said(done)
    assert "0.0.0.0:25" not in host.check_output("ss -Htln")


def test_a_provider_that_cannot_be_reached_is_a_warning_unless_it_is_required(host: Host) -> None:
    away = {"smarthost_host": "smtp.away.test"}
    done = run(smarthost_verify_login="required", **away)
    assert done.returncode != 0
    assert "the login at smtp.away.test could not be tried (looking up smtp.away.test)" in said(done)
    done = run(**away)
    assert changed(done) == 1
    assert "could not be tried" in said(done)


def test_nobody_logs_in_where_one_does_not_want_it(host: Host, provider: Provider) -> None:
    marker = provider.marker()
    assert changed(run(smarthost_password=NEW_PASSWORD, smarthost_verify_login=False)) == 1
    assert logins(provider, marker) == 0


def test_what_is_taken_out_of_the_variables_is_gone_from_the_host(host: Host) -> None:
    assert changed(run(smarthost_parameters={"delay_warning_time": "4h", "biff": True})) == 1
    assert host.check_output("postconf -n -h delay_warning_time biff").split() == ["4h", "yes"]
    assert changed(run()) == 1
    assert host.check_output("postconf -n -h delay_warning_time biff") == "no"


@pytest.mark.parametrize("level", ["verify", "encrypt"])
def test_another_level_of_checking_is_what_postfix_reads(host: Host, provider: Provider, level: str) -> None:
    done = run(smarthost_tls_security_level=level)
    assert changed(done) == 1
    assert host.check_output("postconf -h smtp_tls_security_level") == level
    assert ("any server that answers to the relay's name gets the password" in said(done)) == (level == "encrypt")
    assert Mail(host).arrived(provider)


def test_rewriting_all_senders_keeps_names_recipients_and_answers(host: Host, provider: Provider) -> None:
    run(smarthost_rewrite="all")
    headers = (
        'From: "Contact, form" <visitor@elsewhere.test>\nReply-To: visitor@elsewhere.test\n'
        "Sender: web@elsewhere.test\nTo: friend@elsewhere.test"
    )
    mail = Mail(host, to="friend@elsewhere.test", sender="visitor@elsewhere.test", headers=headers).arrived(provider)
    assert mail["Return-Path"] == "<casey@fastmail.com>"
    assert str(mail["From"]) == '"Contact, form" <casey@fastmail.com>'
    assert mail["Sender"] == "casey@fastmail.com"
    assert mail["Reply-To"] == "visitor@elsewhere.test"
    assert mail["To"] == mail["X-Original-To"] == "friend@elsewhere.test"


@pytest.mark.parametrize("map_type", ["hash", "btree"])
def test_compiled_tables_hold_the_same_login_and_stay_closed(host: Host, provider: Provider, map_type: str) -> None:
    if map_type not in host.check_output("postconf -m").split():
        assert f"has no {map_type} tables" in said(run(smarthost_map_type=map_type))
        return
    assert changed(run(smarthost_map_type=map_type)) == 1
    assert changed(run(smarthost_map_type=map_type)) == 0
    table = host.check_output("postconf -h smtp_sasl_password_maps").partition(":")[2]
    assert host.file(f"{table}.db").mode == 0o600
    assert Mail(host).arrived(provider)
    # A table that went missing, or is older than its text, is made again.
    host.run_expect([0], f"rm {table}.db")
    assert changed(run(smarthost_map_type=map_type)) == 1
    assert Mail(host).arrived(provider)


# --- drift --------------------------------------------------------------------------------------


def test_what_was_changed_by_hand_is_shown_and_put_right(host: Host) -> None:
    host.run_expect([0], "postconf -e inet_interfaces=all smtp_tls_security_level=may && postfix reload")
    told = run("--check", "--diff")
    assert changed(told) == 1
    assert "-smtp_tls_security_level = may" in told.stdout
    assert changed(run()) == 1
    values = host.check_output("postconf -h smtp_tls_security_level inet_interfaces")
    assert values.split() == ["secure", "loopback-only"]
    assert "0.0.0.0:25" not in host.check_output("ss -Htln")


@pytest.mark.parametrize(
    "path",
    [
        "/usr/local/bin/smarthost",
        "/usr/local/lib/smarthost/ansible_collections/homelab/mail/plugins/module_utils/_program/smarthost.py",
        "/etc/systemd/system/smarthost-retry.timer",
    ],
)
def test_a_program_that_was_changed_by_hand_is_shown_and_put_right(host: Host, path: str) -> None:
    before = host.file(path).content_string
    host.run_expect([0], f"echo '# by hand' >>{path}")
    told = run("--check", "--diff")
    assert changed(told) == 1
    assert f"-{path}: not as it should be" in told.stdout
    assert changed(run()) == 1
    assert host.file(path).content_string == before


def test_an_open_password_file_is_closed_again(host: Host) -> None:
    table = host.check_output("postconf -h smtp_sasl_password_maps").partition(":")[2]
    host.run_expect([0], f"chmod 0644 {table}")
    assert changed(run("--check")) == 1
    assert changed(run()) == 1
    table = host.check_output("postconf -h smtp_sasl_password_maps").partition(":")[2]
    assert host.file(table).mode == 0o600


def test_a_copy_of_the_password_beside_the_tables_is_removed(host: Host) -> None:
    table = host.check_output("postconf -h smtp_sasl_password_maps").partition(":")[2]
    host.run_expect([0], f"cp {table} {table}.bak")
    assert changed(run()) == 1
    assert "sasl_passwd.bak" not in host.check_output("find /etc/postfix")


def test_a_stopped_postfix_is_started_and_enabled(host: Host) -> None:
    host.run_expect([0], "systemctl disable --now postfix")
    assert changed(run("--check")) == 1
    assert host.run("postfix status").rc != 0
    assert changed(run()) == 1
    assert host.run("postfix status").rc == 0
    assert host.service("postfix").is_enabled


def test_an_address_that_the_host_does_not_have_is_refused_beforehand(host: Host) -> None:
    before = host.file(MAIN_CF).content_string
    done = run(smarthost_parameters={"inet_interfaces": "127.0.0.1, 192.0.2.1"})
    assert done.returncode != 0
    assert "Nothing was changed: Postfix does not accept the configuration" in said(done)
    assert "no local interface found for 192.0.2.1" in said(done)
    assert host.file(MAIN_CF).content_string == before


def test_a_port_that_is_taken_brings_the_old_configuration_back(host: Host, provider: Provider) -> None:
    address = host.check_output("hostname -I").split()[0]
    squat = f"import socket, time; s = socket.create_server(('{address}', 25)); time.sleep(300)"
    host.run_expect([0], f'(python3 -c "{squat}" >/dev/null 2>&1 & echo $! >/run/squat.pid)')
    before = host.file(MAIN_CF).content_string
    done = run(smarthost_parameters={"inet_interfaces": f"127.0.0.1, {address}"})
    host.run_expect([0], "kill $(cat /run/squat.pid)")
    assert done.returncode != 0
    assert f"bind {address} port 25: Address already in use" in said(done)
    assert "The configuration from before is back in place and runs." in said(done)
    assert host.file(MAIN_CF).content_string == before
    assert host.check_output("ls -A /etc/postfix/smarthost").split() == ["a" if "/a/" in before else "b", "original"]
    assert not host.file("/etc/postfix/.main.cf-before").exists
    assert Mail(host).arrived(provider)


# --- the collection -----------------------------------------------------------------------------


def test_the_installed_collection_does_the_same_as_the_checkout(host: Host, tmp_path: Path) -> None:
    assert changed(run()) == 0
    # As the README has it. --force: ansible-lint leaves a link to the checkout where Ansible looks for collections.
    for command in (f"build {PROJECT}", "install --force --collections-path=. homelab-mail-*.tar.gz"):
        subprocess.run(
            f"ansible-galaxy collection {command}", shell=True, cwd=tmp_path, check=True, capture_output=True
        )
    playbook = tmp_path / "own.yml"
    playbook.write_text("[{hosts: all, roles: [homelab.mail.smarthost]}]")
    # Only the archive is there to find the role in.
    done = run_site(playbook=playbook, limit=NAME, environment={"ANSIBLE_COLLECTIONS_PATH": str(tmp_path)})
    assert changed(done) == 0


# --- taking over and giving back ----------------------------------------------------------------

TUTORIAL = """\
smtpd_banner = $myhostname ESMTP
myhostname = fresh.lan
mydestination = $myhostname, localhost
relayhost = [smtp.fastmail.com]:587
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd
smtp_sasl_security_options = noanonymous
smtp_use_tls = yes
inet_interfaces = loopback-only
"""


@pytest.fixture
def by_hand(fresh: tuple[Host, str]) -> tuple[Host, str]:
    """A host that was configured after a tutorial."""
    host, inventory = fresh
    host.run_expect([0], "apt-get -qq -o Acquire::Retries=5 update")
    host.run_expect([0], "DEBIAN_FRONTEND=noninteractive apt-get -qq install postfix libsasl2-modules")
    for path, text in (
        (MAIN_CF, TUTORIAL),
        ("/etc/postfix/sasl_passwd", f"[smtp.fastmail.com]:587 casey@fastmail.com:{PASSWORD}\n"),
    ):
        host.run_expect([0], f"printf %s '{text}' >{path}")
    host.run_expect([0], "postmap hash:/etc/postfix/sasl_passwd && chmod 644 /etc/postfix/sasl_passwd*")
    # Some remove the text; what is compiled has the password, too.
    host.run_expect([0], "rm /etc/postfix/sasl_passwd")
    host.run_expect([0], "systemctl restart postfix")
    return host, inventory


def test_a_host_configured_by_hand_is_taken_over_and_given_back(by_hand: tuple[Host, str], provider: Provider) -> None:
    host, inventory = by_hand
    services = host.file("/etc/postfix/master.cf").content_string
    done = run(inventory, limit="fresh")
    assert changed(done, "fresh") == 1
    assert host.run("postconf -M tlsproxy/unix").stdout
    assert "smtpd_banner, smtp_use_tls will no longer be set" in said(done)
    assert Mail(host).arrived(provider)
    # The open copies of the password are gone; what absent needs is root's alone.
    places = host.run(f"grep -rlsF {PASSWORD} /etc").stdout.split()
    assert sorted(host.file(place).mode for place in places) == [0o600, 0o600]
    assert not host.file("/etc/postfix/sasl_passwd.db").exists
    assert changed(run(inventory, limit="fresh"), "fresh") == 0

    told = run("--check", inventory, limit="fresh", smarthost_state="absent")
    assert changed(told, "fresh") == 1
    assert changed(run(inventory, limit="fresh", smarthost_state="absent"), "fresh") == 1
    assert host.file(MAIN_CF).content_string == TUTORIAL
    assert host.file("/etc/postfix/master.cf").content_string == services
    assert host.check_output("postmap -q '[smtp.fastmail.com]:587' hash:/etc/postfix/sasl_passwd").endswith(PASSWORD)
    assert not host.file("/etc/postfix/sasl_passwd").exists
    assert not host.file("/etc/postfix/smarthost").exists
    assert host.service("postfix").is_running
    assert changed(run(inventory, limit="fresh", smarthost_state="absent"), "fresh") == 0


def test_a_host_that_had_no_postfix_has_none_again(fresh: tuple[Host, str], provider: Provider) -> None:
    host, inventory = fresh
    # As guides have it, for a mailer that is no daemon; and a script of one's own.
    by_hand = "dpkg-query --show; ls -l --time-style=+ /usr/sbin/sendmail /usr/bin/mailq; cat /usr/bin/mailq"
    host.run_expect(
        [0], "ln -s /usr/bin/msmtp /usr/sbin/sendmail; echo 'echo none' >/usr/bin/mailq; chmod +x /usr/bin/mailq"
    )
    before = host.check_output(by_hand)
    # What is refused when the packages are there already takes them away again.
    refused = run(inventory, limit="fresh", smarthost_parameters={"smtp_tls_loglevl": "2"})
    assert refused.returncode != 0
    assert "postfix, libsasl2-modules had been installed. The packages are as they were before." in said(refused)
    assert "Postfix takes the place of /usr/sbin/sendmail, /usr/bin/mailq, which no package has brought." in said(
        refused
    )
    assert not host.file("/usr/sbin/postconf").exists
    assert host.check_output(by_hand) == before
    done = run(inventory, limit="fresh")
    assert changed(done, "fresh") == 2
    assert "will no longer be set" not in said(done)
    provider.use_certificate("untrusted")
    waiting = Mail(host)
    assert waiting.reason_it_waits()
    done = run(inventory, limit="fresh", smarthost_state="absent")
    assert done.returncode != 0
    assert "Nothing was changed: 1 mails wait in the queue" in said(done), done.stdout
    done = run(inventory, limit="fresh", smarthost_state="absent", smarthost_abandon_queue=True)
    assert changed(done, "fresh") == 1
    assert not host.file("/usr/sbin/postconf").exists
    assert not host.file("/etc/postfix/smarthost").exists
    assert host.check_output(by_hand) == before
    assert host.run(f"grep -rlsF {PASSWORD} /etc /var").stdout == ""
    # What waited has stayed.
    provider.use_certificate("trusted")
    changed(run(inventory, limit="fresh"), "fresh")
    assert waiting.arrived(provider)


@long
def test_a_family_with_a_package_manager_and_names_of_its_own_is_set_up_and_given_back(fresh: tuple[Host, str]) -> None:
    host, inventory = fresh
    # As if another family of systems called it mailer, and brought a package manager of its own.
    names = "sed 's/postfix/no-such-package/; s/mailer/postfix/'"
    script = f'export DEBIAN_FRONTEND=noninteractive; what=$1; shift; apt-get --yes $what $(echo "$@" | {names})'
    host.run_expect([0], f"printf '#!/bin/sh\\n%s\\n' {shlex.quote(script)} >/usr/local/bin/pm")
    host.run_expect([0], "chmod +x /usr/local/bin/pm; apt-get update")
    family = yaml.safe_load((PROJECT / "roles/smarthost/families/Debian.yml").read_text())
    family["packages"]["postfix"]["name"] = "mailer"
    family |= {"install": ["pm", "install"], "remove": ["pm", "purge"]}
    lines = {"a": {"not_on": "Haiku"}, "b": {"not_on": "Debian GNU/Linux"}, "c": {}}
    family["lines"] = [{"path": "/root/" + name, "begins": "x=", "line": "x=1", **on} for name, on in lines.items()]
    host.run_expect([0], "printf 'x=0\\ny=2\\n' >/root/a")
    families = {"Debian": family}
    told = run("--check", inventory, limit="fresh", __smarthost_families=families)
    assert "Would install mailer, libsasl2-modules" in told.stdout
    assert changed(run(inventory, limit="fresh", __smarthost_families=families), "fresh") == 3
    assert host.package("postfix").is_installed
    assert host.check_output("cd /root; ls b; cat a c") == "x=1\ny=2\nx=1"
    assert changed(run(inventory, limit="fresh", __smarthost_families=families), "fresh") == 0
    absent = {"limit": "fresh", "smarthost_state": "absent", "__smarthost_families": families}
    assert changed(run(inventory, **absent), "fresh") == 1
    assert not host.package("postfix").is_installed
    assert not host.file("/etc/postfix").exists
    assert changed(run(inventory, **absent), "fresh") == 0


def test_a_mail_server_is_not_taken_over_unless_one_says_so(by_hand: tuple[Host, str]) -> None:
    host, inventory = by_hand
    host.run_expect([0], "postconf -e 'virtual_mailbox_domains = casey.test' 'mydestination = localhost, casey.test'")
    done = run(inventory, limit="fresh")
    assert done.returncode != 0
    assert "this host is a mail server: virtual_mailbox_domains is casey.test; mydestination names casey.test" in said(
        done
    )
    assert "casey.test" in host.check_output("postconf -n")
    assert changed(run(inventory, limit="fresh", smarthost_take_over=True), "fresh") == 1


OLD_ALIASES = """\
# whom to tell
postmaster: root
Root: family@casey.test
ups: "|/usr/local/bin/page --token s3cret",
     alerts@casey.test
news: /dev/null
casey: casey@fastmail.com
"""


@long
def test_whose_mail_goes_elsewhere_after_taking_over_is_named_with_the_line_to_copy(by_hand: tuple[Host, str]) -> None:
    host, inventory = by_hand
    host.run_expect([0], f"printf %s '{OLD_ALIASES}' >/etc/aliases && newaliases")
    host.run_expect([0], "postconf -e 'virtual_alias_maps = regexp:/etc/postfix/senders, hash:/etc/postfix/virtual'")
    host.run_expect([0], "echo '/^backup@/ anna@casey.test' >/etc/postfix/senders")
    host.run_expect([0], "echo 'www-data@fresh.lan root, web@casey.test' >/etc/postfix/virtual")
    host.run_expect([0], "postmap /etc/postfix/virtual && postfix reload")
    host.run_expect([0], "useradd -m anna && printf %s '\\anna, anna@casey.test' >/home/anna/.forward")
    host.run_expect([0], "useradd -m bob && echo 'From x' >/var/mail/bob")
    host.run_expect([0], "echo '|/usr/bin/pvemailforward --token s3cret' >/root/.forward")
    told, done = run("--check", inventory, limit="fresh"), run(inventory, limit="fresh")
    assert changed(told, "fresh") == changed(done, "fresh") == 1
    for words in (said(told), said(done)):
        # Two aliases of the inventory: root's and ups'.
        assert (
            "mail of root and postmaster goes to family@casey.test; with this configuration it goes to casey@" in words
        )
        assert "mail of ups goes to alerts@casey.test and the command /usr/local/bin/page; with" in words
        assert "mail of news goes to the file /dev/null; with" in words
        assert "mail of backup goes to anna@casey.test; with" in words
        assert "mail of www-data goes to family@casey.test and web@casey.test; with" in words
        assert "mail of anna goes to anna@casey.test and the mailbox of anna on this host; with" in words
        assert "/root/.forward is not read any more; it leads to the command /usr/bin/pvemailforward." in words
        assert "/home/anna/.forward is not read any more; it leads to" in words
        assert "mail of bob stays on this host, in /var/mail/bob; with" in words
        assert "mail of casey" not in words and "s3cret" not in words
    # The remedy works: with that line the same people get the mail.
    line = re.search(r"smarthost_aliases: ({.*?})\.", said(told))
    assert line
    kept = yaml.safe_load(line.group(1))
    assert kept["root"] == "family@casey.test"
    again = said(run(inventory, limit="fresh", smarthost_aliases=kept))
    assert "mail of" not in again
    assert host.check_output("postmap -q root@localhost $(postconf -h virtual_alias_maps)") == "family@casey.test"
    assert changed(run(inventory, limit="fresh", smarthost_state="absent"), "fresh") == 1
    again = said(run("--check", inventory, limit="fresh", smarthost_aliases=kept))
    assert "mail of news goes to the file /dev/null" in again
    assert "To keep it so" not in again


@long
def test_aliases_of_a_host_without_postfix_are_named_as_well(fresh: tuple[Host, str]) -> None:
    host, inventory = fresh
    host.run_expect([0], f"printf %s '{OLD_ALIASES}' >/etc/aliases && echo family@casey.test >/root/.forward")
    told, done = run("--check", inventory, limit="fresh"), run(inventory, limit="fresh")
    for words in (said(told), said(done)):
        assert "mail of root and postmaster goes to family@casey.test; with" in words
        assert "/root/.forward is not read any more; it leads to family@casey.test." in words
        assert "smarthost_aliases: {root: family@casey.test" in words
    assert "mail of" not in said(run(inventory, limit="fresh", smarthost_parameters={"delay_warning_time": "4h"}))


def test_a_run_that_was_killed_is_finished_by_the_next(host: Host, provider: Provider) -> None:
    # As kill -9 leaves it between the rename of main.cf and the reload.
    host.run_expect(
        [0], "touch /etc/postfix/smarthost/unfinished && mkdir -p /etc/postfix/smarthost/a /etc/postfix/smarthost/b"
    )
    assert changed(run("--check")) == 1
    assert changed(run()) == 1
    assert sorted(host.check_output("ls /etc/postfix/smarthost").split())[1:] == ["original"]
    assert changed(run()) == 0
    assert Mail(host).arrived(provider)


@long
def test_another_mail_server_makes_room(fresh: tuple[Host, str], provider: Provider) -> None:
    host, inventory = fresh
    host.run_expect([0], "apt-get -qq -o Acquire::Retries=5 update")
    host.run_expect([0], "DEBIAN_FRONTEND=noninteractive apt-get -qq install exim4-daemon-light")
    assert host.service("exim4").is_running
    assert changed(run(inventory, limit="fresh"), "fresh") == 2
    assert not host.file("/usr/sbin/exim4").exists
    assert Mail(host).arrived(provider)


# --- what is not as it should be --------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        "printf '\\000\\001 garbage =' >/etc/postfix/main.cf",
        "rm /etc/postfix/main.cf",
        "rm {table} && mkdir {table}",
        "rm {table} && ln -s /etc/passwd {table}",
        "cp {table} /etc/postfix/smarthost/sasl_passwd.bak",
        "chmod 777 /etc/postfix/smarthost",
        "chmod 755 /etc/postfix/smarthost/original && chmod 644 /etc/postfix/smarthost/original/main.cf",
        "mv /etc/postfix/smarthost /etc/postfix/elsewhere && ln -s /etc/postfix/elsewhere /etc/postfix/smarthost",
        "postconf -MX tlsproxy/unix && postfix reload",
    ],
    ids=[
        "garbage",
        "no main.cf",
        "folder for table",
        "link for table",
        "copy",
        "open",
        "open original",
        "link for folder",
        "no service for kept connections",
    ],
)
def test_damage_is_seen_and_mended(host: Host, usual: Change, provider: Provider, damage: str) -> None:
    table = host.check_output("postconf -h smtp_sasl_password_maps").partition(":")[2]
    services = host.check_output("postconf -M")
    host.run_expect([0], damage.format(table=table))
    assert changed(run("--check")) == 1
    assert usual.make()["changed"]
    assert sorted(host.check_output("postconf -M").split("\n")) == sorted(services.split("\n"))
    host.run("rm -rf /etc/postfix/elsewhere")
    assert not usual.make()["changed"]
    # What the host had before is still there to be given back.
    assert host.file("/etc/postfix/smarthost/original/found.json").mode == 0o600
    assert Mail(host).arrived(provider)


def test_what_cannot_be_given_back_is_said(host: Host) -> None:
    host.run_expect([0], "mv /etc/postfix/smarthost/original /run/original")
    done = run(smarthost_state="absent")
    host.run_expect([0], "mv /run/original /etc/postfix/smarthost/original")
    assert done.returncode != 0
    assert "Nothing was changed: what this host had before is not in /etc/postfix/smarthost/original" in said(done)


def test_a_masked_postfix_is_refused_with_the_remedy(host: Host) -> None:
    host.run_expect([0], "systemctl mask --now postfix")
    done = run(smarthost_parameters={"delay_warning_time": "4h"})
    host.run_expect([0], "systemctl unmask postfix")
    assert done.returncode != 0
    assert "Nothing was changed: Postfix is masked on this host" in said(done)
    assert "systemctl unmask postfix" in said(done)
