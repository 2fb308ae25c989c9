"""Labs: a network with a provider and hosts of their own; several may exist at once."""

import json
import re
import shutil
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import STATE, LabError, certificates, images, provider, scripted, step, system
from .host import exec, podman
from .images import KINDS

# Containers and networks of a lab are found by this label only: what has none is never touched.
LABEL = "homelab-mail-lab"
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
HOST = re.compile(rf"{NAME.pattern}(?:\.{NAME.pattern})*")
# What a host calls itself is the business of its owner.
HOSTNAME = re.compile(r"[A-Za-z0-9._-]+")

BOOT_SECONDS = 60
# The first process of each container, for workshop/lab/enter.
PIDS = STATE / "pids"
# Podman's name server forgets names where several containers come and go at once.
_ONE_AT_A_TIME = threading.Lock()

# What may be the mail provider of a lab: its image, its names and its switches.
PROVIDERS: dict[str, tuple[str, tuple[str, ...], type[provider.Provider | scripted.Scripted]]] = {
    "provider": (images.PROVIDER, provider.NAMES, provider.Provider),
    "scripted": (images.PROVIDER, scripted.NAMES, scripted.Scripted),
}


def up(
    name: str, hosts: dict[str, str], provider_kind: str = "provider", hostnames: Mapping[str, str] | None = None
) -> None:
    """Bring up the lab with these hosts (HOST: KIND); what is up already stays as it is.

    A host calls itself by its name in the lab, or as hostnames (HOST: NAME) says.
    """
    hostnames = hostnames or {}
    _check_names(name, *hosts)
    for hostname in hostnames.values():
        if not HOSTNAME.fullmatch(hostname):
            raise LabError(f"{hostname!r} is no host name: letters, digits, hyphens, dots and underscores")
    choice = [kind for kind in KINDS if kind != images.PROVIDER]
    for host, kind in hosts.items():
        if kind not in choice:
            raise LabError(f"{host}={kind}: no such kind of host; there are {', '.join(choice)}")
        if host == "provider":
            raise LabError("a host cannot be called provider: that is the lab's mail provider")
    system.setup()
    image, names, switches = PROVIDERS[provider_kind]
    wanted = {"provider": image} | hosts
    present = {container["Names"][0]: container for container in _containers(name)}
    for host, kind in wanted.items():
        _check_image(name, host, kind, present.get(f"{name}-{host}"))
    missing = {host: kind for host, kind in wanted.items() if f"{name}-{host}" not in present}
    images.build_missing(set(missing.values()))
    certificates.create(name, names)
    _create_network(name)

    def start(host: str) -> None:
        container = present.get(f"{name}-{host}")
        running = container is not None and container["State"] == "running"
        with step(f"{name}-{host} ({wanted[host]}) {'was up' if running else 'is up'}"):
            if container is None:
                _create(name, host, wanted[host], names if host == "provider" else (), hostnames.get(host))
            elif not running:
                podman("start", f"{name}-{host}")
            _wait_for_boot(f"{name}-{host}", wanted[host])
            if host == "provider":
                if not all(KINDS[kind].names_server for kind in hosts.values()):
                    exec(f"{name}-{host}", "touch", provider.SNI_OPTIONAL)
                switches(name).reset()
            else:
                _trust(name, f"{name}-{host}", wanted[host])

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(start, wanted))


def down(name: str, hosts: list[str]) -> None:
    """Remove these hosts, or the whole lab."""
    _check_names(name, *hosts)
    present = {container["Names"][0] for container in _containers(name)}
    targets = {f"{name}-{host}" for host in hosts} or present
    if unknown := targets - present:
        raise LabError(
            f"the lab {name} has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(present)) or 'nothing'}"
        )
    with step(f"removed {', '.join(sorted(targets)) or 'nothing'}"):
        if targets:
            podman("rm", "--force", "--time", "0", *sorted(targets))
            for target in targets:
                (PIDS / target).unlink(missing_ok=True)
    if not hosts:
        if _network_exists(name):
            podman("network", "rm", name)
        shutil.rmtree(STATE / name, ignore_errors=True)


