"""The accounts in place on this host, as Postfix logs in with them.

Standard library only. Runs on the managed host.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._program import system, tokens

if TYPE_CHECKING:
    from ansible_collections.homelab.mail.plugins.module_utils._program import login

# The parameters by which Postfix relays.
RELAY = (
    "relayhost", "smtp_tls_wrappermode", "smtp_tls_security_level", "smtp_tls_CAfile", "smtp_sasl_auth_enable",
    "smtp_sasl_password_maps", "myhostname",
)  # fmt: skip
# Those that each account has for itself.
_OWN = tuple(name for name in RELAY if name in configuration.OF_ACCOUNT)


def further(ours: dict[str, Any]) -> list[dict[str, Any]]:
    """Each account but the default one: what the role said of it, and its parameters, without their prefix."""
    accounts = ours.get("accounts", [])
    values = configuration.parse_main_cf(system.main_cf()) if accounts else {}
    return [
        {**account, **{one: values.get(configuration.parameter(account["id"], one), "") for one in _OWN}}
        for account in accounts
    ]


def presets(ours: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """Host -> id and preset of its account; the default one's is last and is all others', for `health.explained`.

    What a server says that several accounts have is of none of them. So it is with the proxy for tokens, which names a
    further account itself in what it says of a login.
    """
    by_proxy = {f"({one['id']})": (one["id"], one["provider"]) for one in others if one["id"] in by_token()}
    found = {host_of(tokens.PROXY): one for one in by_proxy.values() if len(by_token()) == 1}
    for account in others:
        host = host_of(account["relayhost"])
        found[host] = ("" if host in found else account["id"], account["provider"])
    own = configuration.parse_main_cf(system.main_cf()).get("relayhost", "") if others else ""
    found.pop(host_of(own), None)
    return {**by_proxy, **found, "": ("", ours.get("provider", ""))}


def in_place() -> list[dict[str, Any]]:
    """Each account for the module login, the default one first; one without a relay has no host.

    The password is read where one is root. What keeps it from being read is the account's `error`.
    """
    ours, shared, oauth = system.settings(), system.values(*RELAY), by_token()
    found = []
    for account in ({**ours, "id": ""}, *further(ours)):
        if account["id"] in oauth:
            found.append({**oauth[account["id"]], "error": ""})
            continue
        parameters = {**shared, **{name: account[name] for name in _OWN if name in account}}
        username, password, error = login_in_place(parameters) if os.geteuid() == 0 else ("", "", "")
        relay = parameters.get("relayhost", "")
        found.append({
            "id": account["id"],
            "provider": account.get("provider", "custom"),
            "host": host_of(relay),
            "port": int(relay.rpartition(":")[2]) if re.search(r":\d+$", relay) else 25,
            "tls": _tls(parameters),
            "tls_security_level": parameters.get("smtp_tls_security_level", ""),
            "ca_file": parameters.get("smtp_tls_CAfile", ""),
            "helo": parameters.get("myhostname", ""),
            "username": username,
            "password": password,
            "sender": account.get("sender") or username or f"root@{parameters.get('myhostname', '')}",
            "recipient": account.get("recipient"),
            "error": error,
        })  # fmt: skip
    return found


def by_token() -> dict[str, dict[str, Any]]:
    """Id -> each account that logs in with a token; none for who may not read them."""
    return system.settings(configuration.OAUTH) if os.geteuid() == 0 else {}


def host_of(relay: str) -> str:
    """The name in a relayhost.

    >>> host_of("[smtp.fastmail.com]:465")
    'smtp.fastmail.com'
    """
    return re.sub(r"^\[?(.*?)\]?(:\d+)?$", r"\1", relay)


def _tls(parameters: dict[str, str]) -> str:
    if parameters.get("smtp_tls_security_level") == "none":
        return "none"
    return "implicit" if parameters.get("smtp_tls_wrappermode") == "yes" else "starttls"


def login_in_place(parameters: dict[str, str]) -> tuple[str, str, str]:
    """User and password that Postfix logs in with, and why there are none; nothing of it where it does not log in."""
    if parameters.get("smtp_sasl_auth_enable") == "no":
        return "", "", ""
    table = parameters.get("smtp_sasl_password_maps", "")
    if not re.fullmatch(r"\w+:/\S+", table):
        # Several, or a login in main.cf itself: which of them Postfix would take cannot be told.
        return "", "", "smtp_sasl_password_maps is not one table, as the role has it"
    _code, found, error = system.run("postmap", "-q", parameters["relayhost"], table)
    username, _colon, password = found.rstrip("\n").partition(":")
    return username, password, "" if username else error.strip() or f"no login for {parameters['relayhost']}"


def passwords() -> list[str]:
    """The passwords in place, for `hide`; none for who may not read them."""
    return [account["password"] for account in in_place() if account["password"]] if os.geteuid() == 0 else []


def hide(found: Any, secrets: list[str]) -> Any:
    """The same without these passwords, should a server have repeated one.

    >>> hide({"said": ["535 no: q7w2", 1]}, ["q7w2"])
    {'said': ['535 no: ********', 1]}
    """
    if isinstance(found, dict):
        return {name: hide(value, secrets) for name, value in found.items()}
    if isinstance(found, list):
        return [hide(value, secrets) for value in found]
    for secret in secrets if isinstance(found, str) else ():
        found = found.replace(secret, "********")
    return found


def try_logins() -> list[tuple[login.Outcome, dict[str, Any]]]:
    """The login of each account as Postfix makes it, tried as the role does."""
    from ansible_collections.homelab.mail.plugins.module_utils._program import health, login

    tried = []
    for account in in_place():
        if not account["host"]:
            account["host"] = "the relay"
            outcome = login.Outcome(login.UNDECIDED, "looking the relay up", health.NO_RELAY)
        elif account["error"]:
            outcome = login.Outcome(login.UNDECIDED, "looking the login up", account["error"])
        else:
            outcome = login.try_login(account)
        tried.append((outcome, account))
    return tried
