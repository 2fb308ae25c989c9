"""The smart host's configuration on a host: checked, swapped in one step, running, or put back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: smarthost_configuration
short_description: Put a whole Postfix configuration in place, or leave the old one
description:
  - Compares main.cf and its lookup tables, their modes and owners included, with what they should be.
  - >-
    A change is written beside the tables in use and checked with Postfix's own tools on a copy of the configuration.
    Then one rename, that of main.cf, puts it in place, and Postfix is reloaded, or restarted where a parameter needs
    that. If Postfix does not answer afterwards, the old configuration is put back and the task fails.
  - >-
    With O(login), Postfix itself tries the way to the provider before main.cf changes, as far as the login, and where
    the change touches the login, that is tried next; a refusal ends the task with the host as it was. What waits in the
    queue is sent as soon as a new login is in place.
  - A Postfix that does not run is started, also where nothing was changed.
  - The first main.cf that the role finds is kept in C(smarthost/original).
author: [The homelab.mail authors]
options:
  config_directory:
    description: Where main.cf lies.
    type: path
    default: /etc/postfix
  state:
    description:
      - V(present) puts the configuration in place.
      - >-
        V(absent) gives back what was found on the first run: main.cf, its password tables, and whether Postfix ran and
        was enabled. Refused while mail waits in the queue, because the configuration from before may not be able to
        send it.
    type: str
    choices: [present, absent]
    default: present
  abandon_queue:
    description: With O(state=absent), go on although mail waits. It stays in the queue.
    type: bool
    default: false
  installed:
    description: >-
      What packages were installed for just now (C(postfix), C(sasl), C(ca)). Kept, so that O(state=absent) can name it.
    type: list
    elements: str
    default: []
  take_over:
    description: Also replace the configuration of a real mail server, which has domains or clients of its own.
    type: bool
    default: false
  own_names:
    description: Names of this host, mail for which does not make it a mail server.
    type: list
    elements: str
    default: []
  aliases:
    description: Local user -> addresses that get this user's mail. Whom it goes to until now is named on the first run.
    type: dict
    default: {}
  main_cf:
    description: Text of main.cf, with C(@slot@) for the slot of the tables. For O(state=present).
    type: str
  tables:
    description: Name -> text of each lookup table without secrets. Files of mode 0644.
    type: dict
    default: {}
  sasl_passwd:
    description: Text of the password table. A file of mode 0600 that belongs to root. For O(state=present).
    type: str
  compiled:
    description: >-
      Name of each table that C(postmap) compiles (C(hash), C(lmdb), …) -> map type. A table that Postfix reads as
      text is not named here.
    type: dict
    default: {}
  services:
    description: >-
      Services that master.cf must have, C(name/type) -> line. One that is there stays as it is; V(absent) takes away
      again what was added.
    type: dict
    default: {}
  map_types:
    description: Map types that this host's Postfix must have.
    type: list
    elements: str
    default: []
  ca_file:
    description: >-
      CA bundle that must be there, because without it no relay is trusted and no mail leaves. For O(state=present).
    type: path
  login:
    description:
      - The login that the configuration stands for, tried before anything is changed where it changes.
      - The keys are those of M(homelab.mail.smarthost_login). Without it no login is tried.
    type: dict
  login_accepted:
    description: O(login) was tried a moment ago. Only the way to the provider is tried, because providers count logins.
    type: bool
    default: false
  watch:
    description: >-
      Text of the settings of C(smarthost watch), empty where nobody is to be told of an outage. A file of mode 0600,
      because who knows the addresses in it can write there.
    type: str
    default: ""
  watch_minutes:
    description: Minutes between two runs of C(smarthost watch), 0 where nobody is to be told of an outage.
    type: int
    default: 0
  service_manager:
    description:
      - What starts Postfix at boot, as the fact C(ansible_service_mgr) has it.
      - >-
        V(systemd), V(openrc), or V(launchd), where a LaunchDaemon is written. With anything else Postfix is started
        by C(postfix start), with a warning that nothing starts it again after a reboot.
    type: str
    default: systemd
  seen:
    description:
      - >-
        What M(homelab.mail.smarthost_info) saw of the host a moment ago. Where that is just what the other options say,
        the host is not called again. For O(state=present).
    type: dict
  key:
    description: What RV(homelab.mail.smarthost_info#module:seen) was sealed with. Needed with O(seen).
    type: str
"""

EXAMPLES = r"""
- name: Configure Postfix
  homelab.mail.smarthost_configuration:
    main_cf: "{{ lookup('ansible.builtin.template', 'main.cf.j2') }}"
    tables:
      canonical: "{{ lookup('ansible.builtin.template', 'canonical.j2') }}"
    sasl_passwd: "{{ lookup('ansible.builtin.template', 'sasl_passwd.j2') }}"
    ca_file: /etc/ssl/certs/ca-certificates.crt
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be, in order.
  returned: always
  type: list
  elements: str
  sample: [configured Postfix, reloaded Postfix]
dropped:
  description: Parameters of the main.cf from before the first run that the new one does not have.
  returned: O(state=present)
  type: list
  elements: str
installed:
  description: What the role had installed packages for, V(postfix) among it if Postfix may go again.
  returned: with O(state=absent)
  type: list
  elements: str
"""

