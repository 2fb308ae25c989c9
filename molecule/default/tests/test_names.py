"""A host that is called like a mail domain: what is written to that domain still goes where its mailboxes are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import testinfra
from conftest import LAB, Mail, changed, long, run, said
from testinfra.host import Host

from workshop.lab import labs
from workshop.lab.provider import Provider

# An address of the account below the host's own name, as it is at home with a domain of one's own.
OWN = "alerts@casey.test"


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The option for a host that is called casey.test."""
    labs.up(LAB, {"domain": "trixie"}, hostnames={"domain": "casey.test"})
    path = tmp_path_factory.mktemp("domain") / "hosts.yml"
    path.write_text("all: {hosts: {domain: {suite: trixie}}}")
    yield f"--inventory={path}"
    labs.down(LAB, ["domain"])


@pytest.fixture
def host() -> Host:
    """Testinfra's view of it."""
    return testinfra.get_host(f"podman://{LAB}-domain")


@pytest.mark.parametrize("sender", [pytest.param("casey@fastmail.com", marks=long), OWN])
def test_its_users_send_as_the_account_and_its_domains_mailboxes_get_their_mail(
    host: Host, provider: Provider, inventory: str, sender: str
) -> None:
    changed(run(inventory, limit="domain", smarthost_from=sender), "domain")
    for user in ("root", "ups@casey.test", "www-data@casey.localdomain"):
        mail = Mail(host, sender=user, headers=f"From: {user}\nTo: root").arrived(provider)
        assert (mail.sender, mail["From"].addresses[0].addr_spec) == (sender, sender)
        assert mail.recipient == "casey@fastmail.com"
    mail = Mail(host, to="anna@casey.test").arrived(provider)
    assert mail.recipient == mail["To"] == "anna@casey.test"


def test_mail_to_root_under_that_name_reaches_the_person(host: Host, provider: Provider, inventory: str) -> None:
    changed(
        run(inventory, limit="domain", smarthost_aliases={"root": "casey@fastmail.com"}, smarthost_generic={}), "domain"
    )
    assert Mail(host, to="root@casey.test").arrived(provider).recipient == "casey@fastmail.com"


def test_all_of_it_stays_here_where_a_person_asks_for_that(host: Host, provider: Provider, inventory: str) -> None:
    asked = {"smarthost_hostname": "casey.test", "smarthost_generic": {}}
    root = {"smarthost_aliases": {"root": "casey@fastmail.com"}}
    changed(run(inventory, limit="domain", **asked, **root), "domain")
    assert Mail(host, to="anna@casey.test").arrived(provider).recipient == "casey@fastmail.com"
    # But not where mail goes to that domain, and the remedy that is named works.
    done = run(inventory, limit="domain", **asked, smarthost_from=OWN)
    assert done.returncode != 0
    assert "smarthost_hostname: 'casey.test' is the domain of an address" in said(done)
    below = {**asked, "smarthost_hostname": "nas.casey.test", "smarthost_from": OWN}
    assert changed(run(inventory, limit="domain", **below), "domain") == 1


@long
def test_mail_that_waited_under_that_name_leaves_as_the_account(host: Host, provider: Provider, inventory: str) -> None:
    """As on a host whose Postfix was there first: its senders are public, and no account owns them."""
    changed(run(inventory, limit="domain", smarthost_state="absent"), "domain")
    host.run_expect([0], "DEBIAN_FRONTEND=noninteractive apt-get -qq install postfix")
    host.run_expect([0], "postconf -e relayhost=[127.0.0.1]:9 mydestination=localhost && postfix reload")
    to_root, to_friend = (
        Mail(host, sender="ups@casey.test", to="root@casey.test"),
        Mail(host, to="friend@elsewhere.test"),
    )
    assert to_friend.reason_it_waits()
    changed(
        run(inventory, limit="domain", smarthost_generic={}, smarthost_aliases={"root": "casey@fastmail.com"}), "domain"
    )
    for sent, recipient in ((to_root, "casey@fastmail.com"), (to_friend, "friend@elsewhere.test")):
        mail = sent.arrived(provider)
        assert (mail.sender, mail.recipient) == ("casey@fastmail.com", recipient)
        assert mail["From"].addresses[0].addr_spec == "casey@fastmail.com"
    provider.clear()
