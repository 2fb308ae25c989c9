"""The account at the provider: login, password, and the addresses that it may send as."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import addresses
from ansible_collections.homelab.mail.plugins.module_utils._program import tokens
from ansible_collections.homelab.mail.plugins.plugin_utils.consent import read_oauth
from ansible_collections.homelab.mail.plugins.plugin_utils.networks import is_inside
from ansible_collections.homelab.mail.plugins.plugin_utils.server import read_host, read_port
from ansible_collections.homelab.mail.plugins.plugin_utils.verdict import (
    Verdict,
    clean,
    is_placeholder,
    is_placeholder_address,
    text,
)


def read_account(
    verdict: Verdict,
    settings: Mapping[str, Any],
    provider: Mapping[str, Any],
    providers: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The account of the variables, as the plan has it: the default one, which has no `id` and is `smtp` in Postfix."""
    host = read_host(verdict, settings, provider)
    port, tls = read_port(verdict, settings, provider, host)
    auth = text(settings, "auth") or provider.get("auth", "password")
    username, password, oauth = "", "", {}
    if auth == "none":
        _check_no_login(verdict, settings)
    else:
        if auth not in ("password", "oauth") and clean(auth):
            verdict.fault("auth", f"{auth!r} is not one of its values.", "Write password, oauth or none.")
        username = read_username(verdict, settings, provider, providers)
        if auth == "oauth":
            oauth = read_oauth(verdict, settings, provider, providers)
        else:
            password = read_password(verdict, settings, provider)
    if tls == "none":
        _check_plain(verdict, auth, host)
    # One's own relay makes senders its account's; any other wants to know who writes.
    from_needed = provider.get("from_required", auth == "none" and not is_inside(host))
    sender = _from(verdict, settings, provider, providers, username, from_needed)
    return {
        "id": "",
        "service": "smtp",
        "name": provider["name"],
        "provider": text(settings, "provider"),
        "host": host,
        "port": port,
        "tls": tls,
        "username": username,
        "password": password,
        "oauth": oauth,
        # Where Postfix sends what it has for this account.
        "nexthop": tokens.PROXY if oauth else f"[{host}]:{port}",
        "from": sender,
        # A mailbox provider's login may also be sent as.
        "login": username if provider.get("from") in ("owned", "login") else "",
        "senders": [],
        **{name: provider.get(name) for name in ("size_limit", "concurrency", "messages_per_connection")},
        # Whole seconds between two mails.
        "pause": -(-60 // provider["messages_per_minute"]) if "messages_per_minute" in provider else 0,
    }


def _check_no_login(verdict: Verdict, settings: Mapping[str, Any]) -> None:
    for name in ("username", "password"):
        if text(settings, name):
            verdict.fault(
                name,
                "is given, but this host does not log in (smarthost_auth is none).",
                "Take it out, or give it to those hosts alone that log in.",
            )


def _check_plain(verdict: Verdict, auth: str, host: str) -> None:
    """Whether mail may cross the network in plain text."""
    if auth != "none":
        verdict.fault(
            "tls",
            "is none, so that the password would cross the network in plain text.",
            "Write implicit or starttls, or smarthost_auth: none where the relay asks for no login.",
        )
    elif host and not is_inside(host):
        verdict.fault(
            "tls",
            f"is none, but {host} is not inside your network: on the way there, others could read and change mail.",
            "Write starttls or implicit, or as smarthost_host an address or a name of your own network.",
        )


def read_username(
    verdict: Verdict,
    settings: Mapping[str, Any],
    provider: Mapping[str, Any],
    providers: Mapping[str, Mapping[str, Any]],
) -> str:
    """The login as it was given, or the one that the provider always takes."""
    name = provider["name"]
    username = text(settings, "username")
    meant = _address_meant(username, provider)
    about = str(provider.get("username_help", ""))
    fixed = provider.get("username_fixed")
    if not username and fixed:
        return str(fixed)
    if not username:
        verdict.fault("username", "is not set.", f"Write the login at {name}. {about}".rstrip())
    elif not clean(username):
        pass
    elif username != username.strip():
        verdict.fault("username", "begins or ends with a space, which Postfix would cut off.", "Take it out.")
    elif fixed and username != fixed:
        verdict.fault("username", f"the login at {name} is always {fixed!r}.", "Write that, or take the variable out.")
    elif ":" in username:
        verdict.fault(
            "username",
            "has a colon, where Postfix would see the end of the name.",
            f"Write the login alone; the password goes into smarthost_password. {about}".rstrip(),
        )
    elif username != fixed and (
        is_placeholder_address(meant, provider) if "@" in meant else is_placeholder(username, provider)
    ):
        verdict.fault(
            "username", f"{username!r} is the placeholder of a guide.", f"Write your own login. {about}".rstrip()
        )
    else:
        _check_form(verdict, username, meant, provider, providers)
    return username


def _check_form(
    verdict: Verdict,
    username: str,
    meant: str,
    provider: Mapping[str, Any],
    providers: Mapping[str, Mapping[str, Any]],
) -> None:
    """Whether a login looks as the provider's do; `meant` is the address that it is, if it is one."""
    name, rule = provider["name"], provider.get("username", "any")
    whole = f"Write the whole address, name and domain. {provider.get('username_help', '')}".rstrip()
    domain = addresses.domain_of(meant)
    if rule == "local_part" and "@" in username:
        what = f"is an address, and {name} wants only what stands before the @."
        remedy = f"Write {username.partition('@')[0]}."
    elif rule != "address":
        return
    elif not addresses.is_address(meant):
        short = f"is not a full address, and {name} refuses a login without the domain."
        what, remedy = "is not an address." if "@" in username else short, whole
    elif addresses.is_private_domain(domain):
        what, remedy = f"is an address that exists only inside your network, not one at {name}.", whole
    elif other := other_provider(domain, provider, providers):
        what = f"is an account at {other}, not at {name}."
        remedy = f"Write the login that you have at {name}, or choose {other} as smarthost_provider."
    else:
        return
    verdict.fault("username", f"{username!r} {what}", remedy)


def _address_meant(username: str, provider: Mapping[str, Any]) -> str:
    """The address of a login that may have another sign where programs stumble over the @."""
    signs = str(provider.get("username_separators", ""))
    found = re.fullmatch(rf"(.+)[{re.escape(signs)}]([^{re.escape(signs)}]+)", username) if signs else None
    address = f"{found.group(1)}@{found.group(2)}" if found else ""
    return address if addresses.is_address(address) else username


def other_provider(domain: str, provider: Mapping[str, Any], providers: Mapping[str, Mapping[str, Any]]) -> str:
    """The provider that alone gives out addresses of a domain, where it is not this one."""
    if domain in provider.get("domains", []):
        return ""
    owners = [other["name"] for other in providers.values() if domain in other.get("domains", [])]
    return str(owners[0]) if owners else ""


def read_password(verdict: Verdict, settings: Mapping[str, Any], provider: Mapping[str, Any]) -> str:
    """The password without what the provider puts into it for the eye."""
    name = provider["name"]
    kind = provider.get("password_kind", "password")
    remedy = (
        f"{'Take the' if 'account' in kind or kind == 'password' else 'Make ' + _a(kind).split()[0]} {kind} at {name}"
    )
    if provider.get("password_steps"):
        remedy += f" ({provider['password_steps']})"
    if provider.get("password_page"):
        remedy += f", {provider['password_page']}"
    # Another account has a name, and its entry says which variable of the vault has its password.
    remedy += " and keep it in the vault" + ("." if "name" in settings else ", as smarthost_password.")
    value = settings.get("password")
    if value is not None and not isinstance(value, str):
        verdict.fault("password", "is not text: YAML made something else of it.", "Put it in quotes.")
        return ""
    password = value or ""
    if provider.get("password_strip") and clean(password):
        # The provider shows the password in groups; the spaces between them are not part of it.
        password = "".join(password.split())
    if provider.get("password_refused"):
        verdict.fault("provider", f"{name} cannot be used.", str(provider["password_refused"]))
    elif not password.strip():
        verdict.fault("password", "is empty.", remedy)
    elif not clean(password):
        pass
    elif is_placeholder(password, provider) or is_placeholder(str(value), provider):
        verdict.fault("password", "is the placeholder of a guide, not a password.", remedy)
    elif password != password.strip():
        verdict.fault(
            "password",
            "begins or ends with a space, which Postfix would cut off.",
            "Take it out, or choose a password without.",
        )
    elif provider.get("password_pattern") and not re.fullmatch(provider["password_pattern"], password):
        verdict.fault("password", f"is not {_a(kind)} of {name}: those look different.", remedy)
    elif provider.get("password_hint_pattern") and not re.search(provider["password_hint_pattern"], password):
        verdict.warnings.append(
            f"smarthost_password does not look like {_a(kind)} of {name}. If the login is refused: {remedy}"
        )
    return password


def _a(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeio' or noun.startswith('SMTP') else 'a'} {noun}"


def _from(
    verdict: Verdict,
    settings: Mapping[str, Any],
    provider: Mapping[str, Any],
    providers: Mapping[str, Mapping[str, Any]],
    username: str,
    needed: bool,
) -> str:
    name = provider["name"]
    about = str(provider.get("from_help", ""))
    sender = text(settings, "from")
    username = _address_meant(username, provider)
    if not sender:
        if needed or (username and not addresses.is_address(username)):
            if needed or provider.get("username") != "address":
                no_word = f"the login at {name} does not tell" if username else "no login tells"
                verdict.fault(
                    "from",
                    f"is not set, and {no_word} which address to send as.",
                    f"Write the address that mail of this host is from. {about}".rstrip(),
                )
            return ""
        return username
    check_sender(verdict, "from", sender, provider, providers, username)
    return sender


def check_sender(
    verdict: Verdict,
    variable: str,
    sender: str,
    provider: Mapping[str, Any],
    providers: Mapping[str, Mapping[str, Any]],
    username: str,
    use: str = "",
) -> None:
    """Whether the provider lets mail leave as this address, as far as that can be known here."""
    shown = repr(sender) + use
    username = _address_meant(username, provider)
    name = provider["name"]
    about = str(provider.get("from_help", ""))
    rule = provider.get("from", "any")
    domain = addresses.domain_of(sender)
    refuses = "puts the account's own address in its place" if rule == "replaced" else "refuses it"
    if not clean(sender):
        return
    if not addresses.is_address(sender):
        verdict.fault(variable, f"{shown} is not an address.", "Write one address alone, without a name or brackets.")
    elif is_placeholder_address(sender, provider):
        verdict.fault(variable, f"{shown} is the placeholder of a guide.", "Write an address of your own.")
    elif rule == "any":
        pass
    elif addresses.is_private_domain(domain):
        verdict.fault(
            variable,
            f"{shown} exists only inside your network, so {name} {refuses}.",
            f"Write an address that you can send as there. {about}".rstrip(),
        )
    elif rule == "login" and username and sender.lower() != username.lower():
        verdict.fault(
            variable,
            f"{shown} is not the login, and {name} sends as no other address.",
            f"Write {username}, or take it out.",
        )
    elif rule == "replaced" and sender.lower() != username.lower():
        verdict.warnings.append(
            f"{name} puts the account's own address in place of a From that it does not know, without a word. "
            f"See that {sender} is known there. {about}".rstrip()
        )
    elif rule == "owned" and other_provider(domain, provider, providers):
        other = other_provider(domain, provider, providers)
        verdict.fault(
            variable,
            f"{shown} is an address at {other}, so {name} refuses it.",
            f"Write an address that you own at {name}. {about}".rstrip(),
        )
