"""The recipes for programs, by the programs themselves: what people copy sends the mail that the page promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import yaml
from conftest import LAB, NAME, changed, run
from test_recipes import PAGE, arrived, follow

from workshop.lab.host import exec, podman
from workshop.lab.provider import ALIASES, Provider

HOST = f"{LAB}-{NAME}"
# Calls to a disk that is none succeed, and say nothing but zeros.
FAKE_DISK = """
cd /root
echo 'int ioctl(int file, unsigned long request, ...) { return 0; }' >fake.c
tcc -shared -o fake.so fake.c
"""
FAKE_ARRAY = """
mkdir -p /dev/md
: >/dev/md/data
echo ARRAY /dev/md/data UUID=00000000:00000000:00000000:00000001 >>/etc/mdadm/mdadm.conf
"""
# A UPS that is a file.
FAKE_UPS = """
echo MODE=standalone >/etc/nut/nut.conf
printf '[ups]\\ndriver = dummy-ups\\nport = ups.dev\\n' >/etc/nut/ups.conf
printf 'ups.status: OL\\nbattery.charge: 100\\n' >/etc/nut/ups.dev
printf '[monitor]\\npassword = x\\nupsmon primary\\n' >/etc/nut/upsd.users
echo 'MONITOR ups@localhost 1 monitor x primary' >>/etc/nut/upsmon.conf
systemctl restart nut-driver-enumerator
systemctl restart nut-server
"""
ZED = """
sed -i 's/ main$/ main contrib/' /etc/apt/sources.list
apt-get update
cd /run
apt-get download zfs-zed
# What it depends on would be built for the kernel.
dpkg --extract zfs-zed_*.deb /
rm zfs-zed_*.deb
sed -i 's/ contrib$//' /etc/apt/sources.list
"""
# What zed itself calls at the end of a scrub.
SCRUBBED = (
    "ZED_ZEDLET_DIR=/etc/zfs/zed.d ZEVENT_POOL=tank ZEVENT_SUBCLASS=scrub_finish ZPOOL=true"
    " /usr/lib/zfs-linux/zed.d/scrub_finish-notify.sh"
)
BORGMATIC = """
mkdir -p /etc/borgmatic
printf 'source_directories: [/etc]\\nrepositories: [{path: /nowhere}]\\n' >/etc/borgmatic/config.yaml
"""


@dataclass(frozen=True)
class Program:
    """What a recipe takes for granted, what stands for what a container does not have, and the mail that comes."""

    heading: str
    subject: str
    packages: str = ""
    prepare: str = ""
    own: dict[str, str] = field(default_factory=dict)


PROGRAMS = (
    Program("Programs that call mail", "mail works"),
    Program(
        "smartd", f"SMART error (EmailTest) detected on host: {NAME}", "tcc libc6-dev", FAKE_DISK + ": >disk",
        {"DEVICESCAN": "/root/disk -d nvme", "sudo smartd": "LD_PRELOAD=/root/fake.so smartd"},
    ),
    Program(
        "mdadm", f"TestMessage event on /dev/md/data:{NAME}", "mdadm tcc libc6-dev",
        FAKE_DISK + FAKE_ARRAY,
        {"sudo mdadm": "LD_PRELOAD=/root/fake.so mdadm"},
    ),
    Program("ZED", f"ZFS scrub_finish event for tank on {NAME}", "", ZED, {
        "systemctl restart zfs-zed": "true", "zpool scrub tank": SCRUBBED,
    }),
    Program("borgmatic", "Backup failed", "borgmatic", BORGMATIC),
    Program("restic", f"restic.service failed on {NAME}", "restic", "echo x >/etc/restic-password"),
    Program("unattended-upgrades", f"unattended-upgrades result for {NAME}", "unattended-upgrades", "", {
        "on-change": "always",
    }),
    Program("fail2ban", f"[Fail2Ban] sshd: banned 192.0.2.1 from {NAME}", "fail2ban", "", {
        "sudo fail2ban-client set": "until fail2ban-client ping; do sleep 0.2; done; fail2ban-client set",
    }),
    Program("logwatch", f"Logwatch for {NAME}", "logwatch"),
)  # fmt: skip


def as_root(script: str) -> None:
    """Run a script on the host."""
    exec(HOST, "sh", "-euc", script)


def install(packages: str) -> None:
    """Install packages on the host, and nothing that they only recommend."""
    if packages:
        as_root(f"DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends {packages}")


@pytest.fixture(scope="module", autouse=True)
def unit_that_mails() -> None:
    """The unit that other recipes name."""
    as_root("echo 'APT::Install-Recommends no;' >/etc/apt/apt.conf.d/lean")
    install("curl")
    follow("Units of systemd")


@pytest.mark.parametrize("program", PROGRAMS, ids=[program.heading for program in PROGRAMS])
def test_a_program_mails_by_its_recipe(provider: Provider, program: Program) -> None:
    install(program.packages)
    as_root(program.prepare)
    follow(program.heading, program.own)
    arrived(provider, program.subject)


def test_a_ups_mails_as_itself(provider: Provider) -> None:
    install("nut-server nut-client")
    as_root(FAKE_UPS)
    follow("NUT")
    mail = provider.wait_for_mail(lambda mail: mail["Subject"] == "Communications with UPS ups@localhost lost")
    assert mail.sender == ALIASES[0]
    as_root("systemctl start nut-driver@ups")
    provider.wait_for_mail(lambda mail: "established" in mail["Subject"])


def test_a_backup_that_may_not_call_sendmail_is_mailed_by_systemd(provider: Provider) -> None:
    provider.clear()
    # Without the minute that it leaves the network.
    as_root(
        "systemctl disable --now nut-monitor; mkdir -p /run/systemd/system/borgmatic.service.d;"
        "printf '[Service]\\nExecStartPre=\\n' >/run/systemd/system/borgmatic.service.d/now.conf;"
        "systemctl daemon-reload; ! systemctl start borgmatic"
    )
    # The hook of its own, too.
    arrived(provider, "Backup failed")
    arrived(provider, f"borgmatic.service failed on {NAME}")


@pytest.fixture
def usual(provider: Provider) -> Iterator[None]:
    """The host is given the inventory's configuration again."""
    yield
    provider.reset()
    changed(run())


# A container in a container: on a file system in memory, with the host's own files as its image.
PODMAN = """
mount -o remount,rw /proc/sys
mkdir -p /run/storage
mount -t tmpfs tmpfs /run/storage
curl() { podman --root /run/storage/root --runroot /run/storage/run --storage-driver vfs --cgroup-manager cgroupfs \
    run --cgroups disabled --uts host --rm --interactive --rootfs /:O curl "$@"; }
"""


def test_a_container_of_podman_sends_through_the_host(provider: Provider, usual: None) -> None:
    install("podman netavark nftables")
    clients, command, compose, call = PAGE["Docker and Podman"]
    assert command.text == "ansible-playbook site.yml --ask-vault-pass\n" and compose.path == ""
    changed(run(**yaml.safe_load(clients.text)))
    shown = "sudo podman run --rm --interactive docker.io/curlimages/curl"
    assert shown in call.text
    script = PODMAN + call.text.replace(shown, "curl")
    podman("exec", "--privileged", "--interactive", HOST, "unshare", "--mount", "sh", "-eus", input=script)
    arrived(provider, "From a container")
