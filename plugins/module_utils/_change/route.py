"""The way to the real relay, as Postfix itself will take it: as far as the login, and no further.

The second Postfix of `rehearsal` takes it with the system's own service for the relay and a login
that no server offers. So it looks the relay up, connects, begins TLS, verifies the certificate and
gives up: no password, no AUTH and no sender cross the line. Runs on the managed host.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Mapping
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils._program import chroot

SERVICE = "route"
# What a server says after EHLO, for `smtp_reply_filter`: where it asks for no login, Postfix would
# go on to name a sender. So every other line becomes the offer of a login that does not exist.
REPLIES = r"""
/^(250[ -](STARTTLS|AUTH).*)$/ $1
/^250([ -])/ 250${1}AUTH X-NOTHING
"""
_NOTHING = "X-NOTHING"
_OPTIONS = (
    "smtp_sasl_auth_enable=yes",
    "smtp_sasl_password_maps=static:nobody:nothing",
    "smtp_sender_dependent_authentication=no",
    "smtp_sasl_mechanism_filter=none",
    "smtp_reply_filter=regexp:{tables}/route_replies",
    "smtp_tls_loglevel=1",
    "smtp_fallback_relay=",
    "smtp_connection_cache_destinations=",
    "smtp_connection_cache_on_demand=no",
    # So that the next of several addresses is tried in time.
    "smtp_connect_timeout=3s",
    "syslog_name={name}",
)

_LIBRARIES = ("lib/*/lib{}*.so*", "lib/lib{}*.so*")


def recipient(account: str) -> str:
    """Whose mail goes to the real relay of an account."""
    return f"check{account}@example.net"


def log_name(account: str) -> str:
    """How the log begins what is said of that way."""
    return f"postfix-check{account}/"


def service(line: str, account: str, tables: str) -> str:
    """The service that mail leaves through, for master.cf under our name; empty where that is no SMTP client.

    >>> service("uucp unix - n n - - pipe flags=F user=uucp argv=uux", "x", "/t")
    ''
    >>> service("smtp unix - - y - - smtp -o a=b", "x", "/t").split(" -o ")[:2]
    ['routex unix - - y - - smtp', 'a=b']
    """
    fields = line.split()
    if fields[7:8] != ["smtp"]:
        return ""
    rest = " ".join(fields[2:])
    options = (option.format(name=log_name(account)[:-1], tables=tables) for option in _OPTIONS)
    return " -o ".join([f"{SERVICE}{account} unix {rest}", *options])


# --- a chroot ---------------------------------------------------------------------------------------


def copy_chroot(live: str, copy: str) -> None:
    """Give a queue directory what a chroot in the other one has, with the content of its next start."""
    for name in _files(live):
        # Only where the next start copies it anew.
        source = f"/{name}" if os.path.exists(chroot.COPIER) and os.path.isfile(f"/{name}") else f"{live}/{name}"
        os.makedirs(os.path.dirname(f"{copy}/{name}"), mode=0o755, exist_ok=True)
        shutil.copyfile(source, f"{copy}/{name}")
        os.chmod(f"{copy}/{name}", 0o755 if name.startswith("lib") else 0o644)


def _files(live: str) -> list[str]:
    """The files of a chroot, without the slash in front: what is there, and what a start would put there."""
    patterns = ["etc/*", *(pattern.format("*") for pattern in _LIBRARIES)]
    found = {os.path.relpath(path, live) for pattern in patterns for path in glob.glob(f"{live}/{pattern}")}
    found = {name for name in found if os.path.isfile(f"{live}/{name}")}
    if os.path.exists(chroot.COPIER):
        found |= {f"etc/{name}" for name in chroot.COPIES if os.path.isfile(f"/etc/{name}")}
        for kind in ("gcc_s", "nss", "resolv"):
            found |= {path[1:] for pattern in _LIBRARIES for path in glob.glob("/" + pattern.format(kind))}
    return sorted(found)


# --- how it ended -------------------------------------------------------------------------------------


def reason(log: str, recipient: str) -> str:
    """Why a mail waits, by one of Postfix' files below `defer`; empty where that is of other mails.

    >>> reason("\\nrecipient=a@x\\nreason=no way\\n\\nrecipient=b@x\\nreason=else\\n", "b@x")
    'else'
    """
    for record in log.split("\n\n"):
        fields = dict(line.partition("=")[::2] for line in record.splitlines())
        if fields.get("recipient") == recipient:
            return fields.get("reason", "")
    return ""


def obstacle(why: str, log: list[str], level: str, mechanisms: str) -> str:
    """What keeps Postfix from the login, by the reason why its mail waits; empty where nothing does.

    `mechanisms` are those that main.cf allows: smtp_sasl_mechanism_filter.

    >>> obstacle("SASL authentication failed; server x offered no compatible authentication mechanisms", [], "", "")
    ''
    """
    if "offered no compatible authentication mechanisms" not in why:
        return why
    # Postfix does not verify where an option of the service in master.cf lowers the level.
    unverified = [line for line in log if re.search("(Anonymous|Untrusted|Trusted) TLS connection established", line)]
    if unverified and level in ("secure", "verify"):
        return "the certificate is not verified: " + re.sub(r"^.*?\]: ", "", unverified[0])
    # Before 3.4 the log goes elsewhere.
    said = [
        found.group(1) for line in log if (found := re.search(r"offered no supported AUTH mechanisms: '(.*)'", line))
    ]
    offered = [word for word in " ".join(said).upper().split() if word != _NOTHING]
    allowed = re.split(r"[\s,]+", mechanisms.upper())
    # Other than plain words the filter may say anything.
    if said and re.fullmatch(r"[\w\s,-]+", mechanisms) and not set(offered) & set(allowed):
        return f"the server offers only: {' '.join(offered) or 'no login at all'}"
    return ""


def is_for_now(why: str) -> bool:
    """Whether the server asks to come back later, which says nothing about the way.

    >>> is_for_now("host x[192.0.2.1] refused to talk to me: 421 4.7.0 Too many connections")
    True
    """
    return bool(re.search(r"(refused to talk to me|said): 4\d\d", why))


def refusal(why: str, meaning: str, account: Mapping[str, Any], sni: str) -> str:
    """What to say where Postfix does not get to a server that this host does reach.

    `meaning` is what is known of the reason otherwise; `sni` is what keeps Postfix from naming the server, if anything.
    """
    host = account["host"]
    if re.search("Host or domain name not found|Name service error|unable to look up host|name resolution", why):
        meaning = (
            f"Other programs on this host find {host}, but Postfix does not: it asks DNS and /etc/hosts, mostly from a "
            "chroot, where names that only mDNS or another service knows are not found. Use a name that is in DNS, or "
            "put it into /etc/hosts."
        )
    elif "not verified:" in why:
        meaning = (
            "An option of the service in master.cf that mail leaves through lowers the level of TLS. Take it out: "
            "postconf -M smtp/unix shows it."
        )
    elif "ertificate" in why and sni:
        meaning = (
            f"{host} showed this host a certificate that is right, and Postfix another one. Probably it chooses by the "
            f"name that a client asks for (SNI), and {sni}"
        )
    elif not meaning:
        meaning = (
            "Other programs on this host do reach it. See what smarthost_parameters and the service in master.cf "
            "(postconf -M smtp/unix) say of connections."
        )
    return f"Postfix cannot send through {host} with this configuration, so all mail would wait: {why}. {meaning}"
