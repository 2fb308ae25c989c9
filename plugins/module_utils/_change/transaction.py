"""The change of a host: each step notes how it is undone, and what goes wrong undoes them, the last one first.

Runs on the managed host.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._change import (
    alternatives,
    daemon,
    errors,
    installation,
    master,
    waiting,
)
from ansible_collections.homelab.mail.plugins.module_utils._change.errors import Failed, Refused
from ansible_collections.homelab.mail.plugins.module_utils._change.original import (
    Original,
    remove_services,
    remove_sockets,
    sweep,
)
from ansible_collections.homelab.mail.plugins.module_utils._program import files, retry, second_way, services, tokens

if TYPE_CHECKING:
    from ansible_collections.homelab.mail.plugins.module_utils._change.host import Host
    from ansible_collections.homelab.mail.plugins.module_utils._change.plan import Plan, Wanted


def carry_out(host: Host, wanted: Wanted, plan: Plan) -> None:
    """Bring the host to the plan, or back to what it was: Failed where Postfix may have seen the change."""
    unfinished = os.path.join(host.folder, configuration.UNFINISHED)
    changes = plan.wrong or plan.missing or plan.surplus
    with ExitStack() as undo:
        if plan.wrong and Original(host).is_due(plan):
            undo.callback(Original(host).forget)
        if plan.wrong:
            undo.callback(files.remove, os.path.join(host.folder, plan.slot))
            _write_tables(host, wanted, plan.slot)
            Original(host).keep(plan, bool(wanted.installed))
        if changes:
            undo.callback(files.remove, unfinished)
            files.write(unfinished, "", 0o600)
        if plan.wrong:
            undo.callback(files.remove, _aside(host))
            _set_aside(host)
        if changes:
            # From here on Postfix may see the change. Undone behind all that follows.
            undo.push(_runs_as_before(host, plan))
        if plan.missing or plan.surplus:
            path = os.path.join(host.directory, "master.cf")
            undo.callback(files.replace, path, host.master_cf, os.stat(path).st_mode & 0o7777)
            _add_services(host, plan.missing)
        if plan.wrong:
            undo.callback(_take_back, host)
            files.replace(host.main_cf, plan.main_cf)
        remove_services(host, plan.surplus)
        stops = bool(plan.wrong and any(plan.requeue.values()) and waiting.count(host))
        if stops:
            # Nothing may be on its way with what is looked up anew.
            daemon.stop(host)
            waiting.requeue(host, plan.slot, plan.requeue, waiting.QUEUES)
        if plan.found.mailer:
            # Before Postfix starts: it may have port 25.
            undo.callback(alternatives.give_back, host, alternatives.note(host))
            alternatives.take(host)
        if plan.runs_anew:
            daemon.take(host, plan.restart or stops)
        undo.pop_all()
    with errors.made_up_for_by_the_next_run():
        _follow_up(host, wanted, plan)


def _runs_as_before(host: Host, plan: Plan) -> Callable[[object, BaseException | None, object], None]:
    """Lets the configuration from before run again, as far as it ran, and says of what went wrong how that went."""

    def undone(_kind: object, reason: BaseException | None, _trace: object) -> None:
        now = "The configuration from before is back in place"
        if host.read(host.main_cf) != plan.before:
            now = f"The configuration from before could not be put back: see {host.main_cf}. It"
        try:
            if plan.found.running:
                # Not a reload: daemons that died of the new configuration are held back for a minute.
                daemon.take(host, restart=True)
                now += " and runs."
            else:
                host.manager.stop()
                now += "."
        except (OSError, Refused) as again:
            now += f", but does not run either: {again}"
        # A program that could not be run at all has been complained of already.
        if not isinstance(reason, SystemExit):
            raise Failed(f"{reason} {now}") from reason

    return undone


# --- the steps --------------------------------------------------------------------------------------


def _write_tables(host: Host, wanted: Wanted, slot: str) -> None:
    """All tables anew in a folder that no main.cf names."""
    folder = os.path.join(host.folder, slot)
    Original(host).bring_along()
    # A link could lead anywhere.
    if os.path.islink(host.folder) or not os.path.isdir(host.folder):
        files.remove(host.folder)
    files.remove(folder)
    for path in (host.folder, folder):
        files.own_folder(path, 0o755)
    if any(tokens.SECRET in text for text in wanted.texts.values()) and not tokens.local_secret(make=True):
        raise Refused(f"there is no user {tokens.USER} on this host that could log in by OAuth 2.")
    for name, text in wanted.texts.items():
        path = os.path.join(folder, name)
        owner = tokens.owner() if name == configuration.OAUTH else None
        whole = text.replace(tokens.SECRET, tokens.local_secret())
        files.write(path, whole, configuration.mode_of(name), owner or files.ROOT)
    for name, map_type in wanted.compiled.items():
        code, _out, err = host.command("postmap", f"{map_type}:{os.path.join(folder, name)}")
        if code != 0:
            raise Refused(f"postmap cannot compile the table {name}: {err.strip()}")
    files.sync(folder)
    files.sync(host.folder)


def _aside(host: Host) -> str:
    return os.path.join(host.directory, ".main.cf-before")


def _set_aside(host: Host) -> None:
    """Keep the main.cf in use at hand: taking it back needs no space on the disk."""
    files.remove(_aside(host))
    # A link may lead nowhere.
    if os.path.isfile(host.main_cf) or os.path.islink(host.main_cf):
        os.link(host.main_cf, _aside(host), follow_symlinks=False)


def _take_back(host: Host) -> None:
    """The main.cf that was set aside is the one in use again; none where there was none."""
    if os.path.lexists(_aside(host)):
        os.replace(_aside(host), host.main_cf)
        # Where both are names of one file, because main.cf was not replaced yet, a rename does nothing.
        files.remove(_aside(host))
    else:
        files.remove(host.main_cf)
    files.sync(host.directory)


def _add_services(host: Host, missing: Mapping[str, str]) -> None:
    """Let master.cf have them; each is harmless as long as no main.cf makes use of it."""
    if missing:
        # Before they are there: what is not will not be missed when it is taken away.
        Original(host).add_services(missing)
    for name, line in missing.items():
        code, _out, err = host.command("postconf", "-M", f"{name}={line}")
        if code != 0:
            raise Refused(f"the service {name} cannot be added to master.cf: {err.strip()}")


# --- when Postfix goes by it --------------------------------------------------------------------------


def _follow_up(host: Host, wanted: Wanted, plan: Plan) -> None:
    """What the change is for, and what belongs to it."""
    if plan.wrong and any(plan.requeue.values()):
        # What a daemon that still went by the old configuration has queued meanwhile.
        waiting.requeue(host, plan.slot, plan.requeue)
        waiting.wake(host)
    if plan.new_login or plan.missing:
        # What the old login kept waiting need not wait any longer, nor what had no way.
        waiting.send(host)
    before, now = (configuration.parse_main_cf(text).get("relayhost") for text in (plan.before, plan.main_cf))
    if before != now:
        # It was another server that could not be reached.
        files.remove(second_way.STATE)
    if plan.wrong:
        # The password from before must not stay on the disk.
        Original(host).move_secrets_away()
        _tidy(host, plan.slot)
    remove_sockets(host, plan.surplus)
    _forget(wanted)
    files.remove(os.path.join(host.folder, configuration.UNFINISHED))
    installation.put(plan.found.outdated)
    if not plan.found.enabled:
        try:
            host.manager.enable()
        except services.ServiceError as error:
            raise Failed(f"Postfix runs with the new configuration, but will not after a reboot: {error}") from error
    installation.end(host.manager, plan.found.end)
    files.remove(plan.stale_metrics)
    try:
        for job in plan.found.begin:
            host.manager.begin_schedule(job)
    except services.ServiceError as error:
        raise Failed(
            f"Postfix runs with the new configuration, but the timers that look after it do not: {error}"
        ) from error


def _forget(wanted: Wanted) -> None:
    """Keep nothing of accounts that are no more: no token, and not what their mail was told."""
    by_token = json.loads(wanted.texts.get(configuration.OAUTH, "{}"))
    if by_token:
        tokens.forget_others(by_token.values())
    else:
        files.remove(tokens.FOLDER)
    ids = (master.account(name) for name in wanted.services)
    for path in {*glob.glob(retry.state("*"))} - {*map(retry.state, filter(None, ids))}:
        files.remove(path)


def _tidy(host: Host, slot: str) -> None:
    """Leave nothing in the folder but the tables in use and what was there before the role."""
    sweep(host)
    Original(host).close()
    # What says that a run is unfinished is the last of them.
    for name in host.names(host.folder):
        if name not in (slot, os.path.basename(host.original)):
            files.remove(os.path.join(host.folder, name))
