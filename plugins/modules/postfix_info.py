"""What a host has of Postfix, in one remote call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postfix_info
short_description: What a host has of Postfix and of what a smart host needs
description:
  - Reads only; changes nothing.
author: [The homelab.mail authors]
options:
  needs:
    description:
      - Package -> path that shows that the package is there. The path may be a shell pattern.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Look at Postfix
  homelab.mail.postfix_info:
    needs:
      postfix: /usr/sbin/postconf
      libsasl2-modules: /usr/lib/*/sasl2/libplain.so*
  register: __smarthost_info
"""

RETURN = r"""
missing:
  description: The packages of O(needs) that are not there.
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

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Answer the module's call."""
    module = AnsibleModule(argument_spec={"needs": {"type": "dict", "required": True}}, supports_check_mode=True)
    missing = [package for package, path in module.params["needs"].items() if not glob.glob(path)]
    version = ""
    postconf = module.get_bin_path("postconf", opt_dirs=["/usr/sbin"])
    if postconf:
        # -d: the compiled-in value, which no main.cf can break.
        code, out, _err = module.run_command([postconf, "-dh", "mail_version"])
        version = out.strip() if code == 0 else ""
    module.exit_json(changed=False, missing=missing, version=version)


if __name__ == "__main__":
    main()
