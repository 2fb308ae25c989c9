"""What the variables of the role may say, judged by the rules of the provider.

Pure Python: no Ansible, no network, no file. `judge` takes the variables and the providers and
returns a plan for the host, or all that is wrong with the variables, each with its remedy.
A secret never appears in a sentence.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import addresses
from ansible_collections.homelab.mail.plugins.plugin_utils import senders

PREFIX = "smarthost_"
TLS_MODES = ("implicit", "starttls")
# Names that are set aside for what is to come.
_NOT_YET = ("smarthost_accounts", "smarthost_clients")

# main.cf parameters that a variable is for: two places for one fact would contradict each other.
_VARIABLE_FOR = {
    "relayhost": "smarthost_host and smarthost_port",
    "smtp_tls_security_level": "smarthost_tls_security_level",
    "smtp_tls_wrappermode": "smarthost_tls",
    "smtp_tls_CAfile": "smarthost_ca_file",
    "smtp_sasl_auth_enable": "smarthost_username and smarthost_password",
    "smtp_sasl_password_maps": "smarthost_username and smarthost_password",
    "canonical_maps": "smarthost_rewrite",
    "canonical_classes": "smarthost_rewrite",
    "sender_canonical_maps": "smarthost_generic",
    "sender_canonical_classes": "smarthost_generic",
    "smtp_header_checks": "smarthost_rewrite",
    "smtp_generic_maps": "smarthost_generic",
    "virtual_alias_maps": "smarthost_aliases",
    "alias_maps": "smarthost_aliases",
    "myhostname": "smarthost_hostname",
    "myorigin": "smarthost_hostname",
    "mydestination": "smarthost_hostname",
}

# What guides and our own README write where the real value belongs: nothing but such words.
_GUIDE_WORDS = {
    "a", "account", "address", "api", "apikey", "app", "application", "change", "changeme", "character",
    "characters", "credential", "digit", "digits", "e", "email", "enter", "example", "first", "fixme", "from",
    "generated", "goes", "here", "in", "insert", "it", "key", "last", "letter", "login", "mail", "me", "my",
    "name", "new", "pass", "passphrase", "passwd", "password", "passwort", "paste", "placeholder", "put",
    "re", "real", "secret", "sg", "smtp", "specific", "the", "this", "todo", "token", "user", "username",
    "value", "you", "your", "yourdomain", "youremail", "yourname", "yourpassword", "yourusername",
}  # fmt: skip
_REPEATED = re.compile(r"(.)\1{2,}")
_APPLES_EXAMPLE = "abcdefghijklmnop"

# C0 and C1 controls, the two separators that some programs take for an end of line, halves of
# characters, which cannot be written, and what comes along unseen when one copies from a page.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060\ufeff\ud800-\udfff]")
_LINE_BREAKS = "\n\r\x85\u2028\u2029"
_PARAMETER = re.compile(r"[A-Za-z0-9_]+")
_CA_FILE = re.compile(r"/[A-Za-z0-9._/+@-]+")

# What can lie behind a router or inside a VPN. Not ipaddress' own word for it, which calls 0.0.0.0/0 private.
_PRIVATE_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8",
        "fc00::/7", "fe80::/10", "::1/128",
    )
)  # fmt: skip
_LOOPBACK_ALONE = {"loopback-only", "localhost", "127.0.0.1", "::1", "[::1]"}


@dataclass
class Verdict:
    """What `judge` found: faults forbid a run, warnings go with it, the plan is for the host."""

    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    plan: dict[str, Any] = field(default_factory=dict)

    def fault(self, variable: str, what: str, remedy: str) -> None:
        """Note a fault: what is wrong with which variable, and what to do about it."""
        self.faults.append(f"{PREFIX}{variable}: {what} {remedy}")


def judge(settings: Mapping[str, Any], providers: Mapping[str, Mapping[str, Any]]) -> Verdict:
    """Check the variables (names without prefix) against the providers' rules."""
    verdict = Verdict()
    verdict.plan["state"] = _text(settings, "state") or "present"
    if verdict.plan["state"] == "absent":
        verdict.plan["accounts"] = []
        return verdict
    for name, value in settings.items():
        _check_controls(verdict, name, value)

    provider = _provider(verdict, settings, providers)
    if provider:
        account = _account(verdict, settings, provider, providers)
        verdict.warnings += provider.get("warnings", [])
    else:
        # What any provider needs is not worth a second run.
        provider = {"name": "your provider"}
        _username(verdict, settings, provider, providers)
        _password(verdict, settings, provider)
        account = {"from": "", "username": ""}
    verdict.plan["accounts"] = [account]
    verdict.plan["size_limit"] = provider.get("size_limit")
    verdict.plan["concurrency"] = provider.get("concurrency")
    verdict.plan["messages_per_connection"] = provider.get("messages_per_connection")
    for name in ("tls_security_level", "rewrite", "map_type", "ca_file"):
        verdict.plan[name] = _text(settings, name)
    verdict.plan["provider"] = _text(settings, "provider")
    verdict.plan["verify_login"] = _verify_login(verdict, settings)
    verdict.plan["aliases"] = _aliases(verdict, settings, provider, account["from"])
    _check_mailbox(verdict, settings, account, providers)
    verdict.plan["generic"] = _generic(verdict, settings, provider, providers, account["username"])
    verdict.plan["parameters"] = _parameters(verdict, settings)
    _check_size(verdict, provider)
    _check_open_relay(verdict)
    verdict.plan["hostname"] = _hostname(verdict, settings)
    verdict.plan["maps"] = senders.maps(verdict.plan["generic"], account["from"], verdict.plan["aliases"])
    verdict.plan["watch"] = _watch(verdict, settings)
    _check_ca_file(verdict, settings)
    if settings.get("tls_security_level") == "encrypt":
        verdict.warnings.append(
            "smarthost_tls_security_level is encrypt: whoever answers for the relay's name gets "
            "the password. With secure, only the relay does."
        )
    return verdict


