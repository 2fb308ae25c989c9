"""What a host is, what it has of Postfix and what is left to do there, in one remote call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: smarthost_info
short_description: What a host is, what it has of Postfix, and all that says whether there is anything to do
description:
  - Reads only; changes nothing. Fails, with the reason and the remedy, on a host that the role cannot work on.
  - >-
    Gathers the few facts that the role goes by (system, name, service manager) with Ansible's own collectors, so that
    the role needs no other facts.
  - >-
    What the files of the host say is not sent but sealed: a hash that only who has O(key) can compare with anything.
    So the controller can tell whether the host is as it should be, and needs no second call where it is.
author: [The homelab.mail authors]
options:
  families:
    description:
      - >-
        Families of systems (C(ansible_os_family)) that the role knows, each with its C(name) for people; C(packages),
        what a package is for -> its C(name) and a C(file) that shows that it is there, which may be a shell pattern;
        and C(ca_file), the CA bundle that relays are verified with.
    type: dict
    required: true
  hostname:
    description: The name of the host in mail. By default what the host calls itself.
    type: str
    default: ""
  public_domains:
    description: Domains that mail goes to or comes from, so that none of them is a name of the host's alone.
    type: list
    elements: str
    default: []
  config_directory:
    description: Where main.cf lies.
    type: path
    default: /etc/postfix
  watch_minutes:
    description: Minutes between two runs of C(smarthost watch), 0 where nobody is to be told of an outage.
    type: int
    default: 0
  key:
    description: What the files are sealed with, a random text. Without it RV(seen) is empty.
    type: str
  now:
    description: >-
      The time on the controller, in seconds since 1970. Where the host's clock is far from it, there is a warning,
      because certificates are judged by it. 0: not compared.
    type: float
    default: 0
  report:
    description: Also say how mail does, RV(state).
    type: bool
    default: false
  login:
    description: With O(report), also try the login that is in place, RV(login).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Look at Postfix
  homelab.mail.smarthost_info:
    families:
      Debian:
        name: Debian, Ubuntu
        packages:
          postfix: {name: postfix, file: /usr/sbin/postconf}
          sasl: {name: libsasl2-modules, file: /usr/lib/*/sasl2/libplain.so*}
        ca_file: /etc/ssl/certs/ca-certificates.crt
  register: __smarthost_info
"""

RETURN = r"""
ansible_facts:
  description: C(ansible_os_family), C(ansible_distribution), C(ansible_fqdn), C(ansible_service_mgr) and their like.
  returned: always
  type: dict
service_manager:
  description: What starts Postfix, V(none) where nobody does.
  returned: always
  type: str
hostname:
  description: The name of the host in mail.
  returned: always
  type: str
  sample: nas.lan
origin:
  description: What a sender or recipient without a domain gets, a name that only this host has.
  returned: always
  type: str
  sample: nas.lan
names:
  description: Every name behind the @ that is the host's alone, RV(origin) first.
  returned: always
  type: list
  elements: str
public_names:
  description: Names of the host that may be mail domains on the internet.
  returned: always
  type: list
  elements: str
earlier_senders:
  description:
    - Public senders of mail that waited when the role took this Postfix over, or that waits now if it has not yet.
    - The set-up from before let mail leave as them, so they may be nothing that the account may send as.
  returned: always
  type: list
  elements: str
  sample: [casey@old.example]
missing:
  description: The packages of this family that are not there, what each is for -> its name.
  returned: always
  type: dict
  sample: {sasl: libsasl2-modules}
version:
  description: C(mail_version) of Postfix, empty where it is not installed.
  returned: always
  type: str
  sample: 3.7.11
seen:
  description:
    - What M(homelab.mail.smarthost_configuration) is compared with. Empty where Postfix is not installed.
    - >-
      C(slot) (that in use), C(files) (path -> kind, mode, owner and sealed text), C(services) (those of
      master.cf), C(to_do) (what a run would do whatever the configuration says, a list), C(ca_files) (the CA bundle of
      the family, if it is there), C(against) (what in master.cf breaks a promise, a list).
  returned: always
  type: dict
advice:
  description: What does not stop mail yet, such as a clock that is off.
  returned: always
  type: list
  elements: str
state:
  description: >-
    C(running), C(listening), C(queue), C(last_delivery), C(last_failure), C(problems) and C(healthy) of the Postfix on
    the host, as C(smarthost status --json) prints them.
  returned: with O(report), where Postfix is installed
  type: dict
login:
  description: >-
    C(verdict), one of V(accepted), V(refused), V(undecided) and V(not tried), and C(said), a sentence. V(not tried)
    without O(login), and where the role has not configured the host.
  returned: as RV(state)
  type: dict
"""

import glob
import os
import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.facts.system.distribution import DistributionFactCollector
from ansible.module_utils.facts.system.platform import PlatformFactCollector
from ansible.module_utils.facts.system.service_mgr import ServiceMgrFactCollector

# It has to be the first of ours.
from ansible_collections.homelab.mail.plugins.module_utils import old_python  # noqa: F401

