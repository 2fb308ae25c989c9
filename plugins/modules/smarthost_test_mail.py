"""A mail from a host, followed to the provider's reply."""

from __future__ import annotations

DOCUMENTATION = r"""
module: smarthost_test_mail
short_description: Send a mail from a host and follow it to the provider's reply
description:
  - Hands the mail to the Postfix on the host's port 25, as its programs do, and reads in its log what became of it.
  - >-
    Does not fail where the mail is not taken, so that one host does not end the play for the others; RV(status) says
    how it went. In check mode nothing is sent.
extends_documentation_fragment: [homelab.mail.smarthost]
options:
  to:
    description: Who gets the mail.
    type: str
    required: true
  seconds:
    description: How long to wait for the provider's reply.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: See whether mail leaves
  homelab.mail.smarthost_test_mail:
    to: you@example.com
  register: sent
"""

RETURN = r"""
status:
  description:
    - >-
      V(sent), V(deferred) (it waits in the queue), V(bounced) (given up), V(refused) (Postfix did not take it), V(not
      handed in) (Postfix does not answer) or V(waiting) (no reply in time).
  returned: always but in check mode
  type: str
said:
  description: The reply of the provider, or the reason that Postfix gives.
  returned: as RV(status)
  type: str
id:
  description: The mail's name in the queue of the host.
  returned: where Postfix took the mail
  type: str
token:
  description: The word in brackets at the end of the mail's subject.
  returned: always but in check mode
  type: str
times:
  description: >-
    When the mail was C(handed in), C(queued) by the host's Postfix and C(taken) by the provider, or by one's own
    C(hub), in seconds since 1970 by the host's clock; null for what did not happen.
  returned: always but in check mode
  type: dict
cause:
  description: What that means.
  returned: where it was not sent and the reason is known
  type: str
remedy:
  description: What to do.
  returned: as RV(cause)
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

# It has to be the first of ours.
from ansible_collections.homelab.mail.plugins.module_utils import old_python  # noqa: F401 (refuses an old one)

# isort: split
from ansible_collections.homelab.mail.plugins.module_utils._program import smarthost


def main() -> None:
    """Answer the module's call."""
    module = AnsibleModule(
        argument_spec={"to": {"type": "str", "required": True}, "seconds": {"type": "int", "default": 60}},
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True)
    module.exit_json(changed=True, **smarthost.send_test(module.params["to"], module.params["seconds"]))


if __name__ == "__main__":
    main()
