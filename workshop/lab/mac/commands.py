#!/usr/bin/python3
"""Small programs of the lab's Mac: one file, told by the name under which it is called what to be.

They say what Ansible's facts and people ask for, about the container that they run in.
"""

import fcntl
import os
import re
import socket
import struct
import sys
import time
from pathlib import Path

VERSION, BUILD = "14.6.1", "23G93"
DARWIN = "23.6.0"
KERNEL = f"Darwin Kernel Version {DARWIN}: stand-in of the lab; root:xnu-10063.141.1~2/RELEASE_ARM64_T8112"
PAGE = 16384


def _meminfo() -> dict[str, int]:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return {name: int(rest.split()[0]) * 1024 for name, rest in (line.split(":", 1) for line in lines)}


def _boot_time() -> float:
    return time.time() - float(Path("/proc/uptime").read_text().split()[0])


def uname(arguments: list[str]) -> int:
    """uname [-amnprsv]."""
    values = {"s": "Darwin", "n": socket.gethostname(), "r": DARWIN, "v": KERNEL, "m": "arm64", "p": "arm"}
    chosen = "".join(argument.lstrip("-") for argument in arguments) or "s"
    print(" ".join(values[letter] for letter in ("snrvm" if "a" in chosen else [c for c in "snrvmp" if c in chosen])))
    return 0


def sw_vers(arguments: list[str]) -> int:
    """sw_vers [-productName | -productVersion | -buildVersion]."""
    values = {"ProductName": "macOS", "ProductVersion": VERSION, "BuildVersion": BUILD}
    if arguments:
        wanted = arguments[0].lstrip("-").lower()
        print(next(value for name, value in values.items() if name.lower() == wanted))
    else:
        print("\n".join(f"{name}:\t\t{value}" for name, value in values.items()))
    return 0


def sysctl(arguments: list[str]) -> int:
    """sysctl [-n] [-b] NAME …; a NAME may be the beginning of names."""
    cores = str(os.cpu_count())
    boot = _boot_time()
    values = {
        "kern.ostype": "Darwin",
        "kern.osrelease": DARWIN,
        "kern.osrevision": "199506",
        "kern.version": KERNEL,
        "kern.osversion": BUILD,
        "kern.osproductversion": VERSION,
        "kern.hostname": socket.gethostname(),
        "kern.boottime": f"{{ sec = {int(boot)}, usec = 0 }} {time.ctime(boot)}",
        "hw.model": "Mac14,2",
        "hw.ncpu": cores,
        "hw.physicalcpu": cores,
        "hw.logicalcpu": cores,
        "hw.memsize": str(_meminfo()["MemTotal"]),
        "hw.pagesize": str(PAGE),
        "machdep.cpu.brand_string": "Apple M2",
        "machdep.cpu.core_count": cores,
    }
    names = [argument for argument in arguments if not argument.startswith("-")]
    if "-b" in arguments:
        sys.stdout.buffer.write(struct.pack("@LL", int(boot), 0))
        return 0
    status = 0
    for name in names:
        found = {key: value for key, value in values.items() if key == name or key.startswith(f"{name}.")}
        for key, value in found.items():
            print(value if "-n" in arguments else f"{key}: {value}")
        if not found:
            print(f"sysctl: unknown oid '{name}'", file=sys.stderr)
            status = 1
    return status


def vm_stat(_arguments: list[str]) -> int:
    """vm_stat."""
    memory = _meminfo()
    used = memory["MemTotal"] - memory["MemAvailable"]
    print(f"Mach Virtual Memory Statistics: (page size of {PAGE} bytes)")
    pages = {"free": memory["MemFree"], "active": used, "inactive": 0, "speculative": 0, "wired down": 0}
    for name, size in pages.items():
        print(f"{f'Pages {name}:':<40}{size // PAGE:>10}.")
    return 0


def system_profiler(_arguments: list[str]) -> int:
    """system_profiler SPHardwareDataType."""
    memory = _meminfo()["MemTotal"] // 1024**3
    print(
        "Hardware:\n\n    Hardware Overview:\n\n      Model Name: MacBook Air\n      Model Identifier: Mac14,2\n"
        f"      Chip: Apple M2\n      Total Number of Cores: {os.cpu_count()}\n      Memory: {memory} GB\n"
    )
    return 0


def _ioctl(name: str, request: int) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        return fcntl.ioctl(probe, request, struct.pack("256s", name.encode()))[16:32]


