"""The program `smarthost`: how mail leaves this host, and why it does not.

Standard library only. The role installs it on the managed host; its modules ask the same functions.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import signal
import socket
import sys
import threading
import time
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._program import (
    accounts,
    events,
    files,
    health,
    managers,
    queued,
    retry,
    second_way,
    services,
    system,
    tokens,
)

TEST_SECONDS = 60
# What a timer starts is through by then, or never.
HUNG_SECONDS = 600
# Losses that are listed for programs; the sentences count all.
MOST_LOSSES = 100
_STUCK = "Postfix on this host answers, but does not take the mail."
_SEE_LOG = (
    "Its log says why, and so may smarthost status: the disk that has /var/spool/postfix may be full or read-only."
)


def status(secrets: list[str] | None = None) -> dict[str, Any]:
    """All that `smarthost status` knows, as `--json` prints it; passwords that are not given are looked up."""
    now = time.time()
    ours = system.settings()
    others = accounts.further(ours)
    presets = accounts.presets(ours, others)
    result: dict[str, Any] = {"time": now}
    # A long queue takes most of the time, and most of that passes in Postfix.
    asking = threading.Thread(target=lambda: result.update(queue=queued.queue(presets, now)))
    asking.start()
    parameters = system.values("inet_interfaces", "relayhost", "myhostname", "maillog_file")
    answers = system.listening(parameters.get("inet_interfaces", ""))
    up = [address for address, greeting in answers.items() if greeting.startswith("220")]
    manager = managers.manager(ours.get("service_manager", ""), system.run, parameters.get("maillog_file", ""))
    result.update({
        "idle": services.idle(manager) if ours else [],
        "ended": [
            {"username": one["username"], "said": said, **health.explained(said, one["provider"])}
            for one in accounts.by_token().values()
            if (said := tokens.ended(one))
        ],
        "host": parameters.get("myhostname", ""),
        "provider": ours.get("name", ""),
        "relayhost": parameters.get("relayhost", ""),
        "accounts": [{name: one[name] for name in ("id", "name", "relayhost")} for one in others],
        "running": bool(up),
        "listening": up,
        "port_25": answers,
        "sendmail": system.other_sendmail(),
        "unlogged": manager.unlogged() if ours else "",
        **logged(manager, ours, now, presets),
    })  # fmt: skip
    asking.join()
    waits = any(queued.AWAY.match(item["reason"]) for item in result["queue"]["reasons"])
    ways = [{"id": "", "relayhost": result["relayhost"]}, *others] if waits else []
    memories = ((files.remembered(retry.state(one["id"])), accounts.host_of(one["relayhost"])) for one in ways)
    result["unreached"] = " ".join(filter(None, (retry.unreached(*memory) for memory in memories)))
    away = files.remembered(second_way.STATE) if "second_way" in ours else {}
    result["second_way"] = {**ours["second_way"], "since": away["since"]} if away.get("on") else None
    result["problems"] = health.faults(result)
    result["healthy"] = not result["problems"]
    hidden: dict[str, Any] = accounts.hide(result, accounts.passwords() if secrets is None else secrets)
    return hidden


def logged(
    manager: services.ServiceManager, ours: dict[str, Any], now: float, presets: health.Provider
) -> dict[str, Any]:
    """What the log says: the last delivery, the last failure, and what was lost within a day."""
    since, said = now - services.LOSS_SECONDS, manager.losses()
    recent, notices = manager.recent(), events.notices(said)
    lost = events.lost(said, recent, since)
    # A notice that was delivered is no mail that was.
    mails = events.deliveries(line for line in recent if "status=sent" in line)
    sent = (mail for mail in mails if mail["status"] == "sent" and mail["id"] not in notices)
    failed = next((mail for mail in events.deliveries(recent) if mail["status"] != "sent"), None)
    return {
        "last_delivery": next(sent, None),
        "last_failure": failed and {**failed, **health.explained(failed["said"], presets)},
        "lost": lost[:MOST_LOSSES],
        "losses": health.losses(lost, ours.get("recipients"), presets),
        "not_handed_in": events.not_handed_in(said, since)[:MOST_LOSSES],
    }


# --- what is tried ---------------------------------------------------------------------------------


def send_test(to: str, seconds: float = TEST_SECONDS) -> dict[str, Any]:
    """Send a mail and follow it to the provider's reply, or to the reason why there is none yet."""
    # The word by which the mail can be found where it arrives, and the time of each step.
    seen: dict[str, Any] = {"token": os.urandom(6).hex(), "times": {}}
    found = {**seen, **_send_test(to, seconds, seen["token"], seen["times"])}
    hidden: dict[str, Any] = accounts.hide(found, accounts.passwords())
    return hidden


