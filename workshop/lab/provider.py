"""The lab's mail provider: Postfix and Dovecot, as strict as the real one, and its switches."""

import binascii
import email
import email.policy
import io
import json
import re
import tarfile
import time
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal

from . import LabError, certificates, idp, milter
from .certificates import Kind
from .host import exec

# The names under which the lab's hosts reach the provider; its certificate has all of them.
NAMES = (
    "smtp.fastmail.com", "smtps-proxy.fastmail.com", "smtp.mail.me.com", "smtp.office365.com",
    "smtp-mail.outlook.com", "login.microsoftonline.com",
)  # fmt: skip
ACCOUNT = "casey@fastmail.com"
PASSWORD = "q7w2e9r4t6y1u8i3"  # opens nothing but this lab
# Further addresses that the account may send from.
ALIASES = ("alerts@casey.test",)
# An account with another provider.
OTHER_ACCOUNT = "sasha@icloud.com"
OTHER_PASSWORD = "kqzd-wfrh-xjkm-mvzp"  # opens nothing but this lab
# One that has tokens in place of a password.
TOKEN_ACCOUNT = "nas@casey.test"
_PASSWORDS = {ACCOUNT: PASSWORD, OTHER_ACCOUNT: OTHER_PASSWORD}
_OWNED = {ACCOUNT: (ACCOUNT, *ALIASES), OTHER_ACCOUNT: (OTHER_ACCOUNT,), TOKEN_ACCOUNT: (TOKEN_ACCOUNT,)}
# More than all the runs and mails of a test need in a minute, and far less than a login for each mail of a burst.
LOGINS_A_MINUTE = 200

INBOX = "/var/mail/lab/inbox"
LOG = "/var/log/mail.log"
USERS = "/etc/dovecot/users"
# For a client that names the server it looks for (SNI), and for one that does not.
CERTIFICATE = "/etc/postfix/tls.pem"
OTHER_CERTIFICATE = "/etc/postfix/tls-no-name.pem"
# While it is there, who names no server sees the right certificate, too.
SNI_OPTIONAL = "/etc/postfix/sni-optional"

_MAIN_CF = f"""\
compatibility_level = 3.6
myhostname = {NAMES[0]}
maillog_file = {LOG}
inet_protocols = ipv4

# Every recipient is at home here, in one Maildir; nothing leaves, whatever happens.
mydestination =
alias_maps =
relay_domains =
virtual_mailbox_domains = static:all
virtual_mailbox_base = /var/mail/lab
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
virtual_mailbox_limit = 0
default_transport = error:the lab sends nothing to the outside world
relay_transport = $default_transport

# Only who has logged in may send, and only from addresses of that account.
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_sasl_authenticated_header = yes
smtpd_sender_login_maps = texthash:/etc/postfix/owned
smtpd_milters = unix:{milter.SOCKET}
smtpd_sender_restrictions = reject_sender_login_mismatch
smtpd_relay_restrictions = permit_sasl_authenticated, reject
# Some providers refuse a sender at MAIL FROM, others later.
smtpd_delay_reject = yes
message_size_limit = 52428800
# As most providers; mail that needs it comes back.
smtputf8_enable = no
# Of each client. As the presets say, with hosts of the lab counted as all others.
smtpd_client_connection_count_limit = @concurrency@
smtpd_client_auth_rate_limit = {LOGINS_A_MINUTE}
smtpd_client_event_limit_exceptions =
# The lab's name service pauses when a container comes or goes, for longer than a client waits.
smtpd_peername_lookup = no
# The default is a pause that keeps attackers busy; here only tests would wait.
smtpd_error_sleep_time = 0

smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
lab_wrappermode = yes
smtpd_tls_protocols = >=TLSv1.2
smtpd_tls_mandatory_protocols = >=TLSv1.2
smtpd_tls_chain_files = {OTHER_CERTIFICATE}
tls_server_sni_maps = texthash:/etc/postfix/sni
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1
# A resumed session would not show the client the certificate that a test has just put here.
smtpd_tls_session_cache_timeout = 0
"""

