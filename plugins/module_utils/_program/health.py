"""From what was seen of a host's mail to what is wrong with it. Pure functions; run on hosts and on the controller.

Health follows from facts: what waits, what was lost, who answers. The words of a reply explain; they excuse nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Optional, Union

from ansible_collections.homelab.mail.plugins.module_utils._program import diagnosis, system

# A preset; or, where there are several accounts, host -> account and preset, with all other hosts last.
Provider = Optional[Union[str, Mapping[str, "tuple[str, str]"]]]
# Mail that waits for longer than this is a fault; Postfix tries again after five minutes first.
STUCK_SECONDS = 900
# These do not pass by waiting.
LASTING = ("login", "sender", "certificate", "tls", "policy", "account", "configuration")
# Reasons that are shown; an outage has one or two.
REASONS = 5
# Recipients that are named.
NAMED = 3
NO_RELAY = "Postfix has no relayhost: this host is not configured as a smart host"
START_IT = "Start Postfix, or run the playbook again."
SEND_AGAIN = "Postfix does not try it again: send anew what still matters."
DIGIT = re.compile(r"\d")
# What a server says of the recipient: that it, or its domain, does not exist.
_RECIPIENT_CODES = ("5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10")
_NO_WAY_CODES = ("5.4.1", "5.4.4")
_NO_CODES = ("", "5.0.0")
# What is said of mail that did not get into the queue, or out of it again -> what to do.
_HANDING_IN = {
    "main.cf": "Not all users may read it, and so their programs cannot send. Run: chmod 755 /etc/postfix.",
    "denied": "A program that sends mail may not write into the queue: in its service's unit, remove NoNewPrivileges "
    "and DynamicUser, or let it send by SMTP to 127.0.0.1, port 25. If all programs are refused, as after a restored "
    "backup, run: postfix set-permissions.",
    "Read-only": "A program that sends mail sees the queue as read-only: in its service's unit, add "
    "ReadWritePaths=/var/spool/postfix. If all programs see it so, look at the disk.",
    "too big": "It is larger than message_size_limit: let the program send less in one mail.",
    "not allowed": "authorized_submit_users in smarthost_parameters does not name this user: name it, or take it out.",
    "No recipient": "A program gave a mail without a recipient to sendmail: look for it in cron and the units.",
    "corrupt": "The disk may be failing. postcat shows what is left of it in /var/spool/postfix/corrupt.",
    "": "Make room on the disk that has /var/spool/postfix.",
}
# A mailbox that is full or switched off; after the text, a server may mean the account's own.
_MAILBOX_CODES = ("5.2.1", "5.2.2")
_AT_THE_RECIPIENT = "(in reply to RCPT TO command)"
_NO_SUCH_MAILBOX = re.compile(r"said: 55[013][ -].*\(in reply to RCPT TO command\)")


def explained(text: str, provider: Provider) -> dict[str, str]:
    """The meaning of a reply or a line of the log; with a code if only this tells it, and with the further account."""
    account = ""
    if isinstance(provider, Mapping):
        account, provider = next(found for host, found in provider.items() if not host or is_about(text, host))
    known = diagnosis.meaning(text, provider, account)
    names = ("key", "kind", "cause", "remedy", "link", "code")
    found = {name: getattr(known, name) for name in names if known and getattr(known, name)}
    return {**found, "account": account} if account else found


def is_about(text: str, host: str) -> bool:
    """Whether a reply or a line of the log is about this host, not about one whose name or address has this in it.

    >>> is_about("connect to smtp.mail.me.com[192.0.2.1]:587: Connection refused", "smtp.mail.me.com")
    True
    >>> is_about("connect to smtp.mail.me.com[192.0.2.1]:587: Connection refused", "mail")
    False
    """
    return bool(re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w-]|\.\w)", text))


def waiting(reason: Mapping[str, Any]) -> str:
    """How many mails wait, of which account, and why."""
    of = f" ({reason['account']})" if reason.get("account") else ""
    return f"{reason['messages']} waiting{of}: {reason['reason']}"


def _lasts(item: Mapping[str, Any]) -> bool:
    """Whether the words of a reply say that waiting does not help; a code alone says too little for that."""
    return item.get("kind") in LASTING and not item.get("code")


def shape(reason: str) -> str:
    """A reason without its numbers and addresses: ten thousand mails are told the same with others in it."""
    return " ".join("…" if DIGIT.search(word) or "@" in word else word for word in reason.split())


def meaning(item: Mapping[str, Any]) -> str:
    """Cause, remedy and link in one line."""
    return " ".join(str(item[key]) for key in ("cause", "remedy", "link") if item.get(key))


# --- what was lost ----------------------------------------------------------------------------------


def losses(lost: list[dict[str, Any]], recipients: list[str] | None, provider: Provider) -> list[dict[str, Any]]:
    """The lost mail that is a fault, by reason."""
    times = Counter(mail["to"].lower() for mail in lost)
    alike: dict[tuple[object, ...], dict[str, Any]] = {}
    for mail in lost:
        to = mail["to"].lower()
        ours = recipients is None or to in recipients or mail["orig_to"]
        if not ours and times[to] == 1 and mail["told"] and _is_about_the_recipient(mail, provider):
            # A person typed an address that does not exist, and got the mail back.
            continue
        # Mail whose sender was told is not like mail that was lost in silence.
        kind = (shape(mail["said"]), mail["status"], mail["told"])
        group = alike.setdefault(kind, {**mail, "messages": set(), "to": Counter(), "last": mail["time"]})
        group["messages"].add(mail["id"])
        group["to"][to] += 1
        group["first"] = mail["time"]
    return [
        {**group, "messages": len(group["messages"]), "to": list(group["to"]), **explained(group["said"], provider)}
        for group in alike.values()
    ]


def _is_about_the_recipient(mail: Mapping[str, Any], provider: Provider) -> bool:
    """Whether a mail was refused because its recipient does not exist or is full, and the next one will not be."""
    said, dsn = mail["said"], mail["dsn"]
    if mail["status"] != "bounced" or _lasts(explained(said, provider)):
        return False
    answered = "(in reply to " in said
    if answered and not re.search(r"\(in reply to (RCPT TO|DATA|end of DATA) command\)", said):
        return False
    # Postfix itself finds no way also where the provider's name is wrong.
    return (
        dsn in _RECIPIENT_CODES
        or (answered and dsn in _NO_WAY_CODES)
        or (_AT_THE_RECIPIENT in said and dsn in _MAILBOX_CODES)
        or (dsn in _NO_CODES and bool(_NO_SUCH_MAILBOX.search(said)))
    )


def _loss(group: Mapping[str, Any], now: float) -> str:
    """A sentence or a few for people: how many, when, to whom, why, and what to do."""
    count, named = group["messages"], [to for to in group["to"] if to]
    to = ", ".join(named[:NAMED]) + (f" and {len(named) - NAMED} more" if len(named) > NAMED else "")
    were = "were" if count > 1 else "was"
    how = f"waited too long and {were} given up" if group["status"] == "expired" else f"{were} given up"
    text = f"{count} mail{'s' if count > 1 else ''} {'to ' if to else ''}{to}".rstrip() + f" {how}{_when(group, now)}"
    text += _ended(f": {group['said']}") if group["said"] else "."
    parts = [text, meaning(group)]
    if group.get("notice"):
        parts.append("The sender was not told, because the notice was refused, too: " + _ended(group["notice"]))
    elif not group["told"]:
        parts.append("The sender was not told.")
    return " ".join(filter(None, [*parts, SEND_AGAIN]))


def _ended(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _when(group: Mapping[str, Any], now: float) -> str:
    if group["last"] is None:
        return ""
    last = f"{system.span(max(0, now - group['last']))} ago"
    if group["messages"] == 1 or group["first"] is None:
        return f" {last}"
    return f", the first {system.span(max(0, now - group['first']))} ago, the last {last}"


# --- what is wrong ----------------------------------------------------------------------------------


def faults(found: Mapping[str, Any], stuck_seconds: int = STUCK_SECONDS) -> list[str]:
    """What is wrong, in sentences; nothing where mail leaves."""
    wrong = []
    if not found["relayhost"]:
        wrong.append(f"{NO_RELAY}.")
    if not found["running"]:
        said = "; ".join(f"{address} port 25: {answer}" for address, answer in found["port_25"].items())
        wrong.append(f"Postfix does not answer ({said}). {START_IT}")
    wrong += found["idle"] + list(filter(None, [found["sendmail"], found["unlogged"]]))
    if found.get("second_way"):
        away, name = found["time"] - found["second_way"]["since"], found["second_way"]["account"]
        wrong.append(
            f"The provider has not been reached for {system.span(away)}. Mail leaves through {name} meanwhile."
        )
    wrong += _not_handed_in(found["not_handed_in"], found["time"])
    queue = found["queue"]
    if found["running"] and queue.get("unreadable"):
        wrong.append(f"What waits in the queue is not known: {queue['unreadable']}. Restart Postfix.")
    if queue["oldest_seconds"] > stuck_seconds:
        wrong.append(f"Mail has waited for {system.span(queue['oldest_seconds'])}.")
    wrong += [item["cause"] for item in queue["reasons"] if _lasts(item)][:1]
    for one in found["ended"]:
        if not any(one["said"] in item["reason"] for item in queue["reasons"]):
            wrong.append(f"{one['username']} gets no token: {_ended(one['said'])} {meaning(one)}".rstrip())
    if found["unreached"]:
        wrong.append(found["unreached"])
    return wrong + [_loss(group, found["time"]) for group in found["losses"]]


def _not_handed_in(lines: list[dict[str, Any]], now: float) -> list[str]:
    """Programs try for a while, so the lines are no count of mails."""
    if not lines:
        return []
    last = lines[0]
    when = f" {system.span(max(0, now - last['time']))} ago" if last["time"] else ""
    remedy = next(remedy for word, remedy in _HANDING_IN.items() if word in last["said"])
    what = "Mail was damaged in the queue" if "corrupt" in last["said"] else "Mail could not even be handed in"
    return [f"{what}, last{when}: {last['said']}. {remedy} {SEND_AGAIN}"]


def told(found: Mapping[str, Any], wrong: Iterable[str]) -> list[str]:
    """These faults beside the reasons of what waits, each of which explains itself; nothing twice."""
    reasons = [f"{waiting(item)} {meaning(item)}".strip() for item in found["queue"]["reasons"]]
    return reasons + [sentence for sentence in wrong if not any(sentence in reason for reason in reasons)]
