"""One server for the house: a hub that has the login, and spokes that send through it."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
import trustme
from conftest import INVENTORIES, LAB, NAME, PASSWORD, PROJECT, Mail, changed, follow, long, run, run_site, said
from testinfra.host import Host

from tests import pages
from workshop.lab import labs
from workshop.lab.host import exec
from workshop.lab.provider import ACCOUNT, ALIASES, Provider

HUB = f"{LAB}-{NAME}"
SPOKES = ("web", "pi", "attic")
HEADING = "A hub and its spokes"


@pytest.fixture(scope="module")
def host() -> Host:
    """Testinfra's view of the hub."""
    return testinfra.get_host(f"podman://{HUB}")


@pytest.fixture(scope="module")
def spokes() -> Iterator[dict[str, Host]]:
    """The other hosts of the house; one has a name on the internet."""
    labs.up(LAB, dict.fromkeys(SPOKES, "trixie"), hostnames={"web": "web.casey.test"})
    yield {name: testinfra.get_host(f"podman://{LAB}-{name}") for name in SPOKES}
    changed(run())
    labs.down(LAB, list(SPOKES))


class House:
    """The inventory of the page, with the lab's names and addresses."""

    def __init__(self, path: Path) -> None:
        addresses = {f"192.168.1.1{number}": address(name) for number, name in enumerate(SPOKES, 1)}
        names = {"nas.lan": HUB, "you@example.com": ACCOUNT, "partner@example.com": ALIASES[0], "nas:": f"{NAME}:"}
        inventory, *self.tls = pages.blocks("docs/house.md", names | addresses)[HEADING]
        inventory["all"]["vars"] = {"lab": LAB}
        # Of the page's vault.
        inventory["all"]["hosts"][NAME]["smarthost_password"] = PASSWORD
        path.write_text(json.dumps(inventory))
        self.inventories = (INVENTORIES[0], path)

    def run(self, *names: str, playbook: str = "site.yml", **variables: object) -> subprocess.CompletedProcess[str]:
        """Run a playbook on these hosts of the house."""
        return run_site(
            f"--extra-vars={json.dumps(variables)}", limit=",".join(names), inventories=self.inventories,
            playbook=PROJECT / playbook,
        )  # fmt: skip


@pytest.fixture
def house(spokes: dict[str, Host], tmp_path: Path) -> House:
    """What the page tells a person to write."""
    return House(tmp_path / "hosts.json")


@pytest.fixture
def set_up(house: House, provider: Provider) -> House:
    """The house, whichever tests came before."""
    provider.limit(False)
    done = house.run(NAME, *SPOKES, canary=1)
    assert done.returncode == 0, said(done)
    return house


def address(host: str) -> str:
    """The address of a host of the lab."""
    return exec(f"{LAB}-{host}", "hostname", "-I").stdout.split()[0]


def test_a_hub_and_its_spokes_are_one_run(provider: Provider, house: House, tmp_path: Path) -> None:
    # Logins in a minute are counted, those of the tests before among them.
    provider.limit(False)
    # The hub does not know it yet.
    changed(run(smarthost_clients=["192.0.2.1"]))
    refused = house.run("web")
    assert f"Nothing was changed: {HUB} refused the recipient root@web.localdomain: 554" in said(refused)
    # The hub first, or each spoke would be refused.
    everyone = (NAME, *SPOKES)
    done = house.run(*everyone, canary=1)
    assert all(changed(done, name) for name in everyone)
    again = house.run(*everyone)
    assert [changed(again, name) for name in everyone] == [0] * 4
    sent = said(house.run(*everyone, playbook="playbooks/test-mail.yml", to=ACCOUNT))
    for name in everyone:
        assert f"{name} sent 250 2.0.0 Ok: queued as" in sent
    house.run(*everyone, playbook="playbooks/check.yml", json=f"{tmp_path}/check.json")
    rows = json.loads((tmp_path / "check.json").read_text())
    assert {row["host"]: (row["mail"], row["login"]) for row in rows} == {
        NAME: ("leaves", "accepted"), **dict.fromkeys(SPOKES, ("leaves", "none needed"))
    }  # fmt: skip


