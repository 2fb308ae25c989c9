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
    default: {}
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
    description: Minutes between two runs of C(smarthost watch), 0 if no outage is reported.
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

    LOGIN = r"""
options:
  logins:
    suboptions:
      id: {type: str, default: "", description: "Name of a further account."}
      provider: {type: str, required: true, description: "Name of the preset, for the meaning of a reply."}
      host: {type: str, required: true, description: Submission server.}
      port: {type: int, required: true, description: Its TCP port.}
      tls: {type: str, required: true, choices: [implicit, starttls, none], description: When TLS begins.}
      tls_security_level:
        type: str
        required: true
        choices: [secure, verify, encrypt, none]
        description: How the certificate is checked.
      ca_file: {type: path, required: true, description: CA bundle on the host.}
      helo: {type: str, required: true, description: Name to greet with.}
      username: {type: str, required: true, description: "The login, empty where there is no login."}
      password: {type: str, default: "", description: The password.}
      sender: {type: str, required: true, description: Address to announce as the sender.}
      recipient: {type: str, default: "", description: "Address to announce as a recipient, where there is no login."}
      required: {type: bool, default: false, description: Fail also where the provider cannot be reached.}
"""
