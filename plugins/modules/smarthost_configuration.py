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
    With O(logins), Postfix itself tries the way to the provider before main.cf changes, as far as the login, and where
    the change touches the login, that is tried next; a refusal ends the task with the host as it was. What waits in the
    queue is sent as soon as a new login is in place.
  - A Postfix that does not run is started, also where nothing was changed.
  - The first main.cf that the role finds is kept in C(smarthost/original).
extends_documentation_fragment: [homelab.mail.smarthost, homelab.mail.smarthost.login]
attributes:
  diff_mode:
    support: full
options:
  config_directory:
    description: Where main.cf lies.
    type: path
    default: /etc/postfix
  state:
    description:
      - V(present) puts the configuration in place.
      - >-
        V(absent) gives back what was found on the first run: main.cf, its password tables, whether Postfix ran and
        was enabled, and the packages that M(homelab.mail.smarthost_packages) has exchanged. Refused while mail waits in
        the queue, because the configuration from before may not be able to send it.
    type: str
    choices: [present, absent]
    default: present
  abandon_queue:
    description: With O(state=absent), go on although mail waits. It stays in the queue.
    type: bool
    default: false
  installed:
    description: >-
      The packages that were installed just now, what each is for (C(postfix), C(sasl), C(ca)) -> its name. If the
      configuration is refused, they go again.
    type: dict
    default: {}
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
  passwords:
    description: Name -> text of the password table of each further account. Files like that of O(sasl_passwd).
    type: dict
    default: {}
  compiled:
    description: >-
      Name of each table that C(postmap) compiles (C(hash), C(lmdb), …) -> map type. A table that Postfix reads as
      text is not named here.
    type: dict
    default: {}
  services:
    description: >-
      Services that master.cf must have, C(name/type) -> line. One that is there stays as it is; V(absent) takes away
      again what was added. An empty line stands for the service of a further account, a copy of C(smtp/unix) that is
      kept as it should be, and goes when it is not named any more.
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
  logins:
    description:
      - The logins that the configuration stands for, each tried before anything is changed where it changes.
      - The keys are those of M(homelab.mail.smarthost_login); the password is not among them, but in O(sasl_passwd) or
        O(passwords) alone. None is tried that is not here.
    type: list
    elements: dict
    default: []
  login_accepted:
    description: >-
      O(logins) were tried a moment ago. Only the way to the providers is tried, because they count logins.
    type: bool
    default: false
  watch:
    description: >-
      Text of the settings of C(smarthost watch), empty if no outage is reported. A file of mode 0600,
      because who knows the addresses in it can write there.
    type: str
    default: ""
  watch_minutes:
    description: Minutes between two runs of C(smarthost watch), 0 if no outage is reported.
    type: int
    default: 0
  service_manager:
    description:
      - What starts Postfix at boot, RV(homelab.mail.smarthost_info#module:service_manager).
      - >-
        V(systemd), V(openrc), or V(launchd), where a LaunchDaemon is written. With anything else Postfix is started
        by C(postfix start), with a warning that nothing starts it again after a reboot.
    type: str
    default: systemd
  from_plan:
    description:
      - >-
        Take all of them from what the role made of its variables and saw of the host a moment ago. Where the host has
        just that, it is not called again.
    type: bool
    default: false
  report:
    description: With O(from_plan), neither install nor try anything.
    type: bool
    default: false
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
"""

import os
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils._change import (
    host,
    original,
    packages,
    plan,
    rehearsal,
    transaction,
    trial,
)
from ansible_collections.homelab.mail.plugins.module_utils._change.answering import Module
from ansible_collections.homelab.mail.plugins.module_utils._change.errors import Failed, Refused
from ansible_collections.homelab.mail.plugins.module_utils._program import files, login


def put_in_place(here: host.Host) -> dict[str, Any]:
    """Bring the host to the configuration; raises Refused with the host as it was."""
    if not here.module.check_mode:
        rehearsal.sweep()
    wanted = plan.wanted(here.module.params)
    # Ansible hides what it knows as a secret, but no part of one.
    here.module.no_log_values.update(login["password"] for login in wanted.logins if login["password"])
    planned = plan.make(wanted, plan.look(here, wanted))
    if planned.elsewhere:
        here.module.warn(planned.elsewhere)
    report = plan.report(planned, trial.run(here, wanted, planned))
    for sentence in report.warnings:
        here.module.warn(sentence)
    if report.actions and not here.module.check_mode:
        transaction.carry_out(here, wanted, planned)
    return {
        "changed": bool(report.actions),
        "actions": report.actions,
        "diff": report.diff,
        "dropped": planned.dropped,
    }


def failure(here: host.Host, reason: Failed | Refused) -> str:
    """What a person reads of it; what was installed for a configuration that is not in place goes again."""
    if not here.module.params["installed"] or here.module.check_mode or here.slot() is not None:
        return f"Nothing was changed: {reason}" if isinstance(reason, Refused) else str(reason)
    there = packages.Packages(here)
    came, went = (", ".join(there.record().get(name, [])) for name in ("installed", "removed"))
    before = f"{came} had been installed{f' in place of {went}' if went else ''}."
    return f"{str(reason).rstrip()} Before that, {before} {there.put_back()}"


def main() -> None:
    """Answer the module's call."""
    module = Module(
        argument_spec={
            "config_directory": {"type": "path", "default": "/etc/postfix"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "abandon_queue": {"type": "bool", "default": False},
            "installed": {"type": "dict", "default": {}},
            "take_over": {"type": "bool", "default": False},
            "own_names": {"type": "list", "elements": "str", "default": []},
            "aliases": {"type": "dict", "default": {}},
            "main_cf": {"type": "str"},
            "tables": {"type": "dict", "default": {}},
            "sasl_passwd": {"type": "str", "no_log": True},
            "passwords": {"type": "dict", "default": {}, "no_log": True},
            "compiled": {"type": "dict", "default": {}},
            "services": {"type": "dict", "default": {}},
            "map_types": {"type": "list", "elements": "str", "default": []},
            "ca_file": {"type": "path"},
            "logins": {"type": "list", "elements": "dict", "default": [], "options": login.OPTIONS},
            "login_accepted": {"type": "bool", "default": False},
            "watch": {"type": "str", "default": "", "no_log": True},
            "watch_minutes": {"type": "int", "default": 0},
            "service_manager": {"type": "str", "default": "systemd"},
            # Of the action plugin of this name, and not sent here.
            "from_plan": {"type": "bool", "default": False},
            "report": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    # What others may read is given its mode; the folders around it must not depend on root's habits.
    os.umask(0o022)
    parameters = module.params
    here = host.Host(module, parameters["config_directory"], parameters["service_manager"], parameters["watch_minutes"])
    try:
        with files.alone(here.directory):
            if parameters["state"] == "absent":
                result = original.give_back(here, parameters["abandon_queue"])
            else:
                result = put_in_place(here)
    except (Failed, Refused) as reason:
        module.fail_json(msg=failure(here, reason))
    except OSError as error:
        why = Failed(f"A file of the configuration cannot be written, so the old one stays: {error}")
        module.fail_json(msg=failure(here, why))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
