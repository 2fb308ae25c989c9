"""Send a mail through a second Postfix that has the configuration to come, before the host has it.

Many values are read only by the daemon that needs them, and a bad one makes it die over and over
while mail waits; others let it vanish. So a master daemon of our own runs for a moment, with its own
queue and without a network port, and takes one mail as far as the TLS handshake with a relay that is
this program, and whole to another one without TLS. If that is wanted, the mail has one recipient more,
who is sent to the real relay and gets as far as the login (`route`). It is told no password. Runs on
the managed host.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._change import (
    alternatives,
    master,
    peers,
    route,
    second_postfix,
)
from ansible_collections.homelab.mail.plugins.module_utils._change.second_postfix import SECONDS, Folder

PREFIX = "postfix-check-"
# Short, because names of sockets may not be long, and gone with the next boot.
RUN = "/run" if os.path.isdir("/run") else "/var/run"
RECIPIENT = "check@example.com"
# Whose mail logs in and arrives: outside TLS, because the relay here has no certificate, but by what holds inside.
WHOLE = "check@example.org"

# So that the mail takes this way, whatever ways the configuration has for others. Its maps for the way of a mail stay,
# behind ours, because one that is not there keeps all mail waiting.
_OWN = {
    "process_id_directory": "pid",
    "content_filter": "",
    "defer_transports": "",
    "syslog_name": "postfix-check",
    "maillog_file": "/dev/stdout",
    "soft_bounce": "yes",
    "default_destination_rate_delay": "0s",
}
# The users that Postfix runs as, and where its programs are, may be this host's own.
_SYSTEM = ("mail_owner", "setgid_group", "daemon_directory")
# These follow from another complaint, or from the lines that were added here.
_ECHOES = re.compile(
    r"overriding earlier|bad command startup|exit status|killed by signal|malformed response|problem talking"
    r"|unused parameter|is unavailable|lookup error|deprecated|NON_BERKELEYDB|AUTH mechanism|server role is disabled"
)
# What becomes of a mail that Postfix was told not to send. Over SMTP it may refuse one: that is seen by who sends it.
_ASIDE = re.compile(r": ((?:discard|hold|redirect): .*|reject: (?:\S+-)?(?:header|body) .*)")
# Transports by which no mail gets to an address on the internet.
_KEEPING = ("discard", "error", "local", "retry", "virtual")


class Rehearsed(NamedTuple):
    """What came of it."""

    #: What Postfix complains of, in its words; nothing where a mail gets out.
    complaints: list[str]
    #: What keeps it from the login at the real relay of each account; empty where nothing does, None where that did not
    #: come to an end.
    obstacles: Mapping[str, str | None] = {}


class Trial(NamedTuple):
    """A configuration to be tried."""

    main_cf: str
    #: These two as for the module `smarthost_configuration`.
    tables: Mapping[str, str]
    compiled: Mapping[str, str]
    #: Where Postfix has its configuration now.
    directory: str
    #: The folder of postconf and sendmail.
    programs: str
    #: The level of TLS that the real relay of each account is to be reached with; none if there is to be
    #: no connection.
    levels: Mapping[str, str] = {}
    #: Who gets root's mail, and whose way no parameter may lead nowhere.
    recipients: Sequence[str] = ()


def rehearse(trial: Trial) -> Rehearsed:
    """Send a mail with this configuration.

    Raises CannotRehearse where Postfix' own defaults do not get a mail out that way either.
    """
    try:
        found = _attempt(trial)
        if found.complaints and not found.complaints[0].startswith((_UNKNOWN_USER, NOT_OURS)):
            values = configuration.parse_main_cf(trial.main_cf)
            system = "".join(f"{name} = {values[name]}\n" for name in _SYSTEM if name in values)
            level = values.get("compatibility_level", "2")
            # Without the host's aliases, which nothing may have compiled.
            plain = f"compatibility_level = {level}\nalias_maps =\n{system}"
            control = _attempt(trial._replace(main_cf=plain, tables={}, compiled={}, levels={}, recipients=()))
            if set(found.complaints) <= set(control.complaints):
                raise CannotRehearse("; ".join(control.complaints))
    except (OSError, subprocess.SubprocessError) as error:
        # No room below /run, or a program that does not come to its end.
        raise CannotRehearse(str(error)) from error
    return found


class CannotRehearse(Exception):
    """Something on this host keeps a second Postfix from running, whatever the configuration says."""


def sweep() -> None:
    """Remove what a rehearsal left that was killed, as a reboot does. Its daemon ends by itself."""
    for path in glob.glob(os.path.join(RUN, PREFIX + "*")):
        shutil.rmtree(path, ignore_errors=True)


def _attempt(trial: Trial) -> Rehearsed:
    base = tempfile.mkdtemp(prefix=PREFIX, dir=RUN)
    try:
        folder = Folder(base, trial.programs)
        folder.main_cf = trial.main_cf.replace(configuration.PLACEHOLDER, folder.tables)
        folder.put("main.cf", folder.main_cf)
        for name in ("dynamicmaps.cf", "dynamicmaps.cf.d"):
            if os.path.exists(os.path.join(trial.directory, name)):
                os.symlink(os.path.join(trial.directory, name), os.path.join(folder.configuration, name))
        folder.put_tables(trial.tables, trial.compiled)
        return _send(folder, trial)
    finally:
        shutil.rmtree(base, ignore_errors=True)


_ASKED = (
    *_SYSTEM, "smtp_tls_wrappermode", "inet_protocols", "default_transport", "relayhost", "smtp_sasl_mechanism_filter",
    "queue_directory", "myorigin",
)  # fmt: skip
_LOGS_IN = "smtp_sasl_auth_enable"
_UNKNOWN_USER = "mail_owner or setgid_group: "
# What is said where the sendmail of this host is another mailer's.
NOT_OURS = "what programs hand in by sendmail does not get to Postfix"


class _Delivered(NamedTuple):
    """What came of a mail."""

    #: What Postfix logged, what sendmail said, and what smtpd answered where that is a fault.
    lines: list[str]
    said: list[str]
    answer: str
    #: How the mails were handed in that did not arrive as they were.
    lost: list[str]
    #: Who would get no mail, and by which transport.
    kept: dict[str, str]


def _send(folder: Folder, trial: Trial) -> Rehearsed:
    """Send a mail as far as it gets."""
    asked = folder.run("postconf", "-x", "-h", *_ASKED)
    values = asked.stdout.splitlines()
    if len(values) < len(_ASKED):
        complaints = _complaints(asked.stderr.splitlines(), "fatal|error|warning")
        return Rehearsed(complaints or ["postconf cannot read it"])
    owner, group, daemons, wrapped, protocols, transport, relayhost, mechanisms, live, origin = map(str.strip, values)
    try:
        folder.open(owner, group)
    except KeyError as error:
        return Rehearsed([_UNKNOWN_USER + str(error.args[0])])
    tried = _ways(folder, trial, transport, relayhost)
    ways = {route.recipient(account): way for account, way in tried.items()}
    if ways:
        route.copy_chroot(live, folder.queue)
    family, address = (socket.AF_INET6, "::1") if protocols == "ipv6" else (socket.AF_INET, "127.0.0.1")
    with ExitStack() as opened:
        log = opened.enter_context(peers.serving(peers.Log(folder.log)))
        relays = {
            RECIPIENT: opened.enter_context(peers.serving(peers.Relay(family, address, wrapped=wrapped == "yes"))),
            WHOLE: opened.enter_context(peers.serving(peers.Relay(family, address, takes=True))),
        }
        ways[RECIPIENT] = f"smtp:[{address}]:{relays[RECIPIENT].port}"
        ways[WHOLE] = f"whole:[{address}]:{relays[WHOLE].port}"
        folder.put("main.cf", _on_its_way(folder, ways))
        done = _deliver(folder, daemons, log, ways, relays, dict.fromkeys(trial.recipients, f"root@{origin}"))
        stuck = [recipient for recipient, relay in relays.items() if not relay.reached.is_set()]
    obstacles: dict[str, str | None] = {}
    parameters = configuration.parse_main_cf(folder.main_cf)
    for account in tried:
        why = folder.reason(route.recipient(account))
        own = [line for line in done.lines if route.log_name(account) in line]
        # The filter is there for all accounts as soon as one of them logs in.
        named = configuration.parameter(account, _LOGS_IN) if account else _LOGS_IN
        allowed = mechanisms if parameters.get(named) == "yes" else ""
        obstacles[account] = route.obstacle(why, own, trial.levels[account], allowed) if why else None
    return Rehearsed(_faults(folder, done, stuck), obstacles)


def _faults(folder: Folder, done: _Delivered, stuck: list[str]) -> list[str]:
    """What keeps mail from leaving as it was handed in."""
    faults, warnings = (_complaints(done.lines + done.said, kinds) for kinds in ("fatal|panic|error", "warning"))
    aside = [found.group(1) for found in map(_ASIDE.search, done.lines) if found]
    faults += [f"of a mail it says: {words}" for words in aside[:1]]
    faults += [f"mail to {recipient} would be given to {way}" for recipient, way in done.kept.items()]
    if faults:
        return faults
    if stuck:
        reasons = warnings or [done.answer or folder.reason(one) for one in stuck]
        silent = NOT_OURS if done.lost == ["sendmail"] else "a mail does not get out, and Postfix does not say why"
        return [why or silent for why in dict.fromkeys(reasons)]
    if done.answer:
        # A refusal with nothing in the log is a rule that was meant.
        return warnings if done.lines else [done.answer]
    return [f"what is handed in by {by} does not arrive with its subject and text" for by in done.lost]


def _deliver(
    folder: Folder, daemons: str, log: peers.Log, ways: dict[str, str], relays: dict[str, peers.Relay],
    asked: dict[str, str],
) -> _Delivered:  # fmt: skip
    """Let Postfix take a mail to its relays, and ask it for the way of mail to others."""
    answer, said, handed_in, kept = "", "", ["sendmail"], {}
    with second_postfix.master(folder, daemons) as master:
        end = time.monotonic() + SECONDS

        def alive() -> bool:
            return master.poll() is None and time.monotonic() < end

        def arrived(recipient: str) -> bool:
            whole = recipient != WHOLE or len(relays[WHOLE].mails) >= len(handed_in)
            return (recipient in relays and relays[recipient].reached.is_set() and whole) or bool(
                folder.reason(recipient)
            )

        while alive() and not os.path.exists(folder.queue + "/public/smtpd"):
            time.sleep(0.01)
        if alive():
            arguments = ("-C", folder.configuration, "-i", "-f", "root", *ways)
            said = folder.run(alternatives.sendmail(), *arguments, text=_mail("sendmail")).stderr
            answer, taken = peers.hand_in(folder.queue + "/public/smtpd", WHOLE, _mail("SMTP"))
            handed_in += ["SMTP"] if taken else []
            found = {one: peers.way(folder.queue + "/private/rewrite", sender, one) for one, sender in asked.items()}
            kept = {recipient: way for recipient, way in found.items() if way in _KEEPING}
        while alive() and not _has_ended(log.lines) and not all(map(arrived, ways)):
            time.sleep(0.01)
        for relay in relays.values():
            # Postfix may have said how it ended before the relay was quick enough to know.
            relay.reached.wait(0.2)
        # What Postfix said on the way has been read when its last word has; before 3.4 it says nothing here.
        last_word = time.monotonic() + 1
        awaited = [f"to=<{recipient}>" for recipient in ways if recipient not in relays]
        while log.lines and time.monotonic() < last_word:
            said_all = " ".join(log.lines)
            # On a busy host, smtpd answers before its reason is read.
            explained = not answer or _complaints(log.lines, "fatal|error|warning")
            if explained and all(recipient in said_all for recipient in awaited):
                break
            time.sleep(0.01)
        # Before the daemons are ended, which they complain of, too.
        lost = [by for by in handed_in if not any(_is_whole(mail, by) for mail in relays[WHOLE].mails)]
        return _Delivered(list(log.lines), said.splitlines(), answer, lost, kept)


def _has_ended(lines: list[str]) -> bool:
    return bool(_complaints(lines, "fatal|panic|error")) or any(map(_ASIDE.search, list(lines)))


def _mail(by: str) -> str:
    return f"Subject: check\n\nhanded in by {by}\n"


def _is_whole(mail: str, by: str) -> bool:
    """Whether a mail has a subject and the text that it had.

    >>> _is_whole("Received: x\\r\\nSubject: [nas] check\\r\\n\\r\\nhanded in by SMTP\\r\\n", "SMTP")
    True
    """
    head, _blank, text = mail.partition("\r\n\r\n")
    return bool(re.search("^Subject:.*check", head, re.MULTILINE)) and f"handed in by {by}" in text


def _ways(folder: Folder, trial: Trial, transport: str, relayhost: str) -> dict[str, str]:
    """The way to the real relay of each account, with what it needs; none where mail does not leave by one relay."""
    if not trial.levels:
        return {}
    # Asked of the main.cf to come, because the one in place may be damaged.
    shutil.copyfile(os.path.join(trial.directory, "master.cf"), os.path.join(folder.configuration, "master.cf"))
    values, found, services = configuration.parse_main_cf(folder.main_cf), {}, second_postfix.MASTER_CF
    for account in trial.levels:
        name, _colon, nexthop = ("smtp", "", "") if account else transport.partition(":")
        line = folder.run("postconf", "-M", f"{name}/unix").stdout.strip()
        if account:
            line = master.copy_of(line, f"smarthost-{account}/unix")
            relayhost = values[configuration.parameter(account, "relayhost")]
        nexthop, service = nexthop or relayhost, route.service(line, account, folder.tables)
        # Where master.cf has none, Postfix will say so.
        if nexthop and (service or not line):
            services += f"{service}\n"
            found[account] = f"{route.SERVICE}{account}:{nexthop}"
    folder.put("master.cf", services)
    folder.put(os.path.join(folder.tables, "route_replies"), route.REPLIES)
    return found


def _on_its_way(folder: Folder, ways: dict[str, str]) -> str:
    """The main.cf of a folder with the ways of these recipients, each parameter once, or else Postfix complains."""
    values = configuration.parse_main_cf(folder.main_cf)
    own = ", ".join(f"{{ {recipient} = {way} }}" for recipient, way in ways.items())
    # Copies that are to go to others come here, too.
    values.update(
        _OWN, queue_directory=folder.queue, data_directory=folder.data, default_transport=ways.get(RECIPIENT, "smtp")
    )
    values["transport_maps"] = f"inline:{{ {own} }}, {values.get('transport_maps', '')}".rstrip(", ")
    return "".join(f"{name} = {value}\n" for name, value in values.items())


def _complaints(lines: list[str], kinds: str) -> list[str]:
    """The complaints in a log, each once, without time, process and the path of the copy.

    >>> _complaints(["Nov 21 check postfix-check/smtp[7]: fatal: bad value", "postfix-check/qmgr[8]: x"], "fatal")
    ['bad value']
    """
    found = [re.search(rf"(?:^|\s)(?:{kinds}): (.*)", line) for line in list(lines) if not _ECHOES.search(line)]
    words = [re.sub(rf"\S*/{PREFIX}\S*?/[ct]/", "", item.group(1)) for item in found if item]
    return list(dict.fromkeys(words))
