"""What people are told when a provider refuses, by every way of asking: the cause, and what to do."""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import testinfra
from ansible_collections.homelab.mail.plugins.module_utils._program import diagnosis
from conftest import LAB, MAIN_CF, NAME, PASSWORD, PROJECT, Change, forget_the_log, long, run, run_site, said
from testinfra.host import Host

from workshop.lab.scripted import Scripted

FAILURES = {entry.key: entry for entry in diagnosis.TABLE}
NEW_PASSWORD = "mnbvcxzlkjhgfdsa"
FOLDER = "find /etc/postfix -printf '%p %T@ %m\\n'"

# The first word of a personality -> the account that the host sends through.
ACCOUNTS: dict[str, dict[str, object]] = {
    "fastmail": {},
    "icloud": {"smarthost_provider": "icloud", "smarthost_username": "casey@icloud.com"},
    "gmail": {"smarthost_provider": "gmail", "smarthost_username": "casey@gmail.com"},
    "microsoft": {"smarthost_provider": "microsoft365", "smarthost_username": "casey@casey.test"},
    "brevo": {
        "smarthost_provider": "brevo",
        "smarthost_username": "casey@casey.test",
        "smarthost_from": "casey@casey.test",
    },
    "ses": {
        "smarthost_provider": "ses",
        "smarthost_region": "eu-west-1",
        "smarthost_username": "AKIACASEYCASEYCASEYC",
        "smarthost_from": "casey@casey.test",
    },
    "mailgun": {
        "smarthost_provider": "mailgun",
        "smarthost_region": "us",
        "smarthost_username": "postmaster@casey.test",
        "smarthost_from": "casey@casey.test",
    },
}


@dataclass(frozen=True)
class Expected:
    """What a personality means."""

    key: str
    # What becomes of a mail.
    mail: str = "deferred"
    # Whether that is a fault that a person has to mend.
    fault: bool = True
    # What comes of a login.
    login: str = "accepted"


EXPECTED = {
    "fastmail-wrong-password": Expected("fastmail-login-refused", login="refused"),
    "fastmail-many-logins": Expected("fastmail-login-limit", fault=False, login="undecided"),
    "fastmail-foreign-from": Expected("fastmail-header-from", "bounced"),
    "fastmail-locked": Expected("fastmail-account-locked", "bounced"),
    "fastmail-greylisting": Expected("greylisted", fault=False),
    "fastmail-breaks-off": Expected("connection-lost", fault=False),
    "fastmail-breaks-off-at-login": Expected("connection-lost", fault=False, login="undecided"),
    "icloud-wrong-password": Expected("icloud-login-refused", login="refused"),
    "icloud-foreign-from": Expected("icloud-sender-refused", "bounced", login="refused"),
    "icloud-daily-limit": Expected("icloud-daily-limit", "bounced"),
    "gmail-wrong-password": Expected("gmail-login-refused", login="refused"),
    "gmail-account-password": Expected("gmail-app-password-required", login="refused"),
    "gmail-browser": Expected("gmail-browser-sign-in", login="refused"),
    "gmail-many-logins": Expected("gmail-login-limit", fault=False, login="undecided"),
    "gmail-daily-limit": Expected("gmail-daily-limit", "bounced"),
    "gmail-too-large": Expected("gmail-too-large", "bounced"),
    "gmail-too-large-by-size": Expected("gmail-too-large", "bounced", login="refused"),
    "gmail-announces-less": Expected("message-too-large", "bounced"),
    "microsoft-basic-off": Expected("microsoft-basic-auth-disabled", login="refused"),
    "microsoft-tenant-off": Expected("microsoft365-smtp-auth-off-tenant", login="refused"),
    "microsoft-wrong-password": Expected("microsoft-credentials", login="refused"),
    "microsoft-foreign-from": Expected("microsoft-send-as-denied", "bounced"),
    "microsoft-many-connections": Expected("microsoft-connections", fault=False, login="undecided"),
    "brevo-wrong-password": Expected("brevo-login-refused", login="refused"),
    "brevo-foreign-address": Expected("brevo-ip-address", login="refused"),
    "brevo-not-activated": Expected("brevo-not-activated", "bounced"),
    "ses-wrong-password": Expected("ses-login-refused", login="refused"),
    "ses-not-verified": Expected("ses-not-verified", "bounced"),
    "ses-daily-limit": Expected("ses-daily-limit", fault=False),
    "mailgun-wrong-password": Expected("mailgun-login-refused", login="refused"),
    "mailgun-sandbox": Expected("mailgun-sandbox"),
}
TOLD_AT_LOGIN = [name for name, expected in EXPECTED.items() if expected.login != "accepted"]