def _watch(verdict: Verdict, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The ways to tell of an outage that are set up; empty where there are none."""
    ways: dict[str, Any] = {}
    for name in ("ntfy", "webhook", "ping"):
        url = _text(settings, f"watch_{name}")
        if url and not re.fullmatch(r"https?://[^\s/]+\S*", url):
            verdict.fault(f"watch_{name}", "is not a web address.", "It begins with https:// (or http:// at home).")
        elif url:
            ways[name] = url
    textfile = _text(settings, "watch_textfile")
    if textfile and not textfile.startswith("/"):
        verdict.fault("watch_textfile", f"{textfile!r} is not a whole path.", "Name the folder from / on.")
    elif textfile:
        ways["textfile"] = textfile
    # The first becomes a step of cron where there is no better timer.
    for name, most in (("minutes", 59), ("stuck_minutes", 1440)):
        minutes = settings.get(f"watch_{name}")
        if minutes is not None and not 1 <= int(minutes) <= most:
            verdict.fault(f"watch_{name}", f"{minutes} is no sensible time.", f"Between 1 and {most} minutes.")
    if not ways:
        return {}
    return {
        **ways,
        "webhook_style": _text(settings, "watch_webhook_style") or "slack",
        "stuck": 60 * int(settings.get("watch_stuck_minutes") or 15),
        "minutes": int(settings.get("watch_minutes") or 5),
    }


def unknown_variables(given: list[str], known: list[str]) -> list[str]:
    """Faults for variables that nobody reads because their name is misspelt.

    Only names that are all but one of ours: people may keep variables of their own beside them.
    """
    faults = []
    for name in sorted(set(given) - set(known)):
        if name in _NOT_YET:
            faults.append(f"{name}: this version cannot do that yet, so what it says would be ignored. Take it out.")
            continue
        near = [whole for whole in known if whole.startswith(name)]
        near = near or difflib.get_close_matches(name, known, n=1, cutoff=0.92)
        if near:
            faults.append(
                f"{name}: there is no variable of this name, so what it says would be ignored. "
                f"Write {near[0]}, or give a variable of your own another name."
            )
    return faults


# --- values -----------------------------------------------------------------------------------


def _check_controls(verdict: Verdict, name: str, value: Any) -> None:
    """A line break in a value would become a line of its own in a table or in main.cf."""
    if isinstance(value, str):
        found = _CONTROL.search(value)
        if found:
            kind = (
                "a line break"
                if found.group() in _LINE_BREAKS
                else "a control character"
                if found.group() < "\xa0"
                else "an invisible character"
            )
            verdict.fault(
                name,
                f"has {kind} at position {found.start() + 1} of {len(value)}.",
                "Encrypt it again without: ansible-vault encrypt_string --ask-vault-pass --prompt."
                if name == "password"
                else "Write the value on one line, in quotes, without a block sign (| or >)."
                if found.group() in _LINE_BREAKS
                else "Type the value instead of pasting it.",
            )
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _check_controls(verdict, name, str(key))
            _check_controls(verdict, name, inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _check_controls(verdict, name, inner)


def _clean(value: Any) -> bool:
    """Whether a value is free of what `_check_controls` has already complained about."""
    return not _CONTROL.search(str(value))


def _text(settings: Mapping[str, Any], name: str) -> str:
    value = settings.get(name)
    return "" if value is None else str(value)


# --- the provider and its account -----------------------------------------------------------------


def _provider(
    verdict: Verdict, settings: Mapping[str, Any], providers: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    name = _text(settings, "provider")
    if not name:
        verdict.fault(
            "provider",
            "is not set, so there is nobody to send through.",
            f"Name your mail provider: {', '.join(providers)}.",
        )
        return None
    if name not in providers:
        near = difflib.get_close_matches(name.lower(), list(providers), n=1, cutoff=0.7)
        verdict.fault(
            "provider",
            f"there is no preset {name!r}.",
            (f"Did you mean {near[0]}? " if near else "")
            + f"The presets are: {', '.join(providers)}; any other provider is custom.",
        )
        return None
    return providers[name]


def _account(
    verdict: Verdict,
    settings: Mapping[str, Any],
    provider: Mapping[str, Any],
    providers: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    host = _host(verdict, settings, provider)
    port, tls = _port(verdict, settings, provider, host)
    username = _username(verdict, settings, provider, providers)
    password = _password(verdict, settings, provider)
    return {
        "name": provider["name"],
        "host": host,
        "port": port,
        "tls": tls,
        "username": username,
        "password": password,
        "from": _from(verdict, settings, provider, providers, username),
    }


def _host(verdict: Verdict, settings: Mapping[str, Any], provider: Mapping[str, Any]) -> str:
    host = _text(settings, "host").lower()
    region_host = _region_host(verdict, settings, provider, needed=not host)
    if not host:
        host = region_host or str(provider.get("host", ""))
        if not host and not _has_regions(provider):
            verdict.fault(
                "host",
                "is not set.",
                "smarthost_provider: custom needs smarthost_host, smarthost_port and smarthost_tls.",
            )
        return host
    if not addresses.is_host_name(host) and _clean(host):
        verdict.fault(
            "host",
            f"{host!r} is not the name of a host.",
            "Write the name alone, without brackets, port or spaces: smtp.fastmail.com.",
        )
    return host


def _has_regions(provider: Mapping[str, Any]) -> bool:
    return "regions" in provider or "region_host" in provider


def _region_host(verdict: Verdict, settings: Mapping[str, Any], provider: Mapping[str, Any], needed: bool) -> str:
    name = provider["name"]
    region = _text(settings, "region")
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
    if _clean(region):
        verdict.fault("region", f"{name} has no region {region!r}.", f"A region of its is {examples}.")
    return ""


def _port(verdict: Verdict, settings: Mapping[str, Any], provider: Mapping[str, Any], host: str) -> tuple[int, str]:
    """The port and its TLS mode; what was not given comes from the preset."""
    name = provider["name"]
    port = int(settings.get("port") or 0)
    tls = _text(settings, "tls")
    if tls not in ("", *TLS_MODES):
        if _clean(tls):
            verdict.fault("tls", f"{tls!r} is not one of its values.", f"Write one of: {', '.join(TLS_MODES)}.")
        tls = ""
    known, others = _ports_of(provider, host)
    offered = ", ".join(f"{number} ({mode})" for number, mode in known.items())

    if settings.get("port") is not None and not 1 <= port <= 65535:
        verdict.fault("port", f"{port} is not a TCP port.", "Ports go from 1 to 65535.")
        return port, tls
    if not port:
        port = next((number for number, mode in known.items() if tls in ("", mode)), 0)
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


def _ports_of(provider: Mapping[str, Any], host: str) -> tuple[Mapping[int, str], str | None]:
    """The ports of a host with their TLS modes, and the mode of all its other ports.

    None: it has no others. Empty: nobody knows, because the host is not of the preset; then the
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


def _username(
    verdict: Verdict,
    settings: Mapping[str, Any],
    provider: Mapping[str, Any],
    providers: Mapping[str, Mapping[str, Any]],
) -> str:
    name = provider["name"]
    rule = provider.get("username", "any")
    username = _text(settings, "username")
    meant = _address_meant(username, provider)
    about = str(provider.get("username_help", ""))
    fixed = provider.get("username_fixed")
    if not username and fixed:
        return str(fixed)
    if not username:
        verdict.fault("username", "is not set.", f"Write the login at {name}. {about}".rstrip())
    elif not _clean(username):
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
        _is_placeholder_address(meant, provider) if "@" in meant else _is_placeholder(username, provider)
    ):
        verdict.fault(
            "username", f"{username!r} is the placeholder of a guide.", f"Write your own login. {about}".rstrip()
        )
    elif rule == "address" and not addresses.is_address(meant):
        verdict.fault(
            "username",
            f"{username!r} is not a full address, and {name} logs in nobody without the domain."
            if "@" not in username
            else f"{username!r} is not an address.",
            f"Write the whole address, name and domain. {about}".rstrip(),
        )
    elif rule == "address" and addresses.is_private_domain(addresses.domain_of(meant)):
        verdict.fault(
            "username",
            f"{username!r} is an address that exists only inside your network, not one at {name}.",
            f"Write the whole address, name and domain. {about}".rstrip(),
        )
    elif rule == "local_part" and "@" in username:
        verdict.fault(
            "username",
            f"{username!r} is an address, and {name} wants only what stands before the @.",
            f"Write {username.partition('@')[0]}.",
        )
    elif rule == "address":
        other = _other_provider(addresses.domain_of(meant), provider, providers)
        if other:
            verdict.fault(
                "username",
                f"{username!r} is an account at {other}, not at {name}.",
                f"Write the login that you have at {name}, or choose {other} as smarthost_provider.",
            )
    return username


