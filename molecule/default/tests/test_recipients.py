"""Mail for users of this host that waits for a relay of one's own, when this host comes to know them itself."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import testinfra
from conftest import LAB, NAME, Mail, changed, forget_the_log, run
from testinfra.host import Host

from workshop.lab.host import exec
from workshop.lab.provider import Provider

CONTAINER = f"{LAB}-{NAME}"
# The relay knows who gets the mail of this host's users.
SPOKE = {
    "smarthost_provider": "custom",
    "smarthost_port": 587,
    "smarthost_tls": "none",
    "smarthost_auth": "none",
    "smarthost_username": "",
    "smarthost_password": "",
    "smarthost_aliases": {},
    "smarthost_generic": {},
}
ALIASES = {"root": "casey@fastmail.com", "ups": "alerts@casey.test", "anna": "anna@elsewhere.test"}


@pytest.fixture
def host(provider: Provider) -> Iterator[Host]:
    """A host whose mail waits for a relay of one's own."""
    host = testinfra.get_host(f"podman://{CONTAINER}")
    provider.clear()
    provider.serve_address(exec(CONTAINER, "hostname", "-I").stdout.split()[0])
    provider.offer_tls(False)
    relay = exec(provider.container, "hostname", "-I").stdout.split()[0]
    changed(run(**SPOKE, smarthost_host=relay))
    provider.answer(False)
    yield host
    host.run_expect([0], "postsuper -d ALL")
    provider.reset()
    changed(run())
    forget_the_log(host)


def test_mail_to_users_that_waits_for_a_hub_reaches_the_person_when_the_hub_gives_way_to_a_provider(
    host: Host, provider: Provider
) -> None:
    mails = {
        Mail(host, to=to).subject: recipient
        for to, recipient in (
            ("root", ALIASES["root"]),
            ("ups", ALIASES["ups"]),
            ("anna@nas.lan", ALIASES["anna"]),
            ("friend@elsewhere.test", "friend@elsewhere.test"),
        )
    }
    deadline = time.monotonic() + 30
    while host.check_output("postqueue -j").count('"delay_reason"') < len(mails):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    # The provider comes back when the change is made: it would refuse what came to it as to the relay.
    changed(run(smarthost_aliases=ALIASES))
    provider.reset()
    host.run_expect([0], "postqueue -f")
    deadline = time.monotonic() + 60
    while host.check_output("postqueue -j"):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    assert {str(mail["Subject"]): mail.recipient for mail in provider.mails()} == mails
