"""Five hundred mails at once: at the pace that a provider wants, and through an outage by the second way."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import testinfra
from conftest import LAB, MOST_LOGINS, NAME, Change, Counted, changed, forget_the_log, logins, long, run
from test_accounts import EARLIER, SPARE

from workshop.lab.provider import ACCOUNT, OTHER_ACCOUNT, OTHER_PASSWORD, Provider

BURST = 500


# The default account's provider alone is away, without a word to the provider of both that would cut off mail.
AWAY = """
for file in /etc/hosts /var/spool/postfix/etc/hosts; do
    [ ! -e $file ] || echo 127.0.0.9 smtp.fastmail.com >>$file
done
"""
BACK = """
for file in /etc/hosts /var/spool/postfix/etc/hosts; do
    [ ! -e $file ] || { grep -v ^127.0.0.9 $file >/run/hosts; cat /run/hosts >$file; }
done
"""


@pytest.fixture
def mails(usual: Change, provider: Provider) -> Iterator[Counted]:
    """Mails to be counted, on a host that is as usual again after the test."""
    name = f"{LAB}-{NAME}"
    host = testinfra.get_host(f"podman://{name}")
    provider.clear()
    provider.set_owned([OTHER_ACCOUNT], OTHER_ACCOUNT)
    forget_the_log(host)
    yield Counted(host, name)
    host.run_expect([0], f"{BACK} postsuper -d ALL; rm -f /var/lib/smarthost/second_way.json")
    provider.reset()
    assert "failed" not in usual.make()
    forget_the_log(host)


# Microsoft takes 30 mails in a minute, here 3 in six seconds; the lab's server counts the last second, too.
PACE = (3, 5)
OFFICE = "office@office.test"
OFFICES: dict[str, Any] = {
    "name": "office", "provider": "microsoft365", "host": "smtp.fastmail.com", "port": 587, "tls": "starttls",
    "username": OFFICE, "password": OTHER_PASSWORD, "senders": ["app"],
}  # fmt: skip


@long
def test_a_burst_is_sent_at_the_pace_of_the_provider_with_few_logins(provider: Provider, mails: Counted) -> None:
    provider.set_password(OTHER_PASSWORD, OFFICE)
    provider.set_owned([OFFICE], OFFICE)
    changed(run(smarthost_accounts=[OFFICES]))
    provider.pace(*PACE)
    marker = provider.marker()
    begun = time.monotonic()
    mails.hand_in(BURST)
    while mails.arrived(provider).total() < 6:
        time.sleep(0.1)
    assert 10 <= time.monotonic() - begun < 18
    # The others have not been put off, and one login has sent all.
    assert not any(mails.queue())
    log = provider.log_since(marker)
    assert len(re.findall(r": connect from", log)) == 1 and "rate limit exceeded" not in log
    # Those that are left share a few logins, too, where no pace holds them up; here connections and logins are counted.
    mails.host.run_expect([0], "postconf -e defer_transports=smarthost-office && postfix reload")
    provider.pace(0, 60)
    marker = provider.marker()
    changed(run(smarthost_accounts=[{**OFFICES, "provider": "custom"}]))
    mails.arrive_once(provider, told_to_leave=False)
    # The last connections are kept for a moment.
    time.sleep(4)
    log = provider.log_since(marker)
    assert not re.search("rate limit exceeded|too many|reject", log)
    assert 1 <= logins(log) <= MOST_LOGINS


def test_through_an_outage_each_mail_leaves_once_by_the_one_way_or_the_other(
    provider: Provider, mails: Counted
) -> None:
    host, later = mails.host, Counted(mails.host, mails.container)
    # Both ways lead to one server here, which would count the connections of both together.
    provider.limit(False)
    native = {"smtp_host_lookup": "native"}
    changed(run(smarthost_parameters=native, **SPARE))
    host.run_expect([0], "systemctl stop smarthost-retry.timer")
    host.run_expect([0], AWAY)
    mails.hand_in(BURST)
    mails.all_wait("Connection refused")
    host.run_expect([0], "smarthost retry")
    host.run_expect([0], f"python3 -c '{EARLIER}'")
    with later.flowing():
        assert host.run_expect([0], "smarthost retry").stdout == "Mail leaves through family now.\n"
        # In the middle of it, the first provider is back.
        host.run_expect([0], BACK)
        # It may send what was tried with the first one just before.
        assert "Mail leaves" not in host.run_expect([0], "smarthost retry").stdout
        host.run_expect([0], f"python3 -c '{EARLIER}'")
        assert host.run_expect([0], "smarthost retry").stdout == "Mail leaves through the default account again.\n"
    for counted in (mails, later):
        counted.arrive_once(provider, told_to_leave=False)
    by = Counter(mail.login for mail in provider.mails())
    assert by.total() == BURST + later.count and by.keys() == {ACCOUNT, OTHER_ACCOUNT}