@pytest.fixture(scope="module")
def scripted() -> Iterator[Scripted]:
    """The provider."""
    scripted = Scripted(LAB)
    yield scripted
    scripted.play("fastmail-healthy")


@pytest.fixture(scope="module")
def host() -> Host:
    """The host."""
    return testinfra.get_host(f"podman://{LAB}-{NAME}")


def variables(account: str) -> dict[str, object]:
    """What the role is given for an account, beside the inventory."""
    given = ACCOUNTS[account]
    return (
        {**given, "smarthost_aliases": {"root": given.get("smarthost_from", given["smarthost_username"])}}
        if given
        else {}
    )


@pytest.fixture(scope="module")
def send_through(scripted: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Change]:
    """Let the host send through an account, which is healthy by now."""
    recorded: dict[str, Change] = {}
    in_use: list[str] = []

    def send_through(account: str) -> Change:
        scripted.play(f"{account}-healthy")
        if account not in recorded:
            recorded[account] = Change(tmp_path_factory.mktemp(account) / "recorded", **variables(account))
        elif in_use[-1] != account:
            assert "failed" not in recorded[account].make()
        in_use.append(account)
        return recorded[account]

    return send_through


@dataclass
class Met:
    """A host that has just met a personality."""

    personality: str
    expected: Expected
    change: Change

    def explains(self, text: object) -> bool:
        """Whether a text names the cause and the remedy."""
        failure = FAILURES[self.expected.key]
        plain = " ".join(str(text).split())
        return failure.cause in plain and failure.remedy in plain


@pytest.fixture(scope="module")
def met(
    request: pytest.FixtureRequest, host: Host, scripted: Scripted, send_through: Callable[[str], Change]
) -> Iterator[Met]:
    """The host after a mail to a provider with this personality."""
    personality = request.param
    change = send_through(personality.partition("-")[0])
    host.run_expect([0], "postsuper -d ALL")
    forget_the_log(host)
    scripted.play(personality)
    yield Met(personality, EXPECTED[personality], change)
    host.run_expect([0], "postsuper -d ALL")


def _met(names: Collection[str]) -> pytest.MarkDecorator:
    """A test that meets all of these; the first provider's at each time, of every other one the first."""
    kept = {name.partition("-")[0]: name for name in reversed([*names])}.values()
    params = [name if name.startswith("fastmail") or name in kept else pytest.param(name, marks=long) for name in names]
    return pytest.mark.parametrize("met", params, indirect=True, scope="module")


every, told_at_login = _met(EXPECTED), _met(TOLD_AT_LOGIN)


def answer(change: Change, *replaced: tuple[str, str]) -> dict[str, Any]:
    """What the module answers to other arguments than the recorded ones."""
    other = copy.copy(change)
    for old, new in replaced:
        assert old in other.module
        other.module = other.module.replace(old, new)
    return other.make()


def password_of(change: Change) -> str:
    """The password in the arguments of the module, which is in its table alone."""
    [found] = re.findall(r'\]:\d+ [^\s:"]+:([^"\\]+)\\', change.module)
    return str(found)


# --- what each way of asking says -------------------------------------------------------------------


@every
def test_a_test_mail_names_cause_and_remedy_and_so_does_the_state(host: Host, met: Met, tmp_path: Path) -> None:
    tested = host.run("smarthost test --timeout 20 root")
    assert tested.rc == 1
    assert f"It was not sent ({met.expected.mail})" in tested.stdout
    assert met.explains(tested.stdout), tested.stdout
    assert ("It waits in the queue" in tested.stdout) == (met.expected.mail == "deferred")

    state = host.run("smarthost status")
    assert state.rc == met.expected.fault, state.stdout
    assert state.stdout.startswith("Mail does not leave" if met.expected.fault else "Mail leaves")
    assert met.explains(state.stdout), state.stdout

    # The same as a row of a table.
    extra = {"json": f"{tmp_path}/check.json", **variables(met.personality.partition("-")[0])}
    done = run_site(f"--extra-vars={json.dumps(extra)}", limit=NAME, playbook=PROJECT / "playbooks/check.yml")
    [row] = json.loads((tmp_path / "check.json").read_text())
    assert (done.returncode == 0) == row["healthy"]
    assert row["login"] == met.expected.login
    assert row["healthy"] == (not met.expected.fault and met.expected.login != "refused")
    assert met.explains(row["notes"]), row