import contextlib
import fcntl
import glob
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._change import aliases, host, installation, rehearsal, route
from ansible_collections.homelab.mail.plugins.module_utils._program import diagnosis, login, services, watch

# How long a daemon may take to answer, and how long to be there at all.
GREETING_SECONDS = 15
STARTING_SECONDS = 3
QUIET_SECONDS = 5
# Postfix's own files beside main.cf that a copy of the configuration needs to be checked.
LIVE_FILES = ("master.cf", "dynamicmaps.cf", "dynamicmaps.cf.d", "postfix-files", "postfix-files.d")


class Refused(Exception):
    """Why the configuration cannot be put in place; the host is as it was."""


class Failed(Exception):
    """What went wrong after the host was changed, and how it is now."""


class Postfix(host.Host):
    """The Postfix of this host and the files that the role owns there, and what changes them."""

    def __init__(self, module: AnsibleModule) -> None:
        parameters = module.params
        super().__init__(
            module, parameters["config_directory"], parameters["service_manager"], parameters["watch_minutes"]
        )
        self.texts = configuration.texts(parameters["tables"], parameters["sasl_passwd"], parameters["watch"])
        self.compiled: dict[str, str] = parameters["compiled"]
        # Its main.cf is nobody's choice: the role has installed Postfix, in this run or in one that was refused.
        self.fresh = "postfix" in parameters["installed"] or configuration.serves_nobody(self.read(self.main_cf))
        # Whether Postfix goes by what this run has put there.
        self.runs_anew = False
        self.actions: list[str] = []
        self.aside = os.path.join(self.directory, ".main.cf-before")
        # There from before main.cf is replaced until Postfix has taken it: a run that finds it knows
        # that one before was killed in between, and that the daemon may still go by the old one.
        self.unfinished = os.path.join(self.folder, "unfinished")

    # --- what is there --------------------------------------------------------------------------

    def differences(self, slot: str, main_cf: str) -> list[str]:
        """The paths that are not as they should be, with the tables in this folder."""
        key = secrets.token_hex()
        wanted = configuration.expected(self.directory, slot, main_cf, self.texts, self.compiled, key)
        return configuration.differences(self.seals(key), wanted, self.directory)

    def missing_services(self) -> dict[str, str]:
        """The services that master.cf lacks."""
        there = self.services_there()
        return {name: line for name, line in self.module.params["services"].items() if name not in there}

    def add_services(self, missing: dict[str, str]) -> None:
        """Let master.cf have them; each is harmless as long as no main.cf makes use of it."""
        found = json.loads(self.read(self.found) or "{}")
        if missing and found:
            # Before they are there: what is not will not be missed when it is taken away.
            found["services"] = sorted({*found.get("services", []), *missing})
            self.keep_found(found)
        for name, line in missing.items():
            code, _out, err = self.command("postconf", "-M", f"{name}={line}")
            if code != 0:
                raise Refused(f"the service {name} cannot be added to master.cf: {err.strip()}")

    def keep_found(self, found: dict[str, Any]) -> None:
        """Write down what was found on the first run, and never half of it."""
        write(self.found + ".new", json.dumps(found), 0o600)
        os.replace(self.found + ".new", self.found)
        sync_directory(self.original)

    def remove_services(self, names: Iterable[str]) -> None:
        """Take them out of master.cf."""
        for name in names:
            self.command("postconf", "-MX", name, check=False)

    def end_jobs(self, jobs: list[services.Job]) -> None:
        """Nobody looks any more."""
        for job in jobs:
            self.manager.end_schedule(job)
            for path in self.manager.schedule(job):
                if os.path.lexists(path):
                    os.unlink(path)

    def metrics(self) -> str:
        """The file that the watch in place writes for node_exporter; empty where there is none."""
        return metrics_of(self.read(self.table(self.slot(), configuration.WATCH)))

    # --- the change -----------------------------------------------------------------------------

    def check_host(self) -> None:
        """What Postfix would find out only when the first mail waits in the queue."""
        ca_file = self.module.params["ca_file"]
        if not os.path.isfile(ca_file):
            raise Refused(
                f"there is no CA bundle {ca_file} on this host, so no relay's certificate could be trusted. "
                "Install ca-certificates (on a Mac: brew install ca-certificates), or name the bundle of this host in "
                "smarthost_ca_file."
            )
        obstacle = self.manager.obstacle()
        if obstacle:
            raise Refused(obstacle)

    def changes_login(self, old: str | None, before: str, rendered: str) -> bool:
        """Whether what is to come logs in otherwise than what is there."""
        in_place = configuration.with_slot(rendered, self.directory, old or "a")
        return configuration.changes_login(before, in_place) or any(
            self.read(self.table(old, name)) != self.texts[name] for name in configuration.LOGIN_TABLES
        )

    def changes_way(self, old: str | None, before: str, rendered: str) -> bool:
        """Whether mail may leave otherwise than by what is there: by another main.cf."""
        in_place = configuration.with_slot(rendered, self.directory, old or "a")
        return configuration.parse_main_cf(before) != configuration.parse_main_cf(in_place)

    def try_provider(self, obstacle: str | None, new_login: bool) -> None:
        """Refuse what does not get to the provider, or is not let in there.

        Postfix says whether it gets there. Where it does not and this host does, that is the configuration's fault.
        """
        account = self.module.params["login"]
        if not obstacle or route.is_for_now(obstacle):
            if new_login and not self.module.params["login_accepted"]:
                self.try_login()
            return
        outcome = login.reach(account)
        if outcome.verdict == login.ACCEPTED:
            known = diagnosis.explain(obstacle, account["provider"])
            meaning = f"{known.cause} {known.remedy}" if known else ""
            raise Refused(route.refusal(obstacle, meaning, account, self.without_sni()))
        self.judge(outcome)

    def without_sni(self) -> str:
        """What keeps the Postfix to come from naming the server that it wants, and the remedy; empty where it does."""
        named = configuration.parse_main_cf(self.module.params["main_cf"]).get("smtp_tls_servername", "")
        if named:
            return ""
        if self.command("postconf", "-d", "smtp_tls_servername")[1].strip():
            return "smtp_tls_servername is empty. Take it out of smarthost_parameters."
        version = self.command("postconf", "-dh", "mail_version")[1].strip()
        return (
            f"Postfix {version} cannot (3.4 and newer can). Use a provider that has one certificate, or a relay of "
            "your own."
        )

    def try_login(self) -> None:
        """The provider has the last word before anything is changed."""
        account = self.module.params["login"]
        outcome = login.try_login(account)
        if outcome.verdict == login.ACCEPTED:
            self.actions.append("logged in at the provider")
        else:
            self.judge(outcome)

    def judge(self, outcome: login.Outcome) -> None:
        """Refuse, or warn where the provider has not said no."""
        account = self.module.params["login"]
        if outcome.verdict == login.REFUSED or account["required"]:
            raise Refused(login.sentence(outcome, account))
        self.module.warn(login.sentence(outcome, account))

    def check_configuration(self, main_cf: str, slot: str, level: str) -> str | None:
        """Let Postfix read a copy of the configuration, before the host has it, and send a mail with it.

        Returns what keeps it from the login at the provider, where it is to be tried: with a `level` of TLS.
        """
        with tempfile.TemporaryDirectory(dir=self.module.tmpdir) as copy:
            write(os.path.join(copy, "main.cf"), configuration.with_slot(main_cf, self.directory, slot), 0o644)
            for name in LIVE_FILES:
                live = os.path.join(self.directory, name)
                if os.path.exists(live):
                    os.symlink(live, os.path.join(copy, name))
            _code, _out, complained = self.command("postconf", "-c", copy, "-n")
            # Reads more of the values than -n does: addresses that this host does not have, for one.
            code, map_types, err = self.command("postconf", "-c", copy, "-m")
        found = configuration.complaints(complained) + (configuration.complaints(err) if code != 0 else [])
        if found:
            raise Refused(
                "Postfix does not accept the configuration: " + "; ".join(found) + ". "
                "Correct or take out what smarthost_parameters says there."
            )
        self.check_map_types(map_types)
        # What only a daemon reads, it says when it runs.
        try:
            rehearsed = rehearsal.rehearse(
                rehearsal.Trial(
                    # Neither the login nor whom to tell of an outage: others may read what is rehearsed with.
                    main_cf,
                    self.module.params["tables"],
                    self.compiled,
                    self.directory,
                    os.path.dirname(self.path("postconf")),
                    level,
                )
            )
        except rehearsal.CannotRehearse as error:
            self.module.warn(
                f"Could not try the configuration with a Postfix of its own, because on this host none runs ({error}). "
                "Whether Postfix takes it shows when it is in place."
            )
            return None
        if rehearsed.complaints:
            said = "; ".join(rehearsed.complaints)
            known = diagnosis.explain(said)
            # Of the SASL plugins on this host; all else comes from parameters.
            sasl = f"{known.cause} {known.remedy}" if known and known.key.startswith("sasl") else ""
            remedy = sasl or "Correct or take out what smarthost_parameters says there."
            raise Refused(f"Postfix does not send mail with this configuration: {said}. {remedy}")
        return rehearsed.obstacle

    def check_map_types(self, map_types: str) -> None:
        """What the tables are made of must be something that this Postfix has."""
        usable = [name for name in ("texthash", "hash", "lmdb", "cdb", "btree") if name in map_types.split()]
        for map_type in self.module.params["map_types"]:
            if map_type not in usable:
                raise Refused(
                    f"the Postfix of this host has no {map_type} tables. "
                    f"Set smarthost_map_type to one of: {', '.join(usable)}."
                )

    def write_tables(self, slot: str) -> None:
        """All tables anew in a folder that no main.cf names."""
        folder = os.path.join(self.folder, slot)
        self.bring_original_along()
        for path in (self.folder, folder):
            # A link could lead anywhere.
            if os.path.islink(path) or (os.path.exists(path) and not os.path.isdir(path)):
                os.unlink(path)
        self.remove_tables(slot)
        os.makedirs(folder)
        for path in (self.folder, folder):
            os.chown(path, 0, 0)
            os.chmod(path, 0o755)
        for name, text in self.texts.items():
            write(os.path.join(folder, name), text, configuration.mode_of(name))
        for name, map_type in self.compiled.items():
            code, _out, err = self.command("postmap", f"{map_type}:{os.path.join(folder, name)}")
            if code != 0:
                raise Refused(f"postmap cannot compile the table {name}: {err.strip()}")
        sync_directory(folder)
        sync_directory(self.folder)

    def bring_original_along(self) -> None:
        """Where somebody has made the folder a link, what was there before the role comes back from behind it."""
        if not os.path.islink(self.folder) or not os.path.isfile(self.found):
            return
        behind = os.path.realpath(self.original)
        os.unlink(self.folder)
        os.mkdir(self.folder)
        os.mkdir(self.original, 0o700)
        for name in self.names(behind):
            write(os.path.join(self.original, name), self.read(os.path.join(behind, name)), 0o600)

    def remove_tables(self, slot: str) -> None:
        """Take a folder of tables away, which no main.cf names any more, or yet."""
        path = os.path.join(self.folder, slot)
        if os.path.islink(path) or os.path.isfile(path):
            os.unlink(path)
        elif os.path.exists(path):
            shutil.rmtree(path)

    def tidy(self, slot: str) -> None:
        """Leave nothing in the folder but the tables in use and what was there before the role."""
        for name in self.names(self.folder):
            if name not in (slot, "original"):
                self.remove_tables(name)
        for path in glob.glob(os.path.join(self.directory, ".main.cf-*")):
            os.unlink(path)
        if os.path.isdir(self.original):
            os.chmod(self.original, 0o700)
            for name in self.names(self.original):
                os.chmod(os.path.join(self.original, name), 0o600)

    def keep_original(self, text: str, running: bool) -> None:
        """Keep what was here before the role, once."""
        ours = configuration.slot_in_use(text, self.directory) is not None
        if not text or ours or os.path.exists(self.found):
            return
        # Whole or not at all: absent would trust half of it.
        new = self.original + ".new"
        for path in (self.original, new):
            shutil.rmtree(path, ignore_errors=True)
        os.makedirs(new)
        os.chmod(new, 0o700)
        found = {
            "running": running,
            "enabled": self.manager.enabled() and not self.fresh,
            "installed": self.module.params["installed"] or (["postfix"] if self.fresh else []),
            "mode": os.stat(self.main_cf).st_mode & 0o7777,
            "password_tables": [],
        }
        write(os.path.join(new, "main.cf"), text, 0o600)
        write(os.path.join(new, "found.json"), json.dumps(found), 0o600)
        os.rename(new, self.original)
        sync_directory(self.folder)

    @property
    def found(self) -> str:
        """Where the state of the first run is kept."""
        return os.path.join(self.original, "found.json")

    def move_secrets_away(self) -> None:
        """Take the password tables of the main.cf from before out of reach: only root's copy stays.

        Not earlier than the new configuration runs, because the old one would need them.
        """
        found = json.loads(self.read(self.found) or "{}")
        values = configuration.parse_main_cf(self.read(os.path.join(self.original, "main.cf")))
        maps = values.get("smtp_sasl_password_maps", "")
        for path in configuration.table_files(maps, self.directory) if found else []:
            compiled = [
                suffix for suffix in sorted({*configuration.COMPILED.values()}) if os.path.exists(path + suffix)
            ]
            files = [path] if os.path.isfile(path) else []
            files += [path + suffix for suffix in compiled]
            if not files or path.startswith(self.folder):
                continue
            if path not in [table["path"] for table in found["password_tables"]]:
                # Some people remove the text when it is compiled.
                text = self.read(path) if path in files else self.decompiled(maps, path)
                if not text:
                    # Nobody could give it back.
                    self.module.warn(f"{', '.join(files)} cannot be read and stays. Remove it: it may hold a password.")
                    continue
                kept = os.path.join(self.original, f"password_table_{len(found['password_tables'])}")
                mode = os.stat(files[0]).st_mode & 0o7777
                write(kept, text, 0o600)
                table = {"path": path, "mode": mode, "compiled": compiled, "text": path in files}
                found["password_tables"].append(table)
                self.keep_found(found)
            for file in reversed(files):
                os.unlink(file)

    def decompiled(self, maps: str, path: str) -> str:
        """The text of a table of which there is only the compiled one."""
        for spelled in configuration.expanded(maps, self.directory).replace(",", " ").split():
            if spelled == path or spelled.endswith(":" + path):
                return self.command("postmap", "-s", spelled)[1]
        return ""

    def put_secrets_back(self, found: dict[str, Any], values: dict[str, str]) -> None:
        """The password tables of the main.cf from before, compiled where they were."""
        maps = configuration.expanded(values.get("smtp_sasl_password_maps", ""), self.directory)
        for number, table in enumerate(found["password_tables"]):
            write(table["path"], self.read(os.path.join(self.original, f"password_table_{number}")), table["mode"])
            for spelled in maps.replace(",", " ").split():
                if table["compiled"] and (spelled == table["path"] or spelled.endswith(":" + table["path"])):
                    self.command("postmap", spelled)
            if not table.get("text", True):
                os.unlink(table["path"])

    def set_aside(self) -> None:
        """Keep the main.cf in use at hand: taking it back needs no space on the disk."""
        if os.path.lexists(self.aside):
            os.unlink(self.aside)
        if os.path.isfile(self.main_cf):
            os.link(self.main_cf, self.aside, follow_symlinks=False)

    def take_back(self) -> None:
        """The main.cf that was set aside is the one in use again; none where there was none."""
        if os.path.lexists(self.aside):
            os.replace(self.aside, self.main_cf)
            # Where both are names of one file, because main.cf was not replaced yet, a rename does nothing.
            if os.path.lexists(self.aside):
                os.unlink(self.aside)
        elif os.path.exists(self.main_cf):
            os.unlink(self.main_cf)
        sync_directory(self.directory)

    def replace_main_cf(self, text: str, mode: int = 0o644) -> None:
        """The one step that changes what Postfix reads."""
        handle, path = tempfile.mkstemp(prefix=".main.cf-", dir=self.directory)
        os.close(handle)
        try:
            write(path, text, mode)
            os.replace(path, self.main_cf)
        finally:
            if os.path.exists(path):
                os.unlink(path)
        sync_directory(self.directory)

    # --- mail that waits ------------------------------------------------------------------------

    def renamed(self, old: str | None) -> dict[str, list[str]]:
        """What of the mails that wait is looked up anew: sender or recipients -> tables to come."""
        senders = [
            name
            for name in configuration.SENDER_TABLES
            if name in self.texts and self.read(self.table(old, name)) != self.texts[name]
        ]
        # Mail from before the role may be for users of this host; later on, it has been given its recipients.
        return {"sender": senders, "recipients": [] if old else [configuration.RECIPIENTS]}

    def requeue(self, slot: str, renamed: dict[str, list[str]]) -> None:
        """Queue mail anew that waits with a public sender of this host: offered with that, it would be lost."""
        if not any(renamed.values()):
            return
        _code, queue, _err = self.command("postqueue", "-j")
        waiting = [mail for mail in map(json.loads, queue.splitlines()) if mail["queue_name"] == "deferred"]
        ids = set()
        for what, tables in renamed.items():
            found: dict[str, list[str]] = {}
            for mail in waiting:
                named = [mail["sender"]] if what == "sender" else [item["address"] for item in mail["recipients"]]
                for address in named:
                    found.setdefault(address, []).append(mail["queue_id"])
            if what == "sender" and tables:
                # A bounce has no sender, and what its From says may be such a name as well.
                ids.update(found.get("MAILER-DAEMON", []))
            for name in tables:
                asked = "".join(f"{address}\n" for address in found)
                _code, out, _err = self.command("postmap", "-q", "-", f"regexp:{self.table(slot, name)}", text=asked)
                for line in out.splitlines():
                    ids.update(found.get(line.split("\t")[0], []))
        if ids:
            self.command("postsuper", "-r", "-", "deferred", text="".join(f"{name}\n" for name in sorted(ids)))
            # Else it is looked for once a minute.
            self.command("postkick", "public", "pickup", "W")

    # --- the daemon -----------------------------------------------------------------------------

    def restart(self) -> None:
        """Start Postfix, anew where it runs."""
        self.await_deliveries()
        mark = self.manager.mark()
        try:
            self.manager.restart()
        except services.ServiceError as error:
            raise Refused(f"Postfix does not start. {self.last_words(mark) or error}") from error

    def has_stale_chroot(self) -> bool:
        """Whether Postfix delivers from a chroot that knows other name servers, hosts or services than the host."""
        if not self.installed or self.command("postconf", "-F", "-h", "smtp/unix/chroot")[1].strip() == "n":
            return False
        return route.is_stale(self.value("queue_directory"))

    def await_deliveries(self) -> None:
        """Let no mail be under way: a restart cuts that off, and a mail whose reply is lost is sent again.

        The queue manager pauses, so that no more set out; not for long, whatever becomes of this run.
        """
        managers = [pid for pid, name in self.daemons() if name == "qmgr"]
        if not managers:
            return
        pause = f"kill -STOP {' '.join(managers)}; sleep {QUIET_SECONDS + 2}; kill -CONT {' '.join(managers)}"
        subprocess.Popen(
            ["/bin/sh", "-c", pause],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + QUIET_SECONDS
        time.sleep(0.2)
        # A connection that is kept for the next mail is tlsproxy's.
        clients = ("smtp", "tlsproxy")
        while time.monotonic() < end and any(self.is_connected(pid) for pid, name in self.daemons() if name in clients):
            time.sleep(0.1)

    def daemons(self) -> list[tuple[str, str]]:
        """Process number and name of what the master daemon has started; nothing where /proc does not tell."""
        found = []
        master = self.read(os.path.join(self.value("queue_directory"), "pid", "master.pid")).strip()
        for path in glob.glob("/proc/[0-9]*/stat"):
            with contextlib.suppress(OSError):
                status = re.match(r"(\d+) \((.*)\) \S (\d+)", self.read(path))
                if status and status.group(3) == master:
                    found.append((status.group(1), status.group(2)))
        return found

    def is_connected(self, pid: str) -> bool:
        """Whether a process has a connection to a server."""
        connected = set()
        for table in ("tcp", "tcp6"):
            # State 01 is an established connection; the tenth field names its socket.
            rows = (line.split() for line in self.read(f"/proc/{pid}/net/{table}").splitlines())
            connected |= {f"socket:[{row[9]}]" for row in rows if row[3] == "01"}
        with contextlib.suppress(OSError):
            return any(os.readlink(path) in connected for path in glob.glob(f"/proc/{pid}/fd/*"))
        return False

    def value(self, name: str) -> str:
        """A parameter, as Postfix reads it."""
        return self.command("postconf", "-xh", name)[1].strip()

    def reload(self) -> None:
        """Let Postfix read its configuration again; mail under way goes on."""
        code, _out, err = self.command("postfix", "reload")
        if code != 0:
            raise Refused(f"Postfix does not reload: {err.strip()}")

    def wait_for_greeting(self, mark: services.Mark) -> None:
        """A daemon that is up answers on loopback; one that only seems to be does not."""
        start = time.monotonic()
        reason = ""
        while time.monotonic() < start + GREETING_SECONDS:
            for address in self.listening_addresses():
                try:
                    with socket.create_connection((address, 25), timeout=5) as connection:
                        greeting = connection.recv(512)
                        connection.sendall(b"QUIT\r\n")
                    # Another program may have the port: ask Postfix itself as well.
                    if greeting.startswith(b"220") and self.running():
                        return
                    reason = f"{address} port 25 answers {greeting[:80]!r}"
                except OSError as error:
                    reason = reason or f"{address} port 25: {error}"
            if time.monotonic() > start + STARTING_SECONDS and not self.running():
                break
            time.sleep(0.2)
        raise Refused(f"Postfix does not answer ({reason}). {self.last_words(mark)}".rstrip())

    def listening_addresses(self) -> list[str]:
        """Where this Postfix answers; loopback unless somebody gave it other addresses alone."""
        _code, out, _err = self.command("postconf", "-xh", "inet_interfaces")
        named = re.findall(r"[0-9A-Fa-f.:]*[.:][0-9A-Fa-f.:]*", out)
        everywhere = re.search(r"\b(all|loopback-only|localhost)\b", out) or not named
        return ["127.0.0.1", "::1"] if everywhere else named

    def last_words(self, mark: services.Mark) -> str:
        """What Postfix and its unit complained of since then."""
        complaints = (line for line in self.manager.log(mark) if re.search(r"fatal|error|warning", line))
        words = [re.sub(r"^(?:.*\s)?post\w+(?:/[\w/-]+)?(?:\[\d+\])?: ", "", line) for line in complaints]
        return "It said: " + " / ".join(dict.fromkeys(words)) if words else ""

    def run(self, restart: bool) -> None:
        """Make the daemon take the configuration, and see that it did."""
        mark = self.manager.mark()
        if restart:
            self.restart()
        else:
            self.reload()
        self.wait_for_greeting(mark)


def metrics_of(ways: str) -> str:
    """The file that a watch with these settings writes for node_exporter; empty where there is none."""
    # Somebody may have written anything into them.
    with contextlib.suppress(ValueError, AttributeError, TypeError, KeyError):
        return os.path.join(json.loads(ways or "{}")["textfile"], watch.TEXTFILE)
    return ""


def write(path: str, text: str, mode: int) -> None:
    """Write a file that nobody but root can read until it has its mode, down to the disk."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        os.fchown(file.fileno(), 0, 0)
        file.write(text)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    # Postfix waits for a second or two on a file so new that somebody may still be writing it. This
    # one is whole before it gets its name.
    past = time.time() - 60
    os.utime(path, (past, past))


def sync_directory(path: str) -> None:
    """Make renames and new names in a folder survive a power loss."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def alone(directory: str) -> Iterator[None]:
    """Two runs at once take turns. The lock is the folder itself, so that no file stays behind."""
    if not os.path.isdir(directory):
        yield
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def diff_of(
    postfix: Postfix, wrong: list[str], old: str | None, new: str | None, main_cf: str, outdated: Iterable[str]
) -> list[dict[str, str]]:
    """What a person sees of the change: texts, then modes. The folder's turn is not worth a line."""
    shown = []
    before = postfix.read(postfix.main_cf)
    in_place = configuration.with_slot(main_cf, postfix.directory, old or new or "a")
    if wrong and before != in_place:
        shown.append(_texts(postfix.main_cf, configuration.hide_inline_logins(before), in_place))
    for name, text in postfix.texts.items():
        path = postfix.table(old, name)
        before = postfix.read(path) if old else ""
        if before != text:
            pair = (before, text)
            if name == "sasl_passwd":
                pair = configuration.hide_passwords(before, text)
            elif name == configuration.WATCH:
                pair = ("(addresses that are not shown)\n" if before else "", "(other addresses that are not shown)\n")
            shown.append(_texts(path, *pair))
    said = {item["after_header"] for item in shown}
    # The program is no text that anybody would read here.
    others = [path for path in wrong if path not in said] + sorted(outdated)
    if others:
        header = "mode, owner, compiled table or program"
        shown.append({
            "before_header": header, "after_header": header,
            "before": "".join(f"{path}: not as it should be\n" for path in others),
            "after": "".join(f"{path}: as it should be\n" for path in others),
        })  # fmt: skip
    return shown


def _texts(path: str, before: str, after: str) -> dict[str, str]:
    return {"before_header": path, "after_header": path, "before": before, "after": after}


def apply(postfix: Postfix) -> dict[str, Any]:
    """Bring the host to the configuration; raises Refused with the host as it was."""
    module = postfix.module
    if not module.check_mode:
        rehearsal.sweep()
    rendered = module.params["main_cf"]
    before = postfix.read(postfix.main_cf)
    old = configuration.slot_in_use(before, postfix.directory)
    new = configuration.other_slot(old)
    wrong = postfix.differences(old or new, rendered)
    main_cf = configuration.with_slot(rendered, postfix.directory, new)
    taking_over = bool(before) and not os.path.exists(postfix.original) and not postfix.fresh
    dropped = check_take_over(postfix, before) if taking_over else []
    account = module.params["login"]
    new_login = bool(wrong) and postfix.changes_login(old, before, rendered)
    new_way = new_login or (bool(wrong) and postfix.changes_way(old, before, rendered))
    obstacle = None
    if old is None:
        name_who_gets_mail(postfix, before)
    if postfix.installed:
        postfix.check_host()
        if wrong:
            level = account["tls_security_level"] if account and new_way else ""
            obstacle = postfix.check_configuration(rendered, new, level)
    renamed = postfix.renamed(old)
    missing = postfix.missing_services() if postfix.installed else module.params["services"]
    found = postfix.look(rendered)
    restart = configuration.needs_restart(before, main_cf) or not found.running or postfix.unfinished in wrong
    restart = restart or (bool(wrong) and postfix.has_stale_chroot())
    if new_way and account and os.path.isfile(module.params["ca_file"]):
        postfix.try_provider(obstacle, new_login)
    if wrong:
        postfix.actions.append("configured Postfix")
    postfix.actions += found.actions()
    metrics = postfix.metrics()
    # Else node_exporter would go on telling of the day when the watch was ended.
    stale = "" if metrics == metrics_of(module.params["watch"]) else metrics
    if missing:
        postfix.actions.append(f"added {', '.join(missing)} to master.cf")
    if wrong or missing or not found.running:
        how = "started" if not found.running else "restarted" if restart else "reloaded"
        postfix.actions.append(f"{how} Postfix")
    result = {
        "changed": bool(postfix.actions),
        "actions": postfix.actions,
        "diff": diff_of(postfix, wrong, old, new, rendered, found.outdated)
        + [_texts(os.path.join(postfix.directory, "master.cf"), "", f"{line}\n") for line in missing.values()],
        "dropped": dropped,
    }
    if not found.running and postfix.manager.note:
        module.warn(postfix.manager.note)
    if (wrong or not found.running) and not postfix.job_files(rendered):
        module.warn(
            "There is no timer and no /etc/cron.d on this host, so mail that waits for a provider that was away leaves "
            f"up to 67 minutes after it is back. Let something run every minute: {services.LAUNCHER} retry"
        )
    if dropped:
        module.warn(
            f"Taking over the Postfix of this host: {', '.join(dropped)} will no longer be set. "
            "What you need of it goes into smarthost_parameters; smarthost_state: absent gives all of it back."
        )
    if module.check_mode or not result["changed"]:
        return result

    try:
        if wrong:
            postfix.write_tables(new)
            postfix.keep_original(before, found.running)
        if wrong or missing:
            write(postfix.unfinished, "", 0o600)
        if wrong:
            postfix.set_aside()
    except BaseException:
        postfix.remove_tables(new)
        raise

    try:
        postfix.add_services(missing)
        if wrong:
            postfix.replace_main_cf(main_cf)
            # Before Postfix offers it, which it may do as soon as it starts.
            postfix.requeue(new, renamed)
        if wrong or missing or not found.running:
            postfix.run(restart)
    except SystemExit:
        # A program could not be run at all, and that has been said.
        if wrong or missing:
            put_back(postfix, new if wrong else "", found.running, missing)
        raise
    except BaseException as reason:
        # Whatever it was: main.cf may name the new tables by now.
        if wrong or missing:
            raise Failed(f"{reason} {put_back(postfix, new if wrong else '', found.running, missing)}") from reason
        raise
    postfix.runs_anew = True
    if wrong:
        # What a daemon that still went by the old configuration has queued meanwhile.
        postfix.requeue(new, renamed)
    if new_login:
        # What the old login kept waiting need not wait any longer.
        postfix.command("postqueue", "-f")
    if wrong:
        # The password from before must not stay on the disk.
        postfix.move_secrets_away()
        postfix.tidy(new)
    if missing:
        postfix.remove_tables("unfinished")
    for path, (text, mode) in found.outdated.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write(path + ".new", text, mode)
        os.replace(path + ".new", path)
    if not found.enabled:
        try:
            postfix.manager.enable()
        except services.ServiceError as error:
            raise Failed(f"Postfix runs with the new configuration, but will not after a reboot: {error}") from error
    postfix.end_jobs(found.end)
    if stale and os.path.lexists(stale):
        os.unlink(stale)
    try:
        for job in found.begin:
            postfix.manager.begin_schedule(job)
    except services.ServiceError as error:
        raise Failed(f"Postfix runs with the new configuration, but nobody looks after it: {error}") from error
    return result


def check_take_over(postfix: Postfix, before: str) -> list[str]:
    """What taking a host over drops; refused where mail is received there for others."""
    values = configuration.parse_main_cf(before)
    reasons = configuration.signs_of_a_mail_server(values, postfix.module.params["own_names"])
    if reasons and not postfix.module.params["take_over"]:
        raise Refused(
            f"this host is a mail server: {'; '.join(reasons)}. As a smart host it would receive mail for nobody. "
            "If that is meant, set smarthost_take_over: true."
        )
    new = configuration.parse_main_cf(postfix.module.params["main_cf"])
    return [name for name in values if name not in new]


def name_who_gets_mail(postfix: Postfix, before: str) -> None:
    """Warn of users whose mail goes elsewhere from now on."""
    names = postfix.module.params["own_names"]
    asks_postfix = postfix.installed and bool(before) and not postfix.fresh
    said = aliases.changes(aliases.look(postfix, names, asks_postfix), postfix.module.params["aliases"])
    if said:
        postfix.module.warn(f"Taking over {names[0] if names else 'this host'}: {' '.join(said)}")


def give_back(postfix: Postfix) -> dict[str, Any]:
    """The host as it was found; raises Refused with everything as it is."""
    found = json.loads(postfix.read(postfix.found) or "{}")
    if not found:
        if configuration.slot_in_use(postfix.read(postfix.main_cf), postfix.directory):
            raise Refused(
                f"what this host had before is not in {postfix.original} any more, so it cannot be given back. "
                f"Write a main.cf of your own, or remove Postfix; then remove {postfix.folder}, which has the password."
            )
        return {"changed": False, "actions": [], "installed": []}
    _code, queue, _err = postfix.command("postqueue", "-j")
    waiting = len(queue.splitlines())
    if waiting and not postfix.module.params["abandon_queue"]:
        raise Refused(
            f"{waiting} mails wait in the queue, and the configuration from before may not be able to send them. "
            "See mailq for why they wait, or set smarthost_abandon_queue: true to leave them there."
        )
    before, original = postfix.read(postfix.main_cf), postfix.read(os.path.join(postfix.original, "main.cf"))
    result = {
        "changed": True,
        "actions": ["gave back the configuration from before"],
        "installed": found["installed"],
        "diff": [_texts(postfix.main_cf, before, configuration.hide_inline_logins(original))],
    }
    if postfix.module.check_mode:
        return result
    metrics = postfix.metrics()
    postfix.put_secrets_back(found, configuration.parse_main_cf(original))
    postfix.replace_main_cf(original, found["mode"])
    postfix.runs_anew = True
    postfix.remove_services(found.get("services", []))
    if not found["enabled"]:
        postfix.manager.disable()
    postfix.end_jobs(postfix.jobs_left())
    if metrics and os.path.lexists(metrics):
        os.unlink(metrics)
    installation.remove()
    try:
        if found["running"]:
            postfix.restart()
        else:
            postfix.manager.stop()
    except Refused as reason:
        raise Failed(f"The host has its configuration from before again, but {reason}") from reason
    finally:
        # Last of all: a run that is killed before finds in it what is to be done.
        shutil.rmtree(postfix.folder)
    return result


def put_back(postfix: Postfix, new: str, was_running: bool, added: Iterable[str]) -> str:
    """Run the configuration from before again, as far as it ran; says how that went.

    `new` is the folder of the tables to come; empty where main.cf was not touched, but services were added.
    """
    try:
        if new:
            postfix.take_back()
            postfix.remove_tables(new)
        postfix.remove_services(added)
        postfix.remove_tables("unfinished")
        if was_running:
            # Not a reload: daemons that died of the new configuration are held back for a minute.
            postfix.run(restart=True)
        else:
            postfix.manager.stop()
    except (OSError, Refused) as again:
        return f"The configuration from before is back in place, but does not run either: {again}"
    return "The configuration from before is back in place" + (" and runs." if was_running else ".")


def main() -> None:
    """Answer the module's call."""
    module = AnsibleModule(
        argument_spec={
            "config_directory": {"type": "path", "default": "/etc/postfix"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "abandon_queue": {"type": "bool", "default": False},
            "installed": {"type": "list", "elements": "str", "default": []},
            "take_over": {"type": "bool", "default": False},
            "own_names": {"type": "list", "elements": "str", "default": []},
            "aliases": {"type": "dict", "default": {}},
            "main_cf": {"type": "str"},
            "tables": {"type": "dict", "default": {}},
            "sasl_passwd": {"type": "str", "no_log": True},
            "compiled": {"type": "dict", "default": {}},
            "services": {"type": "dict", "default": {}},
            "map_types": {"type": "list", "elements": "str", "default": []},
            "ca_file": {"type": "path"},
            "login": {"type": "dict", "options": login.OPTIONS},
            "login_accepted": {"type": "bool", "default": False},
            "watch": {"type": "str", "default": "", "no_log": True},
            "watch_minutes": {"type": "int", "default": 0},
            "service_manager": {"type": "str", "default": "systemd"},
            # Of the action plugin of this name, and not sent here.
            "seen": {"type": "dict"},
            "key": {"type": "str", "no_log": True},
        },
        required_if=[("state", "present", ("main_cf", "sasl_passwd", "ca_file"))],
        supports_check_mode=True,
    )
    # What others may read is given its mode; the folders around it must not depend on root's habits.
    os.umask(0o022)
    postfix = Postfix(module)
    try:
        with alone(postfix.directory):
            module.exit_json(**(give_back if module.params["state"] == "absent" else apply)(postfix))
    except Failed as reason:
        module.fail_json(msg=str(reason))
    except Refused as reason:
        module.fail_json(msg=f"Nothing was changed: {reason}")
    except OSError as error:
        if postfix.runs_anew:
            module.fail_json(
                msg=f"The configuration is in place, but not all that belongs to it: {error}. "
                "Run the playbook again when that is mended: it makes up for what is missing."
            )
        module.fail_json(msg=f"A file of the configuration cannot be written, so the old one stays: {error}")


if __name__ == "__main__":
    main()