def ifconfig(_arguments: list[str]) -> int:
    """ifconfig [-a], in BSD's form; the names of the interfaces are Linux's."""
    six: dict[str, list[tuple[str, int]]] = {}
    inet6 = Path("/proc/net/if_inet6")
    for line in inet6.read_text().splitlines() if inet6.exists() else []:
        digits, _index, length, _scope, _flags, name = line.split()
        six.setdefault(name, []).append((socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits)), int(length, 16)))
    for _number, name in socket.if_nameindex():
        folder = Path("/sys/class/net") / name
        loopback = name.startswith("lo")
        flags = "UP,LOOPBACK,RUNNING,MULTICAST" if loopback else "UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST"
        print(f"{name}: flags={8049 if loopback else 8863}<{flags}> mtu {(folder / 'mtu').read_text().strip()}")
        if not loopback:
            print(f"\tether {(folder / 'address').read_text().strip()}")
        for text, bits in six.get(name, []):
            print(f"\tinet6 {text} prefixlen {bits}")
        try:
            address, mask, broadcast = (_ioctl(name, request)[4:8] for request in (0x8915, 0x891B, 0x8919))
        except OSError:
            continue
        end = "" if loopback else f" broadcast {socket.inet_ntoa(broadcast)}"
        print(f"\tinet {socket.inet_ntoa(address)} netmask 0x{mask.hex()}{end}")
        print("\tstatus: active" if not loopback else "\toptions=1203<RXCSUM,TXCSUM,TXSTATUS,SW_TIMESTAMP>")
    return 0


def route(arguments: list[str]) -> int:
    """route -n get [-inet6] default."""
    if "-inet6" not in arguments:
        for line in Path("/proc/net/route").read_text().splitlines()[1:]:
            name, destination, gateway = line.split()[:3]
            if int(destination, 16) == 0:
                address = socket.inet_ntoa(struct.pack("<L", int(gateway, 16)))
                print(f"   route to: default\ndestination: default\n       mask: default\n    gateway: {address}")
                print(f"  interface: {name}\n      flags: <UP,GATEWAY,DONE,STATIC,PRCLONING,GLOBAL>")
                return 0
    print("route: writing to routing socket: not in table", file=sys.stderr)
    return 1


def scutil(arguments: list[str]) -> int:
    """scutil --get HostName|LocalHostName|ComputerName."""
    if arguments[:1] != ["--get"]:
        print("scutil: the lab's one knows only --get", file=sys.stderr)
        return 64
    name = socket.gethostname()
    print(name if arguments[1] == "HostName" else name.partition(".")[0])
    return 0


# What dscl calls the fields of /etc/passwd.
FIELDS = {"UniqueID": 2, "PrimaryGroupID": 3, "RealName": 4, "NFSHomeDirectory": 5, "UserShell": 6}


def dscl(arguments: list[str]) -> int:
    """dscl . -list|-read|-create|-delete /Users[/NAME] [KEY [VALUE]], and no groups."""
    _where, verb, path, *rest = arguments
    file, name = Path("/etc/passwd"), path.rpartition("/")[2]
    users = {row[0]: row for row in (line.split(":") for line in file.read_text().splitlines())}
    if verb == "-list":
        print("\n".join(f"{user:<24}{row[FIELDS[rest[0]]]}" for user, row in users.items()))
    elif verb in ("-read", "-delete") and name not in users:
        print("<dscl_cmd> DS Error: -14136 (eDSRecordNotFound)", file=sys.stderr)
        return 56
    elif verb == "-read":
        value = users[name][FIELDS[rest[0]]]
        print(f"{rest[0]}:\n {value}" if " " in value else f"{rest[0]}: {value}")
    elif verb in ("-create", "-delete"):
        row = users.setdefault(name, [name, "*", "-2", "20", name, "/var/empty", "/usr/bin/false"])
        if rest and rest[0] in FIELDS:
            row[FIELDS[rest[0]]] = rest[1]
        if verb == "-delete":
            del users[name]
        file.write_text("".join(":".join(row) + "\n" for row in users.values()))
    return 0


def defaults(arguments: list[str]) -> int:
    """defaults read|write: remembers nothing."""
    return int(arguments[0] == "read")


def csrutil(_arguments: list[str]) -> int:
    """csrutil status."""
    print("System Integrity Protection status: enabled.")
    return 0


if __name__ == "__main__":
    command = re.sub(r"\W", "_", os.path.basename(sys.argv[0]))
    sys.exit(globals()[command](sys.argv[1:]))
