"""The provider, and its server: host, region, port and TLS mode."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import addresses
from ansible_collections.homelab.mail.plugins.plugin_utils.verdict import Values, Verdict

# The last one only without a login.
TLS_MODES = ("implicit", "starttls", "none")


def read_provider(verdict: Verdict) -> bool:
    """Take the preset that is named; whether there is one of that name."""
    name, providers = verdict.text("provider"), verdict.providers
    if not name:
        verdict.fault(
            "provider",
            "is not set, so there is no provider to send through.",
            f"Name your mail provider: {', '.join(providers)}.",
        )
        return False
    if name not in providers:
        near = difflib.get_close_matches(name.lower(), list(providers), n=1, cutoff=0.7)
        verdict.fault(
            "provider",
            f"there is no preset {name!r}.",
            (f"Did you mean {near[0]}? " if near else "")
            + f"The presets are: {', '.join(providers)}; any other provider is custom.",
        )
        return False
    verdict.provider = providers[name]
    return True


def read_inbox(verdict: Verdict, account: Values) -> dict[str, Any]:
    """Where the controller looks for a test mail, or in `said` why not; a login goes to its own provider alone."""
    provider = verdict.provider
    given, username, password = (verdict.text(f"inbox_{name}") for name in ("host", "username", "password"))
    own = str(provider.get("inbox_host", "")).format(rest=re.sub("^(smtp|mail)", "", account.get("host", "")))
    host, _colon, port = (given or own).partition(":")
    if not re.fullmatch("([A-Za-z0-9.-]+(:[0-9]+)?)?", given):
        verdict.fault("inbox_host", f"{given!r} is not the name of a host.", "Write it alone: imap.example.org.")
    login = str(account.get("username", ""))
    foreign = username or (password and not host) or (given and (not login or (given != own and "kind" in provider)))
    asked = {"inbox_username": username, "inbox_password": password, "inbox_host": host}
    if foreign and not all(asked.values()):
        missing = next(name for name, value in asked.items() if not value)
        verdict.fault(missing, "is not set.", "Another mailbox needs three: its IMAP server, login and password.")
    if not host or not (login or username):
        only = "only sends" if provider.get("mailboxes") is False else "has no mailbox that is known here"
        said = verdict.help("inbox") or f"{provider['name'][:1].upper()}{provider['name'][1:]} {only}."
        return {"said": f"{said} Say with smarthost_inbox_host, _username and _password where the mail arrives."}
    return {
        "host": host,
        "port": int(port) if port.isdecimal() else 993,
        "username": username or (login.partition("@")[0] if provider.get("inbox_local_part") else login),
        "password": password or account.get("password", ""),
        "provider": provider["name"],
        "help": verdict.help("inbox"),
    }


def read_host(verdict: Verdict) -> str:
    """The host of the account: given, of its region, or of the preset."""
    provider, host = verdict.provider, verdict.text("host").lower()
    region_host = _region_host(verdict, needed=not host)
    if not host:
        host = region_host or str(provider.get("host", ""))
        if not host and not _has_regions(provider):
            verdict.fault(
                "host",
                "is not set.",
                "smarthost_provider: custom needs smarthost_host, smarthost_port and smarthost_tls."
                if provider.get("any_port")
                else "Name the host that sends for this one: nas.lan.",
            )
        return host
    if not addresses.is_host_name(host):
        verdict.fault(
            "host",
            f"{host!r} is not the name of a host.",
            "Write the name alone, without brackets, port or spaces: smtp.fastmail.com.",
        )
    return host


def _has_regions(provider: Values) -> bool:
    return "regions" in provider or "region_host" in provider


def _region_host(verdict: Verdict, needed: bool) -> str:
    provider, name, region = verdict.provider, verdict.provider["name"], verdict.text("region")
    if not _has_regions(provider):
        if region:
            verdict.fault("region", f"{name} has no regions.", "Take smarthost_region out.")
        return ""
    region = region or str(provider.get("region_default", ""))
    regions = provider.get("regions", {})
    examples = ", ".join(regions) if regions else "for instance eu-central-1"
    if not region:
        if needed:
            verdict.fault(
                "region",
                f"is not set, but {name} has a server for every region, and an account only in its own.",
                f"Name the region of your account: {examples}.",
            )
        return ""
    if region in regions:
        return str(regions[region])
    if "region_host" in provider and re.fullmatch(provider["region_pattern"], region):
        return str(provider["region_host"].format(region=region))
    verdict.fault("region", f"{name} has no region {region!r}.", f"A region of its is {examples}.")
    return ""


def read_port(verdict: Verdict, host: str) -> tuple[int, str]:
    """The port and its TLS mode; what was not given comes from the preset."""
    name = verdict.provider["name"]
    given = verdict.settings.get("port")
    port, tls = int(given or 0), verdict.text("tls")
    if tls not in ("", *TLS_MODES):
        verdict.fault("tls", f"{tls!r} is not one of its values.", f"Write one of: {', '.join(TLS_MODES)}.")
        tls = ""
    known, others = _ports_of(verdict.provider, host)
    offered = ", ".join(f"{number} ({mode})" for number, mode in known.items())

    if given is not None and not 1 <= port <= 65535:
        verdict.fault("port", f"{port} is not a TCP port.", "Ports go from 1 to 65535.")
        return port, tls
    if not port:
        # Where mail may cross in plain text, TLS may begin as well.
        port = next((number for number, mode in known.items() if tls in ("", mode) or mode == "none"), 0)
    if not port and known:
        verdict.fault("tls", f"{name} has no port with {tls} TLS.", f"It offers {offered}.")
        return port, tls
    if not port:
        verdict.fault("port", "is not set.", f"Name the port of {host or 'your relay'}, mostly 465 or 587.")
    elif port not in known and others is None:
        verdict.fault("port", f"{name} has no port {port}.", f"It offers {offered}.")
        return port, tls

    mode = known.get(port) or others
    if not (tls or mode):
        verdict.fault(
            "tls",
            "is not set, and the port alone does not tell.",
            "Write implicit where TLS begins with the connection (mostly port 465), or starttls (mostly 587).",
        )
    elif tls and mode and tls != mode and others != "":
        verdict.fault(
            "tls",
            f"port {port} of {host or name} speaks {mode} TLS, not {tls}.",
            "Take smarthost_tls out" + (f", or choose another port: {offered}." if len(known) > 1 else "."),
        )
    return port, tls or mode or ""


def _ports_of(provider: Values, host: str) -> tuple[Mapping[int, str], str | None]:
    """The ports of a host with their TLS modes, and the mode of all its other ports.

    None: it has no others. Empty: they are not known, because the host is not of the preset; then the
    preset's ports are no more than its defaults.
    """
    ports: Mapping[int, str] = provider.get("ports", {})
    if provider.get("any_port"):
        return {}, ""
    own = {provider.get("host", ""), *provider.get("regions", {}).values(), ""}
    if host in own or ("region_host" in provider and _fits(provider["region_host"], host)):
        return ports, None
    alternate = provider.get("alternate_hosts", {}).get(host)
    if alternate is None:
        return ports, ""
    if "any_port" in alternate:
        mode = str(alternate["any_port"])
        return {port: kind for port, kind in ports.items() if kind == mode}, mode
    return alternate["ports"], None


def _fits(template: str, host: str) -> bool:
    """Whether a host is one that the template of a region's host makes."""
    return re.fullmatch(re.escape(template).replace(re.escape("{region}"), "[a-z0-9-]+"), host) is not None


def is_host_of(provider: Values, host: str) -> bool:
    """Whether a host is one of the provider's."""
    own = {provider.get("host"), *provider.get("regions", {}).values(), *provider.get("alternate_hosts", {})}
    return host in own or ("region_host" in provider and _fits(provider["region_host"], host))