# No smtp, relay or local: neither the outside world nor local users get anything.
# With max_use=1 every connection has a process of its own, which sees what a switch has changed:
# after a reload, old processes go on answering for a while.
_MASTER_CF = """\
submission  inet  n  -  n  -     -  smtpd
    -o max_use=1
submissions inet  n  -  n  -     -  smtpd
    -o max_use=1
    -o syslog_name=postfix/submissions
    -o smtpd_tls_wrappermode=$lab_wrappermode
cleanup     unix  n  -  n  -     0  cleanup
qmgr        unix  n  -  n  300   1  qmgr
tlsmgr      unix  -  -  n  1000? 1  tlsmgr
rewrite     unix  -  -  n  -     -  trivial-rewrite
bounce      unix  -  -  n  -     0  bounce
defer       unix  -  -  n  -     0  bounce
trace       unix  -  -  n  -     0  bounce
flush       unix  n  -  n  1000? 0  flush
proxymap    unix  -  -  n  -     -  proxymap
showq       unix  n  -  n  -     -  showq
error       unix  -  -  n  -     -  error
retry       unix  -  -  n  -     -  error
virtual     unix  -  n  n  -     -  virtual
anvil       unix  -  -  n  -     1  anvil
postlog     unix-dgram n - n -   1  postlogd
"""

_DOVECOT_CONF = f"""\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
protocols = imap
ssl = yes
ssl_server_cert_file = {CERTIFICATE}
ssl_server_key_file = {CERTIFICATE}
log_path = /var/log/dovecot.log
auth_mechanisms = plain login
# Whether a password may go in plain text is Postfix's decision (smtpd_tls_auth_only).
auth_allow_cleartext = yes
# As Fastmail: another sign may stand for the @ of a login.
auth_username_translation = "#@/@=@"
passdb passwd-file {{
  # Or else who has a token would need a password as well.
  mechanisms_filter = plain login
  passwd_file_path = {USERS}
}}
service auth {{
  unix_listener /var/spool/postfix/private/auth {{
    mode = 0600
    user = postfix
  }}
}}
# Everyone who logs in reads the one Maildir.
userdb static {{
  fields {{
    uid = 5000
    gid = 5000
    home = /var/mail/lab
  }}
}}
mail_driver = maildir
mail_path = {INBOX}
mail_index_path = MEMORY
namespace inbox {{
  inbox = yes
  mailbox Junk {{
    special_use = \\Junk
    auto = create
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
}}
# No delays after a wrong password: tests would only wait.
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""

_UNIT = """\
[Unit]
Before=postfix.service
[Service]
Type=notify
ExecStart=/usr/bin/python3 /opt/milter.py
[Install]
WantedBy=multi-user.target
"""

# Dovecot asks the identity provider about each token.
_TOKENS = f"""\
auth_mechanisms = plain login xoauth2 oauthbearer
oauth2 {{
  introspection_mode = post
  introspection_url = http://127.0.0.1:{idp.INSIDE}/introspect
  force_introspection = yes
  username_attribute = username
  active_attribute = active
  active_value = true
}}
"""

_IDP_UNIT = f"""\
[Service]
ExecStart=/usr/bin/python3 /opt/idp.py {TOKEN_ACCOUNT} {CERTIFICATE}
"""

# Debian's unit withholds this. A reload that ends a service then waits at full speed until its processes leave by
# themselves, and the whole of Postfix waits with it.
_KILL = """\
[Service]
CapabilityBoundingSet=CAP_KILL
"""

_FILES = {
    "/etc/postfix/main.cf": _MAIN_CF,
    "/etc/postfix/master.cf": _MASTER_CF,
    "/etc/postfix/sni": "".join(f"{name} {CERTIFICATE}\n" for name in NAMES),
    "/etc/dovecot/dovecot.conf": _DOVECOT_CONF,
    "/opt/milter.py": Path(milter.__file__).read_text(),
    "/etc/systemd/system/milter.service": _UNIT,
    "/etc/systemd/system/postfix.service.d/kill.conf": _KILL,
    "/opt/idp.py": Path(idp.__file__).read_text(),
    "/etc/systemd/system/idp.service": _IDP_UNIT,
}
# What the milter goes by at first.
_RULES: dict[str, Any] = {"owned": _OWNED, "replies": {}, "helo": None, "null_sender": True, "judgement": None}

# Hosts keep connections for the next mail for two seconds, and a switch is to hold from that mail on. State 01 is an
# established connection; the ports are 465 and 587.
AWAIT_SILENCE = """
for _try in $(seq 50); do
    grep -qE ':(01D1|024B) [0-9A-F]+:[0-9A-F]+ 01 ' /proc/net/tcp /proc/net/tcp6 || break
    sleep 0.1
