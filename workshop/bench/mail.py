"""How fast mail leaves for a provider 50 ms away, and with how many logins, beside what tutorials set."""

from __future__ import annotations

import re
import statistics
import time
from pathlib import Path

from workshop.lab.host import exec, podman

from .common import Site, kept, progress, site, spread, table

TRIP = 0.05
MAILS, TUTORIAL_MAILS = 500, 75
CONNECTIONS = (2, 5)
SINGLE = 3
HOST = "host"
# A provider's disks are no matter of this machine's: its spool goes into memory.
INTO_MEMORY = """
systemctl stop postfix
for folder in /var/spool/postfix /var/mail/lab; do
    cp -a $folder /run/$(basename $folder)-in-memory
    mount --bind /run/$(basename $folder)-in-memory $folder
done
systemctl start postfix
systemctl restart dovecot # its socket is in there
"""
TUTORIAL = {
    "smtp_tls_connection_reuse": "no",
    "smtp_connection_cache_on_demand": "no",
    "smtp_connection_cache_destinations": "",
    "smtp_initial_destination_concurrency": "5",
}
# port -> how much faster than the tutorial
PROMISED = {587: 3.0, 465: 2.2}
LOGINS = 10


def measure() -> str:
    """Both, as tables."""
    with site("mail", {HOST: "installed"}) as where:
        # The provider is behind a proxy that takes its time; its name leads there.
        where.configure("--extra-vars={smarthost_parameters: {smtp_host_lookup: native}, smarthost_verify_login: 'no'}")
        ours = _values(where, list(TUTORIAL))
        podman("exec", "--privileged", f"{where.lab}-provider", "sh", "-euc", INTO_MEMORY)
        # Tutorials log in for each mail: what a strict provider refuses of that is not measured here.
        where.provider.limit(False)
        address = where.on("provider", "hostname -i").split()[0]
        exec(
            f"{where.lab}-{HOST}",
            "sh",
            "-c",
            "cat >/run/delay.py",
            input=(Path(__file__).parent / "delay.py").read_text(),
        )
        where.on(HOST, f"systemd-run --quiet --unit=delay python3 /run/delay.py {address} {TRIP} 465 587")
        where.on(HOST, "echo 127.0.0.9 smtp.fastmail.com >>/etc/hosts")
        rows: list[list[object]] = []
        for port in PROMISED:
            for connections in CONNECTIONS:
                rows.append(_row(where, port, connections, ours))
        single = _single(where, ours)
    return _table(rows) + "\n" + single


def _values(where: Site, names: list[str]) -> dict[str, str]:
    return {name: where.on(HOST, f"postconf -h {name}").strip() for name in names}


def _set(where: Site, values: dict[str, str], port: int, connections: int) -> None:
    wrapped = "yes" if port == 465 else "no"
    own = {
        "relayhost": f"[smtp.fastmail.com]:{port}",
        "smtp_tls_wrappermode": wrapped,
        "smtp_destination_concurrency_limit": str(connections),
        "defer_transports": "",
    }
    settings = " ".join(f"'{name}={value}'" for name, value in {**values, **own}.items())
    # The login stands under the port of the inventory.
    where.on(
        HOST,
        f"""table=$(postconf -h smtp_sasl_password_maps | cut -d: -f2)
        sed -i 's/]:[0-9]* /]:{port} /' "$table"
        postconf -e {settings}
        touch -d '1 minute ago' /etc/postfix/main.cf "$table"
        systemctl restart postfix""",
    )


def _flow(where: Site, values: dict[str, str], port: int, connections: int, mails: int) -> tuple[float, float]:
    """Mails in a second, and logins for 500, of mails that all wait when it begins."""
    _set(where, values, port, connections)
    where.on(HOST, "postconf -e defer_transports=smtp && postfix reload")
    where.on(HOST, f"smtp-source -s 10 -m {mails} -t root 127.0.0.1:25")
    where.on(HOST, f'until [ "$(postqueue -j | grep -c \'"deferred"\')" = {mails} ]; do sleep 0.2; done')
    marker = where.provider.marker()
    start = time.time()
    where.on(HOST, "postconf -e defer_transports= && postfix reload && postqueue -f")
    sent = f"journalctl --output=short-unix --identifier=postfix/smtp --since=@{start:.3f} | grep status=sent"
    where.on(HOST, f'until [ "$({sent} | wc -l)" -ge {mails} ]; do sleep 1; done')
    moments = [float(line.split()[0]) for line in where.on(HOST, sent).splitlines()]
    # The last connections are kept for a moment.
    time.sleep(4)
    logins = len(re.findall(r" auth=1\b", where.provider.log_since(marker)))
    # From when there are as many out as there are connections: those of the tutorial go in step, and the first of a
    # few such rounds would count as if they had taken no time.
    moments.sort()
    return (mails - connections) / (moments[-1] - moments[connections - 1]), logins * 500 / mails


def _row(where: Site, port: int, connections: int, ours: dict[str, str]) -> list[object]:
    progress(f"{MAILS} mails through port {port}, {connections} connections")
    slow, many = _flow(where, TUTORIAL, port, connections, TUTORIAL_MAILS)
    fast, few = _flow(where, ours, port, connections, MAILS)
    ratio = fast / slow
    return [
        port, connections, f"{fast:.1f}", f"{slow:.1f}", kept(f"{ratio:.1f}", ratio >= PROMISED[port]),
        kept(f"{few:.0f}", few <= LOGINS), f"{many:.0f}",
    ]  # fmt: skip


def _table(rows: list[list[object]]) -> str:
    promised = " and ".join(f"{ratio:g} × on {port}" for port, ratio in PROMISED.items())
    return table(
        "The mail",
        f"Small messages a second to a provider {TRIP * 1000:.0f} ms away (a delaying proxy; its queue in memory), one "
        f"round: {MAILS} with the role's settings, {TUTORIAL_MAILS} with those of the usual tutorial, which makes a "
        "connection for each; counted from when as many are out as there are connections. "
        f"Promised: {promised}, and at most {LOGINS} logins for 500 messages.",
        ["port", "connections at once", "messages/s", "tutorial", "× tutorial", "logins per 500", "tutorial's"],
        rows,
    )


def _single(where: Site, ours: dict[str, str]) -> str:
    progress("one mail alone")
    rounds: dict[str, list[float]] = {"ours": [], "tutorial": []}
    for _round in range(SINGLE):
        for name, values in (("ours", ours), ("tutorial", TUTORIAL)):
            _set(where, values, 465, 2)
            time.sleep(1)
            rounds[name].append(_one(where))
    ratio = statistics.median(rounds["ours"]) / statistics.median(rounds["tutorial"])
    return table(
        "One notification",
        f"Seconds from sendmail to the provider's reply, for a mail alone, medians of {SINGLE} rounds in turn. "
        "Promised: not slower; what is within the spread is as fast.",
        ["role's settings", "tutorial", "ratio"],
        [[spread(rounds["ours"], 2), spread(rounds["tutorial"], 2), f"{ratio:.2f}"]],
    )


def _one(where: Site) -> float:
    start = time.time()
    where.on(HOST, "printf 'Subject: one\n\nx' | sendmail root")
    sent = f"journalctl --output=short-unix --identifier=postfix/smtp --since=@{start:.3f} | grep status=sent"
    line = where.on(HOST, f"until {sent}; do sleep 0.1; done")
    return float(line.split()[0]) - start