def test_the_hub_knows_who_gets_the_mail_of_its_spokes(provider: Provider, spokes: dict[str, Host]) -> None:
    web = spokes["web"]
    assert web.check_output("smarthost login") == f"{HUB} accepts mail of this host without a login."
    # To the hub's alias for each, as the account; also under the name that is one on the internet.
    for to, sender, recipient in (
        ("root", "", ACCOUNT),
        ("ups", "backup", ALIASES[0]),
        ("root@web.casey.test", "app@web.casey.test", ACCOUNT),
        ("friend@elsewhere.example", "", "friend@elsewhere.example"),
    ):
        mail = Mail(web, to=to, sender=sender).arrived(provider)
        assert (mail.sender, mail.recipient) == (ACCOUNT, recipient)
        assert mail["From"].addresses[0].addr_spec == ACCOUNT


@long
def test_a_spoke_waits_for_its_hub_also_through_a_reboot(
    host: Host, provider: Provider, spokes: dict[str, Host], set_up: House
) -> None:
    # In the lab, a host that boots gets another address.
    shown = host.check_output("ip -4 -br address show eth0").split()[2]
    changed(set_up.run(NAME, smarthost_clients=[str(ipaddress.ip_interface(shown).network)]))
    host.run_expect([0], "systemctl stop postfix")
    waiting = [Mail(spokes[name]) for name in ("web", "pi")]
    for mail in waiting:
        assert "Connection refused" in mail.reason_it_waits()
    assert "waiting" in spokes["web"].run("smarthost status").stdout
    labs.reboot(LAB, "pi")
    back = time.monotonic()
    host.run_expect([0], "systemctl start postfix")
    for mail in waiting:
        assert mail.arrived(provider, timeout=60 - (time.monotonic() - back))
    spokes["web"].run_expect([0], "smarthost status")


@long
def test_a_test_mail_is_followed_by_the_hub_into_the_inbox(
    host: Host, provider: Provider, spokes: dict[str, Host], set_up: House, mailbox: dict[str, Any], tmp_path: Path
) -> None:
    def way() -> dict[str, Any]:
        done = follow(mailbox, tmp_path, limit="web", to="root", minutes=0.1, inventories=set_up.inventories)
        assert "HANDED IN QUEUED HUB TAKEN ARRIVED" in said(done)
        [row] = json.loads((tmp_path / "mail.json").read_text())
        return dict(row)

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
    spokes["web"].run_expect([0], "postsuper -d ALL")
    host.run_expect([0], "systemctl start postfix")


@long
def test_a_spoke_verifies_a_hub_that_has_a_certificate_of_ones_own(
    provider: Provider, spokes: dict[str, Host], set_up: House, tmp_path: Path
) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert(HUB)
    key, chain = leaf.private_key_pem, leaf.cert_chain_pems[0]
    hub, spoke = set_up.tls
    key_file, chain_file = hub["smarthost_parameters"]["smtpd_tls_chain_files"].split(", ")
    for pem, container, path in (
        (key, HUB, key_file), (chain, HUB, chain_file), (authority.cert_pem, f"{LAB}-web", spoke["smarthost_ca_file"]),
    ):  # fmt: skip
        exec(container, "sh", "-euc", f"umask 022; cat >{path}", input=pem.bytes().decode())
    # Not the hub alone.
    exec(HUB, "chmod", "0600", key_file)
    changed(set_up.run(NAME, **hub))
    # Who made it, this host does not know.
    assert f"the certificate of {HUB} could not be verified" in said(set_up.run("web", smarthost_tls="starttls"))
    changed(set_up.run("web", **spoke), "web")
    mail = Mail(spokes["web"])
    assert mail.arrived(provider).recipient == ACCOUNT
    assert f"Verified TLS connection established to {HUB}" in mail.log()
    # Others still come without.
    assert Mail(spokes["attic"]).arrived(provider)
