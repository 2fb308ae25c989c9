"""A host that was set up before the role, whose name is none: what molecule/shared/prepare.yml leaves."""

from __future__ import annotations

import pytest
from conftest import UNTIDY, Mail
from testinfra.host import Host

from workshop.lab.provider import ACCOUNT, Provider

pytestmark = pytest.mark.parametrize("name", UNTIDY, scope="module")


@pytest.mark.parametrize(
    ("which", "sender", "recipient"),
    [
        ("cron", ACCOUNT, ACCOUNT),
        ("ups", ACCOUNT, ACCOUNT),
        ("friend", ACCOUNT, "friend@elsewhere.test"),
        ("earlier", ACCOUNT, ACCOUNT),
        ("bounce", "", ACCOUNT),
    ],
)
def test_mail_that_waited_before_the_first_run_arrives(
    provider: Provider, name: str, which: str, sender: str, recipient: str
) -> None:
    # Once, and as from the account, or else the provider had refused it.
    assert provider.deliveries(f"{which}@{name}.test") == [(sender, recipient)]


def test_the_program_is_run_by_a_python_that_an_upgrade_leaves(host: Host) -> None:
    assert host.file("/usr/local/bin/smarthost").content_string.startswith("#!/usr/bin/python3\n")


def test_a_provider_that_judges_the_hosts_name_takes_mail(host: Host, provider: Provider) -> None:
    provider.defer_helo(r"_|^[^.]+$")
    assert Mail(host).arrived(provider)
