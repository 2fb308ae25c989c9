"""What smarthost_info says, and how mail does; apart, because it brings all of the program `smarthost` with it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: smarthost_check
short_description: What a host is and has, and how its mail does
description:
  - Returns all that M(homelab.mail.smarthost_info) does as well.
  - Reads only; changes nothing.
extends_documentation_fragment: [homelab.mail.smarthost, homelab.mail.smarthost.look]
options:
  login:
    description: Also try the login that is in place, RV(login).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Ask for the mail of a host
  homelab.mail.smarthost_check:
    families: "{{ families }}"
    login: true
"""

RETURN = r"""
state:
  description: >-
    C(running), C(listening), C(queue), C(last_delivery), C(last_failure), C(problems) and C(healthy) of the Postfix on
    the host, as C(smarthost status --json) prints them.
  returned: where Postfix is installed
  type: dict
login:
  description: >-
    C(verdict), one of V(accepted), V(none needed), V(refused), V(undecided) and V(not tried), and C(said), a sentence.
    V(none needed) where the relay takes mail without a login. V(not tried) without O(login), and where the role has not
    configured the host.
  returned: as RV(state)
  type: dict
"""

from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils._change import host, look
from ansible_collections.homelab.mail.plugins.module_utils._program import smarthost


def main() -> None:
    """Answer the module's call."""

    def report(here: host.Host) -> dict[str, Any]:
        # A login that the role did not configure is never tried.
        return smarthost.report(here.module.params["login"] and here.slot() is not None)

    look.answer(report, login={"type": "bool", "default": False})


if __name__ == "__main__":
    main()
