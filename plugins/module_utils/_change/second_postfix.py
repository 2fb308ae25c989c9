"""A whole Postfix in one folder: configuration, queue and data, and a master daemon for a moment.

For `rehearsal`. Runs on the managed host.
"""

from __future__ import annotations

import glob
import grp
import os
import pwd
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from ansible_collections.homelab.mail.plugins.module_utils._change import route
from ansible_collections.homelab.mail.plugins.module_utils._program import files

SECONDS = 8

# What a mail needs on its way out. Sockets in a folder of our own; nothing listens to a network.
MASTER_CF = """\
pickup    unix  n  -  n  60     1  pickup
smtpd     unix  n  -  n  -      1  smtpd
cleanup   unix  n  -  n  -      0  cleanup
qmgr      unix  n  -  n  300    1  qmgr
tlsmgr    unix  -  -  n  1000?  1  tlsmgr
rewrite   unix  -  -  n  -      -  trivial-rewrite
bounce    unix  -  -  n  -      0  bounce
defer     unix  -  -  n  -      0  bounce
trace     unix  -  -  n  -      0  bounce
proxymap  unix  -  -  n  -      -  proxymap
anvil     unix  -  -  n  -      1  anvil
smtp      unix  -  -  n  -      -  smtp
whole     unix  -  -  n  -      -  smtp -o smtp_tls_security_level=none -o smtp_tls_wrappermode=no
    -o smtp_tls_policy_maps= -o smtp_sasl_password_maps=static:nobody:nothing
    -o smtp_sasl_security_options=$smtp_sasl_tls_security_options
relay     unix  -  -  n  -      -  smtp
error     unix  -  -  n  -      -  error
retry     unix  -  -  n  -      -  error
scache    unix  -  -  n  -      1  scache
tlsproxy  unix  -  -  n  -      0  tlsproxy
"""
_QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace")


class Folder:
    """A whole Postfix in one folder: configuration, queue, data."""

    def __init__(self, base: str, programs: str) -> None:
        self.base, self.programs, self.main_cf = base, programs, ""
        self.configuration, self.tables = os.path.join(base, "c"), os.path.join(base, "t")
        self.queue, self.data = os.path.join(base, "q"), os.path.join(base, "d")
        self.log = self.queue + "/public/postlog"
        self.environment = {
            "PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C",
            "MAIL_CONFIG": self.configuration,
            # Where the daemons send their log, from Postfix 3.4 on.
            "POSTLOG_SERVICE": self.log,
            "POSTLOG_HOSTNAME": "check",
        }
        for path in (self.configuration, self.tables):
            files.own_folder(path, 0o755)
        self.put("master.cf", MASTER_CF)

    def open(self, owner: str, group: str) -> None:
        """Make queue and data, and let Postfix reach them."""
        uid, gid = pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid
        for path in (self.queue, self.queue + "/pid"):
            files.own_folder(path, 0o755)
        files.own_folder(self.data, 0o755, (uid, 0))
        for name in _QUEUES:
            files.own_folder(f"{self.queue}/{name}", 0o700, (uid, 0))
        for name, mode in (("maildrop", 0o730), ("public", 0o710)):
            files.own_folder(f"{self.queue}/{name}", mode, (uid, gid))
        os.chmod(self.base, 0o755)

    def put(self, name: str, text: str) -> None:
        """Write a file of the configuration."""
        files.write(os.path.join(self.configuration, name), text, 0o644)

    def put_tables(self, tables: Mapping[str, str], compiled: Mapping[str, str]) -> None:
        """All tables; the logins stay empty, because nothing logs in here."""
        for name, text in {**tables, "sasl_passwd": ""}.items():
            self.put(os.path.join(self.tables, name), text)
            if name in compiled:
                self.run("postmap", f"{compiled[name]}:{os.path.join(self.tables, name)}")

    def run(self, program: str, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [os.path.join(self.programs, program), *arguments],
            env=self.environment, input=text, capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip

    def reason(self, recipient: str) -> str:
        """Why the mail to a recipient waits, as soon as Postfix has said so."""
        for path in glob.glob(f"{self.queue}/defer/**", recursive=True):
            with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
                if found := route.reason(file.read(), recipient):
                    return found
        return ""


@contextmanager
def master(folder: Folder, daemons: str) -> Iterator[subprocess.Popen[bytes]]:
    """The master daemon, which ends by itself if its parent is gone."""
    process = subprocess.Popen(
        [f"{daemons}/master", "-d", "-c", folder.configuration, "-e", str(SECONDS + 5)],
        env=folder.environment, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        # The group: daemons that master has started would otherwise live on for a while.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
