"""Container images: from Debian's and Ubuntu's packages, without a container registry; others from one."""

import base64
import fcntl
import hashlib
import json
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import STATE, LabError, mac, step
from .host import podman

PROVIDER = "provider"
# No system of its own: for measurements.
INSTALLED = "installed"
ATTEMPTS = 3


# Where Debian and Alpine, RHEL and Fedora, Arch, and openSUSE look for more authorities.
TRUST = """
    for folder in /usr/local/share/ca-certificates /etc/pki/ca-trust/source/anchors \\
        /etc/ca-certificates/trust-source/anchors /etc/pki/trust/anchors; do
        [ -d $folder ] && break
    done
    cat >/run/lab.crt
    cmp -s /run/lab.crt $folder/lab.crt && exit
    cp /run/lab.crt $folder/lab.crt
    if command -v update-ca-certificates >/dev/null; then update-ca-certificates; else update-ca-trust; fi
"""


@dataclass(frozen=True)
class Kind:
    """What an image is made of and how it starts."""

    suite: str
    packages: tuple[str, ...]
    command: str
    # Succeeds in the container when everything has started.
    started: tuple[str, ...] = ("true",)
    customize: tuple[str, ...] = ()
    # Makes the lab's authority, on standard input, one that the host trusts.
    trust: str = TRUST
    # Of what goes into it beside this.
    version: str = ""
    domain: str = ""
    # Whether its Postfix can name the server that it looks for in TLS (SNI).
    names_server: bool = True
    # In place of a suite: an image of a container registry, and what to run in it first.
    image: str = ""


HOST = ("apt", "python3", "python3-apt", "iproute2", "ca-certificates")
SYSTEMD = ("systemd", "systemd-sysv", "dbus")
# is-system-running says "running" or "degraded" when all units are started.
UNITS = ("systemctl", "is-system-running", "--wait")
OPENRC = ("sh", "-c", "[ $(rc-status --runlevel) = default ] && [ ! -e /run/openrc/rc.starting ]")
TOOLS = "python3 iproute ca-certificates"
DEBIAN = ("bullseye", "bookworm", "trixie", "forky", "sid")
UBUNTU = ("jammy", "noble", "resolute")
KINDS = {
    **{suite: Kind(suite, SYSTEMD + HOST, "/sbin/init", UNITS) for suite in DEBIAN + UBUNTU},
    # Its systemd brings a resolver that listens, which would be one more on a host than Postfix.
    "jammy": Kind(
        "jammy", SYSTEMD + HOST, "/sbin/init", UNITS, customize=('systemctl --root="$1" mask systemd-resolved',)
    ),
    # As on Alpine, but with Debian's packages.
    "openrc": Kind(
        "trixie",
        ("sysvinit-core", "openrc", "busybox-syslogd", "cron", *HOST),
        "/sbin/init",
        OPENRC,
        # No terminal to log in at.
        customize=('sed -i "/getty/d" "$1/etc/inittab"',),
    ),
    # As containers for one program are: process 1 only takes in orphans.
    "noinit": Kind("trixie", ("catatonit", *HOST), "catatonit -P"),
    # Where Postfix has been installed, and left as Debian leaves it: for figures that are not about installing it.
    INSTALLED: Kind("trixie", (*SYSTEMD, *HOST, "postfix", "libsasl2-modules"), "/sbin/init", UNITS),
    # From container registries, for those who reach one. After the distributions' documentation; not run yet.
    **{
        kind: Kind("", (), "/sbin/init", UNITS, (f"dnf -y install systemd {TOOLS}",), image=image)
        for kind, image in {
            "rocky9": "docker.io/rockylinux/rockylinux:9",
            "rocky10": "docker.io/rockylinux/rockylinux:10",
            "alma10": "docker.io/library/almalinux:10",
            "fedora": "registry.fedoraproject.org/fedora:latest",
        }.items()
    },
    "arch": Kind(
        "",
        (),
        "/sbin/init",
        UNITS,
        ("pacman -Syu --noconfirm python iproute2",),
        image="docker.io/library/archlinux:latest",
    ),
    "tumbleweed": Kind(
        "",
        (),
        "/usr/lib/systemd/systemd",
        UNITS,
        ("zypper --non-interactive install systemd python3 iproute2 ca-certificates-mozilla",),
        image="registry.opensuse.org/opensuse/tumbleweed:latest",
    ),
    "alpine": Kind(
        "",
        (),
        "/sbin/init",
        OPENRC,
        ("apk add --no-cache openrc python3 iproute2 ca-certificates", "sed -i /getty/d /etc/inittab"),
        image="docker.io/library/alpine:latest",
    ),
    "mac": Kind(
        mac.SUITE,
        mac.PACKAGES,
        "/sbin/launchd",
        ("launchctl", "print", "system"),
        mac.HOOKS,
        mac.TRUST,
        mac.version(),
        # As a Mac names itself.
        ".local",
        # Postfix 3.2 cannot.
        names_server=False,
    ),
    PROVIDER: Kind(
        "trixie",
        # The last one for workshop/lab/scripted_server.py.
        (*SYSTEMD, "postfix", "dovecot-core", "dovecot-imapd", "python3-aiosmtpd"),
        "/sbin/init",
        UNITS,
        # Both start when they have their configuration, not before.
        customize=('systemctl --root="$1" disable postfix dovecot',),
    ),
}


