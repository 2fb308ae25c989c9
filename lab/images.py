"""Container images made from Debian's packages, without a registry."""

import fcntl
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import STATE, LabError, mac, step
from .host import podman

SUITES = ("bullseye", "bookworm", "trixie", "forky", "sid")
MAC = "mac"
PROVIDER = "provider"
ATTEMPTS = 3
PROVIDER_SUITE = "trixie"

HOST_PACKAGES = [
    "systemd",
    "systemd-sysv",
    "dbus",
    "python3",
    "python3-apt",
    "iproute2",
    "ca-certificates",
]
PROVIDER_PACKAGES = ["systemd", "systemd-sysv", "dbus", "postfix", "dovecot-core"]


def reference(kind: str) -> str:
    """The image of a suite, of the Mac or of the provider."""
    tag = f":{mac.version()}" if kind == MAC else ""
    return f"localhost/homelab-mail-{kind}{tag}"


def build_missing(kinds: set[str]) -> None:
    """Build those of the images that are not there yet, two at a time."""
    if not _missing(kinds):
        return
    STATE.mkdir(exist_ok=True)
    # Two runs at once must not build the same image: the second one waits and finds it there.
    with open(STATE / "images.lock", "w") as lock, ThreadPoolExecutor(max_workers=2) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        list(pool.map(_build, _missing(kinds)))


def _missing(kinds: set[str]) -> list[str]:
    return [kind for kind in sorted(kinds) if podman("image", "exists", reference(kind), check=False).returncode]


def _build(kind: str) -> None:
    if kind == PROVIDER:
        # Both start when they have their configuration, not before.
        disable = 'systemctl --root="$1" disable postfix dovecot'
        options, suite = [f"--customize-hook={disable}"], PROVIDER_SUITE
        packages = PROVIDER_PACKAGES
    elif kind == MAC:
        options, suite, packages = mac.HOOKS, mac.SUITE, mac.PACKAGES
    else:
        options, suite, packages = [], kind, HOST_PACKAGES
    with step(f"image {kind}"), tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "image.tar"
        command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(packages)}", *options]
        for attempt in range(ATTEMPTS):
            done = _run([*command, suite, str(archive)])
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
                f"mmdebstrap could not build the image {kind} from Debian {suite}:\n"
                + "\n".join(lines or done.stderr.splitlines()[-10:])
                + "\nIs the Debian mirror reachable from here?"
            )
        boot = f'CMD ["/sbin/{"launchd" if kind == MAC else "init"}"]'
        podman("import", "--quiet", "--change", boot, str(archive), reference(kind))


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
