"""The program `smarthost`: how mail leaves this host, and why it does not.

Standard library only. The role installs it on the managed host; its modules ask the same functions.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ansible_collections.homelab.mail.plugins.module_utils import configuration, diagnosis, services

if TYPE_CHECKING:
    from ansible_collections.homelab.mail.plugins.module_utils import login

PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
SETTINGS = "settings.json"
# Mail that waits for longer than this is a fault; Postfix tries again after five minutes first.
STUCK_SECONDS = 900
# These do not pass by waiting.
LASTING = ("login", "sender", "certificate", "tls", "policy", "account", "configuration")
# Mail that was given up is lost to whoever waits for it, also where the next one may pass.
LASTING_FOR_RETURNED = (*LASTING, "limit")
RETURNED = ("bounced", "expired")
# The parameters by which Postfix relays.
RELAY = (
    "relayhost", "smtp_tls_wrappermode", "smtp_tls_security_level", "smtp_tls_CAfile", "smtp_sasl_password_maps",
    "myhostname",
)  # fmt: skip
NO_RELAY = "Postfix has no relayhost: this host is not configured as a smart host"
START_IT = "Start Postfix, or run the playbook again."
DIGIT = re.compile(r"\d")
SUSPENDED = "delivery temporarily suspended: "
# What Postfix says of a server that it did not come to speak with. Not of one that it lost later on, because of a mail
# that the server cannot take, perhaps.
AWAY = re.compile(
    r"connect to |Host or domain name not found|host \S+ refused to talk to me: 4|"
    r"(lost connection|conversation) with \S+ (timed out )?while "
    r"(receiving the initial server greeting|performing the (EHLO|HELO) handshake)"
)
TEST_SECONDS = 60
# Reasons that are shown; an outage has one or two.
REASONS = 5


def run(*argv: str) -> tuple[int, str, str]:
    """Status, output and errors of a program of the system; 127 where it is not there."""
    path = shutil.which(argv[0], path=PATH)
    if path is None:
        return 127, "", f"{argv[0]} is not installed"
    done = subprocess.run(
        [path, *argv[1:]],
        stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace",
        env={**os.environ, "LC_ALL": "C"}, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


# --- what there is --------------------------------------------------------------------------------


def settings(name: str = SETTINGS) -> dict[str, Any]:
    """What the role told this host about itself: provider, its name, sender, service manager."""
    main_cf = os.path.join(configuration.CONFIG_DIRECTORY, "main.cf")
    try:
        with open(main_cf, encoding="utf-8", errors="surrogateescape") as file:
            slot = configuration.slot_in_use(file.read(), configuration.CONFIG_DIRECTORY)
        path = os.path.join(configuration.CONFIG_DIRECTORY, configuration.FOLDER, str(slot), name)
        with open(path, encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
    except (FileNotFoundError, ValueError):
        # Damaged by hand is as good as not there; the next run puts it right.
        return {}
    return found


def values(*names: str) -> dict[str, str]:
    """Parameters of Postfix as it reads them."""
    _code, out, _err = run("postconf", "-x", *names)
    return {name.strip(): value.strip() for name, _equals, value in (line.partition("=") for line in out.splitlines())}


def listening(interfaces: str, seconds: float = 5) -> dict[str, str]:
    """Address -> its greeting on port 25, or why there is none."""
    named = re.findall(r"[0-9A-Fa-f.:]*[.:][0-9A-Fa-f.:]*", interfaces)
    found = {}
    for address in named or ["127.0.0.1", "::1"]:
        try:
            with socket.create_connection((address, 25), timeout=seconds) as connection:
                found[address] = connection.recv(512).decode(errors="replace").strip()
                connection.sendall(b"QUIT\r\n")
        except OSError as error:
            found[address] = error.strerror or str(error)
    return found


def queue(provider: str | None, now: float) -> dict[str, Any]:
    """What waits, for how long, and why: the reasons with what they mean, the most frequent first."""
    path = shutil.which("postqueue", path=PATH)
    if path is None:
        return {"messages": 0, "bytes": 0, "oldest_seconds": 0, "reasons": [], "unreadable": "Postfix is not installed"}
    count, size, oldest = 0, 0, now
    reasons: Counter[str] = Counter()
    with _asked(path) as process:
        for mail in _mails(process):
            count += 1
            size += mail["message_size"]
            oldest = min(oldest, mail["arrival_time"])
            reasons.update({recipient.get("delay_reason", "") for recipient in mail["recipients"]} - {""})
    result = {
        "messages": count,
        "bytes": size,
        "oldest_seconds": int(now - oldest),
        "reasons": _explained(reasons, provider),
    }
    if process.returncode != 0:
        result["unreadable"] = "only root may read it while Postfix is down"
    return result


def _asked(postqueue: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [postqueue, "-j"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8", errors="replace"
    )


def _mails(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    # Line by line: the queue may be long.
    for line in process.stdout or ():
        yield json.loads(line)


def _without_suspension(reason: str) -> str:
    """What follows is why Postfix makes a pause with the server, and the reason of others that wait."""
    return reason[len(SUSPENDED) :] if reason.startswith(SUSPENDED) else reason


def _explained(reasons: Counter[str], provider: str | None) -> list[dict[str, Any]]:
    """Reasons with what they mean; those that mean the same are one."""
    alike: dict[str, dict[str, Any]] = {}
    for text, count in reasons.most_common():
        reason = _without_suspension(text)
        # Ten thousand mails are told the same with other numbers and addresses in it.
        shape = " ".join("…" if DIGIT.search(word) else word for word in reason.split())
        alike.setdefault(shape, {"messages": 0, "reason": reason})["messages"] += count
    most = sorted(alike.values(), key=lambda item: -item["messages"])[:REASONS]
    return [{**item, **explained(item["reason"], provider)} for item in most]


def explained(text: str, provider: str | None) -> dict[str, str]:
    """The meaning of a reply or a line of the log; nothing where nobody knows it."""
    failure = diagnosis.explain(text, provider)
    if failure is None:
        return {}
    return {
        "key": failure.key, "kind": failure.kind, "cause": failure.cause, "remedy": failure.remedy, "link": failure.link
    }  # fmt: skip


def deliveries(manager: services.NoManager) -> Iterator[dict[str, Any]]:
    """What became of mails, by the log, the last one first."""
    for line in manager.recent():
        found = re.search(r"([0-9A-Za-z]{6,}): to=<([^>]*)>.*?relay=([^,]+),.* status=(\w+) \((.*)\)\s*$", line)
        if found:
            identifier, to, relay, status, said = found.groups()
            yield {"time": moment(line), "id": identifier, "to": to, "relay": relay, "status": status, "said": said}


def moment(line: str) -> float | None:
    """When a line of the log was written, in seconds since 1970; None where it does not say.

    >>> moment("1795255200.123456 nas postfix/smtp[1]: x")
    1795255200.123456
    """
    if re.match(r"\d{9,}\.\d+ ", line):
        return float(line.split(maxsplit=1)[0])
    iso = re.match(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)", line)
    if iso:
        return datetime.strptime(" ".join(iso.groups()), "%Y-%m-%d %H:%M:%S").timestamp()
    traditional = re.match(r"\w{3} [ \d]\d \d\d:\d\d:\d\d", line)
    if traditional:
        # Without the year: the last such day.
        year = datetime.now().year
        for guess in (year, year - 1):
            then = datetime.strptime(f"{guess} {traditional.group()}", "%Y %b %d %H:%M:%S").timestamp()
            if then <= time.time() + 86400:
                return then
    return None


def status(secret: str | None = None) -> dict[str, Any]:
    """All that `smarthost status` knows, as `--json` prints it; the password is looked up where it is not given."""
    now = time.time()
    ours = settings()
    provider = ours.get("provider")
    result: dict[str, Any] = {}
    # A long queue takes most of the time, and most of that passes in Postfix.
    asking = threading.Thread(target=lambda: result.update(queue=queue(provider, now)))
    asking.start()
    parameters = values("inet_interfaces", "relayhost", "myhostname")
    answers = listening(parameters.get("inet_interfaces", ""))
    up = [address for address, greeting in answers.items() if greeting.startswith("220")]
    result.update({
        "host": parameters.get("myhostname", ""),
        "provider": ours.get("name", ""),
        "relayhost": parameters.get("relayhost", ""),
        "running": bool(up),
        "listening": up,
        "last_delivery": None,
        "last_failure": None,
        # The last mail that was tried has come back, for a reason that concerns the next one, too.
        "returned": False,
    })  # fmt: skip
    manager = services.manager(ours.get("service_manager", ""), run)
    for delivery in deliveries(manager):
        if delivery["status"] == "sent":
            result["last_delivery"] = result["last_delivery"] or delivery
        elif not result["last_failure"]:
            failure = {**delivery, **explained(delivery["said"], provider)}
            lasting = failure["status"] in RETURNED and failure.get("kind") in LASTING_FOR_RETURNED
            result.update(last_failure=failure, returned=lasting and not result["last_delivery"])
        if result["last_delivery"] and result["last_failure"]:
            break
    asking.join()
    result["problems"] = problems(result, answers)
    result["healthy"] = not result["problems"]
    hidden: dict[str, Any] = hide(result, password() if secret is None else secret)
    return hidden


def problems(found: dict[str, Any], answers: dict[str, str]) -> list[str]:
    """What is wrong, in sentences; nothing where mail leaves."""
    wrong = []
    if not found["relayhost"]:
        wrong.append(f"{NO_RELAY}.")
    if not found["running"]:
        said = "; ".join(f"{address} port 25: {answer}" for address, answer in answers.items())
        wrong.append(f"Postfix does not answer ({said}). {START_IT}")
    waiting = found["queue"]
    if waiting["oldest_seconds"] > STUCK_SECONDS:
        wrong.append(f"Mail has waited for {span(waiting['oldest_seconds'])}.")
    lasting = next((item for item in waiting["reasons"] if item.get("kind") in LASTING), None)
    if lasting:
        wrong.append(lasting["cause"])
    if found["returned"]:
        failure = found["last_failure"]
        wrong.append(f"The last mail was returned to its sender. {failure['cause']} {failure['remedy']}")
    return wrong


# --- what is tried ---------------------------------------------------------------------------------


def send_test(to: str, seconds: float = TEST_SECONDS) -> dict[str, Any]:
    """Send a mail and follow it to the provider's reply, or to the reason why there is none yet."""
    hidden: dict[str, Any] = hide(_send_test(to, seconds), password())
    return hidden


