"""How soon mail leaves that has waited for a provider, beside Postfix' defaults."""

from __future__ import annotations

import re
import sys
import time
from threading import Event, Thread

from .common import Site, kept, only_tables, progress, site, table

MAILS = 500
FIRST, LAST = 35, 120
# What the role leaves to smarthost retry, Postfix would do by itself in this time.
PATIENCE = 700
HOSTS = {"ours": "installed", "defaults": "installed"}
DEFAULTS = "smtp_tls_connection_reuse=no smtp_connection_cache_destinations= smtp_initial_destination_concurrency=5"


class Outage(Thread):
    """An outage, watched in the background: with Postfix' defaults it lasts for ten minutes longer."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds
        self.text = ""
        # Set when nothing is to come but waiting.
        self.begun = Event()
        self.start()

    def run(self) -> None:
        try:
            self._measure()
        finally:
            # Else the caller would wait for it for ever.
            self.begun.set()

    def _measure(self) -> None:
        with site("outage", HOSTS) as where:
            where.configure()
            # Both hosts together would pass the limits that the provider has for one.
            where.provider.limit(False)
            where.on(
                "defaults", f"postconf -e {DEFAULTS}; postfix reload; systemctl disable --now smarthost-retry.timer"
            )
            where.provider.answer(False)
            away = time.time()
            for host in HOSTS:
                where.on(host, f"smtp-source -s 10 -m {MAILS} -t root 127.0.0.1:25")
            self.begun.set()
            time.sleep(max(0.0, away + self.seconds - time.time()))
            asked = _asked(where, away)
            where.provider.answer(True)
            back = time.time()
            progress(f"the provider is back after {self.seconds} s")
            rows = [_row(host, *_sent(where, host, back)) for host in HOSTS]
        self.text = table(
            f"After an outage of {self.seconds} s",
            f"Seconds from the provider's return until the first and the last of {MAILS} waiting mails were sent; "
            f"both hosts at once, one round. Promised: the first within {FIRST} s, the last within {LAST} s. While the "
            f"provider was away, the role's host made {asked} connections to it: tries of Postfix and looks of "
            "smarthost retry.",
            ["settings", "sent", "first", "last"],
            rows,
        )


def _asked(where: Site, since: float) -> int:
    """Tries of Postfix, by its log, and of smarthost retry, one each 30 s at most."""
    log = where.on("ours", f"journalctl --output=cat --identifier=postfix/smtp --since=@{since:.3f} || true")
    tries = len(re.findall(r"^connect to .*: Connection refused$", log, re.MULTILINE))
    return tries + int((time.time() - since) / 30)


def _sent(where: Site, host: str, back: float) -> tuple[int, float, float]:
    script = f"journalctl --output=short-unix --identifier=postfix/smtp --since=@{back:.3f} | grep status=sent || true"
    while True:
        moments = [float(line.split()[0]) - back for line in where.on(host, script).splitlines()]
        if len(moments) >= MAILS or time.time() > back + PATIENCE:
            return len(moments), min(moments, default=0.0), max(moments, default=0.0)
        time.sleep(2)


def _row(host: str, sent: int, first: float, last: float) -> list[object]:
    ours = host == "ours"
    name = "the role's" if ours else "Postfix' defaults"
    return [
        name, f"{sent} of {MAILS}", kept(f"{first:.1f}", not ours or first <= FIRST),
        kept(f"{last:.1f}", not ours or last <= LAST),
    ]  # fmt: skip


def measure(seconds: int = 60) -> str:
    """One outage alone."""
    outage = Outage(seconds)
    outage.join()
    return outage.text


if __name__ == "__main__":
    tables = only_tables()
    print(measure(int(sys.argv[1])), file=tables)