def _address_meant(username: str, provider: Mapping[str, Any]) -> str:
    """The address of a login that may have another sign where programs stumble over the @."""
    signs = str(provider.get("username_separators", ""))
    found = re.fullmatch(rf"(.+)[{re.escape(signs)}]([^{re.escape(signs)}]+)", username) if signs else None
    address = f"{found.group(1)}@{found.group(2)}" if found else ""
    return address if addresses.is_address(address) else username


def _is_placeholder(text: str, provider: Mapping[str, Any]) -> bool:
    """Whether a text consists of nothing but the words that guides write for a real value."""
    if re.fullmatch(r"<.*>|\[.*\]|\{.*\}", text) or _REPEATED.fullmatch(text):
        return True
    if re.sub("[- ]", "", text) == _APPLES_EXAMPLE:
        return True
    own_words = set(re.findall(r"[a-z]+", str(provider["name"]).lower()))
    words = re.findall(r"[^\W_]+", text.lower())
    return bool(words) and all(
        word in _GUIDE_WORDS or word in own_words or word in ("16", "32") or _REPEATED.fullmatch(word) for word in words
    )


def _is_placeholder_address(text: str, provider: Mapping[str, Any]) -> bool:
    local, _at, domain = text.rpartition("@")
    if addresses.is_example_domain(domain):
        return True
    guide_domain = domain.lower() in provider.get("domains", []) or _is_placeholder(domain.partition(".")[0], provider)
    # "mail" or "me" may be somebody's; "you" and "user" are nobody's.
    nobody = re.search(r"you|user|example|changeme|placeholder|<", local, re.IGNORECASE)
    return guide_domain and bool(nobody) and _is_placeholder(local, provider)


