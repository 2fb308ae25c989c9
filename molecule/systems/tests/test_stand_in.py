"""The lab's Mac is a Mac to Ansible, to all that call launchctl, and to Postfix' configuration."""

from __future__ import annotations

import json
import os
import plistlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import LAB, PROJECT

from workshop import lab
from workshop.lab import labs
from workshop.lab.host import exec
from workshop.lab.provider import Provider

HOST = "bare"
LABEL = "org.example.postfix"
PLIST = f"/Library/LaunchDaemons/{LABEL}.plist"
KEPT_UP = {"Label": LABEL, "ProgramArguments": ["/usr/libexec/postfix/master"], "RunAtLoad": True, "KeepAlive": True}
THROTTLE_SECONDS = 10
RELAY = """
relayhost = [smtp.fastmail.com]:465
smtp_tls_wrappermode = yes
smtp_tls_security_level = secure
smtp_tls_CAfile = /etc/ssl/cert.pem
smtp_tls_loglevel = 1
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = inline:{ {[smtp.fastmail.com]:465=casey@fastmail.com:q7w2e9r4t6y1u8i3} }
smtp_sasl_security_options = noanonymous
sender_canonical_maps = static:casey@fastmail.com
"""


class Mac:
    """A Mac that is not configured."""

    def run(self, command: str, *, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """A shell's command."""
        return exec(f"{LAB}-{HOST}", "sh", "-c", command, input=given, check=False)

    def ok(self, command: str, *, given: str | None = None) -> str:
        """The same, and it succeeds; what it prints."""
        done = self.run(command, given=given)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def refused(self, command: str) -> tuple[int, str]:
        """The status of a command, and the first line of its complaint."""
        done = self.run(command)
        return done.returncode, done.stderr.partition("\n")[0]

    def install(self, plist: dict[str, object] = KEPT_UP) -> None:
        """Put a plist into place."""
        self.ok(f"cat >{PLIST}", given=plistlib.dumps(plist).decode())

    def answers(self) -> bool:
        """Whether an SMTP server greets on port 25 of loopback."""
        program = "import socket; print(socket.create_connection(('127.0.0.1', 25), 5).recv(99).decode())"
        return self.run(f'python3 -c "{program}"').stdout.startswith("220 ")


@pytest.fixture
def mac() -> Iterator[Mac]:
    labs.up(LAB, {HOST: "mac"})
    yield Mac()
    labs.down(LAB, [HOST])


def wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    """Until it is true; fails where it is not in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.2)


@pytest.mark.usefixtures("mac")
def test_ansible_takes_it_for_a_mac(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(f"all: {{hosts: {{{HOST}: {{lab: {LAB}}}}}}}")
    done = subprocess.run(
        ["ansible", f"--inventory={PROJECT}/workshop/lab/inventory", f"--inventory={inventory}", HOST, "-m", "setup"],
        env=os.environ | lab.environment() | {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_FORCE_COLOR": "0"},
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    facts = json.loads(done.stdout.partition("=> ")[2])["ansible_facts"]
    wanted = {
        "os_family": "Darwin", "distribution": "MacOSX", "system": "Darwin", "service_mgr": "launchd",
        "hostname": HOST, "nodename": f"{HOST}.local", "user_dir": "/var/root", "pkg_mgr": "unknown",
    }  # fmt: skip
    assert {name: facts[f"ansible_{name}"] for name in wanted} == wanted
    assert facts["ansible_default_ipv4"]["address"] in facts["ansible_all_ipv4_addresses"]
    assert [name for name in facts if "debian" in str(facts[name]).lower()] == []


def test_debian_does_not_show(mac: Mac) -> None:
    for name in ("getent", "systemctl", "timeout", "apt-get", "dpkg", "lsb_release", "journalctl"):
        assert mac.run(f"command -v {name}").returncode != 0
    assert mac.run("cat /etc/os-release").returncode != 0
    assert mac.ok("uname; readlink /etc /var /tmp; id -gn") == "Darwin\nprivate/etc\nprivate/var\nprivate/tmp\nwheel"


def test_a_job_is_kept_up_and_there_again_after_a_reboot(mac: Mac) -> None:
    mac.install()
    assert not mac.answers()
    mac.ok(f"launchctl bootstrap system {PLIST}")
    wait_until(mac.answers)
    mac.ok("kill -9 $(head -1 /var/spool/postfix/pid/master.pid)")
    wait_until(lambda: not mac.answers())
    wait_until(mac.answers, seconds=THROTTLE_SECONDS + 5)
    labs.reboot(LAB, HOST)
    wait_until(mac.answers)
    mac.ok(f"launchctl bootout system/{LABEL}")
    assert not mac.answers()
    assert mac.run(f"launchctl print system/{LABEL}").returncode == 113


def test_kickstart_does_not_wait_for_the_throttle(mac: Mac) -> None:
    mac.install()
    mac.ok(f"launchctl bootstrap system {PLIST}")
    wait_until(mac.answers)
    before = mac.ok("head -1 /var/spool/postfix/pid/master.pid")
    mac.ok(f"launchctl kickstart -k system/{LABEL}")
    # The throttle is ten seconds.
    wait_until(mac.answers, 9)
    assert mac.ok("head -1 /var/spool/postfix/pid/master.pid") != before


def test_launchctl_refuses_in_apples_words(mac: Mac) -> None:
    mac.install()
    load = f"launchctl bootstrap system {PLIST}"
    mac.ok(f"chmod 664 {PLIST}")
    assert mac.refused(load) == (122, "Bootstrap failed: 122: Path had bad ownership/permissions")
    mac.ok(f"chmod 644 {PLIST} && chown casey {PLIST}")
    assert mac.refused(load) == (122, "Bootstrap failed: 122: Path had bad ownership/permissions")
    mac.ok(f"chown root {PLIST}")
    assert mac.refused(f"launchctl bootout system/{LABEL}") == (3, "Boot-out failed: 3: No such process")
    mac.ok(load)
    assert mac.refused(load) == (5, "Bootstrap failed: 5: Input/output error")
    engaged = "Operation not permitted while System Integrity Protection is engaged"
    assert mac.refused("launchctl bootout system/com.apple.postfix.master") == (150, f"Boot-out failed: 150: {engaged}")


def test_a_plist_is_refused_where_the_stand_in_could_not_keep_its_word(mac: Mac) -> None:
    mac.install({**KEPT_UP, "WatchPaths": ["/etc/postfix"]})
    done = mac.run(f"launchctl bootstrap system {PLIST}")
    assert done.returncode == 5 and "does not know WatchPaths" in done.stderr


def test_a_disabled_job_runs_on_but_not_after_a_reboot(mac: Mac) -> None:
    mac.install()
    mac.ok(f"launchctl bootstrap system {PLIST}")
    mac.ok(f"launchctl disable system/{LABEL}")
    assert f'"{LABEL}" => disabled' in mac.ok("launchctl print-disabled system")
    wait_until(mac.answers)
    labs.reboot(LAB, HOST)
    assert mac.run(f"launchctl print system/{LABEL}").returncode == 113
    assert mac.run(f"launchctl bootstrap system {PLIST}").returncode == 5
    mac.ok(f"launchctl enable system/{LABEL}; launchctl bootstrap system {PLIST}")


def test_apples_own_job_delivers_what_sendmail_leaves(mac: Mac) -> None:
    assert mac.run("postfix status").returncode != 0
    mac.ok("printf 'Subject: Test\\n\\nHello\\n' | sendmail casey")
    wait_until(lambda: mac.run("grep -q Hello /var/mail/casey").returncode == 0, seconds=15)
    assert mac.ok("ps -o args= -p $(head -1 /var/spool/postfix/pid/master.pid)").endswith("master -e 60")


def test_mail_leaves_through_the_provider_with_verified_tls(mac: Mac) -> None:
    mac.ok("cat >>/etc/postfix/main.cf", given=RELAY)
    mac.install()
    mac.ok(f"launchctl bootstrap system {PLIST}")
    wait_until(mac.answers)
    mac.ok("printf 'Subject: From a Mac\\n\\nHello\\n' | sendmail friend@elsewhere.test")
    mail = Provider(LAB).wait_for_mail(lambda mail: mail["Subject"] == "From a Mac")
    assert "Authenticated sender: casey@fastmail.com" in str(mail.get_all("Received"))
    log = "log show --last 1m --info --predicate 'process == \"smtp\"'"
    wait_until(lambda: "status=sent" in mac.ok(log))
    assert "smtp: Verified TLS connection established to smtp.fastmail.com" in mac.ok(log)
    assert "status=sent" not in mac.ok(log.replace("--info", "")), "such lines are of the level Info"


def test_postfix_takes_no_more_than_3_2_2(mac: Mac) -> None:
    assert mac.ok("postconf -dh mail_version") == "3.2.2"
    mac.ok("printf 'maillog_file = /var/log/mail.log\\n' >>/etc/postfix/main.cf")
    assert "unused parameter: maillog_file=/var/log/mail.log" in mac.run("postconf -n").stderr
    mac.ok("postconf -X maillog_file && postfix check")
    mac.ok("sed -i 's/^compatibility_level.*/compatibility_level = 3.6/' /etc/postfix/main.cf")
    # It says why to a terminal alone.
    assert (mac.run("postfix check").returncode, mac.run("postfix check").stderr) == (1, "")
    mac.install()
    mac.ok(f"launchctl bootstrap system {PLIST}")
    wait_until(lambda: "\t1\t" in mac.ok("launchctl list"))
    for command in ("start-fg", "logrotate"):
        assert mac.run(f"postfix {command}").returncode != 0
