#!/usr/bin/python3
"""postconf of the lab's Mac: the real one, which says that it is 3.2.2 and does not know what came later."""

import getopt
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Optional

REAL = "/usr/libexec/stand-in/postconf"
VERSION = "3.2.2"
OPTIONS = "aAbc:C:deEfFhHlmMno:pPtT:vxX#"
# Those that show or change something else than main.cf's parameters, or change them.
OTHER_MODES = set("aAbeEFlmMPtTX#")


def table() -> dict[str, str]:
    """Parameter -> the version that it came with."""
    lines = Path(__file__).resolve().with_name("parameters.txt").read_text(encoding="utf-8").splitlines()
    name_and_version = (line.split() for line in lines if not line.startswith("#"))
    return {name: version for name, version in name_and_version}


def came_after(name: str, known: dict[str, str]) -> Optional[str]:
    """The version that brought this parameter, where 3.2 does not have it; None for one that no Postfix has."""
    generic = [f"transport{name[at:]}" for at in (match.start() for match in re.finditer("_", name))]
    for spelled in (name, *generic, re.sub("^lmtp_", "smtp_", name)):
        if spelled in known:
            version = known[spelled]
            return version if version != "-" and tuple(map(int, version.split("."))) > (3, 2) else None
    return None


def parameters(main_cf: str) -> list[tuple[str, str]]:
    """Names and values of a main.cf."""
    logical = re.sub(r"\n[ \t]+", " ", re.sub(r"(?m)^\s*(#.*)?\n", "", main_cf))
    pairs = (line.partition("=") for line in logical.splitlines())
    return [(name.strip(), value.strip()) for name, equals, value in pairs if equals]


def main() -> int:
    """As the real one, but for what is newer."""
    options, names = getopt.gnu_getopt(sys.argv[1:], OPTIONS)
    letters = {option[1] for option, _ in options}
    if letters & OTHER_MODES:
        os.execv(REAL, sys.argv)
    known = table()
    kept = [name for name in names if not came_after(name, known)]
    for name in names:
        if name not in kept:
            print(f"{sys.argv[0]}: warning: {name}: unknown parameter", file=sys.stderr)
    if names and not kept:
        return 0
    argv = [sys.argv[0], *(part for pair in options for part in pair if part), *kept]
    done = subprocess.run(
        argv, executable=REAL, capture_output=True, encoding="utf-8", errors="surrogateescape", check=False
    )
    real = subprocess.run([REAL, "-dh", "mail_version"], capture_output=True, text=True, check=True).stdout.strip()

    shown = True
    for line in done.stdout.splitlines():
        found = re.match(r"(\w+) =", line)
        if found:
            shown = not came_after(found[1], known)
        if shown:
            print(re.sub(rf"(^|= ){re.escape(real)}$", rf"\g<1>{VERSION}", line))
    # Apple's own parameter, which the real one does not know.
    complaints = [line for line in done.stderr.splitlines() if "unused parameter: server_config_directory=" not in line]
    if "d" not in letters:
        folder = dict(options).get("-c") or os.environ.get("MAIL_CONFIG", "/etc/postfix")
        for name, value in parameters(Path(folder, "main.cf").read_text(encoding="utf-8", errors="surrogateescape")):
            complaint = f"{sys.argv[0]}: warning: {folder}/main.cf: unused parameter: {name}={value}"
            if came_after(name, known) and complaint not in complaints:
                complaints.append(complaint)
    sys.stdout.flush()
    for line in complaints:
        print(line, file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
