"""The role on a Mac, from the first run to the last: on this machine where it is one, else on the lab's stand-in.

Each test goes on where the one before it ended. The provider is workshop/lab/sink.py on the Mac's own loopback.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workshop import lab
from workshop.lab import certificates, labs, provider
from workshop.lab.sink import ACCOUNT, IMPLICIT, STARTTLS

PROJECT = Path(__file__).resolve().parents[2]
REAL = sys.platform == "darwin"
LAB = os.environ.get("LAB", "molecule") + "-mac"
HERE = ["sudo"] if REAL else ["podman", "exec", "--interactive", f"{LAB}-mac"]
FOLDER = "/var/tmp/sink"
MAIN_CF = "/etc/postfix/main.cf"
PROGRAM = "import socket; print(socket.create_connection(('127.0.0.1', 25), 5).recv(99).decode())"
GREET = f'/usr/bin/python3 -c "{PROGRAM}"'
JOB = "system/homelab.mail.smarthost"
VARIABLES: dict[str, Any] = {
    "lab": LAB,
    "smarthost_provider": "custom",
    "smarthost_host": provider.NAMES[0],
    "smarthost_port": IMPLICIT,
    "smarthost_tls": "implicit",
    "smarthost_username": ACCOUNT,
    "smarthost_password": "q7w2e9r4t6y1u8i3",  # the sink's
    "smarthost_verify_login": "required",
    "smarthost_ca_file": f"{FOLDER}/ca.pem",
    # The sink's name is in /etc/hosts.
    "smarthost_parameters": {"smtp_host_lookup": "native"},
}
CONNECTION = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"} if REAL else {}


def shell(command: str, given: str | None = None, check: bool = True) -> str:
    """What a command says that root runs on the Mac."""
    done = subprocess.run(
        [*HERE, "sh", "-c", command], input=given or "", capture_output=True, text=True, timeout=60, check=False
    )
    assert not check or done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def wait_for(asked: Callable[[], str], wanted: str, seconds: float = 30) -> str:
    """What is said, once it has what is wanted; fails where it does not come."""
    end = time.monotonic() + seconds
    while wanted not in (said := asked()):
        assert time.monotonic() < end, f"no {wanted!r} in {said!r}"
        time.sleep(0.5)
    return said


@pytest.fixture(scope="module", autouse=True)
def before() -> Iterator[str]:
    """The Mac's main.cf of before, with a provider on loopback."""
    os.environ.update(lab.environment())
    if not REAL:
        labs.up(LAB, {"mac": "mac"})
    pems = certificates.create(LAB, provider.NAMES)
    files = {"ca.pem": pems / "ca.pem", "tls.pem": pems / "trusted.pem", "sink.py": PROJECT / "workshop/lab/sink.py"}
    for name, path in files.items():
        shell(f"mkdir -p {FOLDER} && cat >{FOLDER}/{name}", path.read_text())
    shell(f"echo 127.0.0.1 {provider.NAMES[0]} >>/etc/hosts")
    sink = f"/usr/bin/python3 {FOLDER}/sink.py {FOLDER}/tls.pem {FOLDER}/mails"
    pid = shell(f"{sink} >{FOLDER}/log 2>&1 </dev/null & echo $!").strip()
    yield shell(f"cat {MAIN_CF}")
    if REAL:
        shell(f"kill {pid}")
    else:
        labs.down(LAB, [])


@pytest.fixture
def site(tmp_path: Path) -> Callable[..., int]:
    """Run site.yml; how many tasks changed something."""

    def run(**more: object) -> int:
        inventory = tmp_path / "hosts.yml"
        inventory.write_text(json.dumps({"all": {"hosts": {"mac": CONNECTION}, "vars": {**VARIABLES, **more}}}))
        inventories = [] if REAL else [f"--inventory={PROJECT}/workshop/lab/inventory"]
        settings = {
            # Not the settings of a real server, which lie beside site.yml.
            "ANSIBLE_PRECEDENCE": "all_inventory,groups_inventory",
            "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        }
        done = subprocess.run(
            ["ansible-playbook", *inventories, f"--inventory={inventory}", "site.yml"],
            cwd=PROJECT, env=os.environ | settings, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        found = re.search(r"^mac .*changed=(\d+).*failed=0", done.stdout, re.MULTILINE)
        assert done.returncode == 0 and found, done.stdout + done.stderr
        return int(found.group(1))

    return run


def test_what_its_daemons_refuse_is_refused_in_their_words(site: Callable[..., int]) -> None:
    # As tutorials say, so that Postfix runs by no job of launchd's.
    shell("postfix start")
    parameters = {"smtp_host_lookup": "native", "smtpd_recipient_restrictions": "permit_nonsense"}
    with pytest.raises(AssertionError, match=r"Nothing was changed: (?s:.*)451 4.3.5|permit_nonsense"):
        site(smarthost_parameters=parameters)


def test_a_first_run_configures_and_a_second_one_changes_nothing(site: Callable[..., int]) -> None:
    assert site() == 1
    assert site() == 0


def test_launchd_keeps_a_postfix_that_answers_programs() -> None:
    shell(f"launchctl print {JOB}")
    assert shell(GREET).startswith("220 ")
    shell("kill -9 $(head -1 /var/spool/postfix/pid/master.pid)")
    wait_for(lambda: shell(GREET, check=False), "220 ")


def test_a_mail_to_root_reaches_the_provider_and_the_log_says_so() -> None:
    shell("printf 'Subject: From a Mac\\n\\nThe disk is full.\\n' | /usr/sbin/sendmail root")
    mail = wait_for(lambda: shell(f"cat {FOLDER}/mails/*.eml", check=False), "The disk is full.")
    assert f"X-Envelope: MAIL FROM:<{ACCOUNT}>" in mail and f"RCPT TO:<{ACCOUNT}>" in mail
    wait_for(lambda: shell("postqueue -p"), "Mail queue is empty")
    log = "log show --last 5m --info --style compact --predicate 'process == \"smtp\"'"
    said = wait_for(lambda: shell(log), "status=sent", seconds=120)
    assert f"Verified TLS connection established to {provider.NAMES[0]}[127.0.0.1]:{IMPLICIT}" in said


def test_the_program_says_that_mail_leaves() -> None:
    assert "250 2.0.0 Ok: queued as" in shell(f"/usr/local/bin/smarthost test {ACCOUNT}")
    status = shell("/usr/local/bin/smarthost status")
    assert "Last sent" in status
    # Mails of a trial, which are in the same log.
    assert "check@example" not in status
    assert "accepts the login" in shell("/usr/local/bin/smarthost login")


def test_the_port_with_starttls_is_as_good(site: Callable[..., int]) -> None:
    assert site(smarthost_port=STARTTLS, smarthost_tls="starttls") == 1
    assert "250 2.0.0 Ok: queued as" in shell(f"/usr/local/bin/smarthost test {ACCOUNT}")


def test_absent_gives_the_mac_back(site: Callable[..., int], before: str) -> None:
    assert site(smarthost_state="absent") == 1
    assert shell(f"cat {MAIN_CF}") == before
    assert "Could not find service" in shell(f"launchctl print {JOB}", check=False)
    assert shell("ls -d /etc/postfix/smarthost /usr/local/bin/smarthost 2>/dev/null", check=False) == ""
    # It ran before.
    wait_for(lambda: shell(GREET, check=False), "220 ")
    shell("postfix stop")
    assert site(smarthost_state="absent") == 0
