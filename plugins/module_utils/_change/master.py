"""What a master.cf says against a main.cf of the role. Pure functions of what `postconf -M` prints.

The file is the distribution's and the host's owner's. A service in it may have parameters of its own, which count
more than those of main.cf.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._change import hiding
from ansible_collections.homelab.mail.plugins.module_utils._program import tokens

# On these depends who gets the password, and as whom mail leaves.
_OF_DELIVERY = {
    "smtp_tls_security_level", "smtp_tls_wrappermode", "smtp_tls_policy_maps", "smtp_tls_per_site", "smtp_use_tls",
    "smtp_enforce_tls", "smtp_tls_enforce_peername", "smtp_tls_CAfile", "smtp_tls_CApath", "smtp_tls_servername",
    "smtp_tls_secure_cert_match", "smtp_tls_verify_cert_match", "smtp_tls_mandatory_protocols", "smtp_fallback_relay",
    "smtp_sasl_auth_enable", "smtp_sasl_password_maps", "smtp_sasl_mechanism_filter", "smtp_sasl_security_options",
    "smtp_sasl_tls_security_options", "smtp_sender_dependent_authentication", "smtp_generic_maps",
    "smtp_header_checks", "smtp_body_checks",
}  # fmt: skip
# And on these, by whom it leaves and who gets it.
_OF_THE_QUEUE = {
    "virtual_alias_maps", "canonical_maps", "canonical_classes", "sender_canonical_maps", "sender_canonical_classes",
    "recipient_canonical_maps", "local_header_rewrite_clients", "relayhost", "default_transport", "relay_transport",
    "transport_maps", "sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps", "mydestination",
    "myorigin", "defer_transports", "header_checks", "body_checks",
}  # fmt: skip
# The programs that each mail passes.
_PROGRAMS = {
    "smtp/unix": ("smtp",), "cleanup/unix": ("cleanup",), "rewrite/unix": ("trivial-rewrite",),
    "pickup/unix": ("pickup",), "pickup/fifo": ("pickup",), "qmgr/unix": ("qmgr", "oqmgr"),
    "qmgr/fifo": ("qmgr", "oqmgr"),
}  # fmt: skip
# Without these, mail does not leave, or the reason stays unknown; each with a line that works everywhere.
_NEEDED = {
    "pickup/unix": "n - n 60 1 pickup",
    "cleanup/unix": "n - n - 0 cleanup",
    "qmgr/unix": "n - n 300 1 qmgr",
    "rewrite/unix": "- - n - - trivial-rewrite",
    "smtp/unix": "- - n - - smtp",
    "tlsmgr/unix": "- - n 1000? 1 tlsmgr",
    "bounce/unix": "- - n - 0 bounce",
    "defer/unix": "- - n - 0 bounce",
    "error/unix": "- - n - - error",
    "retry/unix": "- - n - - error",
    "showq/unix": "n - n - - showq",
}
_RESTRICTIONS = ("smtpd_relay_restrictions", "smtpd_recipient_restrictions")
_FILTERS = ("content_filter", "smtpd_proxy_filter", "cleanup_service_name")
_OPTION = re.compile(r"\s-o\s*(?:\{\s*(\w+)\s*=\s*(.*?)\s*\}(?=\s+-|\s*$)|(\w+)=(\S*))")
_COPY = re.compile(r"smarthost-(\w+)/unix")
LOOPBACK = re.compile(r"\[?(127\.[\d.]+|::1|::ffff:127\.[\d.]+|localhost|loopback-only)\]?(/\d+)?")


class Service(NamedTuple):
    """A line of master.cf: its name and type, its program and the parameters of its own."""

    name: str
    program: str
    options: dict[str, str]


def services(listed: str) -> list[Service]:
    """The services, as `postconf -M` lists them.

    >>> services("smtp unix - - y - - smtp -v -o a=b -o {c=d e}")
    [Service(name='smtp/unix', program='smtp', options={'a': 'b', 'c': 'd e'})]
    """
    rows = (line.split(None, 7) for line in listed.splitlines())
    return [
        Service(
            f"{row[0]}/{row[1]}",
            row[7].split()[0],
            {inner or name: whole if inner else value for inner, whole, name, value in _OPTION.findall(" " + row[7])},
        )
        for row in rows
        # Those of further accounts are not judged but compared.
        if len(row) == 8 and not _is_ours(f"{row[0]}/{row[1]}", row[7])
    ]


def names(master_cf: str) -> set[str]:
    """The services of a master.cf, as name/type.

    >>> sorted(names("# x\\nsmtp inet n - y - - smtpd\\n  -o a=b\\n#scache unix - - y - 1 scache\\n"))
    ['smtp/inet']
    """
    there = lines(master_cf)
    smtp = there.get("smtp/unix", "")
    return {
        name for name, line in there.items() if not _is_ours(name, line) or line in (copy_of(smtp, name), tokens.LINE)
    }


def lines(master_cf: str) -> dict[str, str]:
    """Service -> its line, in one spelling."""
    rows = map(str.split, configuration.logical_lines(master_cf))
    return {"/".join(fields[:2]): " ".join(fields) for fields in rows if fields[1:]}


def copy_of(smtp: str, name: str) -> str:
    """The line of master.cf of a further account's service, by that of smtp: with its chroot and what else it says.

    >>> copy_of("smtp unix - - y - - smtp", "smarthost-family/unix")[:73]
    'smarthost-family unix - - y - - smtp -o relayhost=$smarthost_family_relay'
    """
    own = (f"-o {one}=${configuration.parameter(account(name), one)}" for one in configuration.OF_ACCOUNT)
    return " ".join([name.partition("/")[0], *(smtp or "smtp unix - - n - - smtp").split()[1:], *own])


def account(name: str) -> str:
    """The account of a service; empty where it has none.

    >>> account("smarthost-family/unix"), account("smtp/unix")
    ('family', '')
    """
    found = _COPY.fullmatch(name)
    return found[1] if found else ""


def _is_ours(name: str, line: str) -> bool:
    """Whether this is a service of a further account or that of the proxy, and not another's of such a name.

    >>> _is_ours("smarthost-x/unix", copy_of("", "smarthost-x/unix")), _is_ours("smarthost-x/unix", "x unix smtp")
    (True, False)
    """
    if name == tokens.SERVICE:
        return tokens.LINE.partition(" argv=")[2] in line
    return bool(account(name)) and f"relayhost=${configuration.parameter(account(name), 'relayhost')}" in line


def copies(master_cf: str) -> list[str]:
    """The services of accounts that a master.cf has."""
    return sorted(name for name, line in lines(master_cf).items() if _is_ours(name, line))


def against(listed: str, main_cf: str) -> list[str]:
    """What in it breaks a promise of this main.cf, each with the remedy."""
    values = configuration.parse_main_cf(main_cf)
    found = []
    for service in services(listed):
        named = _PROGRAMS.get(service.name, ())
        if named and service.program not in named:
            found.append(
                f"{service.name} runs {service.program}, so mail does not leave as main.cf says (cure: "
                f"postconf -F {service.name}/command={named[0]})"
            )
        if service.name.endswith("/inet") and not _is_within(service.name, values):
            found.append(
                f"{service.name} listens where inet_interfaces does not allow it (cure: postconf '-M#' {service.name})"
            )
        for name, why in _overrides(service, values):
            found.append(
                f"{service.name} has {hiding.hide_logins(f'{name} = {service.options[name]}')}, {why} "
                f"(cure: postconf -PX {service.name}/{name})"
            )
    return found


def broken(listed: str, main_cf: str) -> list[str]:
    """What a run cannot go on with."""
    return [*lacking(listed), *against(listed, main_cf)]


def lacking(listed: str) -> list[str]:
    """The services without which a smart host is none, each with the remedy; none where nothing is listed.

    >>> len(lacking("smtp inet n - y - - smtpd"))
    11
    """
    there = {service.name.replace("/fifo", "/unix") for service in services(listed)}
    lines = {name: line for name, line in _NEEDED.items() if there and name not in there}
    if there and not any(re.fullmatch(r"(.*:)?(smtp|25)/inet", name) for name in there):
        lines["smtp/inet"] = "n - n - - smtpd"
    return [
        f"{name} is not there, so mail does not come in or does not leave (cure: postconf -M "
        f"{name}='{name.replace('/', ' ')} {line}')"
        for name, line in lines.items()
    ]


def refusal(found: list[str]) -> str:
    """The sentences for people."""
    return (
        f"master.cf of this host breaks what the configuration promises: {'; '.join(found)}. The role did "
        "not write that. Run each cure as root, then: postfix reload. Then run the playbook again."
    )


def advice(listed: str, main_cf: str) -> list[str]:
    """What in it changes the way of mail and breaks no promise."""
    values = configuration.parse_main_cf(main_cf)
    found = []
    for service in services(listed):
        for name, value in service.options.items():
            passes = service.program in ("smtpd", "pickup") and name in _FILTERS
            binds = _delivers(service, values) and name.startswith("smtp_bind_address")
            if (passes or binds) and value and value != values.get(name, ""):
                found.append(
                    f"In master.cf, {service.name} has {name} = {value}. "
                    + ("Mail handed in there passes that first." if passes else "Mail leaves by that address alone.")
                )
    return found


def _delivers(service: Service, values: Mapping[str, str]) -> bool:
    """Whether mail of this configuration may leave through a service."""
    name, _slash, kind = service.name.rpartition("/")
    if kind != "unix" or service.program != "smtp":
        return False
    named = re.compile(rf"(?<![\w-]){re.escape(name)}:")
    tables = bool(values.get("transport_maps"))
    return (
        name in ("smtp", "relay", values.get("default_transport")) or tables or any(map(named.search, values.values()))
    )


def _overrides(service: Service, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each parameter of its own that may not differ, and what would come of it."""
    first = service.name in _PROGRAMS or service.program == "smtpd"
    beyond = not all(map(LOOPBACK.fullmatch, _words(values.get("inet_interfaces", "all"))))
    for name, raw in service.options.items():
        value = configuration.filled_in(raw, values)
        if value == configuration.filled_in(values.get(name, ""), values):
            continue
        if _delivers(service, values) and name in _OF_DELIVERY:
            yield name, "so it delivers otherwise than main.cf says, the password included"
        elif service.name == "smtp/unix" and name == "syslog_name":
            yield name, "so smarthost status does not see what becomes of mail"
        elif first and name in _OF_THE_QUEUE:
            yield name, "so mail takes another way or another name than main.cf says"
        elif first and name == "receive_override_options" and "no_address_mappings" in value:
            if not any(service.options.get(filters) or values.get(filters) for filters in _FILTERS):
                yield name, "so no alias holds for mail that is handed in there"
        elif service.program == "smtpd" and beyond and _lets_in(name, value):
            yield name, "so it lets others in than main.cf says"
        elif re.search(r"\bdiscard\b", value, re.IGNORECASE):
            yield name, "so mail vanishes there"


def _lets_in(name: str, value: str) -> bool:
    """Whether a parameter lets other hosts send."""
    if name == "mynetworks":
        return not all(map(LOOPBACK.fullmatch, _words(value)))
    return name in _RESTRICTIONS and bool(re.match(r"(permit_mynetworks[\s,]+)?permit\b", value))


def _is_within(name: str, values: Mapping[str, str]) -> bool:
    """Whether a service listens on no other address than inet_interfaces lets it."""
    address = name.rpartition("/")[0].rpartition(":")[0].strip("[]")
    allowed = [word.strip("[]") for word in _words(values.get("inet_interfaces", "all"))]
    return not address or bool(LOOPBACK.fullmatch(address)) or "all" in allowed or address in allowed


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", text) if word]
