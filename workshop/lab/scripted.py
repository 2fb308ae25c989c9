"""A mail provider that answers what a script says, for the replies that a healthy server never gives.

Takes the place of the provider in a lab of its own: python -m workshop.lab up --provider scripted …
"""

import json
from pathlib import Path

from . import certificates
from .host import exec
from .provider import AWAIT_SILENCE

# Under these names hosts reach it; its certificate has all of them.
NAMES = (
    "smtp.fastmail.com", "smtp.mail.me.com", "smtp.gmail.com", "smtp.office365.com", "smtp-mail.outlook.com",
    "smtp-relay.brevo.com", "email-smtp.eu-west-1.amazonaws.com", "smtp.mailgun.org",
)  # fmt: skip

# What each announces.
FASTMAIL = {"offers": "SIZE 52428800\nAUTH PLAIN LOGIN"}
ICLOUD = {"offers": "SIZE 28319744\nAUTH LOGIN PLAIN ATOKEN ATOKEN2 WSTOKEN WETOKEN XOAUTH2"}
GMAIL = {"offers": "SIZE 35882577\nAUTH LOGIN PLAIN XOAUTH2 PLAIN-CLIENTTOKEN OAUTHBEARER XOAUTH"}
MICROSOFT = {"offers": "SIZE 157286400\nAUTH LOGIN XOAUTH2"}
RELAY = {"offers": "SIZE 26214400\nAUTH PLAIN LOGIN"}


class Met(str):
    """An entry of roles/smarthost/providers, in place of a reply: the first one that it was really met with."""

    __slots__ = ()

    def reply(self) -> str:
        """What the server said."""
        from workshop.pages import provider_files  # noqa: PLC0415  # `setup` has to do without packages

        return next(met.said for met in provider_files.met() if met.key == self and met.step)


