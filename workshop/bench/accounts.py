"""What further accounts cost a run, and whether two accounts send at once as fast as each alone."""

from __future__ import annotations

import json
import re
import resource
import time
from pathlib import Path

from workshop.lab.host import exec
from workshop.lab.provider import OTHER_ACCOUNT, OTHER_PASSWORD

from .common import PROJECT, Site, kept, medians, progress, site, spread, table

ONE, MANY = "one", "many"
FURTHER, ROUNDS = 20, 5
MILLISECONDS = 50
MAILS, FLOWS, TRIP = 100, 3, 0.05
# Less is within the spread.
AS_FAST = 0.9
# account -> the port of the provider by which it is known in the log
PORTS = {"default": 465, "further": 587}
ACCOUNTS = [
    {
        "name": f"a{number}", "provider": "custom", "host": "smtp.fastmail.com", "port": 587, "tls": "starttls",
        "username": OTHER_ACCOUNT, "password": OTHER_PASSWORD, "senders": [f"user{number}"],
    }
    for number in range(FURTHER)
]  # fmt: skip


def measure() -> str:
    """Both, as tables."""
    with site("accounts", {ONE: "installed", MANY: "installed"}) as where:
        where.provider.limit(False)
        calls = where.folder / "calls"
        counted = where.folder / "ssh"
        counted.write_text(f'#!/bin/sh\necho >>{calls}\nexec {PROJECT}/workshop/lab/podman-ssh "$@"\n')
        counted.chmod(0o755)
        parameters = {"smtp_host_lookup": "native"}
        variables = {
            ONE: {"ansible_ssh_executable": str(counted), "smarthost_parameters": parameters},
            MANY: {
                "ansible_ssh_executable": str(counted), "smarthost_parameters": parameters,
                "smarthost_accounts": ACCOUNTS,
            },
        }  # fmt: skip
        options = {
            name: ("ansible-playbook", f"--limit={name}", f"--extra-vars={json.dumps(given)}", "site.yml")
            for name, given in variables.items()
        }
        for command in options.values():
            where.seconds(*command)
        progress(f"a run that changes nothing, with {FURTHER} further accounts and with none, {ROUNDS} rounds")
        seconds: dict[str, list[float]] = {ONE: [], MANY: []}
        made = dict.fromkeys(options, 0)
        for _round in range(ROUNDS):
            for name, command in options.items():
                calls.write_text("")
                seconds[name].append(_processor(where, command))
                made[name] = len(calls.read_text().splitlines())
        return _runs(seconds, made) + "\n" + _speed(where)


def _processor(where: Site, command: tuple[str, ...]) -> float:
    """Seconds of processor time that a command takes, the host's part included: others on the machine add nothing."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    where.seconds(*command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _runs(seconds: dict[str, list[float]], calls: dict[str, int]) -> str:
    middle = medians(seconds)
    each = 1000 * (middle[MANY] - middle[ONE]) / FURTHER
    return table(
        "Further accounts",
        f"Seconds of processor time of a run that changes nothing, with one account and with {FURTHER} more, medians "
        f"of {ROUNDS} rounds in turn, and its calls to the host. Promised: no further call, and under {MILLISECONDS} "
        "ms for each account.",
        ["one account", f"{FURTHER} more", "ms for each", "calls", "calls with more"],
        [[
            spread(seconds[ONE], 2), spread(seconds[MANY], 2), kept(f"{each:.0f}", each < MILLISECONDS),
            calls[ONE], kept(str(calls[MANY]), calls[MANY] == calls[ONE]),
        ]],
    )  # fmt: skip


def _speed(where: Site) -> str:
    """Mails a second of two accounts, alone and at once."""
    address = where.on("provider", "hostname -i").split()[0]
    delay = (Path(__file__).parent / "delay.py").read_text()
    exec(f"{where.lab}-{MANY}", "sh", "-c", "cat >/run/delay.py", input=delay)
    where.on(MANY, f"systemd-run --quiet --unit=delay python3 /run/delay.py {address} {TRIP} 465 587")
    where.on(MANY, "echo 127.0.0.9 smtp.fastmail.com >>/etc/hosts; systemctl restart postfix")
    rates: dict[str, list[float]] = {}
    for number in range(FLOWS):
        progress(f"two accounts, round {number + 1} of {FLOWS}")
        for names in (("default",), ("further",), ("default", "further")):
            for name, rate in _flow(where, names).items():
                rates.setdefault(f"{name} {len(names)}", []).append(rate)
    rows = []
    for name in PORTS:
        alone, both = rates[f"{name} 1"], rates[f"{name} 2"]
        ratio = medians({"": both})[""] / medians({"": alone})[""]
        rows.append([name, spread(alone), spread(both), kept(f"{ratio:.2f}", ratio >= AS_FAST)])
    return table(
        "Two accounts at once",
        f"Small messages a second, {MAILS} of each account, to a provider {TRIP * 1000:.0f} ms away, medians of "
        f"{FLOWS} rounds in turn. Promised: at once as fast as each alone; what is within the spread is as fast.",
        ["account", "alone", "at once", "ratio"],
        rows,
    )


def _flow(where: Site, names: tuple[str, ...]) -> dict[str, float]:
    """Mails a second of each of these accounts, of mails that all wait when it begins."""
    where.on(MANY, "postconf -e defer_transports=smtp,smarthost-a0 && postfix reload")
    for name in names:
        sender = "root" if name == "default" else "user0"
        where.on(MANY, f"smtp-source -s 10 -m {MAILS} -f {sender} -t root 127.0.0.1:25")
    count = MAILS * len(names)
    where.on(MANY, f'until [ "$(postqueue -j | grep -c \'"deferred"\')" = {count} ]; do sleep 0.2; done')
    start = time.time()
    where.on(MANY, "postconf -e defer_transports= && postfix reload && postqueue -f")
    sent = f"journalctl --output=short-unix --identifier=postfix/smtp --since=@{start:.3f} | grep status=sent"
    where.on(MANY, f'until [ "$({sent} | wc -l)" -ge {count} ]; do sleep 1; done')
    rates = {}
    for name in names:
        relay = re.compile(rf"relay=[^ ,]*:{PORTS[name]},")
        moments = sorted(float(line.split()[0]) for line in where.on(MANY, sent).splitlines() if relay.search(line))
        rates[name] = (MAILS - 1) / (moments[-1] - moments[0])
    return rates