def _send_test(to: str, seconds: float) -> dict[str, Any]:
    # Not above: what speaks SMTP takes as long to load as all the rest of a status.
    import smtplib
    from email.message import EmailMessage
    from email.utils import formatdate, make_msgid

    ours = settings()
    manager = services.manager(ours.get("service_manager", ""), run)
    parameters = values("inet_interfaces", "myhostname")
    mark = manager.mark()
    end = time.monotonic() + seconds

    def left() -> float:
        return max(0.1, end - time.monotonic())

    answers = listening(parameters.get("inet_interfaces", ""), min(5, seconds))
    address = next((address for address, greeting in answers.items() if greeting.startswith("220")), None)
    if address is None:
        said = "; ".join(f"{address} port 25: {answer}" for address, answer in answers.items())
        return {"status": "not handed in", "said": said, "cause": "Postfix does not answer.", "remedy": START_IT}
    mail = EmailMessage()
    host = parameters.get("myhostname", socket.gethostname())
    mail["Subject"] = f"Test mail from {host}"
    mail["From"], mail["To"], mail["Date"] = f"root@{host}", to, formatdate(localtime=True)
    mail["Message-ID"] = make_msgid(domain=host)
    mail.set_content(f"This mail shows that {host} can send mail through {ours.get('name', 'its relay')}.\n")
    try:
        with smtplib.SMTP(address, 25, local_hostname="localhost", timeout=left()) as session:
            session.ehlo()
            for command, argument in (("mail", f"root@{host}"), ("rcpt", to), ("data", mail.as_bytes())):
                if session.sock:
                    session.sock.settimeout(left())
                code, answer = getattr(session, command)(argument)
                if code >= 300:
                    return _outcome("refused", f"{code} {answer.decode(errors='replace')}", ours)
    except (OSError, smtplib.SMTPException) as error:
        return _outcome("not handed in", str(error), ours)
    identifier = answer.decode(errors="replace").rpartition(" ")[2]
    asked_again = False
    while time.monotonic() < end:
        found = _last_word(manager.log(mark), identifier)
        if found and found["said"].startswith(SUSPENDED):
            # Postfix makes a pause with the server and did not ask it: that is what others were told some time ago.
            if not asked_again:
                run("postqueue", "-i", identifier)
            asked_again = True
        elif found:
            return {**found, **_outcome(found["status"], found["said"], ours), "id": identifier}
        time.sleep(0.2)
    return {**_outcome("waiting", f"the provider has not answered within {seconds:g} s", ours), "id": identifier}


