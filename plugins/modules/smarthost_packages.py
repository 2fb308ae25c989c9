"""The packages of a smart host, installed with what makes room for them on record."""

from __future__ import annotations

DOCUMENTATION = r"""
module: smarthost_packages
short_description: Install Postfix and what it needs, and keep on record what makes room for it
description:
  - >-
    Names another mailer that the package manager would remove, and refuses where mail waits in its queue or where it
    is a real mail server. What goes is noted in C(smarthost/original) before anything is installed, its settings
    included: O(homelab.mail.smarthost_configuration#module:state=absent) gives it back.
  - A Postfix that its package starts at once serves no one until it has its configuration.
  - If the packages cannot be installed, what was removed for them is installed again.
extends_documentation_fragment: [homelab.mail.smarthost]
options:
  packages:
    description: The packages that are missing, what each is for (C(postfix), C(sasl), C(ca)) -> its name.
    type: dict
    required: true
  family:
    description: >-
      How the family of systems does it, lists of words: C(install), C(remove), C(update), C(simulate), C(owner), and
      what its Postfix C(leaves); and whether it C(starts_at_once).
    type: dict
    required: true
  mailers:
    description: >-
      Mailers that may make room, each with the C(program) that shows that it is there, its C(settings), the C(queue)
      and the command that has it C(flush) that.
    type: dict
    default: {}
  own_names:
    description: Names of this host, mail for which does not make it a mail server.
    type: list
    elements: str
    default: []
  take_over:
    description: Also let a real mail server make room.
    type: bool
    default: false
  config_directory:
    description: Where main.cf lies.
    type: path
    default: /etc/postfix
"""

EXAMPLES = r"""
- name: Install Postfix
  homelab.mail.smarthost_packages:
    packages: {postfix: postfix}
    family:
      install: [apk, add, --no-cache]
      remove: [apk, del, --purge]
"""

RETURN = r"""
removed:
  description: The packages that made room, or in check mode would.
  returned: success
  type: list
  elements: str
version:
  description: C(mail_version) of the Postfix that is there now.
  returned: success
  type: str
"""

import os

from ansible_collections.homelab.mail.plugins.module_utils._change import alternatives, host
from ansible_collections.homelab.mail.plugins.module_utils._change.answering import Module
from ansible_collections.homelab.mail.plugins.module_utils._change.errors import Failed, Refused
from ansible_collections.homelab.mail.plugins.module_utils._change.packages import Packages


def main() -> None:
    """Answer the module's call."""
    module = Module(
        argument_spec={
            "packages": {"type": "dict", "required": True},
            "family": {"type": "dict", "required": True},
            "mailers": {"type": "dict", "default": {}},
            "own_names": {"type": "list", "elements": "str", "default": []},
            "take_over": {"type": "bool", "default": False},
            "config_directory": {"type": "path", "default": "/etc/postfix"},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    asked = module.params
    here = host.Host(module, asked["config_directory"], "none", 0)
    packages = Packages(here)
    try:
        if not module.check_mode and "update" in asked["family"]:
            # A fresh host has no lists. One source that does not answer need not be the one that has the packages.
            here.command(*asked["family"]["update"])
        removed = packages.going(asked["packages"], asked["family"])
        alternatives.check(here)
        packages.judge(removed, asked["mailers"], asked["own_names"], asked["take_over"])
        by_hand = packages.by_hand(asked["packages"], asked["family"])
        if removed:
            module.warn(packages.notice(removed, asked["mailers"]))
        if by_hand:
            module.warn(
                f"Postfix takes the place of {', '.join(by_hand)}, which no package has brought. "
                "smarthost_state: absent puts that back."
            )
        if not module.check_mode:
            packages.install(asked["packages"], asked["family"], asked["mailers"], removed, by_hand)
    except Failed as reason:
        module.fail_json(msg=str(reason))
    except Refused as reason:
        module.fail_json(msg=f"Nothing was changed: {reason}")
    except OSError as error:
        module.fail_json(msg=f"The record of what was here cannot be written, so nothing was installed: {error}")
    there = host.Host(module, asked["config_directory"], "none", 0)
    module.exit_json(changed=True, removed=removed, version=there.compiled_in["mail_version"])


if __name__ == "__main__":
    main()
