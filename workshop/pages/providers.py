"""Writes docs/providers.md and README's table from the presets, so that no fact stands in two places."""

from __future__ import annotations

import re
import sys
from typing import Any, NamedTuple

from . import provider_files

PROJECT = provider_files.PROJECT
PAGE = PROJECT / "docs/providers.md"
GUIDES = PROJECT / "docs/guides"
README = PROJECT / "README.md"
# What stands between these lines in README is written here.
BEGIN, END = "<!-- providers: written by make docs -->\n", "<!-- end of providers -->\n"

_FROM = {
    "owned": "an address, alias or domain of the account",
    "verified": "a sender or domain that was confirmed there",
    "login": "the login itself",
    "replaced": "the account's address; others are replaced by it without a word",
    "any": "anything",
}
_LOGIN = {"address": "full address", "local_part": "what stands before the @", "any": "see below", "": "none"}

_INTRODUCTION = """\
# Providers

Written by `make docs` from [the providers' files](../roles/smarthost/providers/README.md); do not edit it here. Nothing
in it was tried against a provider's live server: every figure comes from the pages that are named below it, read on the
day that is given. A figure that is missing was not found.

| `smarthost_provider` | provider | host | ports | login | password |
|---|---|---|---|---|---|
"""


class Guide(NamedTuple):
    """A page of docs/guides: its name, its heading and the presets whose facts it shows."""

    file: str
    title: str
    presets: tuple[str, ...]


def guides() -> list[Guide]:
    """The pages for the person who has the provider's site open."""
    pages = {path.name: path.read_text(encoding="utf-8") for path in sorted(GUIDES.glob("*.md"))}
    return [
        Guide(name, text.partition("\n")[0][2:], tuple(re.findall(r"^<!-- facts of (\w+):", text, re.M)))
        for name, text in pages.items()
    ]


def host(preset: dict[str, Any]) -> str:
    """The host that mail is handed to."""
    hosts = list(preset.get("regions", {}).values())
    return preset.get("host") or preset.get("region_host") or (hosts[0] + " …" if hosts else "yours")


def ports(modes: dict[int, str]) -> str:
    """Ports, each with how TLS begins there."""
    return ", ".join(f"{port} {mode}" for port, mode in modes.items())


def _row(key: str, preset: dict[str, Any]) -> str:
    login = f"`{preset['username_fixed']}`" if "username_fixed" in preset else _LOGIN[preset.get("username", "")]
    password = "refused" if "password_refused" in preset else preset.get("password_kind", "none")
    cells = [f"[`{key}`](#{key})", preset["name"], f"`{host(preset)}`", ports(preset["ports"]), login, password]
    return f"| {' | '.join(cells)} |\n"


def _size(size: int) -> str:
    return f"{size:,} bytes".replace(",", " ")


def _login(preset: dict[str, Any]) -> str:
    help, signs = preset.get("username_help", ""), preset.get("username_separators", "")
    spellings = " or ".join(f"`you{sign}your.domain`" for sign in signs)
    return f"{help} For programs that stumble over the @ it is {spellings} as well." if signs else help


def _inbox(preset: dict[str, Any]) -> str:
    host = preset.get("inbox_host", "").replace("{rest}", "…")
    login = ", the login without its domain" if preset.get("inbox_local_part") else ""
    return f"`{host}` (IMAP{login})." if host else ""


def facts(preset: dict[str, Any]) -> list[tuple[str, Any]]:
    """What a preset says, but for its host, ports and sources, each with its heading."""
    known: list[tuple[str, Any]] = [
        ("Regions", ", ".join(f"`{name}` ({host})" for name, host in preset.get("regions", {}).items())),
        (
            "Other hosts",
            "; ".join(
                f"`{host}` ({'any port, ' + more['any_port'] if 'any_port' in more else ports(more['ports'])})"
                for host, more in preset.get("alternate_hosts", {}).items()
            ),
        ),
        ("Login", _login(preset)),
        ("Password", preset.get("password_steps")),
        ("Page", f"<{preset['password_page']}>" if "password_page" in preset else None),
        ("From", f"{_FROM[preset['from']]}. {preset.get('from_help', '')}".strip()),
        ("`smarthost_from`", "must be given" if preset.get("from_required") else None),
        (
            "`smarthost_aliases`",
            None if preset.get("mailboxes", True) else "must name who gets root's mail: it only sends",
        ),
        ("Mailbox", " ".join(filter(None, (_inbox(preset), preset.get("inbox_help"))))),
        ("Largest mail", _size(preset["size_limit"]) if "size_limit" in preset else None),
        ("Connections at once", preset["concurrency"]),
        ("Mails over one connection", preset.get("messages_per_connection")),
        ("Mails in a minute", preset.get("messages_per_minute")),
        ("How much", preset.get("daily_limit")),
        ("Needs", " ".join(preset.get("requires", []))),
        ("Mind", " ".join([preset.get("password_refused", ""), *preset.get("warnings", [])]).strip()),
    ]
    return [(name, text) for name, text in known if text not in ("", None)]


def _section(key: str, preset: dict[str, Any]) -> str:
    lines = [f"- Guide: [{guide.title}](guides/{guide.file})" for guide in guides() if key in guide.presets]
    lines += [f"- {name}: {text}" for name, text in facts(preset)]
    lines += [f"- Sources: {preset['certainty']}, read on {preset['checked']}"] if "source" in preset else []
    lines += [f"  - <{url}>" for url in preset.get("source", [])]
    return f'\n<a id="{key}"></a>\n\n## {preset["name"]}\n\n' + "\n".join(lines) + "\n"


def _rank(preset: dict[str, Any]) -> int:
    """Mailboxes come first, then services; last what is neither, which is anyone's own provider."""
    return ("mailbox", "service", None).index(preset.get("kind"))


def page() -> str:
    """The whole page."""
    presets = sorted(provider_files.presets().items(), key=lambda item: _rank(item[1]))
    rows = "".join(_row(key, preset) for key, preset in presets)
    return _INTRODUCTION + rows + "".join(_section(key, preset) for key, preset in presets)


def readme(before: str) -> str:
    """README, with the table of providers in its place."""
    links: dict[str, list[str]] = {
        "Step by step": [f"[{guide.title}](docs/guides/{guide.file})" for guide in guides() if guide.presets],
        "Mailboxes": [],
        "Services": [],
        "Any other": [],
        "Your own": [],
        "By OAuth alone": [],
    }
    for key, preset in provider_files.presets().items():
        link = f"[{key}](docs/providers.md#{key})"
        if "password_refused" in preset:
            said = "takes no password; whether it takes [OAuth 2](docs/oauth.md) is not proved"
            links["By OAuth alone"].append(f"{link} {said}")
        elif "kind" not in preset and "auth" in preset:
            links["Your own"].append(f"{link}, another host that sends for this one, with `smarthost_host`")
        elif "kind" not in preset:
            links["Any other"].append(f"{link}, with `smarthost_host`, `smarthost_port` and `smarthost_tls`")
        else:
            links["Mailboxes" if preset["kind"] == "mailbox" else "Services"].append(link)
    table = "| | |\n|---|---|\n" + "".join(f"| {name} | {' · '.join(each)} |\n" for name, each in links.items() if each)
    head, _, rest = before.partition(BEGIN)
    return f"{head}{BEGIN}{table}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    try:
        provider_files.files()
    except provider_files.WrongFileError as wrong:
        sys.exit(str(wrong))
    PAGE.write_text(page(), encoding="utf-8")
    README.write_text(readme(README.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(PROJECT)} and {README.name}")