def _send_test(to: str, seconds: float, token: str, times: dict[str, float | None]) -> dict[str, Any]:
    # Not above: what speaks SMTP takes as long to load as all the rest of a status.
    import smtplib
    from email.message import EmailMessage
    from email.utils import formatdate, make_msgid

    ours = system.settings()
    taken = "hub" if ours.get("provider") == "hub" else "taken"
    times.update(dict.fromkeys(("handed in", "queued", taken)))
    manager = managers.manager(ours.get("service_manager", ""), system.run)
    parameters = system.values("inet_interfaces", "myhostname", "myorigin")
    mark = manager.mark()
    end = time.monotonic() + seconds

    def left() -> float:
        return max(0.1, end - time.monotonic())

    answers = system.listening(parameters.get("inet_interfaces", ""), min(5, seconds))
    address = next((address for address, greeting in answers.items() if greeting.startswith("220")), None)
    if address is None:
        said = "; ".join(f"{address} port 25: {answer}" for address, answer in answers.items())
        return {"status": "not handed in", "said": said, "cause": "Postfix does not answer.", "remedy": health.START_IT}
    if ours and manager.unlogged():
        return {"status": "not handed in", "said": manager.unlogged()}
    mail = EmailMessage()
    host = parameters.get("myhostname", socket.gethostname())
    origin = parameters.get("myorigin", "")
    # Of a foreign host it may be the name of a file.
    sender = f"root@{host if origin.startswith('/') else origin or host}"
    mail["Subject"] = f"Test mail from {host} ({token})"
    mail["From"], mail["To"], mail["Date"] = sender, to, formatdate(localtime=True)
    mail["Message-ID"] = make_msgid(domain=host)
    mail.set_content(f"This mail shows that {host} can send mail through {ours.get('name', 'its relay')}.\n")
    try:
        with smtplib.SMTP(address, 25, local_hostname="localhost", timeout=left()) as session:
            times["handed in"] = time.time()
            session.ehlo()
            for command, argument in (("mail", sender), ("rcpt", to), ("data", mail.as_bytes())):
                if session.sock:
                    session.sock.settimeout(left())
                code, answer = getattr(session, command)(argument)
                if 400 <= code < 500:
                    return {"status": "refused", "said": _said(code, answer), "cause": _STUCK, "remedy": _SEE_LOG}
                if code >= 300:
                    return _outcome("refused", _said(code, answer), ours)
    except (OSError, smtplib.SMTPException) as error:
        # No words of the provider's, whose meaning would be another.
        return {"status": "not handed in", "said": str(error), "cause": _STUCK, "remedy": _SEE_LOG}
    times["queued"] = time.time()
    identifier = answer.decode(errors="replace").rpartition(" ")[2]
    asked_again = False
    while time.monotonic() < end:
        tried = (mail for mail in events.deliveries(reversed(manager.log(mark))) if mail["id"] == identifier)
        found = next(tried, None)
        if found and found["said"].startswith(queued.SUSPENDED):
            # Postfix makes a pause with the server and did not ask it: that is what others were told some time ago.
            if not asked_again:
                system.run("postqueue", "-i", identifier)
            asked_again = True
        elif found:
            if found["status"] == "sent":
                times[taken] = time.time()
            return {**_outcome(found["status"], found["said"], ours), "id": identifier, "relay": found["relay"]}
        time.sleep(0.2)
    return {**_outcome("waiting", f"the provider has not answered within {seconds:g} s", ours), "id": identifier}


def _said(code: int, answer: bytes) -> str:
    return f"{code} {answer.decode(errors='replace')}"


def _outcome(what: str, said: str, ours: dict[str, Any]) -> dict[str, Any]:
    return {"status": what, "said": said, **({} if what == "sent" else health.explained(said, ours.get("provider")))}