def _other_provider(domain: str, provider: Mapping[str, Any], providers: Mapping[str, Mapping[str, Any]]) -> str:
    """The provider that alone gives out addresses of a domain, where it is not this one."""
    if domain in provider.get("domains", []):
        return ""
    owners = [other["name"] for other in providers.values() if domain in other.get("domains", [])]
    return str(owners[0]) if owners else ""


def _password(verdict: Verdict, settings: Mapping[str, Any], provider: Mapping[str, Any]) -> str:
    name = provider["name"]
    kind = provider.get("password_kind", "password")
    remedy = (
        f"{'Take the' if 'account' in kind or kind == 'password' else 'Make ' + _a(kind).split()[0]} {kind} at {name}"
    )
    if provider.get("password_steps"):
        remedy += f" ({provider['password_steps']})"
    if provider.get("password_page"):
        remedy += f", {provider['password_page']}"
    remedy += " and keep it in the vault."
    value = settings.get("password")
    if value is not None and not isinstance(value, str):
        verdict.fault("password", "is not text: YAML made something else of it.", "Put it in quotes.")
        return ""
    password = value or ""
    if provider.get("password_strip") and _clean(password):
        # The provider shows the password in groups; the spaces between them are not part of it.
        password = "".join(password.split())
    if provider.get("password_refused"):
        verdict.fault("provider", f"{name} cannot be used.", str(provider["password_refused"]))
    elif not password.strip():
        verdict.fault("password", "is empty.", remedy)
    elif not _clean(password):
        pass
    elif _is_placeholder(password, provider) or _is_placeholder(str(value), provider):
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
) -> str:
    name = provider["name"]
    about = str(provider.get("from_help", ""))
    sender = _text(settings, "from")
    username = _address_meant(username, provider)
    if not sender:
        if provider.get("from_required") or (username and not addresses.is_address(username)):
            if provider.get("from_required") or provider.get("username") != "address":
                verdict.fault(
                    "from",
                    f"is not set, and the login at {name} does not tell which address to send as.",
                    f"Write the address that mail of this host is from. {about}".rstrip(),
                )
            return ""
        return username
    _check_sender(verdict, "from", sender, provider, providers, username)
    return sender