@told_at_login
def test_a_login_that_is_tried_by_hand_names_cause_and_remedy(host: Host, met: Met) -> None:
    tried = host.run("smarthost login")
    assert tried.rc == 1
    assert met.explains(tried.stdout), tried.stdout
    assert not tried.stdout.startswith("Smtp")


@told_at_login
def test_a_run_with_a_new_password_names_cause_and_remedy(host: Host, met: Met) -> None:
    before = host.check_output(FOLDER)
    new_password = (password_of(met.change), NEW_PASSWORD)
    if met.expected.login == "refused":
        told = answer(met.change, new_password)
        assert told["failed"] and str(told["msg"]).startswith("Nothing was changed")
        assert met.explains(told["msg"]), told["msg"]
    else:
        # It would go on, because the old password would not do better now.
        told = answer(met.change, new_password, ('"_ansible_check_mode": false', '"_ansible_check_mode": true'))
        assert told["changed"]
        assert met.explains(told["warnings"]), told["warnings"]
    assert host.check_output(FOLDER) == before
    assert NEW_PASSWORD not in json.dumps({key: value for key, value in told.items() if key != "invocation"})


def test_a_whole_run_names_cause_and_remedy_and_logs_in_once(
    host: Host, scripted: Scripted, send_through: Callable[[str], Change]
) -> None:
    change = send_through("gmail")
    scripted.play("gmail-account-password")
    before, logins = host.file(MAIN_CF).content_string, scripted.logins()
    done = run(**variables("gmail"), smarthost_password=NEW_PASSWORD)
    assert done.returncode != 0
    assert "534 5.7.9 Application-specific password required. For more information, go to https://" in said(done)
    assert Met("", Expected("gmail-app-password-required"), change).explains(said(done))
    assert scripted.logins() == logins + 1
    assert host.file(MAIN_CF).content_string == before


def test_the_playbooks_name_cause_and_remedy_once(
    host: Host, scripted: Scripted, send_through: Callable[[str], Change]
) -> None:
    send_through("fastmail")
    scripted.play("fastmail-wrong-password")
    for playbook, extra in (("test-mail", "to=root"), ("check", "json=/dev/null")):
        done = run_site(f"--extra-vars={extra}", limit=NAME, playbook=PROJECT / f"playbooks/{playbook}.yml")
        assert done.returncode != 0
        failure = FAILURES["fastmail-login-refused"]
        assert said(done).count(f"{NAME}: {failure.cause} {failure.remedy} {failure.link}") == 1
        assert said(done).count(failure.cause) == 1
    host.run_expect([0], "postsuper -d ALL")


def test_a_password_that_the_server_repeats_is_shown_nowhere(
    host: Host, scripted: Scripted, send_through: Callable[[str], Change], tmp_path: Path
) -> None:
    send_through("fastmail")
    scripted.play("fastmail-repeats-the-password")
    for playbook, extra in (("test-mail", "to=root"), ("check", "x=y")):
        extras = f"--extra-vars={extra} json={tmp_path}/rows.json"
        done = run_site(extras, "-vvv", limit=NAME, playbook=PROJECT / f"playbooks/{playbook}.yml")
        shown = done.stdout + done.stderr + (tmp_path / "rows.json").read_text()
        assert "535 5.7.0 Incorrect password ***" in shown
        assert PASSWORD not in shown
    state = host.run("smarthost status").stdout + host.run("smarthost status --json").stdout
    assert "535 5.7.0 Incorrect password ***" in state and PASSWORD not in state
    host.run_expect([0], "postsuper -d ALL")


# --- what changes by itself ----------------------------------------------------------------------------