def report(with_login: bool) -> dict[str, Any]:
    """How mail does, and what the provider says to the login that is in place, for `playbooks/check.yml`."""
    from ansible_collections.homelab.mail.plugins.module_utils._program import login

    if not with_login:
        return {"state": status(), "login": {"verdict": "not tried", "said": ""}}
    tried = accounts.try_logins()
    said = [
        login.of(account) + login.sentence(outcome, account)
        for outcome, account in tried
        if outcome.verdict != login.ACCEPTED
    ]
    # A relay that goes by addresses has taken the recipient.
    verdicts = {
        account["id"]: outcome.verdict if account["username"] or outcome.verdict != login.ACCEPTED else "none needed"
        for outcome, account in tried
    }
    best = login.ACCEPTED if login.ACCEPTED in verdicts.values() else "none needed"
    # That of the whole is the worst one.
    worst = next((verdict for verdict in (login.REFUSED, login.UNDECIDED) if verdict in verdicts.values()), best)
    found = {"verdict": worst, "said": " ".join(said), "accounts": verdicts}
    return {
        "state": status([account["password"] for _outcome, account in tried if account["password"]]),
        "login": found,
    }


# --- what is shown ----------------------------------------------------------------------------------


def show(found: dict[str, Any], now: float) -> str:
    """The state, to be read in five seconds."""
    ports = " and ".join(f"[{address}]" if ":" in address else address for address in found["listening"])
    waiting = found["queue"]
    amount = f"{waiting['messages']} mail{'s' if waiting['messages'] != 1 else ''}"
    empty = waiting.get("unreadable", "empty")
    rows = [
        ("Postfix", f"up, listens on {ports} port 25" if found["running"] else "does not answer on port 25"),
        ("Relay", " ".join(filter(None, [found["provider"], found["relayhost"]])) or "none"),
        *(("", f"{one['id']}: {one['name']} {one['relayhost']}") for one in found.get("accounts", [])),
        (
            "Queue",
            f"{amount}, the oldest for {system.span(waiting['oldest_seconds'])}" if waiting["messages"] else empty,
        ),
        ("Last sent", _delivery(found["last_delivery"], now)),
        ("Last failed", _delivery(found["last_failure"], now)),
    ]
    lines = [f"{'Mail leaves' if found['healthy'] else 'Mail does not leave as it should'} ({found['host']})"]
    lines += [f"  {name:<13}{text}" for name, text in rows]
    for reason in waiting["reasons"]:
        lines += ["", health.waiting(reason), *_meaning(reason)]
    text = "\n".join(lines)
    return "\n\n".join([text, *(problem for problem in found["problems"] if problem not in text)])


def _delivery(delivery: dict[str, Any] | None, now: float) -> str:
    if delivery is None:
        return "not in the log" + ("" if os.geteuid() == 0 else " (only root may read all of it)")
    when = f"{system.span(max(0, now - delivery['time']))} ago, " if delivery["time"] else ""
    return f"{when}to {delivery['to']}: {delivery['said']}"


def _meaning(item: dict[str, Any]) -> list[str]:
    return [f"  {text}" for text in (item.get("cause"), item.get("remedy"), item.get("link")) if text]


def _status(given: argparse.Namespace) -> int:
    found = status()
    print(json.dumps(found, indent=2) if given.json else show(found, time.time()))
    return 0 if found["healthy"] else 1


def _test(given: argparse.Namespace) -> int:
    if not given.json:
        print(f"Sending a mail to {given.to} …", flush=True)
    outcome = send_test(given.to, given.timeout)
    if given.json:
        print(json.dumps(outcome, indent=2))
    elif outcome["status"] == "sent":
        print(f"{outcome['relay']} took it: {outcome['said']}\nNow look into the inbox, and into the spam folder.")
    else:
        print("\n".join([f"It was not sent ({outcome['status']}): {outcome['said']}", *_meaning(outcome)]))
        if "id" in outcome and outcome["status"] != "bounced":
            print("  It waits in the queue, and Postfix goes on trying; smarthost status says how that goes.")
    return 0 if outcome["status"] == "sent" else 1


