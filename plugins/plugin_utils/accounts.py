"""Further accounts: smarthost_accounts, each read as the variables of the one account are."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import addresses
from ansible_collections.homelab.mail.plugins.module_utils.configuration import ACCOUNT_KEYS as KEYS
from ansible_collections.homelab.mail.plugins.module_utils.configuration import ACCOUNT_TEXTS as TEXTS
from ansible_collections.homelab.mail.plugins.plugin_utils import senders
from ansible_collections.homelab.mail.plugins.plugin_utils.account import check_sender, read_account
from ansible_collections.homelab.mail.plugins.plugin_utils.local import read_generic
from ansible_collections.homelab.mail.plugins.plugin_utils.server import read_provider
from ansible_collections.homelab.mail.plugins.plugin_utils.verdict import (
    PREFIX,
    Verdict,
    check_controls,
    clean,
)

# In Postfix, $name ends where neither a letter nor a digit nor _ follows; some file systems see no capital letters.
_NAME = re.compile("[a-z][a-z0-9_]{0,29}")


def read_accounts(verdict: Verdict) -> list[dict[str, Any]]:
    """Those of the variables, as the plan has them; what is wrong with one names it."""
    accounts: list[dict[str, Any]] = []
    entries = verdict.settings.get("accounts") or []
    if not isinstance(entries, list):
        verdict.fault("accounts", "is not a list.", "Write one, an entry for each further account.")
        return []
    for number, given in enumerate(entries):
        place = f"{PREFIX}accounts[{number}]"
        if not isinstance(given, Mapping):
            verdict.faults.append(f"{place}: is not a mapping. Write the keys of an account: name, provider, …")
            continue
        own = Verdict(settings={str(key): value for key, value in given.items()}, providers=verdict.providers)
        name = own.text("name")
        if _NAME.fullmatch(name):
            place = f"{PREFIX}accounts[{name}]"
        elif clean(name):
            own.fault("name", f"{name!r} cannot be one.", "Write small letters, digits and _ alone, a letter first.")
        if name in [account["id"] for account in accounts]:
            own.fault("name", f"{name!r} is there twice.", "Give each account a name of its own.")
        account = _read(own)
        for said, found in ((verdict.faults, own.faults), (verdict.warnings, own.warnings)):
            # The rules speak of the variables of the one account.
            told = [re.sub(rf"\b{PREFIX}({'|'.join(KEYS)})\b", rf"{place}.\1", text) for text in found]
            said += [text for text in told if text not in said]
        if account:
            accounts.append({**account, "id": name, "service": f"smarthost-{name}"})
    return accounts


def read_second_way(verdict: Verdict) -> dict[str, Any]:
    """The account that delivers while the default one's provider is away, and after how many minutes; mostly none."""
    given, plan = verdict.settings.get("second_way") or {}, verdict.plan
    name, minutes = given.get("account"), str(given.get("after_minutes", 15))
    first, *others = plan["accounts"]
    names = [account["id"] for account in others]
    if given.keys() - {"account", "after_minutes"} or (given and name not in names):
        verdict.fault(
            "second_way",
            "names no account of smarthost_accounts.",
            f"Write account: and one of {', '.join(names) or 'them'}.",
        )
    if any((one["host"], one["port"]) == (first.get("host"), first.get("port")) for one in others if one["id"] == name):
        verdict.fault(
            "second_way",
            f"{name} is at the server of the default account, and is away with it.",
            "Name an account at another provider, or take the second way out.",
        )
    if not re.fullmatch("[0-9]{1,4}", minutes) or not 1 <= int(minutes) <= 1440:
        verdict.fault("second_way", f"{minutes} is no sensible time.", "after_minutes goes from 1 to 1440.")
        return {}
    inside = [domain.replace("\\", "") for domain in first["passing"]]
    if given and (inside or "root" not in plan["aliases"]):
        known = f"mail of this host goes to or comes from {', '.join(inside)}" if inside else "root has no alias"
        verdict.fault(
            "second_way",
            f"{known}, so that only your own relay knows what to do with it.",
            "Write addresses of the internet into smarthost_aliases and smarthost_from, or take the second way out.",
        )
    return {"account": name, "minutes": int(minutes)} if given else {}


def _read(verdict: Verdict) -> dict[str, Any] | None:
    settings = {**verdict.settings}
    for key, value in settings.items():
        check_controls(verdict, key if key in KEYS else "name", value if key in KEYS else key)
    for key in [key for key in settings if key not in KEYS and clean(key)]:
        near = difflib.get_close_matches(key, KEYS, n=1)
        remedy = f"Write {near[0]}." if near else f"There are {', '.join(KEYS)}."
        verdict.fault("name", f"the account has a key {key!r}, which there is not.", remedy)
    wrong = {key: "a text" for key in TEXTS if isinstance(settings.get(key), (Mapping, list))}
    for key, kind, what in (("generic", Mapping, "a mapping (name: value)"), ("senders", list, "a list")):
        if not isinstance(settings.get(key), (kind, type(None))):
            wrong[key] = what
    for key, what in wrong.items():
        verdict.fault(key, f"is not {what}.", "Write one.")
        del settings[key]
    if not re.fullmatch("[0-9]*", str(settings.get("port") or "")):
        verdict.fault("port", f"{settings.pop('port')!r} is not a TCP port.", "Ports go from 1 to 65535.")
    verdict.settings = settings
    if not read_provider(verdict):
        return None
    account = read_account(verdict)
    verdict.warnings += [] if account["oauth"] else verdict.provider.get("warnings", [])
    account["generic"] = read_generic(verdict, account["username"])
    account["senders"] = list(dict.fromkeys(str(sender or "").lower() for sender in settings.get("senders") or []))
    for sender in filter(clean, account["senders"]):
        _check_sender(verdict, sender, account["username"])
    return account


def _check_sender(verdict: Verdict, sender: str, username: str) -> None:
    """Whether mail of this sender, or of all of a domain, can leave through the account."""
    name, _at, domain = sender.partition("@")
    if not addresses.is_sender(sender):
        verdict.fault("senders", f"{sender!r} is not an address.", "Write one, or @ and a domain.")
    elif domain in verdict.provider.get("domains", []) and not name:
        whose = verdict.provider["name"]
        verdict.fault("senders", f"{sender!r} are all customers of {whose}.", "Name the account's own addresses.")
    elif senders.is_public(sender):
        example = sender if name else f"mail{sender}"
        check_sender(verdict, "senders", example, username, use="" if name else f", as one of {sender!r},")


def check_senders(verdict: Verdict, accounts: list[dict[str, Any]]) -> None:
    """A sender leaves through one account."""
    first, *others = accounts
    taken = {senders.key(sender): "" for sender in [*senders.given(first), *senders.owned(first)]}
    for account in others:
        for sender in senders.given(account):
            owner = taken.setdefault(senders.key(sender), account["id"])
            if owner != account["id"]:
                verdict.fault(
                    f"accounts[{account['id']}].senders",
                    f"{sender!r} is a sender of {owner or 'the default account'}, too.",
                    "Keep it in one of them.",
                )
