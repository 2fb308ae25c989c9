"""The account at the provider: login, password, and the addresses that it may send as."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import addresses
from ansible_collections.homelab.mail.plugins.module_utils._program import tokens
from ansible_collections.homelab.mail.plugins.plugin_utils.consent import read_oauth
from ansible_collections.homelab.mail.plugins.plugin_utils.networks import is_inside
from ansible_collections.homelab.mail.plugins.plugin_utils.server import read_host, read_port
from ansible_collections.homelab.mail.plugins.plugin_utils.verdict import (
    Values,
    Verdict,
    is_placeholder,
    is_placeholder_address,
)


def read_account(verdict: Verdict) -> dict[str, Any]:
    """The account of the variables, as the plan has it: the default one, which has no `id` and is `smtp` in Postfix."""
    provider, host = verdict.provider, read_host(verdict)
    port, tls = read_port(verdict, host)
    auth = verdict.text("auth") or provider.get("auth", "password")
    username, password, oauth = "", "", {}
    if auth == "none":
        _check_no_login(verdict)
    else:
        if auth not in ("password", "oauth"):
            verdict.fault("auth", f"{auth!r} is not one of its values.", "Write password, oauth or none.")
        username = read_username(verdict)
        if auth == "oauth":
            oauth = read_oauth(verdict)
        else:
            password = read_password(verdict)
    if tls == "none":
        _check_plain(verdict, auth, host)
    # One's own relay makes senders its account's; any other wants to know who writes.
    from_needed = provider.get("from_required", auth == "none" and not is_inside(host))
    sender = _from(verdict, username, from_needed)
    return {
        "id": "",
        "service": "smtp",
        "name": provider["name"],
        "provider": verdict.text("provider"),
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


def _check_no_login(verdict: Verdict) -> None:
    for name in ("username", "password"):
        if verdict.text(name):
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


def read_username(verdict: Verdict) -> str:
    """The login as it was given, or the one that the provider always takes."""
    provider, name = verdict.provider, verdict.provider["name"]
    username, about = verdict.text("username"), verdict.help("username")
    meant = _address_meant(username, provider)
    fixed = provider.get("username_fixed")
    if not username and fixed:
        return str(fixed)
    if not username:
        verdict.fault("username", "is not set.", f"Write the login at {name}. {about}")
    elif username != username.strip():
        verdict.fault("username", "begins or ends with a space, which Postfix would cut off.", "Take it out.")
    elif fixed and username != fixed:
        verdict.fault("username", f"the login at {name} is always {fixed!r}.", "Write that, or take the variable out.")
    elif ":" in username:
        verdict.fault(
            "username",
            "has a colon, where Postfix would see the end of the name.",
            f"Write the login alone; the password goes into smarthost_password. {about}",
        )
    elif username != fixed and (
        is_placeholder_address(meant, provider) if "@" in meant else is_placeholder(username, provider)
    ):
        verdict.fault("username", f"{username!r} is the placeholder of a guide.", f"Write your own login. {about}")
    else:
        _check_form(verdict, username, meant)
    return username


def _check_form(verdict: Verdict, username: str, meant: str) -> None:
    """Whether a login looks as the provider's do; `meant` is the address that it is, if it is one."""
    name, rule = verdict.provider["name"], verdict.provider.get("username", "any")
    whole = f"Write the whole address, name and domain. {verdict.help('username')}"
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
    elif other := other_provider(verdict, domain):
        what = f"is an account at {other}, not at {name}."
        remedy = f"Write the login that you have at {name}, or choose {other} as smarthost_provider."
    else:
        return
    verdict.fault("username", f"{username!r} {what}", remedy)


def _address_meant(username: str, provider: Values) -> str:
    """The address of a login that may have another sign where programs stumble over the @."""
    signs = str(provider.get("username_separators", ""))
    found = re.fullmatch(rf"(.+)[{re.escape(signs)}]([^{re.escape(signs)}]+)", username) if signs else None
    address = f"{found.group(1)}@{found.group(2)}" if found else ""
    return address if addresses.is_address(address) else username


def other_provider(verdict: Verdict, domain: str) -> str:
    """The provider that alone gives out addresses of a domain, where it is not the account's."""
    if domain in verdict.provider.get("domains", []):
        return ""
    owners = [other["name"] for other in verdict.providers.values() if domain in other.get("domains", [])]
    return str(owners[0]) if owners else ""


def read_password(verdict: Verdict) -> str:
    """The password without what the provider puts into it for the eye."""
    provider, name = verdict.provider, verdict.provider["name"]
    kind = provider.get("password_kind", "password")
    remedy = (
        f"{'Take the' if 'account' in kind or kind == 'password' else 'Make ' + _a(kind).split()[0]} {kind} at {name}"
    )
    if provider.get("password_steps"):
        remedy += f" ({provider['password_steps']})"
    if provider.get("password_page"):
        remedy += f", {provider['password_page']}"
    # Another account has a name, and its entry says which variable of the vault has its password.
    remedy += " and keep it in the vault" + ("." if "name" in verdict.settings else ", as smarthost_password.")
    value = verdict.settings.get("password")
    if value is not None and not isinstance(value, str):
        verdict.fault("password", "is not text: YAML made something else of it.", "Put it in quotes.")
        return ""
    password = value or ""
    if provider.get("password_strip"):
        # The provider shows the password in groups; the spaces between them are not part of it.
        password = "".join(password.split())
    if provider.get("password_refused"):
        verdict.fault("provider", f"{name} cannot be used.", str(provider["password_refused"]))
    elif not password.strip():
        verdict.fault("password", "is empty.", remedy)
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


def _from(verdict: Verdict, username: str, needed: bool) -> str:
    name = verdict.provider["name"]
    sender = verdict.text("from")
    username = _address_meant(username, verdict.provider)
    if not sender:
        if needed or (username and not addresses.is_address(username)):
            if needed or verdict.provider.get("username") != "address":
                no_word = f"the login at {name} does not tell" if username else "no login tells"
                verdict.fault(
                    "from",
                    f"is not set, and {no_word} which address to send as.",
                    f"Write the address that mail of this host is from. {verdict.help('from')}",
                )
            return ""
        return username
    check_sender(verdict, "from", sender, username)
    return sender


def check_sender(verdict: Verdict, variable: str, sender: str, username: str, use: str = "") -> None:
    """Whether the provider lets mail leave as this address, as far as that can be known here."""
    provider, name = verdict.provider, verdict.provider["name"]
    shown = repr(sender) + use
    username = _address_meant(username, provider)
    about = verdict.help("from")
    rule = provider.get("from", "any")
    domain = addresses.domain_of(sender)
    refuses = "puts the account's own address in its place" if rule == "replaced" else "refuses it"
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
            f"Write an address that you can send as there. {about}",
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
    elif rule == "owned" and (other := other_provider(verdict, domain)):
        verdict.fault(
            variable,
            f"{shown} is an address at {other}, so {name} refuses it.",
            f"Write an address that you own at {name}. {about}",
        )