def _login(_given: argparse.Namespace) -> int:
    from ansible_collections.homelab.mail.plugins.module_utils._program import login

    failed = False
    for outcome, account in accounts.try_logins():
        if outcome.verdict == login.ACCEPTED:
            taken = (
                f"the login of {account['username']}" if account["username"] else "mail of this host without a login"
            )
            # Some providers' token is login and password in one.
            said = accounts.hide(f"{account['host']} accepts {taken}.", list(filter(None, [account["password"]])))
        else:
            said, failed = login.sentence(outcome, account), True
            # A refusal begins with the name of a host.
            said = said if outcome.verdict == login.REFUSED else said[0].upper() + said[1:]
        print(login.of(account) + said)
    return int(failed)


def _watch(_given: argparse.Namespace) -> int:
    from ansible_collections.homelab.mail.plugins.module_utils._program import watch

    # Never for the others' mail to suffer from: what cannot be told is said in the log, and that is all.
    for reason in watch.watch(status(), system.settings(configuration.WATCH)):
        print(f"could not be told: {reason}", file=sys.stderr)
    return 0


def _retry(_given: argparse.Namespace) -> int:
    from ansible_collections.homelab.mail.plugins.module_utils._program import login

    manager = managers.manager(system.settings().get("service_manager", ""), system.run)
    found, way = accounts.in_place(), system.settings().get("second_way")
    # A server that several accounts have is asked once.
    for account in {(account["host"], account["port"]): account for account in reversed(found)}.values():
        reached = functools.cache(functools.partial(login.answers, account))
        said = [retry.look(account, manager, reached)] if account["host"] else []
        if way and account["host"] and not account["id"]:
            said.append(second_way.look(way, retry.waits(account), reached))
        for sentence in filter(None, said):
            print(sentence)
    if not way:
        files.remove(second_way.STATE)
    return 0


def _proxy(_given: argparse.Namespace) -> int:
    from ansible_collections.homelab.mail.plugins.module_utils._program import proxy

    return proxy.main()


def _renew(_given: argparse.Namespace) -> int:
    from ansible_collections.homelab.mail.plugins.module_utils._program import oauth

    for account in accounts.by_token().values():
        try:
            oauth.renew_idle(account)
        except (oauth.Ended, oauth.Away) as error:
            # What has ended, smarthost status tells.
            print(f"{account['username']}: {error}", file=sys.stderr)
    return 0


# Command -> what runs it, what --help says of it, and what it does that root alone may do.
_COMMANDS = {
    "status": (_status, "Postfix, queue, last delivery and last failure", ""),
    "test": (_test, "send a mail and follow it to the provider's reply", "read in the log what became of a mail"),
    "login": (_login, "try the login at the provider, or whether a relay takes mail; sends none", "read the login"),
    "watch": (_watch, "report an outage as smarthost_watch_* says; run by a timer", "read whom to tell"),
    "retry": (_retry, "send what waited for a provider that was away; run by a timer", "read the whole queue"),
    "proxy": (_proxy, "log in with a token where Postfix has a password; run by Postfix", ""),
    "renew": (_renew, "use a consent that would end because nothing is sent; run by a timer", "read the consents"),
}


def main(arguments: list[str] | None = None) -> int:
    """The program; its exit status is 0 where mail leaves."""
    parser = argparse.ArgumentParser(prog="smarthost", description="How mail leaves this host, and why it does not.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    takes = {name: commands.add_parser(name, help=text) for name, (_call, text, _root) in _COMMANDS.items()}
    for name in ("status", "test"):
        takes[name].add_argument("--json", action="store_true", help="for programs")
    takes["test"].add_argument("to", metavar="you@example.com")
    takes["test"].add_argument(
        "--timeout", type=float, default=TEST_SECONDS, metavar="SECONDS", help="default: %(default)s"
    )
    given = parser.parse_args(arguments)
    if not given.command:
        parser.print_help(sys.stderr)
        return 2
    if given.command in ("watch", "retry", "renew"):
        # One that hangs would be the last.
        signal.alarm(HUNG_SECONDS)
    call, _text, roots = _COMMANDS[given.command]
    if roots and os.geteuid() != 0:
        what = "test …" if given.command == "test" else given.command
        print(f"Only root may {roots}. Run: sudo smarthost {what}", file=sys.stderr)
        return 2
    try:
        return call(given)
    except PermissionError as error:
        print(f"Only root may read {error.filename}. Run: sudo smarthost {given.command}", file=sys.stderr)
        return 2
    except (BrokenPipeError, KeyboardInterrupt):
        return 130
