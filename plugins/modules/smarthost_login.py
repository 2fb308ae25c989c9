"""The login at the provider, tried from a host that has no Postfix yet."""

from __future__ import annotations

DOCUMENTATION = r"""
module: smarthost_login
short_description: Try the login at a mail provider, from the host and without sending a mail
description:
  - >-
    Looks up the server, connects, verifies its certificate, logs in, announces the sender and leaves. Changes nothing,
    so it also runs in check mode.
  - Fails where the provider refuses, with its reply, what that means and what to do. Warns where it cannot be reached.
extends_documentation_fragment: [homelab.mail.smarthost, homelab.mail.smarthost.login]
options:
  logins:
    description:
      - The accounts. Each key is the one of the role, C(sender) is the From, C(helo) the name of the host.
    type: list
    elements: dict
    default: []
  from_plan:
    description: Try the logins of the role, by what it has found and made of its variables, in place of O(logins).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Try the login
  homelab.mail.smarthost_login:
    logins:
      - provider: fastmail
        host: smtp.fastmail.com
        port: 465
        tls: implicit
        tls_security_level: secure
        ca_file: /etc/ssl/certs/ca-certificates.crt
        helo: nas.lan
        username: casey@fastmail.com
        password: "{{ vault_password }}"
        sender: casey@fastmail.com
"""

RETURN = r"""
verdict:
  description: V(accepted), or V(undecided) where a provider did not say yes or no.
  returned: success
  type: str
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.homelab.mail.plugins.module_utils._program import login


def main() -> None:
    """Answer the module's call."""
    module = AnsibleModule(
        argument_spec={
            "logins": {"type": "list", "elements": "dict", "default": [], "options": login.OPTIONS},
            # Of the action plugin of this name, and not sent here.
            "from_plan": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    verdict, refused = login.ACCEPTED, []
    for account in module.params["logins"]:
        # Without it, a host has no packages yet; it is tried again when they are there.
        outcome = login.try_login(account) if os.path.exists(account["ca_file"]) else None
        if outcome and outcome.verdict != login.ACCEPTED:
            said = login.of(account) + login.sentence(outcome, account)
            if outcome.verdict == login.REFUSED or account["required"]:
                refused.append(said)
            else:
                module.warn(said)
        if not outcome or outcome.verdict != login.ACCEPTED:
            verdict = login.UNDECIDED
    if refused:
        module.fail_json(msg=f"Nothing was changed: {' Besides, '.join(refused)}")
    module.exit_json(changed=False, verdict=verdict)


if __name__ == "__main__":
    main()
