"""The end of the life of every host with the role: a reboot, and the host given back. By its name the last file.

The hosts have no Postfix afterwards, or the one from before; `molecule converge` configures them anew.
"""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
import testinfra
from conftest import CHOSEN, LAB, MAIN_CF, PASSWORD, UNTIDY, Mail, changed, proves, run
from testinfra.host import Host

from workshop.lab import labs
from workshop.lab.host import exec
from workshop.lab.provider import Provider

Run = subprocess.CompletedProcess[str]
FLEET = ",".join(CHOSEN)


# Not module-wide, as elsewhere: then pytest would lead one host to its end before the next one begins.
@pytest.fixture(params=CHOSEN)
def name(request: pytest.FixtureRequest) -> str:
    """The name of each host in the inventory."""
    return str(request.param)


@pytest.fixture
def host(name: str) -> Host:
    """Testinfra's view of a host."""
    return testinfra.get_host(f"podman://{LAB}-{name}")


@pytest.fixture(scope="module")
def rebooted() -> None:
    """Every host was booted anew."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: labs.reboot(LAB, name), CHOSEN))


@pytest.fixture(scope="module")
def second_run(rebooted: None) -> Run:
    """A run on all hosts, after the tests of what they are without it."""
    return run(limit=FLEET)


@pytest.fixture(scope="module")
def given_back() -> Run:
    """A run that gives all hosts back."""
    for name in CHOSEN:
        # Mails of other tests; the role refuses to leave mail behind.
        exec(f"{LAB}-{name}", "postsuper", "-d", "ALL")
    return run(limit=FLEET, smarthost_state="absent")


@proves("reboot")
@pytest.mark.usefixtures("rebooted")
def test_mail_arrives_after_a_reboot(host: Host, provider: Provider) -> None:
    assert host.run("postfix status").rc == 0
    assert host.socket("tcp://127.0.0.1:25").is_listening
    assert Mail(host).arrived(provider)


@proves("idempotence")
def test_a_second_run_changes_nothing_on_any_host(second_run: Run, name: str) -> None:
    assert changed(second_run, name) == 0


@proves("absent")
def test_a_host_without_the_role_has_nothing_of_it(given_back: Run, host: Host, name: str) -> None:
    assert changed(given_back, name) == 1
    postfix = ("/usr/sbin/postfix", MAIN_CF)
    left = (
        *(() if name in UNTIDY else postfix),
        "/etc/postfix/smarthost",
        "/usr/local/bin/smarthost",
        "/usr/local/lib/smarthost",
        "/etc/systemd/system/smarthost-retry.service",
        "/etc/systemd/system/smarthost-retry.timer",
    )
    assert [path for path in left if host.file(path).exists] == []
    assert host.run("find /etc /usr/local /var/lib /var/spool/cron -name '*smarthost*'").stdout == ""
    if name in UNTIDY:
        assert host.check_output("postconf -h relayhost myorigin") == "[127.0.0.1]:9\n/etc/mailname"
        assert host.service("postfix").is_enabled and host.run("postfix status").rc == 0
    else:
        assert not host.socket("tcp://127.0.0.1:25").is_listening
    places = host.run(f"grep -rlsF {PASSWORD} / --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev")
    assert places.stdout == ""