def _last_word(lines: list[str], identifier: str) -> dict[str, str]:
    """What the log says last of a mail; nothing where it says nothing yet."""
    for line in reversed(lines):
        found = re.search(rf"\b{re.escape(identifier)}: to=.*? relay=([^,]+),.* status=(\w+) \((.*)\)\s*$", line)
        if found:
            return {"relay": found.group(1), "status": found.group(2), "said": found.group(3)}
    return {}


def _outcome(what: str, said: str, ours: dict[str, Any]) -> dict[str, Any]:
    return {"status": what, "said": said, **({} if what == "sent" else explained(said, ours.get("provider")))}


def relay_account(parameters: dict[str, str]) -> dict[str, Any] | None:
    """The account of these parameters, for the module login, without the login itself; None without a relay."""
    ours = settings()
    relay = re.fullmatch(r"\[?([^\]]+?)\]?(?::(\d+))?", parameters.get("relayhost", ""))
    if not relay:
        return None
    return {
        "provider": ours.get("provider", "custom"),
        "host": relay.group(1),
        "port": int(relay.group(2) or 25),
        "tls": "implicit" if parameters["smtp_tls_wrappermode"] == "yes" else "starttls",
        "tls_security_level": parameters["smtp_tls_security_level"],
        "ca_file": parameters["smtp_tls_CAfile"],
        "helo": parameters["myhostname"],
        "sender": ours.get("sender"),
    }