# Name -> what it offers after EHLO, and step (auth, mail, mail_null for the null sender, rcpt, message) -> the reply
# there; a list is for one attempt after the other, nothing ("") breaks the connection off. The words are the providers'
# own.
PERSONALITIES: dict[str, dict[str, str | list[str]]] = {
    "fastmail-healthy": {**FASTMAIL},
    "fastmail-wrong-password": {**FASTMAIL, "auth": Met("fastmail-login-refused")},
    # No server that is known does; not to be trusted with it all the same.
    "fastmail-repeats-the-password": {**FASTMAIL, "auth": "535 5.7.0 Incorrect password q7w2e9r4t6y1u8i3"},
    "fastmail-many-logins": {**FASTMAIL, "auth": Met("fastmail-login-limit")},
    "fastmail-foreign-from": {**FASTMAIL, "message": Met("fastmail-header-from")},
    "fastmail-locked": {**FASTMAIL, "rcpt": Met("fastmail-account-locked")},
    "fastmail-greylisting": {**FASTMAIL, "rcpt": ["451 4.7.1 Greylisted, please try again in 300 seconds", "250 OK"]},
    "fastmail-mailbox-full": {**FASTMAIL, "rcpt": "552 5.2.2 <casey@fastmail.com>: Mailbox full"},
    "fastmail-helo": {**FASTMAIL, "rcpt": "450 4.7.1 <my_nas>: Helo command rejected: Host not found"},
    "fastmail-breaks-off": {**FASTMAIL, "message": ""},
    "fastmail-breaks-off-at-login": {**FASTMAIL, "auth": ""},
    "icloud-healthy": {**ICLOUD},
    "icloud-wrong-password": {**ICLOUD, "auth": Met("icloud-login-refused")},
    "icloud-foreign-from": {**ICLOUD, "mail": Met("icloud-sender-refused")},
    "icloud-daily-limit": {**ICLOUD, "message": Met("icloud-daily-limit")},
    "gmail-healthy": {**GMAIL},
    "gmail-wrong-password": {**GMAIL, "auth": Met("gmail-login-refused")},
    "gmail-account-password": {**GMAIL, "auth": Met("gmail-app-password-required")},
    "gmail-browser": {**GMAIL, "auth": Met("gmail-browser-sign-in")},
    "gmail-many-logins": {**GMAIL, "auth": Met("gmail-login-limit")},
    "gmail-daily-limit": {**GMAIL, "message": Met("gmail-daily-limit")},
    "gmail-too-large-by-size": {**GMAIL, "mail": Met("gmail-too-large")},
    "gmail-too-large": {**GMAIL, "message": Met("gmail-too-large")},
    "gmail-announces-less": {"offers": "SIZE 100\nAUTH LOGIN PLAIN"},
    "microsoft-healthy": {**MICROSOFT},
    "microsoft-basic-off": {**MICROSOFT, "auth": Met("microsoft-basic-auth-disabled")},
    "microsoft-tenant-off": {**MICROSOFT, "auth": Met("microsoft365-smtp-auth-off-tenant")},
    "microsoft-wrong-password": {**MICROSOFT, "auth": Met("microsoft-credentials")},
    "microsoft-foreign-from": {**MICROSOFT, "message": Met("microsoft-send-as-denied")},
    "microsoft-many-connections": {**MICROSOFT, "mail": Met("microsoft-connections")},
    "brevo-healthy": {**RELAY},
    "brevo-wrong-password": {**RELAY, "auth": Met("brevo-login-refused")},
    "brevo-foreign-address": {**RELAY, "auth": Met("brevo-ip-address")},
    "brevo-not-activated": {**RELAY, "message": Met("brevo-not-activated")},
    "ses-healthy": {**RELAY},
    "ses-wrong-password": {**RELAY, "auth": Met("ses-login-refused")},
    "ses-not-verified": {**RELAY, "message": Met("ses-not-verified")},
    "ses-null-sender": {**RELAY, "mail_null": Met("ses-invalid-sender")},
    "ses-daily-limit": {**RELAY, "message": Met("ses-daily-limit")},
    "mailgun-healthy": {**RELAY},
    "mailgun-wrong-password": {**RELAY, "auth": Met("mailgun-login-refused")},
    "mailgun-sandbox": {**RELAY, "message": Met("mailgun-sandbox")},
}

_UNIT = """\
[Service]
ExecStart=/usr/bin/python3 /opt/scripted_server.py
[Install]
WantedBy=multi-user.target
"""


class Scripted:
    """The scripted provider of one running lab."""

    def __init__(self, lab_name: str) -> None:
        self.lab_name = lab_name
        self.container = f"{lab_name}-provider"

    def reset(self) -> None:
        """The provider as it is at first. Makes a fresh container the provider, too."""
        self.play("fastmail-healthy")
        pem = certificates.create(self.lab_name, NAMES) / "trusted.pem"
        self._put("/etc/scripted.pem", pem.read_text())
        self._put("/opt/scripted_server.py", Path(__file__).with_name("scripted_server.py").read_text())
        self._put("/etc/systemd/system/scripted.service", _UNIT)
        for command in ("daemon-reload", "restart", "enable"):
            exec(self.container, "systemctl", command, *(["scripted"] if command != "daemon-reload" else []))

    def play(self, personality: str) -> None:
        """Answer like this from the next connection on; those that hosts keep for the next mail have ended."""
        exec(self.container, "sh", "-eu", input=AWAIT_SILENCE)
        script = {
            step: said.reply() if isinstance(said, Met) else said for step, said in PERSONALITIES[personality].items()
        }
        self._put("/run/scripted.json", json.dumps(script))

    def logins(self) -> int:
        """How many logins, good and bad, it has seen."""
        journal = exec(self.container, "journalctl", "--unit=scripted", "--output=cat", "--no-pager").stdout
        return journal.splitlines().count("login")

    def _put(self, path: str, text: str) -> None:
        script = "umask 077; cat >$0.new && mv $0.new $0"
        exec(self.container, "sh", "-euc", script, path, input=text)
