"""A configuration tried before the host has it: read by Postfix, sent with, and let in by the provider.

Changes nothing. Raises Refused with what would keep mail waiting. Runs on the managed host.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._change import (
    alternatives,
    clients,
    hiding,
    master,
    rehearsal,
    route,
)
from ansible_collections.homelab.mail.plugins.module_utils._change.errors import Refused
from ansible_collections.homelab.mail.plugins.module_utils._program import diagnosis, files, login, tokens

if TYPE_CHECKING:
    from ansible_collections.homelab.mail.plugins.module_utils._change.host import Host
    from ansible_collections.homelab.mail.plugins.module_utils._change.plan import Plan, Wanted

# Postfix's own files beside main.cf that a copy of the configuration needs to be checked.
LIVE_FILES = ("dynamicmaps.cf", "dynamicmaps.cf.d", "postfix-files", "postfix-files.d")


def run(host: Host, wanted: Wanted, plan: Plan) -> list[str]:
    """Try what the plan brings; says what was done for that, as actions."""
    obstacles: Mapping[str, str | None] = {}
    # In a dry run, packages that a run would install are not there yet.
    if host.installed and not (host.module.check_mode and wanted.installed):
        check_host(host, wanted.ca_file)
        alternatives.check(host)
        if tokens.SERVICE in plan.missing or (tokens.SERVICE in wanted.services and not plan.found.running):
            _check_port(host)
        if plan.wrong:
            clients.check(plan.clients)
            _check_configuration(host, wanted, plan)
            obstacles = _rehearse(host, wanted, plan.tries_way)
        else:
            _check_services(host, plan.main_cf, host.listed())
    done, refused = [], []
    for account in plan.tries_way if os.path.isfile(wanted.ca_file) else ():
        try:
            done += _try_provider(host, wanted, account, obstacles.get(account["id"]), account in plan.tries_login)
        except Refused as reason:
            refused.append(login.of(account) + str(reason))
    if refused:
        raise Refused(" Besides, ".join(refused))
    return done


def check_host(host: Host, ca_file: str) -> None:
    """What Postfix would find out only when the first mail waits in the queue."""
    if not os.path.isfile(ca_file):
        raise Refused(
            f"there is no CA bundle {ca_file} on this host, so no relay's certificate could be trusted. "
            "Install ca-certificates (on a Mac: brew install ca-certificates), or name the bundle of this host in "
            "smarthost_ca_file."
        )
    obstacle = host.manager.obstacle()
    if obstacle:
        raise Refused(obstacle)


def _check_port(host: Host) -> None:
    """Postfix would not run at all with a port that another program has."""
    if ("127.0.0.1", tokens.PORT) in host.sockets(host.master(), "0A"):
        return
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", tokens.PORT))
        except OSError as error:
            raise Refused(
                f"for logins by OAuth 2, Postfix needs port {tokens.PORT} of 127.0.0.1, and another program has it "
                f"({error.strerror}). Find that by ss -ltnp (on a Mac: lsof -nP -iTCP:{tokens.PORT}); end it, or give "
                "it another port. Then run the playbook again."
            ) from None


def _check_configuration(host: Host, wanted: Wanted, plan: Plan) -> None:
    """Let Postfix read a copy of the configuration."""
    # Where the next run sweeps, should this one be killed.
    with tempfile.TemporaryDirectory(prefix=rehearsal.PREFIX, dir=rehearsal.RUN) as copy:
        files.write(os.path.join(copy, "main.cf"), plan.main_cf, 0o644)
        files.write(os.path.join(copy, "master.cf"), host.master_cf, 0o644)
        for name, line in plan.missing.items():
            host.command("postconf", "-c", copy, "-M", f"{name}={line}")
        for name in LIVE_FILES:
            live = os.path.join(host.directory, name)
            if os.path.exists(live):
                os.symlink(live, os.path.join(copy, name))
        _code, _out, complained = host.command("postconf", "-c", copy, "-n")
        # Reads more of the values than -n does: addresses that this host does not have, for one.
        code, map_types, err = host.command("postconf", "-c", copy, "-m")
        listed = host.listed(copy)
    found = configuration.complaints(complained) + (configuration.complaints(err) if code != 0 else [])
    if found:
        ours = "Correct or take out what smarthost_parameters says there."
        theirs = f"Mend {host.directory}/master.cf: the role did not write that."
        remedy = theirs if any(line.startswith("master.cf") for line in found) else ours
        said = "; ".join(map(hiding.hide_logins, found))
        raise Refused(f"Postfix does not accept the configuration: {said}. {remedy}")
    _check_services(host, plan.main_cf, listed)
    # What the tables are made of must be something that this Postfix has.
    usable = [name for name in ("texthash", "hash", "lmdb", "cdb", "btree") if name in map_types.split()]
    for map_type in wanted.map_types:
        if map_type not in usable:
            raise Refused(
                f"the Postfix of this host has no {map_type} tables. "
                f"Set smarthost_map_type to one of: {', '.join(usable)}."
            )


def _check_services(host: Host, main_cf: str, listed: str) -> None:
    """Whether the host's master.cf leaves this main.cf its word."""
    broken = master.broken(listed, main_cf)
    if broken:
        raise Refused(master.refusal(broken))
    for sentence in master.advice(listed, main_cf):
        host.module.warn(sentence)


