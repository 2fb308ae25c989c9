"""What a host is and what it has of Postfix, in one remote call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postfix_info
short_description: What a host is, and what it has of Postfix and of what a smart host needs
description:
  - Reads only; changes nothing.
  - >-
    Gathers the few facts that the role goes by (system, name, service manager) with Ansible's own collectors, so that
    the role needs no other facts.
author: [The homelab.mail authors]
options:
  needs:
    description:
      - >-
        Family of systems (C(ansible_os_family)) -> package -> path that shows that the package is there. The path may
        be a shell pattern.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Look at Postfix
  homelab.mail.postfix_info:
    needs:
      Debian:
        postfix: /usr/sbin/postconf
        libsasl2-modules: /usr/lib/*/sasl2/libplain.so*
  register: __smarthost_info
"""

RETURN = r"""
ansible_facts:
  description: C(ansible_os_family), C(ansible_distribution), C(ansible_fqdn), C(ansible_service_mgr) and their like.
  returned: always
  type: dict
missing:
  description: The packages of O(needs) for this family that are not there.
  returned: always
  type: list
  elements: str
version:
  description: C(mail_version) of Postfix, empty where it is not installed.
  returned: always
  type: str
  sample: 3.7.11
"""

import glob
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.facts.system.distribution import DistributionFactCollector
from ansible.module_utils.facts.system.platform import PlatformFactCollector
from ansible.module_utils.facts.system.service_mgr import ServiceMgrFactCollector


def gather(module: AnsibleModule) -> dict[str, Any]:
    """The facts that the role goes by; each collector builds on those before it."""
    facts: dict[str, Any] = {}
    for collector in (PlatformFactCollector, DistributionFactCollector, ServiceMgrFactCollector):
        found = collector().collect(module=module, collected_facts=facts)
        facts.update({f"ansible_{name}": value for name, value in found.items()})
    return facts


def main() -> None:
    """Answer the module's call."""
    module = AnsibleModule(argument_spec={"needs": {"type": "dict", "required": True}}, supports_check_mode=True)
    facts = gather(module)
    needs = module.params["needs"].get(facts["ansible_os_family"], {})
    missing = [package for package, path in needs.items() if not glob.glob(path)]
    version = ""
    postconf = module.get_bin_path("postconf", opt_dirs=["/usr/sbin"])
    if postconf:
        # -d: the compiled-in value, which no main.cf can break.
        code, out, _err = module.run_command([postconf, "-dh", "mail_version"])
        version = out.strip() if code == 0 else ""
    module.exit_json(changed=False, ansible_facts=facts, missing=missing, version=version)


if __name__ == "__main__":
    main()
