"""What the lab needs from the machine, and how it gets it."""

import itertools
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from . import STATE, LabError

# What has to be there (one of them, with a bar) -> the Debian package that brings it.
PACKAGES = {
    # Debian keeps this apart from Python; without it there is no virtual environment.
    f"{sysconfig.get_path('stdlib')}/ensurepip/__init__.py": "python3-venv",
    "podman": "podman",
    "crun": "crun",
    "netavark": "netavark",
    "aardvark-dns": "aardvark-dns",
    "iptables": "iptables",
    "nft": "nftables",
    "mmdebstrap": "mmdebstrap",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}
# Without root, podman needs more; its version decides which of the two networks it takes.
ROOTLESS_PACKAGES = {
    "newuidmap": "uidmap",
    "pasta|slirp4netns": "passt slirp4netns",
}
# An ordinary user's PATH leaves out sbin, and podman keeps its helpers in a folder of its own.
EXTRA_PATH = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/podman", "/usr/libexec/podman"]

CAP_SYS_RESOURCE = 24
UNIFIED = Path("/sys/fs/cgroup/unified")


def setup() -> None:
    """Install or name what is missing, and adapt podman to an unusual machine."""
    _install(_missing())
    _adapt()


def _missing() -> list[str]:
    needed = PACKAGES if os.geteuid() == 0 else PACKAGES | ROOTLESS_PACKAGES
    folders = os.get_exec_path() + EXTRA_PATH
    return [
        package
        for programs, packages in needed.items()
        if not any(
            os.path.exists(os.path.join(folder, program))
            for folder, program in itertools.product(folders, programs.split("|"))
        )
        for package in packages.split()
    ]


def _install(missing: list[str]) -> None:
    if not missing:
        return
    names = " ".join(missing)
    if not shutil.which("apt-get"):
        raise LabError(
            f"The lab needs programs that are missing here. Debian's packages of them: {names}\n"
            "This system has no apt-get: install them with its own package manager."
        )
    sudo = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    if sudo and not _succeeds(*sudo, "true"):
        raise LabError(
            f"The lab needs packages that are missing here: {names}\nInstall them with:\n"
            f"  sudo apt-get update && sudo apt-get install --no-install-recommends {names}"
        )
    print(f"installing with apt: {names}", flush=True)
    apt_get = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]
    # Its status does not count: one dead third-party source must not stop the install.
    _succeeds(*apt_get, "update")
    if not _succeeds(*apt_get, "--yes", "install", "--no-install-recommends", *missing):
        raise LabError(
            f"apt-get could not install {names}: its message above says why. Afterwards run:\n"
            "  python -m workshop.lab setup"
        )


def _succeeds(*command: str) -> bool:
    if not shutil.which(command[0]):
        return False
    return subprocess.run(command, check=False).returncode == 0


def _adapt() -> None:
    """Write .lab/containers.conf where podman's defaults cannot start systemd."""
    containers, engine = [], []
    # A rootless podman keeps to the limits of its user by itself.
    if os.geteuid() == 0 and not _has_capability(CAP_SYS_RESOURCE):
        containers.append('default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]')
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        if os.geteuid() != 0 or not UNIFIED.is_dir():
            raise LabError(
                "This machine has the old cgroup v1 tree. The lab can work with that only as root\n"
                f"and with a cgroup2 tree at {UNIFIED}.\n"
                "Run it as root, or boot with the kernel option systemd.unified_cgroup_hierarchy=1."
            )
        wrapper = STATE / "crun"
        STATE.mkdir(exist_ok=True)
        shutil.copyfile(Path(__file__).parent / "crun.sh", wrapper)
        wrapper.chmod(0o755)
        containers += ['cgroups = "disabled"', 'volumes = ["/sys/fs/cgroup:/sys/fs/cgroup"]']
        engine += ["[engine.runtimes]", f'crun = ["{wrapper}"]']
    conf = STATE / "containers.conf"
    if not containers:
        conf.unlink(missing_ok=True)
        return
    STATE.mkdir(exist_ok=True)
    conf.write_text("\n".join(["[containers]", *containers, *engine]) + "\n")


def _has_capability(number: int) -> bool:
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> number & 1)
