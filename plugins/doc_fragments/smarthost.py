"""What the documentation of several modules has in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by ansible-doc alone."""

    DOCUMENTATION = r"""
author: [The homelab.mail authors (!UNKNOWN)]
options: {}
attributes:
  check_mode:
    support: full
    description: Runs in check mode and says what it would change, without changing it.
  diff_mode:
    support: none
    description: Shows with C(--diff) what changes.
  platform:
    support: full
    platforms: posix
    description: The systems of the hosts.
"""

    LOOK = r"""
options:
  families:
    description:
      - >-
        Families of systems that the role knows, named as C(ID) or C(ID_LIKE) in os-release says, in lower case or not,
        each with its C(name) for people; C(packages),
        what a package is for -> its C(name) and a C(file) that shows that it is there, which may be a shell pattern;
        and C(ca_file), the CA bundle that relays are verified with.
    type: dict
    required: true
  hostname:
    description: The name of the host in mail. By default what the host calls itself.
    type: str
    default: ""
  public_domains:
    description: Domains that mail goes to or comes from, so that none of them is a name of the host's alone.
    type: list
    elements: str
    default: []
  config_directory:
    description: Where main.cf lies.
    type: path
    default: /etc/postfix
  watch_minutes:
    description: Minutes between two runs of C(smarthost watch), 0 where nobody is to be told of an outage.
    type: int
    default: 0
  key:
    description: What the files are sealed with, a random text. Without it C(seen) is empty.
    type: str
  now:
    description: >-
      The time on the controller, in seconds since 1970. Where the host's clock is far from it, there is a warning,
      because certificates are judged by it. 0: not compared.
    type: float
    default: 0
"""
