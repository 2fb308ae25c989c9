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
    description: The accounts. The keys are those of M(homelab.mail.smarthost_login).
    type: list
    elements: dict
    required: true
  begin:
    description: Only ask for the codes; V(false) asks once whether they were entered. Of the action plugin.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Wait for the consent
  homelab.mail.smarthost_consent:
    logins: "{{ __smarthost_logins }}"
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

from typing import Any

from ansible.module_utils.basic import AnsibleModule

# It has to be the first of ours.
from ansible_collections.homelab.mail.plugins.module_utils import old_python  # noqa: F401 (refuses an old one)

# isort: split
from ansible_collections.homelab.mail.plugins.module_utils._program import diagnosis, login, oauth, system, tokens


def _begin(account: dict[str, object]) -> dict[str, object]:
    asked = oauth.begin(account)
    return {
        "id": account["id"],
        "username": account["username"],
        "address": asked["verification_uri"],
        "code": asked["user_code"],
        "seconds": int(asked["expires_in"] or 900),
        "interval": int(asked["interval"] or 5),
    }


def main() -> None:
    """Answer the module's call."""
    module = AnsibleModule(
        argument_spec={
            "logins": {"type": "list", "elements": "dict", "required": True, "options": login.OPTIONS},
            "begin": {"type": "bool", "default": True},
        }
    )
    accounts = [one for one in module.params["logins"] if one["oauth"] and not one["oauth"]["client_secret"]]
    account: dict[str, Any] = {}
    who, slower, asked = {}, 0, []
    try:
        if not tokens.own_folder():
            raise oauth.Ended(f"there is no user {tokens.USER} on this host")
        if module.params["begin"]:
            # What fails names the account that it was about.
            for account in accounts:
                asked.append(_begin(account))
            module.exit_json(changed=False, asked=asked, who={})
        for account in accounts:
            try:
                who[account["id"]] = oauth.finish(account) or "a person whose name was not told"
            except oauth.Pending as pending:
                slower = max(slower, pending.args[0])
    except (oauth.Ended, oauth.Away) as error:
        known = diagnosis.explain(str(error), account.get("provider"))
        meaning = f" {known.cause} {known.remedy}" if known else ""
        module.fail_json(msg=f"{account.get('username', '')} has not consented: {error}.{meaning}")
    if who:
        # What waited for this.
        system.run("postqueue", "-f")
    module.exit_json(changed=bool(who), who=who, slower=slower)


if __name__ == "__main__":
    main()