def login_in_place(parameters: dict[str, str]) -> tuple[str, str, str]:
    """User and password that Postfix logs in with, and why there are none."""
    table = parameters.get("smtp_sasl_password_maps", "")
    if not re.fullmatch(r"\w+:/\S+", table):
        # Several, or a login that stands in main.cf itself: nobody knows which of it Postfix would take.
        return "", "", "smtp_sasl_password_maps is not one table, as the role has it"
    _code, found, error = run("postmap", "-q", parameters["relayhost"], table)
    username, _colon, password = found.rstrip("\n").partition(":")
    return username, password, "" if username else error.strip() or f"no login for {parameters['relayhost']}"


def password() -> str:
    """The password in place, for `hide`; empty where there is none, or nobody who may read it."""
    return login_in_place(values(*RELAY))[1] if os.geteuid() == 0 else ""


def hide(found: Any, secret: str) -> Any:
    """The same without the password, should a server have repeated it.

    >>> hide({"said": ["535 no: q7w2", 1]}, "q7w2")
    {'said': ['535 no: ********', 1]}
    """
    if isinstance(found, dict):
        return {name: hide(value, secret) for name, value in found.items()}
    if isinstance(found, list):
        return [hide(value, secret) for value in found]
    return found.replace(secret, "********") if secret and isinstance(found, str) else found


