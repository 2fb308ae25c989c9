"""Who mail of this host's users is from, and who gets it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from ansible_collections.homelab.mail.plugins.module_utils import addresses
from ansible_collections.homelab.mail.plugins.plugin_utils.account import check_sender, other_provider
from ansible_collections.homelab.mail.plugins.plugin_utils.senders import escaped
from ansible_collections.homelab.mail.plugins.plugin_utils.server import is_host_of
from ansible_collections.homelab.mail.plugins.plugin_utils.verdict import (
    Values,
    Verdict,
    clean,
    is_placeholder_address,
)


def read_generic(verdict: Verdict, username: str) -> dict[str, str]:
    """Local address -> public address; keys in lower case, as Postfix looks them up."""
    table: dict[str, str] = {}
    for key, value in (verdict.settings.get("generic") or {}).items():
        local, public = str(key), "" if value is None else str(value)
        if not clean(local) or not clean(public):
            continue
        if not addresses.is_sender(local):
            verdict.fault(
                "generic",
                f"{local!r} is not an address of this host.",
                "Write a user (nut), an address (nut@nas.lan) or a whole domain (@nas.lan).",
            )
        _check_twice(verdict, "generic", local, table)
        check_sender(verdict, "generic", public, username, use=f", for {local!r},")
        table[local.lower()] = public
    return table


def _check_twice(verdict: Verdict, variable: str, key: str, table: Collection[str]) -> None:
    if key.lower() in table:
        verdict.fault(variable, f"{key!r} is there twice: Postfix sees no capital letters.", "Keep one of them.")


def read_aliases(verdict: Verdict, default_target: str) -> dict[str, list[str]]:
    """Local user -> addresses, with an entry for root, from which everybody else's is taken."""
    table: dict[str, list[str]] = {}
    for key, value in (verdict.settings.get("aliases") or {}).items():
        user = str(key)
        values = value if isinstance(value, (list, tuple)) else str("" if value is None else value).split(",")
        targets = [str(target).strip() for target in values if str(target).strip()]
        if not clean(user) or not all(map(clean, targets)):
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
            _check_target(verdict, user, target, table)
    for user in table:
        if _is_circle(user, table):
            verdict.fault("aliases", f"{user!r} leads back to itself.", "Let it end at a full address.")
    # Not checked here: where the sender is wrong, that has been said. Without one, one's own relay knows.
    if default_target:
        table.setdefault("root", [default_target])
    return table


def read_allowed(verdict: Verdict, needed: Iterable[str]) -> list[str]:
    """Patterns of the addresses that may be written to; none where all may. `needed` must be among them."""
    given = verdict.settings.get("allowed_recipients")
    if given is None:
        return []
    entries = [str(entry).strip().lower() for entry in given if clean(entry)]
    if not any(entries):
        verdict.fault("allowed_recipients", "is empty, so that no mail would leave.", "Name who may be written to.")
        return []
    for entry in entries:
        if "@" not in entry or not addresses.is_sender(entry):
            verdict.fault("allowed_recipients", f"{entry!r} is not an address.", "Write one, or @ and a domain.")
    missing = [
        address for address in needed
        if not {address.lower(), f"@{addresses.domain_of(address)}"} & set(entries)
        and not addresses.is_private_domain(addresses.domain_of(address))
    ]  # fmt: skip
    if missing:
        verdict.fault(
            "allowed_recipients",
            "lacks addresses that mail of this host goes to or comes from, so that alerts or their bounces would be "
            "refused.",
            f"Add {', '.join(missing)}.",
        )
    return [(".*" if entry.startswith("@") else "") + escaped(entry) for entry in entries]


def check_mailbox(verdict: Verdict, account: Values) -> None:
    """Mail to a From that only sends reaches no person, so root's mail needs an address that has a mailbox."""
    if "root" in {str(user).lower() for user in verdict.settings.get("aliases") or {}}:
        return
    for preset in verdict.providers.values():
        only_sends = preset.get("mailboxes") is False
        # Also where the provider is custom and the host is known.
        if only_sends and (preset["name"] == account.get("name") or is_host_of(preset, account.get("host", ""))):
            sender = account["from"]
            if sender and other_provider(verdict, addresses.domain_of(sender)):
                # A sender that was confirmed one by one, and whose mailbox is elsewhere.
                return
            verdict.fault(
                "aliases",
                f"does not say who gets root's mail. It would go to {sender or 'smarthost_from'}, and "
                f"{preset['name']} only sends: it keeps no mailbox for that address.",
                "Write an address that is read: smarthost_aliases: {root: you@…}.",
            )
            return


def _check_target(verdict: Verdict, user: str, target: str, table: Mapping[str, list[str]]) -> None:
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
    elif is_placeholder_address(target, verdict.provider):
        verdict.fault(
            "aliases", f"{user!r} leads to {target!r}, the placeholder of a guide.", "Write your own address."
        )
    elif verdict.provider.get("from", "any") != "any" and addresses.is_private_domain(addresses.domain_of(target)):
        verdict.fault(
            "aliases",
            f"{user!r} leads to {target!r}, which the provider cannot deliver to: it exists only inside your network.",
            "Write an address on the internet.",
        )


def _is_circle(user: str, table: Mapping[str, list[str]]) -> bool:
    reached, new = set[str](), {user}
    while new:
        new = {target.lower() for name in new & table.keys() for target in table[name]} - reached
        reached |= new
    return user in reached