def _check_sender(
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
    if not _clean(sender):
        return
    if not addresses.is_address(sender):
        verdict.fault(variable, f"{shown} is not an address.", "Write one address alone, without a name or brackets.")
    elif _is_placeholder_address(sender, provider):
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
            f"{shown} is not the login, and {name} sends as nobody else.",
            f"Write {username}, or take it out.",
        )
    elif rule == "replaced" and sender.lower() != username.lower():
        verdict.warnings.append(
            f"{name} puts the account's own address in place of a From that it does not know, without a word. "
            f"See that {sender} is known there. {about}".rstrip()
        )
    elif rule == "owned" and _other_provider(domain, provider, providers):
        other = _other_provider(domain, provider, providers)
        verdict.fault(
            variable,
            f"{shown} is an address at {other}, so {name} refuses it.",
            f"Write an address that you own at {name}. {about}".rstrip(),
        )


def _check_size(verdict: Verdict, provider: Mapping[str, Any]) -> None:
    """Whether what Postfix takes can leave again."""
    wanted = verdict.plan["parameters"].get("message_size_limit", "")
    most = provider.get("size_limit")
    # 0 is no limit at all.
    if most and wanted.isdigit() and not 0 < int(wanted) <= most:
        verdict.warnings.append(
            f"message_size_limit in smarthost_parameters lets mails in that {provider['name']} refuses: it takes "
            f"{most} bytes at most. Without it, the program that hands in a mail too large is told so at once."
        )


# --- rewriting, aliases, the rest -------------------------------------------------------------------


def _generic(
    verdict: Verdict,
    settings: Mapping[str, Any],
    provider: Mapping[str, Any],
    providers: Mapping[str, Mapping[str, Any]],
    username: str,
) -> dict[str, str]:
    """Local address -> public address; keys in lower case, as Postfix looks them up."""
    table: dict[str, str] = {}
    for key, value in (settings.get("generic") or {}).items():
        local, public = str(key), "" if value is None else str(value)
        if not _clean(local) or not _clean(public):
            continue
        name, _at, domain = local.partition("@")
        if not (
            (addresses.is_local_part(name) or (not name and domain))
            and ("@" not in local or addresses.is_host_name(domain))
        ):
            verdict.fault(
                "generic",
                f"{local!r} is not an address of this host.",
                "Write a user (nut), an address (nut@nas.lan) or a whole domain (@nas.lan).",
            )
        _check_twice(verdict, "generic", local, table)
        _check_sender(verdict, "generic", public, provider, providers, username, use=f", for {local!r},")
        table[local.lower()] = public
    return table