def try_login() -> tuple[login.Outcome, dict[str, Any]]:
    """The login as Postfix makes it, tried as the role does."""
    from ansible_collections.homelab.mail.plugins.module_utils import login

    parameters = values(*RELAY)
    account = relay_account(parameters)
    if account is None:
        nowhere = {"provider": "custom", "host": "the relay", "password": ""}
        return login.Outcome(login.UNDECIDED, "looking the relay up", NO_RELAY), nowhere
    username, password, error = login_in_place(parameters)
    account.update(username=username, password=password, sender=account["sender"] or username)
    if not username:
        return login.Outcome(login.UNDECIDED, "looking the login up", error), account
    return login.try_login(account), account


def report(with_login: bool) -> dict[str, Any]:
    """How mail does, and what the provider says to the login that is in place, for `playbooks/check.yml`."""
    from ansible_collections.homelab.mail.plugins.module_utils import login

    tried, secret = {"verdict": "not tried", "said": ""}, None
    if with_login:
        outcome, account = try_login()
        accepted, secret = outcome.verdict == login.ACCEPTED, account.get("password")
        tried = {"verdict": outcome.verdict, "said": "" if accepted else login.sentence(outcome, account)}
    return {"state": status(secret), "login": tried}


def retry() -> bool:
    """Send what waited for a provider that was away, where it can be reached again; says whether it was sent.

    Postfix itself waits for up to an hour by then. Tried again as often as this, mail that the provider puts off, or
    a login that it refuses, would get the account locked.
    """
    path, account = shutil.which("postqueue", path=PATH), relay_account(values(*RELAY))
    if path is None or account is None or not _somebody_waits_for(path, account["host"]):
        return False
    from ansible_collections.homelab.mail.plugins.module_utils import login

    return login.answers(account) and run("postqueue", "-f")[0] == 0


def _somebody_waits_for(postqueue: str, host: str) -> bool:
    with _asked(postqueue) as process:
        for mail in _mails(process):
            if waits_for(mail, host):
                process.terminate()
                return True
    return False


def waits_for(mail: dict[str, Any], host: str) -> bool:
    """Whether a mail waits because that host could not be reached; not while it is tried, or on hold for a reason."""
    reasons = (_without_suspension(recipient.get("delay_reason", "")) for recipient in mail["recipients"])
    return mail["queue_name"] == "deferred" and any(AWAY.match(reason) and host in reason for reason in reasons)


# --- what is shown ----------------------------------------------------------------------------------


def span(seconds: float) -> str:
    """A time as people say it.

    >>> span(4000)
    '1 h 6 min'
    """
    if seconds < 60:
        return f"{int(seconds)} s"
    minutes = int(seconds) // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} days"


def show(found: dict[str, Any], now: float) -> str:
    """The state, to be read in five seconds."""
    ports = " and ".join(f"[{address}]" if ":" in address else address for address in found["listening"])
    waiting = found["queue"]
    amount = f"{waiting['messages']} mail{'s' if waiting['messages'] != 1 else ''}"
    empty = waiting.get("unreadable", "empty")
    rows = [
        ("Postfix", f"up, listens on {ports} port 25" if found["running"] else "does not answer on port 25"),
        ("Relay", " ".join(filter(None, [found["provider"], found["relayhost"]])) or "none"),
        ("Queue", f"{amount}, the oldest for {span(waiting['oldest_seconds'])}" if waiting["messages"] else empty),
        ("Last sent", _delivery(found["last_delivery"], now)),
        ("Last failed", _delivery(found["last_failure"], now)),
    ]
    lines = [f"{'Mail leaves' if found['healthy'] else 'Mail does not leave as it should'} ({found['host']})"]
    lines += [f"  {name:<13}{text}" for name, text in rows]
    for reason in waiting["reasons"]:
        lines += ["", f"{reason['messages']} waiting: {reason['reason']}", *_meaning(reason)]
    text = "\n".join(lines)
    return "\n\n".join([text, *(problem for problem in found["problems"] if problem not in text)])