done
"""

# Postfix waits for a second or two when main.cf is so new that it may still be being written.
_AGE = "touch -d '1 minute ago' /etc/postfix/main.cf\n"


class Delivered(EmailMessage):
    """A mail as the provider has it; what it knows beside the mail's own headers."""

    @property
    def sender(self) -> str:
        """The sender of the envelope; empty for a bounce."""
        return str(self["Return-Path"]).strip("<>")

    @property
    def recipient(self) -> str:
        """The recipient of the envelope."""
        return str(self["X-Original-To"])

    @property
    def login(self) -> str:
        """Who had logged in."""
        [login] = re.findall(r"\(Authenticated sender: (\S+)\)", " ".join(self.get_all("Received", [])))
        return str(login)


def concurrency() -> int:
    """How many connections the provider lets a client have, by its preset."""
    from workshop.pages import provider_files  # noqa: PLC0415  # `setup` has to do without packages

    return int(provider_files.presets()["fastmail"]["concurrency"])


class Provider:
    """The provider of one running lab."""

    def __init__(self, lab_name: str) -> None:
        self.lab_name = lab_name
        self.container = f"{lab_name}-provider"

    def reset(self) -> None:
        """The provider as it is at first: trusted certificate, TLS, first password, no other switch set.

        Makes a fresh container the provider, too. The mails stay.
        """
        files = "".join(
            f"cat >{path}.new <<'END'\n{text}END\ncmp -s {path}.new {path} || new=yes\nmv {path}.new {path}\n"
            for path, text in _FILES.items()
        ).replace("@concurrency@", str(concurrency()))
        self._shell(
            "mkdir -p /etc/systemd/system/postfix.service.d\n"
            f"install -d -o 5000 -g 5000 -m 700 /var/mail/lab {INBOX} {INBOX}/new\n"
            f"touch {LOG}\n"
            + self._password_script(_PASSWORDS)
            + self._rules_script(_RULES)
            + self._certificate_script("trusted")
            + self._tls_script(True)
            # A container of an older version of this file gets the new configuration, too.
            + f"new=\n{files}{_AGE}"
            + """
[ -z "$new" ] && systemctl is-active --quiet dovecot milter && exec systemctl start postfix
systemctl daemon-reload
systemctl enable postfix dovecot milter
systemctl restart milter
systemctl restart postfix # first: it makes the folder for Dovecot's socket
systemctl restart dovecot
"""
        )

    def mails(self) -> list[Delivered]:
        """All mails that were delivered since the last clear(), in the order of arrival."""
        # What was opened over IMAP is in cur. One process for all of them: there may be hundreds, and tests ask often.
        done = self._shell(f"cd {INBOX}\ntar --ignore-failed-read -cf - new $([ ! -d cur ] || echo cur) | base64 -w0")
        with tarfile.open(fileobj=io.BytesIO(binascii.a2b_base64(done))) as archive:
            files = [(Path(file.name).name, found.read()) for file in archive if (found := archive.extractfile(file))]
        # Maildir names start with the time of delivery: SECONDS.V…I…M<microseconds>.HOST
        files.sort(key=lambda file: [int(n) for n in re.findall(r"^\d+|(?<=M)\d+", file[0])])
        policy: email.policy.EmailPolicy[Delivered] = email.policy.EmailPolicy(message_factory=Delivered)
        return [email.message_from_bytes(text, policy=policy) for _, text in files]

    def subjects(self) -> list[str]:
        """The subjects of all delivered mails; quick also where there are hundreds."""
        return (
            self._shell(f"grep -rshm1 '^Subject: ' {INBOX}/new {INBOX}/cur || true")
            .replace("Subject: ", "")
            .splitlines()
        )

    def clear(self) -> None:
        """Remove all delivered mails."""
        self._shell(f"find {INBOX} -type f -delete")

    def wait_for_mail(self, predicate: Callable[[Delivered], bool] = lambda _: True, timeout: float = 60) -> Delivered:
        """The first mail that the predicate is true for."""
        deadline = time.monotonic() + timeout
        while True:
            mails = self.mails()
            for mail in mails:
                if predicate(mail):
                    return mail
            if time.monotonic() > deadline:
                subjects = [str(mail["Subject"]) for mail in mails]
                raise LabError(f"no such mail reached {self.container} in {timeout} s; it has {subjects}")
            time.sleep(0.2)

    def use_certificate(self, kind: Kind) -> None:
        """Show this certificate from the next connection on; all but the trusted one also to who names no server."""
        self._shell(self._certificate_script(kind) + AWAIT_SILENCE)

    def offer_tls(self, offered: bool) -> None:
        """Without TLS, both ports offer AUTH in plain text, as an attacker in the middle would."""
        self._shell(self._tls_script(offered) + AWAIT_SILENCE)

    def refuse_at_mail(self, refused: bool) -> None:
        """Refuse a sender that the account does not own at MAIL FROM already, as iCloud and Microsoft do."""
        self._shell(f"postconf -e smtpd_delay_reject={'no' if refused else 'yes'}\n{_AGE}" + AWAIT_SILENCE)

    def serve_address(self, address: str) -> None:
        """Take mail without a login from this address alone, as an ISP's relay does."""
        by_address = "smtpd_relay_restrictions='permit_mynetworks, reject' smtpd_sender_restrictions= smtpd_milters="
        self._shell(f"postconf -e {by_address} mynetworks={address}\n{_AGE}postfix reload\n" + AWAIT_SILENCE)

    def refuse_null_sender(self, refused: bool) -> None:
        """Refuse bounces, as Amazon SES does."""
        self._change_rules(null_sender=not refused)

    def reply(self, step: Literal["mail", "rcpt", "message"], reply: str | None) -> None:
        """Answer with this, such as "552 5.2.2 Mailbox full", to each sender, recipient or mail; None as usual."""
        replies = self._rules()["replies"] | {step: reply}
        self._change_rules(replies={step: text for step, text in replies.items() if text})

    def judge(self, results: str | None) -> None:
        """Write this on top of each mail, as the server that receives it does, as Authentication-Results."""
        self._change_rules(judgement=results)

    def withhold_uidplus(self) -> None:
        """Offer no way to delete a single mail over IMAP, only all that are marked; until the next reset()."""
        text = "protocol imap {\n  imap_capability {\n    UIDPLUS = no\n  }\n}\n"
        self._shell(f"cat >>/etc/dovecot/dovecot.conf <<'END'\n{text}END\ndoveadm reload")

    def take_tokens(self) -> None:
        """Take tokens of an identity provider that knows of no consent; until the next reset()."""
        listens = f"until grep -q :{idp.INSIDE:04X}.*0A /proc/net/tcp; do sleep 0.1; done"
        self._shell(
            f"cat >>/etc/dovecot/dovecot.conf <<'END'\n{_TOKENS}END\nsystemctl restart idp\n"
            # A token in one line, as Microsoft takes it.
            f"postconf -e line_length_limit=12288\n{_AGE}timeout 10 sh -c '{listens}'\ndoveadm reload\n"
        )

    def offer(self, mechanisms: str) -> None:
        """Take tokens by these mechanisms alone."""
        self._shell(
            f"sed -i 's/^auth_mechanisms.*/auth_mechanisms = plain login {mechanisms}/' /etc/dovecot/dovecot.conf"
        )
        self._shell("doveadm reload")

    def identity(self, **wanted: object) -> dict[str, list[str]]:
        """Change something of the identity provider; what it was asked and what it has given."""
        asks = (
            f"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:{idp.INSIDE}/control', "
            f"{json.dumps(wanted).encode()!r}).read().decode())"
        )
        found: dict[str, list[str]] = json.loads(exec(self.container, "python3", "-c", asks).stdout)
        return found

    def put(self, *texts: str, folder: str = "") -> None:
        """Lay mails into a folder of the mailbox, by the name that IMAP has for it; the inbox without."""
        path = f"{INBOX}/.{folder}" if folder else INBOX
        self._shell(
            f"folder='{path}'\n"
            'mkdir -p "$folder/cur" "$folder/new" "$folder/tmp"\n'
            + "".join(f"cat >\"$folder/new/$(date +%s.M%6NP$$.lab)\" <<'END'\n{text}END\n" for text in texts)
            + 'chown -R 5000:5000 "$folder"\n'
        )

    def defer_helo(self, pattern: str | None) -> None:
        """Put off what comes from a host that gives a name with this regular expression in it."""
        self._change_rules(helo=pattern)

    def set_owned(self, addresses: Sequence[str], account: str = ACCOUNT) -> None:
        """Let the account send from these addresses alone."""
        self._change_rules(owned=self._rules()["owned"] | {account: addresses})

    def limit(self, limited: bool) -> None:
        """Without limits, a client may connect and log in as often as it likes, as measurements of others do."""
        most, logins = (concurrency(), LOGINS_A_MINUTE) if limited else (0, 0)
        settings = f"smtpd_client_connection_count_limit={most} smtpd_client_auth_rate_limit={logins}"
        self._shell(f"postconf -e {settings}\n{_AGE}postfix reload\n" + AWAIT_SILENCE)

    def close(self, service: str) -> None:
        """Refuse connections to a port, `submission` or `submissions`, until the next reset()."""
        self._shell(f"postconf -M# {service}/inet\n{_AGE}postfix reload\n" + AWAIT_SILENCE)

    def pace(self, mails: int, seconds: int) -> None:
        """Refuse, for now, more mails than these in so many seconds, until the next reset()."""
        settings = f"smtpd_client_message_rate_limit={mails} anvil_rate_time_unit={seconds}s"
        self._shell(f"postconf -e {settings}\n{_AGE}postfix reload\n" + AWAIT_SILENCE)

    def answer(self, answers: bool) -> None:
        """Without an answer, connections are refused, as by a provider that is down."""
        self._shell(f"systemctl {'start' if answers else 'stop'} postfix")

    def set_password(self, password: str, account: str = ACCOUNT) -> None:
        """Let the account have this app password from now on."""
        self._shell(self._password_script(_PASSWORDS | {account: password}) + AWAIT_SILENCE)

    def marker(self) -> int:
        """The present end of the mail log, for log_since(); no connection from before will be in what follows."""
        return int(self._shell(f"{AWAIT_SILENCE}wc -c <{LOG}"))

    def log_since(self, marker: int) -> str:
        """What Postfix has logged since then."""
        return self._shell(f"tail -c +{marker + 1} {LOG}")

    def deliveries(self, message_id: str) -> list[tuple[str, str]]:
        """Sender and recipient of each delivery of a mail, also of what clear() has removed."""
        log = self.log_since(0)
        return [
            (sender, recipient)
            for queue_id in re.findall(rf": (\w+): message-id=<{re.escape(message_id)}>", log)
            for sender in set(re.findall(rf": {queue_id}: from=<(.*?)>", log))
            for recipient in re.findall(rf": {queue_id}: to=<(.*?)>, .*status=sent", log)
        ]

    def wait_for_log(self, pattern: str, marker: int, timeout: float = 20) -> str:
        """The log since then, as soon as the regular expression is found in it."""
        deadline = time.monotonic() + timeout
        while not re.search(pattern, log := self.log_since(marker)):
            if time.monotonic() > deadline:
                raise LabError(f"{self.container} did not log {pattern!r} in {timeout} s, only:\n{log}")
            time.sleep(0.2)
        return log

    def _certificate_script(self, kind: Kind) -> str:
        folder = certificates.create(self.lab_name, NAMES)
        without_name: Kind = "wrong-name" if kind == "trusted" else kind
        return f"""
umask 077
cat >{CERTIFICATE}.new <<'END'
{(folder / f"{kind}.pem").read_text()}END
cat >{OTHER_CERTIFICATE}.new <<'END'
{(folder / f"{without_name}.pem").read_text()}END
[ ! -e {SNI_OPTIONAL} ] || cp {CERTIFICATE}.new {OTHER_CERTIFICATE}.new
mv {CERTIFICATE}.new {CERTIFICATE}
mv {OTHER_CERTIFICATE}.new {OTHER_CERTIFICATE}
umask 022
"""

    def _password_script(self, passwords: dict[str, str]) -> str:
        users = "".join(f"{account}:{{PLAIN}}{password}\n" for account, password in passwords.items())
        # Dovecot looks whether the file is newer once a second only, and in whole seconds.
        return f"""
cat >{USERS}.new <<'END'
{users}END
cmp -s {USERS}.new {USERS} || {{ install -g dovecot -m 640 {USERS}.new {USERS}; sleep 1; }}
"""

    def _rules(self) -> dict[str, Any]:
        rules: dict[str, Any] = json.loads(self._shell(f"cat {milter.RULES}"))
        return rules

    def _change_rules(self, **changes: object) -> None:
        self._shell(self._rules_script(self._rules() | changes) + AWAIT_SILENCE)

    def _rules_script(self, rules: dict[str, Any]) -> str:
        accounts: dict[str, list[str]] = {}
        for account, addresses in rules["owned"].items():
            for address in addresses:
                accounts.setdefault(address, []).append(account)
        owned = "".join(f"{address} {', '.join(owners)}\n" for address, owners in accounts.items())
        return "".join(
            f"cat >{path}.new <<'END'\n{text}END\nmv {path}.new {path}\n"
            for path, text in ((milter.RULES, json.dumps(rules) + "\n"), ("/etc/postfix/owned", owned))
        )

    def _tls_script(self, offered: bool) -> str:
        level, yes = ("encrypt", "yes") if offered else ("none", "no")
        settings = f"smtpd_tls_security_level={level} smtpd_tls_auth_only={yes} lab_wrappermode={yes}"
        return f"postconf -e {settings}\n{_AGE}"

    def _shell(self, script: str) -> str:
        return exec(self.container, "sh", "-eu", input=script).stdout