# As in the images of registries: a host that is thrown away needs no safe disk, and none its packages' translations.
LEAN = ("--dpkgopt=force-unsafe-io", '--aptopt=Acquire::Languages "none"')

PREFIX = "localhost/homelab-mail-"


def reference(kind: str) -> str:
    """The image of a kind of host or of the provider. One that was built of something else has another name."""
    what = KINDS[kind]
    made_of = (what.suite, what.packages, what.command, what.customize, what.image, what.version, LEAN)
    return f"{PREFIX}{kind}:{hashlib.sha256(repr(made_of).encode()).hexdigest()[:12]}"


def build_missing(kinds: set[str]) -> None:
    """Build those of the images that are not there yet, two at a time."""
    if not _missing(kinds):
        return
    STATE.mkdir(exist_ok=True)
    ubuntu = kinds & set(UBUNTU)
    # Two runs at once must not build the same image: the second one waits and finds it there.
    with open(STATE / "images.lock", "w") as lock, ThreadPoolExecutor(max_workers=2) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Debian first: it has the keys of Ubuntu.
        for group in (kinds - ubuntu | ({"trixie"} if ubuntu else set()), ubuntu):
            list(pool.map(_build, _missing(group)))


def _missing(kinds: set[str]) -> list[str]:
    return [kind for kind in sorted(kinds) if podman("image", "exists", reference(kind), check=False).returncode]


def _build(kind: str) -> None:
    if KINDS[kind].image:
        with step(f"image {kind}"):
            lines = [f"FROM {KINDS[kind].image}", *(f"RUN {command}" for command in KINDS[kind].customize)]
            lines.append(f"CMD {json.dumps(KINDS[kind].command.split())}")
            podman("build", "--tag", reference(kind), "--file", "-", input="\n".join(lines))
        return
    suite, packages = KINDS[kind].suite, KINDS[kind].packages
    options = [f"--customize-hook={script}" for script in KINDS[kind].customize]
    mirror = []
    if suite in UBUNTU:
        options.append(f"--keyring={_ubuntu_keys()}")
        mirror.append("http://archive.ubuntu.com/ubuntu")
    with step(f"image {kind}"), tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "image.tar"
        command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(packages)}", *LEAN, *options]
        for attempt in range(ATTEMPTS):
            done = _run([*command, suite, str(archive), *mirror])
            if done.returncode == 0:
                break
            if "is expired" in done.stderr:
                # The option stays in the image, where apt needs it too.
                print(f"image {kind}: the mirror is past its Valid-Until, building without that check")
                command.append('--aptopt=Acquire::Check-Valid-Until "false"')
            else:
                # Mirrors have their moments.
                time.sleep(5 * attempt)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))]
            raise LabError(
                f"mmdebstrap could not build the image {kind} from {suite}:\n"
                + "\n".join(lines or done.stderr.splitlines()[-10:])
                + "\nIs its mirror reachable from here?"
            )
        # Only as a list does it become process 1.
        boot = f"CMD {json.dumps(KINDS[kind].command.split())}"
        podman("import", "--quiet", "--change", boot, str(archive), reference(kind))


def _ubuntu_keys() -> Path:
    """The keys that Ubuntu's packages are signed with, from Debian's package of them, which not every host can have."""
    keys = STATE / "ubuntu.gpg"
    if not keys.exists():
        script = """
            exec 3>&1 >&2
            cd /tmp
            apt-get update
            apt-get download ubuntu-keyring
            dpkg --extract ubuntu-keyring_*.deb .
            base64 usr/share/keyrings/ubuntu-archive-keyring.gpg >&3
        """
        keys.write_bytes(base64.b64decode(podman("run", "--rm", reference("trixie"), "sh", "-euc", script).stdout))
    return keys


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