def _check_twice(verdict: Verdict, variable: str, key: str, table: Mapping[str, Any]) -> None:
    if key.lower() in table:
        verdict.fault(variable, f"{key!r} is there twice: Postfix sees no capital letters.", "Keep one of them.")


def _aliases(
    verdict: Verdict, settings: Mapping[str, Any], provider: Mapping[str, Any], default_target: str
) -> dict[str, list[str]]:
    """Local user -> addresses, with an entry for root, from which everybody else's is taken."""
    table: dict[str, list[str]] = {}
    for key, value in (settings.get("aliases") or {}).items():
        user = str(key)
        values = value if isinstance(value, (list, tuple)) else str("" if value is None else value).split(",")
        targets = [str(target).strip() for target in values if str(target).strip()]
        if not _clean(user) or not all(map(_clean, targets)):
            continue
        if not addresses.is_local_part(user):
            verdict.fault(
                "aliases",
                f"{user!r} is not the name of a local user.",
                "Write the name alone, without a domain: mail to other addresses is never redirected.",
            )
        if not targets:
            verdict.fault("aliases", f"{user!r} leads nowhere.", "Write the address that gets this user's mail.")
        _check_twice(verdict, "aliases", user, table)
        table[user.lower()] = targets
    for user, targets in table.items():
        for target in targets:
            _check_target(verdict, user, target, table, provider)
    for user in table:
        if _is_circle(user, table):
            verdict.fault("aliases", f"{user!r} leads back to itself.", "Let it end at a full address.")
    # Not checked here: where the sender is wrong, that has been said.
    table.setdefault("root", [default_target])
    return table


def _check_mailbox(
    verdict: Verdict,
    settings: Mapping[str, Any],
    account: Mapping[str, Any],
    providers: Mapping[str, Mapping[str, Any]],
) -> None:
    """Mail to a From that only sends reaches no person, so root's mail needs an address that has a mailbox."""
    if "root" in {str(user).lower() for user in settings.get("aliases") or {}}:
        return
    for preset in providers.values():
        only_sends = preset.get("mailboxes") is False
        # Also where the provider is custom and the host is known.
        if only_sends and (preset["name"] == account.get("name") or _is_host_of(preset, account.get("host", ""))):
            sender = account["from"]
            if sender and _other_provider(addresses.domain_of(sender), preset, providers):
                # A sender that was confirmed one by one, and whose mailbox is elsewhere.
                return
            verdict.fault(
                "aliases",
                f"does not say who gets root's mail. It would go to {sender or 'smarthost_from'}, and "
                f"{preset['name']} only sends: it keeps no mailbox for that address.",
                "Write an address that is read: smarthost_aliases: {root: you@…}.",
            )
            return


def _is_host_of(provider: Mapping[str, Any], host: str) -> bool:
    """Whether a host is one of the provider's."""
    own = {provider.get("host"), *provider.get("regions", {}).values(), *provider.get("alternate_hosts", {})}
    return host in own or ("region_host" in provider and _fits(provider["region_host"], host))


def _check_target(
    verdict: Verdict, user: str, target: str, table: Mapping[str, list[str]], provider: Mapping[str, Any]
) -> None:
    if target.lower() in table or target.lower() == "root":
        return
    if target[:1] in "|/:":
        verdict.fault(
            "aliases",
            f"{user!r} leads to {target!r}, a command or file, and this host delivers no mail itself.",
            "Write an address.",
        )
    elif not addresses.is_address(target):
        verdict.fault(
            "aliases",
            f"{user!r} leads to {target!r}, which is neither an address nor another entry.",
            "Write a full address, name and domain.",
        )
    elif _is_placeholder_address(target, provider):
        verdict.fault(
            "aliases", f"{user!r} leads to {target!r}, the placeholder of a guide.", "Write your own address."
        )
    elif provider.get("from", "any") != "any" and addresses.is_private_domain(addresses.domain_of(target)):
        verdict.fault(
            "aliases",
            f"{user!r} leads to {target!r}, which the provider cannot deliver to: it exists only inside your network.",
            "Write an address on the internet.",
        )


def _is_circle(user: str, table: Mapping[str, list[str]]) -> bool:
    seen: set[str] = set()
    todo = list(table[user])
    while todo:
        name = todo.pop().lower()
        if name == user:
            return True
        if name in table and name not in seen:
            seen.add(name)
            todo += table[name]
    return False