# isort: split
from ansible_collections.homelab.mail.plugins.module_utils import addresses
from ansible_collections.homelab.mail.plugins.module_utils._change import host
from ansible_collections.homelab.mail.plugins.module_utils._program import health, managers, services, smarthost

# From when on a clock is off, and a CA bundle old.
SKEW_SECONDS = 120
OLD_SECONDS = 3 * 365 * 86400
MAILNAME = "/etc/mailname"


def gather(module: AnsibleModule) -> dict[str, Any]:
    """The facts that the role goes by; each collector builds on those before it."""
    facts: dict[str, Any] = {}
    for collector in (PlatformFactCollector, DistributionFactCollector, ServiceMgrFactCollector):
        found = collector().collect(module=module, collected_facts=facts)
        facts.update({f"ansible_{name}": value for name, value in found.items()})
    return facts


def refusal(facts: Mapping[str, Any], families: Mapping[str, Any]) -> str:
    """Why the role cannot work on such a host, and what to do; empty where it can."""
    manager = facts["ansible_service_mgr"]
    if facts["ansible_os_family"] not in families or manager in managers.OTHERS:
        return (
            f"this host is {facts['ansible_distribution']} {facts['ansible_distribution_version']} with {manager}. "
            f"The role knows {', '.join(family['name'] for family in families.values())}, with "
            f"{', '.join(managers.MANAGERS)} or in a container with none of them."
        )
    return ""


def advice(here: host.Host, now: float, ca_file: str) -> list[str]:
    """What does not stop mail yet."""
    found = []
    skew = time.time() - now
    if now and abs(skew) > SKEW_SECONDS:
        found.append(
            f"The clock of this host is {health.span(abs(skew))} {'ahead of' if skew > 0 else 'behind'} the "
            "controller's. Certificates are judged by it, and mails by their date: let it follow a time server."
        )
    age = time.time() - os.stat(ca_file).st_mtime if os.path.isfile(ca_file) else 0
    if age > OLD_SECONDS:
        found.append(
            f"The CA bundle {ca_file} was last written {health.span(age)} ago. One day the provider's "
            "certificate will come from an authority that it does not have, and mail will wait: update the system."
        )
    if here.watch_minutes and not here.job_files(""):
        found.append(
            "There is no timer and no /etc/cron.d on this host, so nothing looks whether mail leaves. "
            f"Let something run every {here.watch_minutes} minutes: {services.LAUNCHER} watch"
        )
    return found


def mailname() -> str:
    """The domain that Debian's mail programs put behind the @; empty where there is none."""
    try:
        with open(MAILNAME, encoding="utf-8", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""


def look(module: AnsibleModule) -> dict[str, Any]:
    """All that the module returns."""
    parameters = module.params
    facts = gather(module)
    own = (facts["ansible_fqdn"], facts["ansible_nodename"])
    hostname = parameters["hostname"] or addresses.host_name(*own)
    reason = refusal(facts, parameters["families"])
    if reason:
        module.fail_json(msg=f"Nothing was changed: {reason}", ansible_facts=facts)
    names = addresses.names(parameters["hostname"], *own, mailname(), parameters["public_domains"])
    family = parameters["families"][facts["ansible_os_family"]]
    packages, ca_file = family["packages"], family["ca_file"]
    here = host.Host(module, parameters["config_directory"], facts["ansible_service_mgr"], parameters["watch_minutes"])
    result: dict[str, Any] = {
        "service_manager": managers.known(facts["ansible_service_mgr"]),
        "hostname": hostname,
        "origin": names.origin,
        "names": names.own,
        "public_names": names.public,
        "earlier_senders": here.earlier_senders(),
        "missing": {what: package["name"] for what, package in packages.items() if not glob.glob(package["file"])},
        "version": here.compiled_in["mail_version"],
        "seen": {},
        "advice": advice(here, parameters["now"], ca_file),
    }
    if here.installed and parameters["key"]:
        there = [ca_file] if os.path.isfile(ca_file) else []
        result["seen"] = {**host.observe(here, parameters["key"]), "ca_files": there}
        result["advice"] += result["seen"].pop("advice")
    if here.installed and parameters["report"]:
        # Whatever somebody else has configured, nobody logs in with by the way.
        result.update(smarthost.report(parameters["login"] and here.slot() is not None))
    for sentence in result["advice"]:
        module.warn(sentence)
    return {"ansible_facts": facts, **result}


def main() -> None:
    """Answer the module's call."""
    module = AnsibleModule(
        argument_spec={
            "families": {"type": "dict", "required": True},
            "hostname": {"type": "str", "default": ""},
            "public_domains": {"type": "list", "elements": "str", "default": []},
            "config_directory": {"type": "path", "default": "/etc/postfix"},
            "watch_minutes": {"type": "int", "default": 0},
            "key": {"type": "str", "no_log": True},
            "now": {"type": "float", "default": 0},
            "report": {"type": "bool", "default": False},
            "login": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(changed=False, **look(module))
    except OSError as error:
        remedy = " Only root may: set become: true." if isinstance(error, PermissionError) else ""
        module.fail_json(msg=f"Nothing was changed: a file of the configuration cannot be read: {error}.{remedy}")


if __name__ == "__main__":
    main()
