"""A person's consent that a host sends, asked for and kept on that host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: smarthost_consent
short_description: Let a person consent that a host sends by OAuth 2
description:
  - >-
    For each account that logs in with a token and has no application's secret, asks its identity provider for a code,
    shows where a person has to enter it, and waits until that is done.
  - The token goes to the host itself, into a file of the user that logs in; it never leaves it.
  - Mail that waits there is sent at once.
author: [The homelab.mail authors]
options:
  logins:
    description: Those of the role, with the keys of M(homelab.mail.smarthost_login). Of the action plugin.
    type: list
    elements: dict
    default: []
  begin:
    description: Only ask for the codes; V(false) asks once whether they were entered. Of the action plugin.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Wait for the consent
  homelab.mail.smarthost_consent:
"""

RETURN = r"""
asked:
  description: >-
    For each account its C(id), its C(username), the C(address) of a page, the C(code) to enter there, the C(seconds) it
    is good for, and the C(interval) between two questions.
  returned: O(begin=true)
  type: list
  elements: dict
who:
  description: Id of an account -> who has consented.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

# It has to be the first of ours.
from ansible_collections.homelab.mail.plugins.module_utils import old_python  # noqa: F401 (refuses an old one)

# isort: split
from ansible_collections.homelab.mail.plugins.module_utils._program import diagnosis, login, oauth, system, tokens


def main() -> None:
    """Answer the module's call."""
    module = AnsibleModule(
        argument_spec={
            "logins": {"type": "list", "elements": "dict", "default": [], "options": login.OPTIONS},
            "begin": {"type": "bool", "default": True},
        }
    )
    who, slower, asked, account = {}, 0, [], {"username": "The account"}
    try:
        if not tokens.own_folder():
            raise oauth.Ended(f"there is no user {tokens.USER} on this host")
        # What fails names the account that it was about.
        for account in module.params["logins"]:
            if not account["oauth"] or account["oauth"]["client_secret"]:
                continue
            if module.params["begin"]:
                asked.append(oauth.begin(account))
                continue
            try:
                who[account["id"]] = oauth.finish(account) or "a person whose name was not told"
            except oauth.Pending as pending:
                slower = max(slower, pending.args[0])
    except (oauth.Ended, oauth.Away) as error:
        known = diagnosis.explain(str(error), account.get("provider"))
        meaning = f" {known.cause} {known.remedy}" if known else ""
        module.fail_json(msg=f"{account['username']} has not consented: {str(error).rstrip('.')}.{meaning}")
    if who:
        # What waited for this.
        system.run("postqueue", "-f")
    module.exit_json(changed=bool(who), asked=asked, who=who, slower=slower)


if __name__ == "__main__":
    main()
