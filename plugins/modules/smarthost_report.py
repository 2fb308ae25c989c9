# Documentation of an action plugin: plugins/action/smarthost_report.py does the work, on the controller.

DOCUMENTATION = r"""
module: smarthost_report
short_description: Show what all hosts said of their mail as a table
description:
  - Prints a table with a row for every host, what to do about those that are not well below it; C(faulty) names them.
  - With V(verdict) it fails, so that the run ends with an error on that host. Runs on the controller alone.
extends_documentation_fragment: [homelab.mail.smarthost]
options:
  of:
    description:
      - What the hosts were asked, V(check) for their state, V(mail) for a test mail.
      - >-
        With V(arrival) the controller looks over IMAP for the test mail of each, in the mailbox that
        M(homelab.mail.smarthost_preflight) has found and left in C(__smarthost_preflight). It opens folders read-only
        and reads a few headers of that mail alone.
      - With V(verdict) nothing is shown, and the host has failed; no other option is needed.
    type: str
    choices: [check, mail, arrival, verdict]
    required: true
  hosts:
    description: The hosts to show.
    type: list
    elements: str
  variables:
    description: The variables that hold the answers of each. A host without them could not be reached.
    type: list
    elements: str
  minutes:
    description: With O(of=arrival), how long to look for mails that are not there yet.
    type: float
    default: 5
  tidy:
    description: With O(of=arrival), delete each mail that was found, and no other.
    type: bool
    default: false
  json:
    description: >-
      File on the controller that gets the rows as JSON, each with C(host), C(healthy), C(notes), C(details) and what
      the columns show.
    type: path
"""

EXAMPLES = r"""
- name: Show how mail does
  homelab.mail.smarthost_report:
    of: check
    hosts: "{{ groups.all }}"
    variables: [__smarthost_info, __smarthost_checked]
"""

RETURN = r"""
faulty:
  description: The hosts that are not well.
  returned: always
  type: list
  elements: str
"""
