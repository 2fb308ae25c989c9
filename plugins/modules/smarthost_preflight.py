# Documentation of an action plugin: plugins/action/smarthost_preflight.py does the work, on the controller.

DOCUMENTATION = r"""
module: smarthost_preflight
short_description: Judge the variables of the smarthost role before the host is touched
description:
  - Checks the C(smarthost_*) variables against C(meta/argument_specs.yml) and the rules of the provider.
  - Reports all faults at once, each with its remedy. Runs on the controller alone, in check mode too.
extends_documentation_fragment: [homelab.mail.smarthost]
"""

EXAMPLES = r"""
- name: Check the variables
  homelab.mail.smarthost_preflight:
  register: __smarthost_preflight
"""

RETURN = r"""
plan:
  description:
    - What the variables amount to, without a password. C(-v) shows it.
    - >-
      C(accounts) (list of C(host), C(port), C(tls), C(username), C(from)), C(aliases) (user -> list of
      addresses, with C(root)), C(generic), C(parameters), C(hostname), C(size_limit) (bytes or null), C(concurrency)
      (connections or null), C(messages_per_connection) (mails or null).
  returned: where nothing is wrong
  type: dict
secrets:
  description: >-
    C(logins) (what each account is tried with), C(inbox) (where a test mail is looked for) and C(watch) (whom an outage
    is told). They hold passwords and are never shown.
  returned: where nothing is wrong
  type: dict
public_domains:
  description: The domains of the internet that mail of the plan goes to or comes from.
  returned: where nothing is wrong
  type: list
  elements: str
families:
  description: >-
    What C(families/) of the role says of each family of systems, with the CA bundle of the plan if it names one, for
    M(homelab.mail.smarthost_info).
  returned: where nothing is wrong
  type: dict
key:
  description: A random text that the files of a host are sealed with, for M(homelab.mail.smarthost_info).
  returned: where nothing is wrong
  type: str
"""