def reboot(name: str, host: str) -> None:
    """Stop and start a host, as a reboot does: what is not started at boot is gone afterwards."""
    _check_names(name, host)
    container = next((found for found in _containers(name) if found["Names"][0] == f"{name}-{host}"), None)
    if container is None:
        raise LabError(f"the lab {name} has no {host}")
    with step(f"rebooted {name}-{host}"):
        with _ONE_AT_A_TIME:
            podman("restart", f"{name}-{host}")
        _wait_for_boot(f"{name}-{host}", _kind(container["Image"]))


def status(name: str) -> None:
    """Print one line per container of the lab."""
    _check_names(name)
    containers = _containers(name)
    if not containers:
        print(f"the lab {name} is not there; start it with: python -m workshop.lab up --name {name} …")
    for container in containers:
        kind = _kind(container["Image"])
        print(f"{container['Names'][0]}  {kind}  {container['State']}")


def _check_names(name: str, *hosts: str) -> None:
    for pattern, given in [(NAME, name), *((HOST, host) for host in hosts)]:
        if not pattern.fullmatch(given):
            raise LabError(f"{given!r} is no host name: lower-case letters, digits and hyphens")


def _containers(name: str) -> list[dict[str, Any]]:
    done = podman("ps", "--all", "--filter", f"label={LABEL}={name}", "--format", "json")
    return sorted(json.loads(done.stdout or "[]"), key=lambda container: container["Names"])


def _kind(image: str) -> str:
    return image.removeprefix(images.PREFIX).partition(":")[0]


def _check_image(name: str, host: str, kind: str, container: dict[str, Any] | None) -> None:
    if container and _kind(container["Image"]) != kind:
        raise LabError(
            f"{name}-{host} is there already, with {_kind(container['Image'])}. To replace it:\n"
            f"  python -m workshop.lab down --name {name} {host}"
        )


def _network_exists(name: str) -> bool:
    done = podman("network", "ls", "--quiet", "--filter", f"label={LABEL}={name}")
    return name in done.stdout.split()


def _create_network(name: str) -> None:
    if not _network_exists(name):
        with step(f"network {name}"):
            podman("network", "create", "--label", f"{LABEL}={name}", name)


def _create(name: str, host: str, kind: str, names: tuple[str, ...], hostname: str | None) -> None:
    aliases = [option for alias in names for option in ("--network-alias", alias)]
    hostname = hostname or host + KINDS[kind].domain
    options = ["--name", f"{name}-{host}", "--hostname", hostname, "--label", f"{LABEL}={name}"]
    PIDS.mkdir(exist_ok=True)
    options += ["--pidfile", str(PIDS / f"{name}-{host}")]
    podman("run", "--detach", *options, "--network", name, *aliases, images.reference(kind))


def _wait_for_boot(container: str, kind: str) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    while True:
        done = exec(container, *KINDS[kind].started, check=False)
        if done.returncode == 0:
            return
        state = done.stdout.strip()
        if state == "degraded":
            units = exec(container, "systemctl", "--failed", "--plain", "--no-legend").stdout
            print(f"{container}: systemd started, but not these units:\n{units}", end="")
            return
        if time.monotonic() > deadline:
            logs = podman("logs", "--tail", "5", container, check=False)
            raise LabError(
                f"{container} did not start in {BOOT_SECONDS} s: "
                f"{state or done.stderr.strip()}\n{logs.stdout}{logs.stderr}"
                f"More: podman logs {container}"
            )
        time.sleep(0.1)


def _trust(name: str, container: str, kind: str) -> None:
    authority = (STATE / name / "ca.pem").read_text()
    exec(container, "sh", "-euc", KINDS[kind].trust, input=authority)
