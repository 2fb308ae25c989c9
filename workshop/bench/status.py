"""How long `smarthost status` takes, and how much memory, on a host with a long queue."""

from __future__ import annotations

import json
import statistics

from workshop.lab.host import exec

from .common import kept, progress, site, spread, table

MAILS = 10_000
SECONDS, MEGABYTES = 0.5, 50
HOST = "host"
# Prints the seconds of each round, those of postqueue alone, and kilobytes.
MEASURE = """
import json, resource, subprocess, time
def run():
    start = time.monotonic()
    said = subprocess.run(["smarthost", "status", "--json"], stdout=subprocess.PIPE).stdout
    assert json.loads(said)["queue"]["messages"] == %d, said
    return time.monotonic() - start
def ask():
    start = time.monotonic()
    subprocess.run(["postqueue", "-j"], stdout=subprocess.DEVNULL)
    return time.monotonic() - start
seconds, asked = zip(*((run(), ask()) for _ in range(10)))
print(json.dumps([seconds, asked, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""


def measure() -> str:
    """As a table."""
    with site("status", {HOST: "installed"}) as where:
        where.configure()
        progress(f"smarthost status with {MAILS} mails in the queue")
        where.on(HOST, "postconf -e defer_transports=smtp && postfix reload")
        where.on(HOST, f"smtp-source -s 10 -m {MAILS} -t root 127.0.0.1:25")
        # Until Postfix has looked at all of it.
        where.on(HOST, "while postqueue -j | grep -qv '\"deferred\"'; do sleep 0.5; done")
        seconds, asked, kilobytes = json.loads(exec(f"{where.lab}-{HOST}", "python3", "-c", MEASURE % MAILS).stdout)
    megabytes = kilobytes / 1024
    return table(
        "smarthost status",
        f"With {MAILS} mails in the queue, {len(seconds)} rounds. Promised: under {SECONDS} s and {MEGABYTES} MB.",
        ["seconds", "postqueue -j alone", "MB"],
        [
            [
                kept(spread(seconds, 2), statistics.median(seconds) < SECONDS),
                spread(asked, 2),
                kept(f"{megabytes:.0f}", megabytes < MEGABYTES),
            ]
        ],
    )
