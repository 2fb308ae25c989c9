"""What a run is to change on a host, and what it says of that. Runs on the managed host.

`make` judges from nothing but its arguments, and `report` puts the plan into words; `look` asks the host. None of them
changes anything.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._change import (
    aliases,
    clients,
    hiding,
    installation,
    mailserver,
    master,
)
from ansible_collections.homelab.mail.plugins.module_utils._change.errors import Refused
from ansible_collections.homelab.mail.plugins.module_utils._change.host import Found, Host
from ansible_collections.homelab.mail.plugins.module_utils._program import services


@dataclass(frozen=True)
class Wanted:
    """What the task asks for: the module's options of these names."""

    main_cf: str
    tables: Mapping[str, str]
    sasl_passwd: str
    ca_file: str
    watch: str = ""
    #: The tables of logins of further accounts, by name.
    passwords: Mapping[str, str] = field(default_factory=dict)
    compiled: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, str] = field(default_factory=dict)
    map_types: Sequence[str] = ()
    logins: Sequence[Mapping[str, Any]] = ()
    login_accepted: bool = False
    take_over: bool = False
    own_names: Sequence[str] = ()
    aliases: Mapping[str, list[str]] = field(default_factory=dict)
    installed: Mapping[str, str] = field(default_factory=dict)

    @property
    def texts(self) -> dict[str, str]:
        """Name -> text of all tables, those with secrets too."""
        return configuration.texts(self.tables, self.sasl_passwd, self.watch, self.passwords)


def wanted(parameters: Mapping[str, Any]) -> Wanted:
    """The same of all options of the module; a password comes once, in its table."""
    want = Wanted(**{option.name: parameters[option.name] for option in fields(Wanted)})
    texts = want.texts
    logins = [
        {**login, "password": configuration.password(texts[f"{configuration.LOGINS}-{login['id']}".rstrip("-")])}
        for login in want.logins
    ]
    return replace(want, logins=logins)


@dataclass(frozen=True)
class Seen:
    """What a plan goes by."""

    directory: str
    main_cf: str
    #: Paths that are not as they should be, and the tables in use by name.
    wrong: Sequence[str]
    texts: Mapping[str, str]
    #: Those of master.cf that are as they should be.
    services: Iterable[str]
    found: Found
    #: Of what is wrong and outdated, what is not there at all.
    lacking: Collection[str] = ()
    #: Those there that are further accounts', and the line of the one that they are copies of.
    copies: Iterable[str] = ()
    smtp: str = ""
    #: No one wrote this main.cf by hand: the role has installed Postfix, in this run or in one that was refused.
    fresh: bool = False
    #: Whether this main.cf is the role's, so that what was there before is kept already.
    kept: bool = False
    stale_chroot: bool = False
    #: What says that this host cannot start Postfix at boot, and whether something can run now and then.
    note: str = ""
    timers: bool = True
    #: The firewall that is active, where new clients are to come through it.
    firewall: str = ""
    #: Who gets the mail of local users; None where the role decides on it already.
    recipients: aliases.Before | None = None
    #: What says that this is a real mail server.
    signs: Sequence[str] = ()


@dataclass(frozen=True)
class Plan:
    """What is to be changed."""

    #: What stands in main.cf before and after, and the folder of tables that the second one names.
    before: str
    main_cf: str
    slot: str
    wrong: Sequence[str]
    #: As they were seen.
    fresh: bool
    kept: bool
    found: Found
    restart: bool
    #: Whether mail logs in otherwise than before, or through another account.
    new_login: bool
    #: The accounts to whose provider the way is to be tried, and the login there.
    tries_way: Sequence[Mapping[str, Any]]
    tries_login: Sequence[Mapping[str, Any]]
    #: Services that master.cf lacks: name/type -> line; and those of accounts that are no more.
    missing: Mapping[str, str]
    surplus: Sequence[str]
    #: What of mails that wait is looked up anew, `sender` or `recipients` -> tables to come.
    requeue: Mapping[str, Sequence[str]]
    #: Parameters of the main.cf from before that will no longer be set.
    dropped: Sequence[str]
    #: A file that was written for node_exporter, and would go on telling of the day when the watch was ended.
    stale_metrics: str
    diff: Sequence[Mapping[str, str]]
    #: Whom mail goes to no longer, what does not start at boot, and what nothing looks after: sentences or empty.
    elsewhere: str
    not_at_boot: str
    untended: str
    #: Networks that are to send through this host, and what may keep the new ones out: a sentence or empty.
    clients: Sequence[str]
    shut_out: str

    @property
    def runs_anew(self) -> bool:
        """Whether Postfix has to take something."""
        return bool(self.wrong or self.missing or self.surplus or self.found.postfix())


class Report(NamedTuple):
    """What a plan comes to, for people."""

    actions: list[str]
    diff: list[Mapping[str, str]]
    warnings: list[str]