def test_greylisting_passes_by_itself(host: Host, scripted: Scripted, send_through: Callable[[str], Change]) -> None:
    send_through("fastmail")
    forget_the_log(host)
    scripted.play("fastmail-greylisting")
    assert host.run("smarthost test root").rc == 1
    host.run_expect([0], "postqueue -f")
    deadline = time.monotonic() + 20
    while "Queue        empty" not in (shown := host.run("smarthost status").stdout):
        assert time.monotonic() < deadline, shown
        time.sleep(0.2)
    assert shown.startswith("Mail leaves")


def test_a_test_mail_asks_the_provider_anew_where_postfix_makes_a_pause(
    host: Host, scripted: Scripted, send_through: Callable[[str], Change]
) -> None:
    send_through("fastmail")
    host.run_expect([0], "postsuper -d ALL")
    scripted.play("fastmail-wrong-password")
    burst = "[s.sendmail('app', ['root'], 'Subject: x') for s in [smtplib.SMTP('127.0.0.1')] for _ in range(20)]"
    host.run_expect([0], f'python3 -c "import smtplib; {burst}"')
    deadline = time.monotonic() + 30
    while (queue := host.check_output("postqueue -j")).count("delay_reason") < 20:
        assert time.monotonic() < deadline, queue
        time.sleep(0.2)
    assert "delivery temporarily suspended" in queue
    # Those that were not tried wait for the same reason as those that were.
    shown = host.run("smarthost status").stdout
    assert "20 waiting: SASL authentication failed" in shown, shown

    scripted.play("fastmail-healthy")
    tested = host.run("smarthost test root")
    assert tested.rc == 0, tested.stdout
    host.run_expect([0], "postsuper -d ALL")


# --- silence ----------------------------------------------------------------------------------------


@long
def test_silence_on_a_port_for_implicit_tls_is_explained_and_a_test_ends_in_time(
    host: Host, scripted: Scripted, send_through: Callable[[str], Change]
) -> None:
    usual = send_through("fastmail")
    forget_the_log(host)
    # As smarthost_tls: starttls on that port would be, which the role refuses beforehand.
    host.run_expect([0], "postconf -e smtp_tls_wrappermode=no smtp_helo_timeout=6s && postfix reload")
    start = time.monotonic()
    tested = host.run("smarthost test --timeout 2 root")
    assert time.monotonic() - start < 10
    assert tested.rc == 1 and "the provider has not answered within 2 s" in tested.stdout
    silence = Met("", Expected("tls-no-greeting"), usual)
    assert silence.explains(host.run("smarthost login").stdout)
    # That took longer than Postfix waits.
    state = host.run("smarthost status")
    assert state.rc == 1 and silence.explains(state.stdout), state.stdout
    host.run_expect([0], "postsuper -d ALL")
    usual.make()


# --- a host that is not as it should be -----------------------------------------------------------------


def test_a_stopped_postfix_is_said_with_the_remedy(host: Host, send_through: Callable[[str], Change]) -> None:
    usual = send_through("fastmail")
    host.run_expect([0], "systemctl stop postfix")
    for command in ("smarthost status", "smarthost test root"):
        told = host.run(command)
        assert told.rc == 1
        assert "Postfix does not answer" in told.stdout
        assert "Start Postfix, or run the playbook again." in told.stdout
        assert told.stderr == ""
    # Only root can see the queue now: that is not the same as an empty one.
    assert "only root may read it" in host.run("su nobody -s /bin/sh -c 'smarthost status'").stdout
    assert usual.make()["actions"] == ["started Postfix"]


def test_who_is_not_root_is_told_what_needs_root(host: Host, send_through: Callable[[str], Change]) -> None:
    send_through("fastmail")
    state = host.run("su nobody -s /bin/sh -c 'smarthost status'")
    assert state.rc == 0 and "only root may read all of it" in state.stdout
    for command in ("test root", "login"):
        told = host.run(f"su nobody -s /bin/sh -c 'smarthost {command}'")
        assert told.rc == 2 and f"Run: sudo smarthost {command.split()[0]}" in told.stderr


def test_a_host_without_a_relay_is_said_to_have_none(host: Host, send_through: Callable[[str], Change]) -> None:
    usual = send_through("fastmail")
    host.run_expect([0], "postconf -e relayhost=")
    for command in ("smarthost status", "smarthost login"):
        told = host.run(command)
        assert told.rc == 1 and "Postfix has no relayhost: this host is not configured as a smart host" in told.stdout
    usual.make()
