"""A mail provider that answers what a script says, for the replies that a healthy server never gives.

Takes the place of the provider in a lab of its own: python -m lab up --provider scripted …
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
_MICROSOFT_END = "[AM0PR02CA0123.eurprd02.prod.outlook.com 2026-11-21T08:15:02.123Z 08DE1234567890AB]"
_GMAIL_END = "5b1f17b1804b1-48d1e8b2c3asm12345678f8f.12 - gsmtp"

# Name -> what it offers after EHLO, and step (auth, mail, mail_null for the null sender, rcpt, message) -> the reply
# there; a list is for one attempt after the other, nothing ("") breaks the connection off. The words are the providers'
# own.
PERSONALITIES: dict[str, dict[str, str | list[str]]] = {
    "fastmail-healthy": {**FASTMAIL},
    "fastmail-wrong-password": {**FASTMAIL, "auth": "535 5.7.0 Incorrect username, password or access token"},
    # No server that is known does; not to be trusted with it all the same.
    "fastmail-repeats-the-password": {**FASTMAIL, "auth": "535 5.7.0 Incorrect password q7w2e9r4t6y1u8i3"},
    "fastmail-many-logins": {
        **FASTMAIL,
        "auth": '451 Already reached per-10 minute limit for logins by "casey@fastmail.com" of 500',
    },
    "fastmail-foreign-from": {
        **FASTMAIL,
        "message": "551 5.7.1 Not authorised to send from this header address",
    },
    "fastmail-locked": {
        **FASTMAIL,
        "rcpt": "554 5.7.1 <unknown[192.0.2.7]>: Client host rejected: Address locked or deactivated",
    },
    "fastmail-greylisting": {**FASTMAIL, "rcpt": ["451 4.7.1 Greylisted, please try again in 300 seconds", "250 OK"]},
    "fastmail-mailbox-full": {**FASTMAIL, "rcpt": "552 5.2.2 <casey@fastmail.com>: Mailbox full"},
    "fastmail-helo": {**FASTMAIL, "rcpt": "450 4.7.1 <my_nas>: Helo command rejected: Host not found"},
    "fastmail-breaks-off": {**FASTMAIL, "message": ""},
    "fastmail-breaks-off-at-login": {**FASTMAIL, "auth": ""},
    "icloud-healthy": {**ICLOUD},
    "icloud-wrong-password": {**ICLOUD, "auth": "535 5.7.8 Error: authentication failed: authentication failure"},
    "icloud-foreign-from": {**ICLOUD, "mail": "550 5.7.0 From address is not one of your addresses"},
    "icloud-daily-limit": {
        **ICLOUD,
        "message": "550 5.7.1 casey@icloud.com: You have exceeded your daily sending limit. Please try again later.",
    },
    "gmail-healthy": {**GMAIL},
    "gmail-wrong-password": {
        **GMAIL,
        "auth": (
            "535-5.7.8 Username and Password not accepted. For more information, go to\n"
            f"535 5.7.8  https://support.google.com/mail/?p=BadCredentials {_GMAIL_END}"
        ),
    },
    "gmail-account-password": {
        **GMAIL,
        "auth": (
            "534-5.7.9 Application-specific password required. For more information, go to\n"
            f"534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor {_GMAIL_END}"
        ),
    },
    "gmail-browser": {
        **GMAIL,
        "auth": (
            "534-5.7.14 <https://accounts.google.com/signin/continue?sarp=1&scc=1&plt=AKgnsbt>\n"
            "534-5.7.14 Please log in via your web browser and then try again.\n"
            "534-5.7.14  Learn more at\n"
            f"534 5.7.14  https://support.google.com/mail/answer/78754 {_GMAIL_END}"
        ),
    },
    "gmail-many-logins": {
        **GMAIL,
        "auth": (
            "454-4.7.0 Too many login attempts, please try again later. For more information, go to\n"
            f"454 4.7.0  https://support.google.com/mail/answer/7126229 {_GMAIL_END}"
        ),
    },
    "gmail-daily-limit": {
        **GMAIL,
        "message": (
            "550-5.4.5 Daily user sending limit exceeded. For more information on Gmail\n"
            "550-5.4.5 sending limits go to\n"
            f"550 5.4.5  https://support.google.com/a/answer/166852 {_GMAIL_END}"
        ),
    },
    "gmail-too-large-by-size": {
        **GMAIL,
        "mail": (
            "552-5.3.4 Your message exceeded Google's message size limits. To view our\n"
            f"552 5.3.4 message size guidelines, go to https://support.google.com/mail/?p=MaxSizeError {_GMAIL_END}"
        ),
    },
    "gmail-too-large": {
        **GMAIL,
        "message": (
            "552-5.3.4 Your message exceeded Google's message size limits. To view our\n"
            f"552 5.3.4 message size guidelines, go to https://support.google.com/mail/?p=MaxSizeError {_GMAIL_END}"
        ),
    },
    "gmail-announces-less": {"offers": "SIZE 100\nAUTH LOGIN PLAIN"},
    "microsoft-healthy": {**MICROSOFT},
    "microsoft-basic-off": {
        **MICROSOFT,
        "auth": f"535 5.7.139 Authentication unsuccessful, basic authentication is disabled. {_MICROSOFT_END}",
    },
    "microsoft-tenant-off": {
        **MICROSOFT,
        "auth": (
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. "
            f"Visit https://aka.ms/smtp_auth_disabled for more information. {_MICROSOFT_END}"
        ),
    },
    "microsoft-wrong-password": {
        **MICROSOFT,
        "auth": f"535 5.7.139 Authentication unsuccessful, the user credentials were incorrect. {_MICROSOFT_END}",
    },
    "microsoft-foreign-from": {
        **MICROSOFT,
        "message": (
            "554 5.2.252 SendAsDenied; casey@casey.test not allowed to send as root@nas.lan; "
            "STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; "
            f"Failed to process message {_MICROSOFT_END}"
        ),
    },
    "microsoft-many-connections": {
        **MICROSOFT,
        "mail": (
            "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending. "
            f"{_MICROSOFT_END}"
        ),
    },
    "brevo-healthy": {**RELAY},
    "brevo-wrong-password": {**RELAY, "auth": "535 5.7.8 Authentication failed"},
    "brevo-foreign-address": {**RELAY, "auth": "525 5.7.1 Unauthorized IP address"},
    "brevo-not-activated": {**RELAY, "message": "502 5.7.0 Your SMTP account is not yet activated"},
    "ses-healthy": {**RELAY},
    "ses-wrong-password": {**RELAY, "auth": "535 Authentication Credentials Invalid"},
    "ses-not-verified": {
        **RELAY,
        "message": (
            "554 Message rejected: Email address is not verified. The following identities failed the check in region "
            "EU-WEST-1: casey@casey.test"
        ),
    },
    "ses-null-sender": {**RELAY, "mail_null": "501 Invalid MAIL FROM address provided"},
    "ses-daily-limit": {**RELAY, "message": "454 Throttling failure: Daily message quota exceeded."},
    "mailgun-healthy": {**RELAY},
    "mailgun-wrong-password": {**RELAY, "auth": "535 5.7.0 Mailgun is not loving your login or password"},
    "mailgun-sandbox": {
        **RELAY,
        "message": (
            "421 Domain casey.test is not allowed to send: Sandbox subdomains are for test purposes only. Please add "
            "your own domain or add the address to authorized recipients in Account Settings."
        ),
    },
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
        self._put("/run/scripted.json", json.dumps(PERSONALITIES[personality]))

    def logins(self) -> int:
        """How many logins, good and bad, it has seen."""
        journal = exec(self.container, "journalctl", "--unit=scripted", "--output=cat", "--no-pager").stdout
        return journal.splitlines().count("login")

    def _put(self, path: str, text: str) -> None:
        script = "umask 077; cat >$0.new && mv $0.new $0"
        exec(self.container, "sh", "-euc", script, path, input=text)
