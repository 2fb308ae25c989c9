"""How mail does on a fleet: playbooks/check.yml and playbooks/test-mail.yml."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
from conftest import CHOSEN, LAB, NAME, PROJECT, Change, Mail, forget_the_log, lose_a_mail, run_site, said
from testinfra.host import Host

from workshop.lab.provider import ACCOUNT, Provider

CHECK = PROJECT / "playbooks/check.yml"
TEST_MAIL = PROJECT / "playbooks/test-mail.yml"
FLEET = ",".join(CHOSEN)


def test_a_fleet_that_is_well_is_a_table_and_leaves_no_trace(tmp_path: Path) -> None:
    hosts = [testinfra.get_host(f"podman://{LAB}-{name}") for name in CHOSEN]
    for host in hosts:
        forget_the_log(host)
    before = [host.check_output("find /etc/postfix -printf '%p %T@ %m\\n'") for host in hosts]
    done = run_site("--extra-vars", f"json={tmp_path}/check.json", limit=FLEET, playbook=CHECK)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "check.json").read_text())
    assert [row["host"] for row in rows] == CHOSEN
    assert {(row["mail"], row["configuration"], row["login"]) for row in rows} == {
        ("leaves", "as it should be", "accepted")
    }
    for name in CHOSEN:
        assert f"{name} leaves as it should be up accepted empty" in said(done)
    assert [host.check_output("find /etc/postfix -printf '%p %T@ %m\\n'") for host in hosts] == before


@pytest.fixture
def host(usual: Change) -> Iterator[Host]:
    """A configured host with an empty queue, and again so after the test."""
    host = testinfra.get_host(f"podman://{LAB}-{NAME}")
    forget_the_log(host)
    yield host
    assert "failed" not in usual.make()
    host.run_expect([0], "postsuper -d ALL")


def test_what_is_wrong_on_a_host_is_a_row_and_an_error(host: Host, provider: Provider, tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: {hosts: {gone: {ansible_host: nowhere}}}")
    provider.set_password("m3n5b7v9c1x2z4l6")
    host.run_expect([0], "postconf -e delay_warning_time=4h")
    mail = Mail(host)
    assert "535 5.7.8" in mail.reason_it_waits()
    done = run_site(
        f"--inventory={inventory}", "--extra-vars", f"json={tmp_path}/check.json", limit=f"{NAME},gone", playbook=CHECK
    )
    assert done.returncode != 0
    rows = {row["host"]: row for row in json.loads((tmp_path / "check.json").read_text())}
    faulty = rows[NAME]
    assert (faulty["mail"], faulty["configuration"], faulty["login"]) == ("FAULT", "changed", "refused")
    assert faulty["queue"].startswith("1, ")
    assert any("it takes only app passwords" in note for note in faulty["notes"])
    assert rows["gone"]["mail"] == "NOT REACHED"
    assert f"2 of 2 hosts are not well: {NAME}, gone" in said(done)


def row_of(tmp_path: Path, **variables: object) -> dict[str, Any]:
    """What check.yml has to say of the host, with other variables than the inventory's."""
    extra = json.dumps({"json": f"{tmp_path}/check.json", **variables})
    done = run_site("--extra-vars", extra, limit=NAME, playbook=CHECK)
    [row] = json.loads((tmp_path / "check.json").read_text())
    assert (done.returncode == 0) == row["healthy"], done.stdout + done.stderr
    found: dict[str, Any] = row
    return found


def test_a_host_that_has_lost_a_mail_is_a_row_with_reason_and_remedy(host: Host, tmp_path: Path) -> None:
    lose_a_mail(host)
    assert host.run("smarthost test root").rc == 0
    row = row_of(tmp_path)
    assert (row["mail"], row["configuration"], row["login"]) == ("FAULT", "as it should be", "accepted")
    [note] = row["notes"]
    assert note.startswith("1 mail to casey@fastmail.com was given up ") and "stranger@elsewhere.example" in note
    assert "Set smarthost_from to an address that belongs to the account." in note
    [lost] = row["details"]["lost"]
    assert (lost["to"], lost["status"]) == ("casey@fastmail.com", "bounced")


def test_a_host_without_its_ca_bundle_is_a_row_with_the_remedy(host: Host, tmp_path: Path) -> None:
    ca_file = "/etc/ssl/certs/ca-certificates.crt"
    host.run_expect([0], f"mv {ca_file} {ca_file}.away")
    row = row_of(tmp_path)
    host.run_expect([0], f"mv {ca_file}.away {ca_file}")
    assert row["mail"] == "FAULT"
    [note] = row["notes"]
    assert f"there is no CA bundle {ca_file} on this host" in note


def test_nobody_logs_in_with_what_somebody_else_has_configured(host: Host, provider: Provider, tmp_path: Path) -> None:
    marker = provider.marker()
    host.run_expect([0], "postconf -e 'smtp_sasl_password_maps = static:casey:m3n5b7v9c1x2z4l6, hash:/etc/aliases'")
    row = row_of(tmp_path)
    assert (row["mail"], row["configuration"], row["login"]) == ("FAULT", "changed", "undecided")
    assert "m3n5b7v9c1x2z4l6" not in json.dumps(row)
    assert " auth=" not in provider.log_since(marker)


def test_a_host_whose_configuration_somebody_has_damaged_is_a_row(host: Host, tmp_path: Path) -> None:
    host.run_expect([0], "for path in /etc/postfix/smarthost/[ab]/settings.json; do echo '{' >$path; done")
    row = row_of(tmp_path)
    assert (row["mail"], row["configuration"], row["login"]) == ("FAULT", "changed", "accepted")


def test_a_host_that_is_to_be_given_back_is_no_fault(host: Host, tmp_path: Path) -> None:
    row = row_of(tmp_path, smarthost_state="absent")
    assert (row["healthy"], row["mail"]) == (True, "absent")


def test_a_mail_from_every_host_shows_the_providers_reply(provider: Provider) -> None:
    provider.clear()
    done = run_site("--extra-vars", f"to={ACCOUNT}", limit=FLEET, playbook=TEST_MAIL)
    assert done.returncode == 0, done.stdout + done.stderr
    subjects = " ".join(str(mail["Subject"]) for mail in provider.mails())
    for name in CHOSEN:
        assert f"{name} sent 250 2.0.0 Ok: queued as" in said(done)
        hostname = testinfra.get_host(f"podman://{LAB}-{name}").check_output("postconf -h myhostname")
        assert f"Test mail from {hostname}" in subjects


def test_a_clock_that_is_off_and_an_old_ca_bundle_are_said(host: Host) -> None:
    # The controller's time is what the run says it is.
    ca_file = "/etc/ssl/certs/ca-certificates.crt"
    host.run_expect([0], f"touch -d '4 years ago' {ca_file}")
    inventory = f"--extra-vars={json.dumps({'__smarthost_now': 1700000000})}"
    done = run_site(inventory, limit=NAME, playbook=CHECK)
    host.run_expect([0], f"touch {ca_file}")
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("The clock of this host is ", f"The CA bundle {ca_file} was last written 14"):
        assert words in said(done).partition("HOST MAIL")[2]
