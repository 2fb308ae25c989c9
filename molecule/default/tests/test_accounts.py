"""More than one account: each sender's mail through its own, and nothing of one in the other's way."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
import yaml
from conftest import (
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
)
from testinfra.host import Host

from workshop.lab import images, labs
from workshop.lab.provider import ACCOUNT, OTHER_ACCOUNT, OTHER_PASSWORD, Provider

# The lab's server answers by the names of two providers, and knows an account of each.
OWNED = [OTHER_ACCOUNT, "alerts@family.test", "zoe@kids.test"]
FAMILY: dict[str, Any] = {
    "name": "family",
    "provider": "icloud",
    "username": OTHER_ACCOUNT,
    "password": OTHER_PASSWORD,
    "senders": ["alerts@family.test", "@kids.test", "backup"],
}
# The same server and port as the default account's, with another login.
TWIN: dict[str, Any] = {
    "name": "twin",
    "provider": "custom",
    "host": "smtp.fastmail.com",
    "port": 465,
    "tls": "implicit",
    "username": OTHER_ACCOUNT,
    "password": OTHER_PASSWORD,
    "senders": ["twin"],
}
# Sender as it is handed in -> who logs in, and as whom it arrives.
WAYS = {
    "root": (ACCOUNT, ACCOUNT),
    "casey@fastmail.com": (ACCOUNT, ACCOUNT),
    "nut": (ACCOUNT, "alerts@casey.test"),
    "alerts@family.test": (OTHER_ACCOUNT, "alerts@family.test"),
    "zoe@kids.test": (OTHER_ACCOUNT, "zoe@kids.test"),
    "backup": (OTHER_ACCOUNT, OTHER_ACCOUNT),
    "twin": (OTHER_ACCOUNT, OTHER_ACCOUNT),
}


@pytest.fixture
def host(usual: Change, provider: Provider) -> Iterator[Host]:
    """A configured host with an empty queue, and again so after the test."""
    host = testinfra.get_host(f"podman://{LAB}-{NAME}")
    provider.clear()
    provider.set_owned(OWNED, OTHER_ACCOUNT)
    forget_the_log(host)
    yield host
    host.run_expect([0], "postsuper -d ALL && rm -f /var/lib/smarthost/second_way.json")
    provider.reset()
    assert "failed" not in usual.make()
    forget_the_log(host)


def logins(provider: Provider, marker: int) -> int:
    """How many logins, good and bad, the provider has seen since then."""
    return len(re.findall(r"disconnect from .* auth=", provider.log_since(marker)))


def test_each_sender_s_mail_leaves_through_its_account(host: Host, provider: Provider) -> None:
    master_cf = host.check_output("cat /etc/postfix/master.cf")
    # All accounts are at one server here, which would count the connections of all together.
    provider.limit(False)
    assert changed(run(smarthost_accounts=[FAMILY, TWIN])) == 1
    marker = provider.marker()
    assert changed(run(smarthost_accounts=[FAMILY, TWIN])) == 0
    assert logins(provider, marker) == 0
    mails = [Mail(host, sender=sender, to="friend@elsewhere.test") for _round in range(3) for sender in WAYS]
    for mail, (login, sender) in zip(mails, [*WAYS.values()] * 3, strict=True):
        arrived = mail.arrived(provider)
        assert (arrived.login, arrived.sender) == (login, sender)
        assert arrived["From"].addresses[0].addr_spec == sender
    # Each account's line: where people and programs look.
    status = host.run_expect([0], "smarthost status").stdout
    assert "Fastmail [smtp.fastmail.com]:465" in status
    assert "family: iCloud Mail [smtp.mail.me.com]:587" in status and "twin: " in status
    assert host.run_expect([0], "smarthost login").stdout.splitlines() == [
        f"smtp.fastmail.com accepts the login of {ACCOUNT}.",
        f"family: smtp.mail.me.com accepts the login of {OTHER_ACCOUNT}.",
        f"twin: smtp.fastmail.com accepts the login of {OTHER_ACCOUNT}.",
    ]
    # Secrets are root's alone.
    assert host.check_output("stat -c %a /etc/postfix/smarthost/?/sasl_passwd-family") == "600"
    assert changed(run()) == 1
    assert host.check_output("cat /etc/postfix/master.cf") == master_cf
    queue = "/var/spool/postfix"
    assert "family" not in host.check_output(
        f"cat {MAIN_CF} && ls /etc/postfix/smarthost/? {queue}/private {queue}/pid"
    )


def test_what_waits_for_an_account_that_goes_leaves_through_the_default_one(host: Host, provider: Provider) -> None:
    changed(run(smarthost_accounts=[FAMILY]))
    provider.set_password(NEW_PASSWORD, OTHER_ACCOUNT)
    waiting = [Mail(host, sender=sender) for sender in ("alerts@family.test", "backup")]
    assert "535 5.7.8" in waiting[0].reason_it_waits()
    status = host.run("smarthost status")
    assert status.rc == 1 and re.search(r"waiting \(family\): .*smtp\.mail\.me\.com", status.stdout), status.stdout
    assert "app-specific password" in status.stdout
    done = run_site("--extra-vars", json.dumps({"smarthost_accounts": [FAMILY]}), limit=NAME, playbook=CHECK)
    assert re.search(rf"{NAME} +FAULT .*refused.*\n +family .*refused", done.stdout), said(done)
    # The default account's mail does not wait.
    assert Mail(host).arrived(provider).login == ACCOUNT
    changed(run())
    for mail in waiting:
        arrived = mail.arrived(provider)
        assert (arrived.login, arrived.sender) == (ACCOUNT, ACCOUNT)


CHECK = PROJECT / "playbooks/check.yml"


def test_a_login_is_tried_before_a_change_and_only_where_its_account_changes(host: Host, provider: Provider) -> None:
    wrong = {**FAMILY, "password": "kqzd-wfrh-xjkm-aaaa"}
    refused = run(smarthost_accounts=[wrong, {**TWIN, "password": "no"}])
    assert refused.returncode != 0
    assert "Nothing was changed: family: smtp.mail.me.com refused the login: 535" in said(refused)
    assert "Besides, twin: smtp.fastmail.com refused the login: 535" in said(refused)
    assert "family" not in host.check_output(f"cat {MAIN_CF} /etc/postfix/master.cf")
    marker = provider.marker()
    assert changed(run(smarthost_accounts=[FAMILY])) == 1
    assert logins(provider, marker) == 1
    marker = provider.marker()
    provider.set_password(NEW_PASSWORD)
    assert changed(run(smarthost_accounts=[FAMILY], smarthost_password=NEW_PASSWORD)) == 1
    assert logins(provider, marker) == 1


# What a person may get wrong -> what Postfix says of it; nothing where it waits for a greeting that never comes.
MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "name": ({"host": "smtp.nowhere.test"}, "unable to look up host"),
    "port": ({"port": 2525}, "Connection refused"),
    "password": ({"password": "kqzd-wfrh-xjkm-aaaa"}, "535 5.7.8"),
    "certificate": ({"host": f"{LAB}-provider"}, "Server certificate not"),
    "plain": ({"port": 587}, "TLS"),
    "wrapped": ({"tls": "starttls"}, ""),
}


def test_a_mistake_in_an_account_s_relay_keeps_its_mail_waiting_and_no_other(host: Host, provider: Provider) -> None:
    # All accounts are at one server here.
    provider.limit(False)
    done = run(smarthost_accounts=[{**TWIN, **MISTAKES["name"][0]}])
    assert changed(done) == 1 and "twin: the login at smtp.nowhere.test could not be tried" in said(done)
    accounts = {name: {**TWIN, "name": name, "senders": [name]} for name in MISTAKES}
    wrong = [{**account, **MISTAKES[name][0]} for name, account in accounts.items()]
    changed(run(smarthost_accounts=wrong, smarthost_verify_login=False))
    waiting = {name: Mail(host, sender=name) for name in MISTAKES}
    assert Mail(host).arrived(provider).login == ACCOUNT
    deadline = time.monotonic() + 30
    reasons: dict[str, str] = {}
    while len(reasons) < len(MISTAKES) or not all(reasons[name] for name, (_, reason) in MISTAKES.items() if reason):
        assert time.monotonic() < deadline, reasons
        queue = map(json.loads, host.check_output("postqueue -j").splitlines())
        reasons = {mail["sender"].split("@")[0]: mail["recipients"][0].get("delay_reason", "") for mail in queue}
    for name, (_mistake, reason) in MISTAKES.items():
        assert reason in reasons[name]
    assert "status=bounced" not in waiting["name"].log()
    # Put right, it leaves as that account.
    changed(run(smarthost_accounts=[*accounts.values()], smarthost_verify_login=False))
    for name in MISTAKES.keys() - {"wrapped"}:
        assert waiting[name].arrived(provider).login == OTHER_ACCOUNT


@long
def test_what_waited_for_an_account_s_server_that_was_away_leaves_when_it_is_back(
    host: Host, provider: Provider
) -> None:
    changed(run(smarthost_accounts=[FAMILY]))
    provider.answer(False)
    waiting = Mail(host, sender="backup")
    assert "Connection refused" in waiting.reason_it_waits()
    provider.answer(True)
    begun = time.monotonic()
    assert waiting.arrived(provider).login == OTHER_ACCOUNT
    assert time.monotonic() - begun < 60
    changed(run())
    assert "family" not in host.check_output("ls /var/lib/smarthost")


def test_a_service_of_an_account_is_put_right_and_the_system_s_own_is_copied(host: Host, provider: Provider) -> None:
    changed(run(smarthost_accounts=[FAMILY]))
    line = host.check_output("postconf -M smarthost-family/unix")
    chroot = host.check_output("postconf -Fh smtp/unix/chroot")
    assert line.split()[4] == chroot
    host.run_expect([0], "postconf -PX smarthost-family/unix/smtp_sasl_password_maps")
    host.run_expect([0], "postconf -F smarthost-family/unix/chroot=n")
    assert changed(run(smarthost_accounts=[FAMILY])) == 1
    assert host.check_output("postconf -M smarthost-family/unix") == line
    assert changed(run(smarthost_accounts=[FAMILY])) == 0
    # Postfix has no complaint.
    assert "warning" not in host.run("postconf >/dev/null").stderr


# Goes by the addresses of its clients: has no login to offer.
RELAY = """
import socketserver
class Session(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 relay\\r\\n")
        for line in self.rfile:
            if line.startswith(b"DATA"):
                self.wfile.write(b"354 go on\\r\\n")
                any(line == b".\\r\\n" for line in self.rfile)
            self.wfile.write(b"250 taken\\r\\n")
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", 1025), Session).serve_forever()
"""
NO_LOGIN: dict[str, Any] = {"provider": "custom", "host": "127.0.0.1", "port": 1025, "tls": "none", "auth": "none"}


@pytest.mark.parametrize("further", [True, False], ids=["further", "default"])
def test_an_account_without_a_login_or_tls_stands_beside_one_with(
    host: Host, provider: Provider, further: bool
) -> None:
    host.run_expect([0], f"systemd-run --collect --unit=relay python3 -c '{RELAY}'")
    try:
        if further:
            changed(run(smarthost_accounts=[{**NO_LOGIN, "name": "relay", "senders": ["backup"]}]))
        else:
            login = {"username": ACCOUNT, "password": PASSWORD}
            account = {"name": "mailbox", "provider": "fastmail", **login, "senders": ["root"]}
            default = {f"smarthost_{name}": value for name, value in {**NO_LOGIN, **dict.fromkeys(login, "")}.items()}
            changed(run(**default, smarthost_accounts=[account]))
        by_address = Mail(host, sender="backup", to="friend@elsewhere.test")
        assert Mail(host, sender="root", to="friend@elsewhere.test").arrived(provider).login == ACCOUNT
        deadline = time.monotonic() + 10
        while "relay=127.0.0.1[127.0.0.1]:1025" not in by_address.log():
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert "250 taken" in by_address.log()
        # The one beside it is verified as ever.
        provider.use_certificate("untrusted")
        assert "not verified" in Mail(host, sender="root", to="friend@elsewhere.test").reason_it_waits()
    finally:
        host.run_expect([0], "systemctl stop relay")


def test_compiled_tables_and_every_sender_rewritten_work_for_all_accounts(host: Host, provider: Provider) -> None:
    variables: dict[str, Any] = {
        "smarthost_accounts": [FAMILY],
        "smarthost_rewrite": "all",
        "smarthost_map_type": "hash",
    }
    assert changed(run(**variables)) == 1
    assert changed(run(**variables)) == 0
    for sender, shown in (("visitor@elsewhere.test", ACCOUNT), ("alerts@family.test", "alerts@family.test")):
        headers = f"From: Some One <{sender}>\nTo: friend@elsewhere.test"
        arrived = Mail(host, sender=sender, to="friend@elsewhere.test", headers=headers).arrived(provider)
        assert (arrived.sender, str(arrived["From"])) == (shown, f"Some One <{shown}>")


def test_an_answer_goes_to_the_account_that_a_program_named(host: Host, provider: Provider) -> None:
    changed(run(smarthost_accounts=[FAMILY]))
    for sender, headers in (
        ("root", {"Reply-To": OTHER_ACCOUNT, "Errors-To": "alerts@family.test"}),
        ("root", {"Reply-To": "Zoe <zoe@kids.test>", "Disposition-Notification-To": "alerts@casey.test"}),
        ("backup", {"Reply-To": f"Casey <{ACCOUNT}>", "Mail-Followup-To": f"x@elsewhere.test, {ACCOUNT}"}),
        ("backup", {"Reply-To": "friend@elsewhere.test"}),
    ):
        text = "".join(f"\n{name}: {value}" for name, value in headers.items())
        arrived = Mail(host, sender=sender, headers=f"From: {sender}{text}").arrived(provider)
        assert {name: arrived[name] for name in headers} == headers
        assert arrived["From"].addresses[0].addr_spec == (OTHER_ACCOUNT if sender == "backup" else ACCOUNT)


def test_no_password_of_any_account_is_shown(host: Host, provider: Provider, tmp_path: Path) -> None:
    provider.set_password(NEW_PASSWORD, OTHER_ACCOUNT)
    first = run("--diff", "-vvv", smarthost_accounts=[FAMILY])
    wrong = run("--diff", "-vvv", smarthost_accounts=[{**FAMILY, "port": "x"}, {**TWIN, "tls": ["y"]}])
    provider.reset()
    provider.set_owned(OWNED, OTHER_ACCOUNT)
    shown = run("--diff", "-vvv", smarthost_accounts=[FAMILY])
    gone = run("--diff", "-vvv")
    for done in (first, wrong, shown, gone):
        # Ansible itself repeats the command line, which these tests have them in.
        text = "".join(line for line in (done.stdout + done.stderr).splitlines() if "extra-vars" not in line)
        assert OTHER_PASSWORD not in text
    assert changed(shown) == 1 and changed(gone) == 1


def test_hosts_that_send_as_one_address_are_told_apart_by_a_name(host: Host, provider: Provider) -> None:
    name = 'Cellar "NAS" $1'
    assert changed(run(smarthost_from_name=name, smarthost_accounts=[FAMILY])) == 1
    for header, sender, shown in (
        ("To: x", ACCOUNT, name),
        ("From: root (Cron Daemon)", ACCOUNT, name),
        ('From: "Müller, Jörg" <scan@printer.lan>', ACCOUNT, name),
        ("From: =?utf-8?q?J=C3=B6rg?= <root@my_nas>", ACCOUNT, name),
        ("From:", ACCOUNT, name),
        # Of who has an address of the account, the name is meant.
        ("From: Nextcloud <casey@fastmail.com>", ACCOUNT, "Nextcloud"),
    ):
        arrived = Mail(host, headers=f"{header}\nX-Case: 1").arrived(provider)["From"].addresses
        assert [(one.display_name, one.addr_spec) for one in arrived] == [(shown, sender)], header
    arrived = Mail(host, sender="backup").arrived(provider)["From"].addresses[0]
    assert (arrived.display_name, arrived.addr_spec) == (name, OTHER_ACCOUNT)


# --- the second way ---------------------------------------------------------------------------------

SPARE: dict[str, Any] = {"smarthost_accounts": [FAMILY], "smarthost_second_way": {"account": "family"}}
EARLIER = """
import json
path = "/var/lib/smarthost/second_way.json"
memory = json.load(open(path))
memory.update({name: memory[name] - 960 for name in memory.keys() & {"since", "back"}})
open(path, "w").write(json.dumps(memory))
"""


def test_while_the_provider_is_away_the_other_account_delivers_and_then_no_longer(
    host: Host, provider: Provider
) -> None:
    assert changed(run(**SPARE)) == 1
    host.run_expect([0], "systemctl stop smarthost-retry.timer")
    # Not for what it puts off.
    provider.reply("rcpt", "450 4.7.1 Try again later")
    put_off = Mail(host)
    assert "450 4.7.1" in put_off.reason_it_waits()
    assert host.run_expect([0], "smarthost retry").stdout == ""
    assert not host.file("/var/lib/smarthost/second_way.json").exists
    provider.reply("rcpt", None)
    host.run_expect([0], "postqueue -f")
    assert put_off.arrived(provider).login == ACCOUNT
    provider.close("submissions")
    senders = ("root", "casey@fastmail.com", "nut", "root@3f2a1b9c", "backup", '""')
    headers = "From: x@nas.lan\nTo: friend@elsewhere.test"
    mails = [Mail(host, to="friend@elsewhere.test", sender=sender, headers=headers) for sender in senders]
    # Not even the default account owns this one, but some take all of a company's.
    foreign = Mail(host, sender="app@company.test", headers="From: app@company.test")
    assert "Connection refused" in mails[0].reason_it_waits()
    # Not at once.
    assert host.run_expect([0], "smarthost retry").stdout == ""
    host.run_expect([0], f"python3 -c '{EARLIER}'")
    assert host.run_expect([0], "smarthost retry").stdout == "Mail leaves through family now.\n"
    for mail, sender in zip(mails, senders, strict=True):
        arrived = mail.arrived(provider)
        assert (arrived.login, arrived.sender) == (OTHER_ACCOUNT, "" if sender == '""' else OTHER_ACCOUNT)
        assert arrived["From"].addresses[0].addr_spec == OTHER_ACCOUNT
    status = host.run_expect([1], "smarthost status").stdout
    assert re.search(r"has not been reached for 16 min\. Mail leaves through family meanwhile\.", status), status
    # A run leaves it so.
    host.run_expect([0], "systemctl start smarthost-retry.timer")
    assert changed(run(**SPARE)) == 0
    host.run_expect([0], "systemctl stop smarthost-retry.timer")
    assert Mail(host).arrived(provider).login == OTHER_ACCOUNT
    # Nor does the other, which would refuse it.
    assert '"sender": "app@company.test"' in host.check_output("postqueue -j")
    provider.reset()
    provider.set_owned([ACCOUNT, "app@company.test"])
    assert "Mail leaves" not in host.run_expect([0], "smarthost retry").stdout
    host.run_expect([0], f"python3 -c '{EARLIER}'")
    assert host.run_expect([0], "smarthost retry").stdout == "Mail leaves through the default account again.\n"
    assert Mail(host).arrived(provider).login == foreign.arrived(provider).login == ACCOUNT
    subjects = provider.subjects()
    assert all(subjects.count(mail.subject) == 1 for mail in mails)
    assert changed(run(**SPARE)) == 1
    assert changed(run(**SPARE)) == 0


def test_with_another_relay_mail_leaves_through_that_and_not_the_second_way(host: Host, provider: Provider) -> None:
    changed(run(**SPARE))
    host.run_expect([0], "systemctl stop smarthost-retry.timer")
    provider.close("submissions")
    waiting = Mail(host)
    assert waiting.reason_it_waits()
    host.run_expect([0], "smarthost retry")
    host.run_expect([0], f"python3 -c '{EARLIER}'")
    assert host.run_expect([0], "smarthost retry").stdout == "Mail leaves through family now.\n"
    assert waiting.arrived(provider).login == OTHER_ACCOUNT
    changed(run(**SPARE, smarthost_port=587))
    assert "family meanwhile" not in host.run("smarthost status").stdout
    assert host.run_expect([0], "smarthost retry").stdout == ""
    assert Mail(host).arrived(provider).login == ACCOUNT


# --- given back -------------------------------------------------------------------------------------


@pytest.fixture
def found(tmp_path: Path) -> Iterator[tuple[Host, str]]:
    """A host with a Postfix that was configured by hand, and the inventory that has it."""
    labs.up(LAB, {"found": images.INSTALLED})
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: {hosts: {found: {suite: trixie}}}")
    host = testinfra.get_host(f"podman://{LAB}-found")
    settings = "relayhost=[127.0.0.1]:9 inet_interfaces=loopback-only smtpd_banner=mine"
    host.run_expect([0], f"postconf -e {settings} && systemctl restart postfix")
    yield host, f"--inventory={inventory}"
    labs.down(LAB, ["found"])


def test_a_host_is_given_back_with_nothing_of_any_account_whatever_way_mail_takes(
    found: tuple[Host, str], provider: Provider
) -> None:
    host, inventory = found
    files = f"cat {MAIN_CF} /etc/postfix/master.cf"
    before = host.check_output(files)
    changed(run(inventory, limit="found", **SPARE), "found")
    host.run_expect([0], "systemctl stop smarthost-retry.timer")
    provider.answer(False)
    waiting = Mail(host)
    assert waiting.reason_it_waits()
    host.run_expect([0], "smarthost retry")
    host.run_expect([0], f"python3 -c '{EARLIER}'")
    assert host.run_expect([0], "smarthost retry").stdout == "Mail leaves through family now.\n"
    refused = run(inventory, limit="found", smarthost_state="absent")
    assert "Nothing was changed: 1 mails wait in the queue" in said(refused)
    done = run(inventory, limit="found", smarthost_state="absent", smarthost_abandon_queue=True)
    assert changed(done, "found") == 1
    assert host.check_output(files) == before
    assert host.run("find /etc /usr/local /var/lib /var/spool -name '*smarthost*'").stdout == ""
    assert host.run(f"grep -rlsF -e {PASSWORD} -e {OTHER_PASSWORD} /etc /var").stdout == ""
    assert host.check_output("postqueue -j").count("queue_id") == 1


# --- docs/accounts.md -------------------------------------------------------------------------------

PAGE = (PROJECT / "docs/accounts.md").read_text()
VAULT = {"vault_family_password": OTHER_PASSWORD}
# Of each block, a sender as it waits, and the account that it leaves through.
BLOCKS = {
    "family": ["alerts@sasha.test.localdomain", "sasha@icloud.com.localdomain"],
    "bulk": [f"backup@{NAME}", "www-data@3f2a1b9c", "backup@casey.test.localdomain"],
    "club": ["someone@club.test.localdomain", f"wiki@{NAME}"],
    "robin": ["robin@fastmail.com.localdomain"],
    "spare": ["sasha@icloud.com.localdomain"],
}


@long
def test_what_the_page_shows_can_be_copied(host: Host) -> None:
    shown = set()
    for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL):
        filled = re.sub(r'"\{\{ (\w+) \}\}"', lambda found: VAULT.get(found[1], NEW_PASSWORD), text)
        variables = yaml.safe_load(filled)
        changed(run(smarthost_verify_login=False, **variables))
        [account] = variables["smarthost_accounts"]
        shown.add(account["name"])
        table = host.check_output("echo /etc/postfix/smarthost/?/relay")
        for sender in BLOCKS[account["name"]]:
            way = host.check_output(f"postmap -q {sender} regexp:{table}")
            assert way.startswith(f"smarthost-{account['name']}:["), sender
        assert host.run(f"postmap -q root@{NAME} regexp:{table}").stdout == ""
    assert shown == BLOCKS.keys()
