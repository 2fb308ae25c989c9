"""What a host is, what it has of Postfix and what is left to do there, in one remote call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: smarthost_info
short_description: What a host is, what it has of Postfix, and all that says whether there is anything to do
description:
  - Reads only; changes nothing. Fails, with the reason and the remedy, on a host that the role cannot work on.
  - Finds out the little that the role goes by (system, name, service manager), so that the role needs no facts.
  - >-
    What the files of the host say is not sent but sealed: a hash that only who has O(key) can compare with anything.
    So the controller can tell whether the host is as it should be, and needs no second call where it is.
extends_documentation_fragment: [homelab.mail.smarthost, homelab.mail.smarthost.look]
options:
  from_plan:
    description: Take from what the role made of its variables what is not given here.
    type: bool
    default: false
  report:
    description: Also ask how the mail of the host does, as M(homelab.mail.smarthost_check).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Look at Postfix
  homelab.mail.smarthost_info:
    families:
      Debian:
        name: Debian, Ubuntu
        packages:
          postfix: {name: postfix, file: /usr/sbin/postconf}
          sasl: {name: libsasl2-modules, file: /usr/lib/*/sasl2/libplain.so*}
        ca_file: /etc/ssl/certs/ca-certificates.crt
  register: __smarthost_info
"""

RETURN = r"""
family:
  description: The one of O(families) that the host is of.
  returned: always
  type: str
system:
  description: What the host's system calls itself.
  returned: always
  type: str
  sample: openSUSE Tumbleweed
release:
  description: Its release, empty where it has none.
  returned: always
  type: str
service_manager:
  description: What starts Postfix, V(none) if nothing does.
  returned: always
  type: str
hostname:
  description: The name of the host in mail.
  returned: always
  type: str
  sample: nas.lan
origin:
  description: What a sender or recipient without a domain gets, a name that only this host has.
  returned: always
  type: str
  sample: nas.lan
names:
  description: Every name behind the @ that is the host's alone, RV(origin) first.
  returned: always
  type: list
  elements: str
public_names:
  description: Names of the host that may be mail domains on the internet.
  returned: always
  type: list
  elements: str
earlier_senders:
  description:
    - Public senders of mail that waited when the role took this Postfix over, or that waits now if it has not yet.
    - The set-up from before let mail leave as them, so they may be nothing that the account may send as.
  returned: always
  type: list
  elements: str
  sample: [casey@old.example]
missing:
  description: The packages of this family that are not there, what each is for -> its name.
  returned: always
  type: dict
  sample: {sasl: libsasl2-modules}
version:
  description: C(mail_version) of Postfix, empty where it is not installed.
  returned: always
  type: str
  sample: 3.7.11
user:
  description: Whether there is the user that logs in by OAuth 2.
  returned: always
  type: bool
seen:
  description:
    - What M(homelab.mail.smarthost_configuration) is compared with. Empty where Postfix is not installed.
    - >-
      C(slot) (that in use), C(files) (path -> kind, mode, owner and sealed text), C(services) (those of
      master.cf), C(to_do) (what a run would do whatever the configuration says, a list), C(ca_files) (the CA bundle of
      the family, if it is there), C(against) (what in master.cf breaks a promise, a list).
  returned: always
  type: dict
of_family:
  description: What O(families) says of RV(family).
  returned: O(from_plan=true)
  type: dict
prepared:
  description: Whether all is there that the configuration needs.
  returned: O(from_plan=true)
  type: bool
in_place:
  description: Whether the host is as the variables want it, so that nothing is left to do.
  returned: O(from_plan=true)
  type: bool
advice:
  description: What does not stop mail yet, such as a clock that is off.
  returned: always
  type: list
  elements: str
"""

# It has to be the first of ours.
from ansible_collections.homelab.mail.plugins.module_utils import old_python  # noqa: F401 (refuses an old one)

# isort: split
from ansible_collections.homelab.mail.plugins.module_utils._change import look


def main() -> None:
    """Answer the module's call."""
    look.answer()


if __name__ == "__main__":
    main()
