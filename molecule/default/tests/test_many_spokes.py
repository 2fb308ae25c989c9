"""One server for ten others: nothing is lost, and the provider sees few logins."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import testinfra
from conftest import INVENTORIES, LAB, MOST_LOGINS, NAME, Counted, changed, logins, run, run_site

from workshop.lab import images, labs
from workshop.lab.host import exec
from workshop.lab.provider import Provider

HUB = f"{LAB}-{NAME}"
SPOKES = [f"spoke{number}" for number in range(10)]
EACH = 50


@pytest.fixture
def spokes(tmp_path: Path) -> Iterator[list[Counted]]:
    """Ten spokes of one hub."""
    labs.up(LAB, dict.fromkeys(SPOKES, images.INSTALLED))
    addresses = [exec(f"{LAB}-{name}", "hostname", "-I").stdout.split()[0] for name in SPOKES]
    changed(run(smarthost_clients=addresses))
    spoke = {"smarthost_provider": "hub", "smarthost_host": HUB}
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"all": {"vars": {"lab": LAB}, "hosts": dict.fromkeys(SPOKES, spoke)}}))
    done = run_site(limit=",".join(SPOKES), inventories=(INVENTORIES[0], inventory))
    assert all(changed(done, name) for name in SPOKES)
    yield [Counted(testinfra.get_host(f"podman://{LAB}-{name}"), f"{LAB}-{name}") for name in SPOKES]
    changed(run())
    labs.down(LAB, SPOKES)


def test_a_hub_that_reboots_in_the_middle_loses_nothing_and_logs_in_a_few_times(
    provider: Provider, spokes: list[Counted]
) -> None:
    provider.clear()
    marker = provider.marker()
    with ThreadPoolExecutor() as pool:
        handed_in = [pool.submit(mails.hand_in, EACH) for mails in spokes]
        deadline = time.monotonic() + 60
        while len(provider.subjects()) < EACH:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        labs.reboot(LAB, NAME)
        for mails in handed_in:
            mails.result()
    before = len(provider.subjects())
    assert before < EACH * len(SPOKES)
    for mails in spokes:
        # What was taken, but not answered before the hub went, is sent again. If a connection broke after the greeting,
        # its mail may be to blame: it waits for Postfix's own next try.
        mails.arrive_once(provider, but_for=5, told_to_leave=False, within=660)
    # The last connections are kept for a moment.
    time.sleep(4)
    assert logins(provider.log_since(marker)) <= MOST_LOGINS