def _parameters(verdict: Verdict, settings: Mapping[str, Any]) -> dict[str, str]:
    table: dict[str, str] = {}
    for key, value in (settings.get("parameters") or {}).items():
        name = str(key)
        if not _clean(name) or not _clean(value):
            continue
        if not _PARAMETER.fullmatch(name):
            verdict.fault("parameters", f"{name!r} is not a parameter name.", "Letters, digits and _ only.")
        elif name in _VARIABLE_FOR:
            verdict.fault("parameters", f"{name} is said elsewhere.", f"Use {_VARIABLE_FOR[name]}.")
        elif isinstance(value, (Mapping, list, tuple)):
            verdict.fault("parameters", f"{name} is a list or mapping.", "Write the value as in main.cf, as one text.")
        text = "" if value is None else str(value).strip()
        table[name] = ("yes" if value else "no") if isinstance(value, bool) else text
    return table


def _check_open_relay(verdict: Verdict) -> None:
    """Whether parameters of one's own let strangers send through the account."""
    parameters = verdict.plan["parameters"]
    listens_on = set(re.split(r"[\s,]+", parameters.get("inet_interfaces", "loopback-only").lower())) - {""}
    if listens_on <= _LOOPBACK_ALONE:
        return
    networks = re.split(r"[\s,]+", parameters.get("mynetworks", ""))
    public = [network for network in networks if _is_public_network(network)]
    if public:
        verdict.fault(
            "parameters",
            f"inet_interfaces is {parameters['inet_interfaces']} and mynetworks has {', '.join(public)}: an open "
            "relay, through which strangers on the internet send as your account.",
            "Name the networks at home alone, for instance 127.0.0.0/8, [::1]/128, 192.168.1.0/24.",
        )


def _is_public_network(text: str) -> bool:
    """Whether an entry of mynetworks is more than one host and not inside a private network."""
    try:
        network = ipaddress.ip_network(re.sub(r"[\[\]]", "", text), strict=False)
    except ValueError:
        # A table, a name or an exception ("!…").
        return False
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped and network.prefixlen >= 96:
        network = ipaddress.ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}")
    inside = (private for private in _PRIVATE_NETWORKS if private.version == network.version)
    return network.num_addresses > 1 and not any(network.subnet_of(private) for private in inside)  # type: ignore[arg-type]


def _hostname(verdict: Verdict, settings: Mapping[str, Any]) -> str:
    hostname = _text(settings, "hostname").lower()
    if hostname and _clean(hostname) and not addresses.is_full_name(hostname):
        verdict.fault(
            "hostname",
            f"{hostname!r} is not a full host name, and some providers hang up on such a HELO.",
            "Write name and domain, not an IP address: nas.lan.",
        )
    elif hostname in public_domains(verdict.plan):
        verdict.fault(
            "hostname",
            f"{hostname!r} is the domain of an address that mail of this host goes to or comes from, so that mail "
            "would never leave.",
            "Take it out, or write a name below it.",
        )
    return hostname


def _verify_login(verdict: Verdict, settings: Mapping[str, Any]) -> str:
    """yes, no or required."""
    value = _text(settings, "verify_login").lower() or "true"
    if value in ("true", "yes"):
        return "yes"
    if value in ("false", "no"):
        return "no"
    if value != "required" and _clean(value):
        verdict.fault("verify_login", f"{value!r} is not one of its values.", "Write true, false or required.")
    return "required"


def _check_ca_file(verdict: Verdict, settings: Mapping[str, Any]) -> None:
    ca_file = _text(settings, "ca_file")
    if ca_file and _clean(ca_file) and not _CA_FILE.fullmatch(ca_file):
        verdict.fault(
            "ca_file", f"{ca_file!r} is not the absolute path of a file.", "Write it from / on, without spaces."
        )


def public_domains(plan: Mapping[str, Any]) -> set[str]:
    """The domains that mail of the plan goes to or comes from on the internet."""
    if not plan["accounts"]:
        return set()
    found = [account["from"] for account in plan["accounts"]]
    found += [target for targets in plan["aliases"].values() for target in targets]
    found += list(plan["generic"].values())
    return {addresses.domain_of(address) for address in found} - {""}