def _delivery(delivery: dict[str, Any] | None, now: float) -> str:
    if delivery is None:
        return "not in the log" + ("" if os.geteuid() == 0 else " (only root may read all of it)")
    when = f"{span(max(0, now - delivery['time']))} ago, " if delivery["time"] else ""
    return f"{when}to {delivery['to']}: {delivery['said']}"


def _meaning(item: dict[str, Any]) -> list[str]:
    return [f"  {text}" for text in (item.get("cause"), item.get("remedy"), item.get("link")) if text]


def main(arguments: list[str] | None = None) -> int:
    """The program; its exit status is 0 where mail leaves."""
    parser = argparse.ArgumentParser(prog="smarthost", description="How mail leaves this host, and why it does not.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser("status", help="Postfix, queue, last delivery and last failure")
    command.add_argument("--json", action="store_true", help="for programs")
    command = commands.add_parser("test", help="send a mail and follow it to the provider's reply")
    command.add_argument("to", metavar="you@example.com")
    command.add_argument("--timeout", type=float, default=TEST_SECONDS, metavar="SECONDS", help="default: %(default)s")
    command.add_argument("--json", action="store_true", help="for programs")
    commands.add_parser("login", help="try the login at the provider; sends no mail")
    commands.add_parser("watch", help="tell of an outage by the ways that are set up; run by a timer")
    commands.add_parser("retry", help="send what waited for a provider that was away; run by a timer")
    given = parser.parse_args(arguments)
    called = {"status": _status, "test": _test, "login": _login, "watch": _watch, "retry": _retry}
    try:
        return called[given.command](given)
    except (BrokenPipeError, KeyboardInterrupt):
        return 130


def _status(given: argparse.Namespace) -> int:
    found = status()
    print(json.dumps(found, indent=2) if given.json else show(found, time.time()))
    return 0 if found["healthy"] else 1


def _test(given: argparse.Namespace) -> int:
    if os.geteuid() != 0:
        print("Only root may read in the log what became of a mail. Run: sudo smarthost test …", file=sys.stderr)
        return 2
    if not given.json:
        print(f"Sending a mail to {given.to} …", flush=True)
    outcome = send_test(given.to, given.timeout)
    if given.json:
        print(json.dumps(outcome, indent=2))
    elif outcome["status"] == "sent":
        print(f"{outcome['relay']} took it: {outcome['said']}")
    else:
        print("\n".join([f"It was not sent ({outcome['status']}): {outcome['said']}", *_meaning(outcome)]))
        if "id" in outcome and outcome["status"] != "bounced":
            print("  It waits in the queue, and Postfix goes on trying; smarthost status says how that goes.")
    return 0 if outcome["status"] == "sent" else 1


def _login(_given: argparse.Namespace) -> int:
    from ansible_collections.homelab.mail.plugins.module_utils import login

    if os.geteuid() != 0:
        print("Only root may read the login. Run: sudo smarthost login", file=sys.stderr)
        return 2
    outcome, account = try_login()
    if outcome.verdict == login.ACCEPTED:
        print(f"{account['host']} accepts the login of {account['username']}.")
        return 0
    said = login.sentence(outcome, account)
    # A refusal begins with the name of a host.
    print(said if outcome.verdict == login.REFUSED else said[0].upper() + said[1:])
    return 1


def _watch(_given: argparse.Namespace) -> int:
    if os.geteuid() != 0:
        print("Only root may read whom to tell. Run: sudo smarthost watch", file=sys.stderr)
        return 2
    from ansible_collections.homelab.mail.plugins.module_utils import watch

    # Never for the others' mail to suffer from: what cannot be told is said in the log, and that is all.
    for reason in watch.watch(status(), settings(configuration.WATCH)):
        print(f"could not be told: {reason}", file=sys.stderr)
    return 0


def _retry(_given: argparse.Namespace) -> int:
    if os.geteuid() != 0:
        print("Only root may read the whole queue. Run: sudo smarthost retry", file=sys.stderr)
        return 2
    if retry():
        print("The provider can be reached again: what waited for it is being sent.")
    return 0