def _rehearse(host: Host, wanted: Wanted, accounts: Sequence[Mapping[str, Any]]) -> Mapping[str, str | None]:
    """Send a mail with the configuration: what only a daemon reads, it says when it runs.

    Returns what keeps Postfix from the login at the provider of each account.
    """
    # Neither the login nor whom to tell of an outage: others may read what is rehearsed with.
    programs = os.path.dirname(host.path("postconf"))
    # Who has a token goes another way.
    levels = {account["id"]: account["tls_security_level"] for account in accounts if not account.get("oauth")}
    recipients = sorted({*chain(*wanted.aliases.values())})
    trial = rehearsal.Trial(
        wanted.main_cf, wanted.tables, wanted.compiled, host.directory, programs, levels, recipients
    )
    try:
        rehearsed = rehearsal.rehearse(trial)
    except rehearsal.CannotRehearse as error:
        host.module.warn(
            f"The configuration could not be tried with a second Postfix, because none runs on this host ({error}). "
            "Whether Postfix takes it shows when it is in place."
        )
        return {}
    if rehearsed.complaints:
        said = "; ".join(rehearsed.complaints)
        known = diagnosis.explain(said)
        # Of the SASL plugins on this host; all else comes from parameters.
        sasl = f"{known.cause} {known.remedy}" if known and known.key.startswith("sasl") else ""
        remedy = sasl or "Correct or take out what smarthost_parameters says there."
        if said == rehearsal.NOT_OURS:
            there = os.path.realpath(os.path.join(programs, "sendmail"))
            remedy = f"{there} is not its own: install Postfix' package again, which brings that."
        raise Refused(f"Postfix does not send mail with this configuration: {said}. {remedy}")
    return rehearsed.obstacles


def _try_provider(
    host: Host, wanted: Wanted, account: Mapping[str, Any], obstacle: str | None, tries_login: bool
) -> list[str]:
    """Refuse what does not get to the provider, or is not let in there; says whether it logged in, as actions.

    Postfix says whether it gets there. Where it does not and this host does, that is the configuration's fault.
    """
    if not obstacle or route.is_for_now(obstacle):
        if not tries_login:
            return []
        # The provider has the last word before anything is changed.
        outcome = login.try_login(account)
        if outcome.verdict == login.ACCEPTED:
            how = "logged in at the provider" if account["username"] else "asked the relay whether it takes mail"
            return [login.of(account) + how]
    else:
        outcome = login.reach(account)
        if outcome.verdict == login.ACCEPTED:
            known = diagnosis.meaning(obstacle, account["provider"])
            meaning = f"{known.cause} {known.remedy}" if known else ""
            raise Refused(route.refusal(obstacle, meaning, account, _without_sni(host, wanted)))
    if outcome.verdict == login.REFUSED or account["required"]:
        raise Refused(login.sentence(outcome, account))
    # The provider has not said no.
    host.module.warn(login.of(account) + login.sentence(outcome, account))
    return []


def _without_sni(host: Host, wanted: Wanted) -> str:
    """What keeps the Postfix to come from naming the server that it wants, and the remedy; empty where it does."""
    if configuration.parse_main_cf(wanted.main_cf).get("smtp_tls_servername", ""):
        return ""
    if host.command("postconf", "-d", "smtp_tls_servername")[1].strip():
        return "smtp_tls_servername is empty. Take it out of smarthost_parameters."
    return (
        f"Postfix {host.compiled_in['mail_version']} cannot (3.4 and newer can). Use a provider that has one "
        "certificate, or a relay of your own."
    )