def report(plan: Plan, tried: Iterable[str] = ()) -> Report:
    """The plan in words, behind what was done to try it."""
    actions = [*tried, *(["configured Postfix"] if plan.wrong else []), *plan.found.actions()]
    if plan.missing:
        actions.append(f"added {', '.join(plan.missing)} to master.cf")
    if plan.surplus:
        actions.append(f"took {', '.join(plan.surplus)} out of master.cf")
    if plan.runs_anew:
        how = ["restarted Postfix" if plan.restart else "reloaded Postfix"]
        actions += plan.found.postfix() or how
    warnings = [plan.not_at_boot, plan.untended, plan.shut_out]
    if plan.found.mailer:
        warnings.append(
            f"Postfix takes the place of {plan.found.mailer} as what programs send with. That stays installed and runs "
            "no longer; smarthost_state: absent gives it back."
        )
    if plan.dropped:
        warnings.append(
            f"Taking over the Postfix of this host{'' if plan.found.running else ', which does not run until now'}: "
            f"{', '.join(plan.dropped)} will no longer be set. "
            "What you need of it goes into smarthost_parameters; smarthost_state: absent gives all of it back."
        )
    return Report(actions, list(plan.diff), [sentence for sentence in warnings if sentence])


def make(want: Wanted, seen: Seen) -> Plan:
    """What a host that was seen so needs; raises Refused where it must not be changed."""
    old = configuration.slot_in_use(seen.main_cf, seen.directory)
    new = configuration.other_slot(old)
    main_cf = configuration.with_slot(want.main_cf, seen.directory, new)
    # The same with the folder in use, in which its tables do not differ.
    in_place = configuration.with_slot(want.main_cf, seen.directory, old or configuration.SLOTS[0])
    surplus = [name for name in seen.copies if name not in want.services]
    new_logins = [
        account
        for account in ("", *(master.account(name) for name, line in want.services.items() if not line))
        if seen.wrong and _logs_in_otherwise(want, seen, in_place, account)
    ]
    parsed = configuration.parse_main_cf
    new_way = bool(seen.wrong) and parsed(seen.main_cf) != parsed(in_place)
    taking_over = bool(seen.main_cf) and not seen.kept and not seen.fresh
    metrics = services.textfile(seen.texts.get(configuration.WATCH, ""))
    found = seen.found
    missing = {
        name: line or master.copy_of(seen.smtp, name)
        for name, line in want.services.items()
        if name not in seen.services
    }
    # Under Debian 13's unit, Postfix can end no process: a reload would wait for those of a service that is gone.
    restart = configuration.needs_restart(seen.main_cf, main_cf) or bool(surplus or found.postfix())
    unfinished = os.path.join(seen.directory, configuration.FOLDER, configuration.UNFINISHED)
    return Plan(
        before=seen.main_cf,
        main_cf=main_cf,
        slot=new,
        wrong=seen.wrong,
        fresh=seen.fresh,
        kept=seen.kept,
        found=found,
        restart=restart or unfinished in seen.wrong or (bool(seen.wrong) and seen.stale_chroot),
        # What waits for an account that is no more, or no longer its sender's, leaves through another one.
        new_login=bool(new_logins or surplus)
        or seen.texts.get(configuration.RELAY, "") != want.texts.get(configuration.RELAY, ""),
        tries_way=[login for login in want.logins if new_way or login["id"] in new_logins],
        tries_login=[login for login in want.logins if login["id"] in new_logins and not want.login_accepted],
        missing=missing,
        surplus=surplus,
        # If a run was killed, its tables may be in use without a look at what waits.
        requeue=_anew(want, seen, None if unfinished in seen.wrong else old),
        dropped=_dropped(want, seen) if taking_over else [],
        stale_metrics="" if metrics == services.textfile(want.watch) else metrics,
        diff=[
            *_diff(want, seen, in_place, old),
            *(_texts(f"{seen.directory}/master.cf", "", f"{line}\n") for line in missing.values()),
            *(_texts(f"{seen.directory}/master.cf", f"{name}\n", "") for name in surplus),
        ],
        elsewhere=_elsewhere(want, seen),
        not_at_boot=seen.note if not found.running else "",
        untended=_UNTENDED if (seen.wrong or not found.running) and not seen.timers else "",
        clients=configuration.clients(parsed(main_cf)),
        shut_out=clients.shut_out(seen.firewall, _new_clients(want, seen.main_cf)),
    )


def _new_clients(want: Wanted, before: str) -> list[str]:
    """The networks that could not send through this host yet."""
    old, new = map(configuration.parse_main_cf, (before, want.main_cf))
    there = configuration.clients(old) if old.get("inet_interfaces") == new.get("inet_interfaces") else []
    return [network for network in configuration.clients(new) if network not in there]


_UNTENDED = (
    "There is no timer and no /etc/cron.d on this host, so mail that waits for a provider that was away leaves "
    f"up to 67 minutes after it is back. Let something run every minute: {services.LAUNCHER} retry"
)


def _logs_in_otherwise(want: Wanted, seen: Seen, in_place: str, account: str) -> bool:
    """Whether what is to come logs in to an account otherwise than what is there."""
    names = [*(f"{name}-{account}".rstrip("-") for name in configuration.LOGIN_TABLES), configuration.OAUTH]
    return configuration.changes_login(seen.main_cf, in_place, account) or any(
        seen.texts.get(name, "") != want.texts.get(name, "") for name in names
    )


def _anew(want: Wanted, seen: Seen, old: str | None) -> dict[str, list[str]]:
    """What of the mails that wait is looked up anew."""
    texts = want.texts
    new = [name for name in texts if not old or seen.texts.get(name, "") != texts[name]]
    # Mail from before the role, or for a hub that knew who gets it, may be for users of this host. What has a recipient
    # elsewhere by now is not in this table.
    recipients = [name for name in (configuration.RECIPIENTS,) if name in new]
    return {"sender": [name for name in configuration.SENDER_TABLES if name in new], "recipients": recipients}


def _dropped(want: Wanted, seen: Seen) -> list[str]:
    """What taking a host over drops; refused where mail is received there for others."""
    if seen.signs and not want.take_over:
        raise Refused(mailserver.refusal(seen.signs))
    new = configuration.parse_main_cf(want.main_cf)
    return [name for name in configuration.parse_main_cf(seen.main_cf) if name not in new]


def _elsewhere(want: Wanted, seen: Seen) -> str:
    """Users whose mail goes elsewhere from now on; empty where there are none."""
    said = aliases.changes(seen.recipients, want.aliases) if seen.recipients else []
    return f"Taking over {want.own_names[0] if want.own_names else 'this host'}: {' '.join(said)}" if said else ""


def _diff(want: Wanted, seen: Seen, in_place: str, old: str | None) -> list[dict[str, str]]:
    """What a person sees of the change: texts, then modes. That the folder a becomes b is not shown."""
    shown = []
    if seen.wrong and seen.main_cf != in_place:
        shown.append(_texts(f"{seen.directory}/main.cf", *map(hiding.hide_logins, (seen.main_cf, in_place))))
    for name, text in want.texts.items():
        before = seen.texts.get(name, "")
        if before != text and name != configuration.SECOND_WAY:
            pair = (before, text)
            if name.startswith(configuration.LOGINS):
                pair = hiding.hide_passwords(before, text)
            elif name in (configuration.WATCH, configuration.OAUTH):
                what = "addresses" if name == configuration.WATCH else "settings"
                pair = (f"({what} that are not shown)\n" if before else "", f"(other {what} that are not shown)\n")
            folder = f"{seen.directory}/{configuration.FOLDER}/{old or configuration.SLOTS[0]}"
            shown.append(_texts(f"{folder}/{name}", *pair))
    said = {item["after_header"] for item in shown}
    # The program is no text that people would read here.
    others = [path for path in seen.wrong if path not in said] + sorted(seen.found.outdated)
    if others:
        before = "".join(f"{path}: not as it should be\n" for path in others if path not in seen.lacking)
        after = "".join(f"{path}: {'created' if path in seen.lacking else 'as it should be'}\n" for path in others)
        shown.append(_texts("mode, owner, compiled table or program", before, after))
    return shown


def _texts(header: str, before: str, after: str) -> dict[str, str]:
    return {"before_header": header, "after_header": header, "before": before, "after": after}


# --- the host ---------------------------------------------------------------------------------------


def look(host: Host, want: Wanted) -> Seen:
    """What a plan for this host goes by."""
    main_cf, master_cf, slot = host.read(host.main_cf), host.master_cf, host.slot()
    wrong = _differences(host, want, slot or configuration.other_slot(slot))
    names = {*want.texts, configuration.WATCH, configuration.OAUTH} if slot else set()
    fresh = "postfix" in want.installed or configuration.serves_nobody(main_cf)
    asks_postfix = host.installed and bool(main_cf) and not fresh
    own_names = list(want.own_names)
    recipients = None if slot else aliases.look(host, own_names, asks_postfix)
    found = host.look(want.main_cf, installation.files())
    return Seen(
        directory=host.directory,
        main_cf=main_cf,
        wrong=wrong,
        lacking={path for path in (*wrong, *found.outdated) if not os.path.lexists(path)},
        texts={name: host.read_login(host.table(slot, name)) for name in names},
        services=master.names(master_cf) if host.installed else (),
        copies=master.copies(master_cf),
        smtp=master.lines(master_cf).get("smtp/unix", ""),
        found=found,
        fresh=fresh,
        # Not by the record: it may be from a first run that failed, and the host a mail server by now.
        kept=slot is not None,
        stale_chroot=bool(wrong) and host.has_stale_chroot(),
        note=host.manager.note,
        timers=any(host.jobs(want.main_cf).values()),
        firewall=clients.firewall(host) if _new_clients(want, main_cf) else "",
        recipients=recipients,
        signs=mailserver.look(host, own_names, recipients) if recipients and asks_postfix else (),
    )


def _differences(host: Host, want: Wanted, slot: str) -> list[str]:
    """The paths that are not as they should be, with the tables in this folder."""
    key = secrets.token_hex()
    should_be = configuration.expected(host.directory, slot, want.main_cf, want.texts, want.compiled, key)
    return configuration.differences(host.seals(key), should_be, host.directory)
