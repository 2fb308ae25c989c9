"""Run site.yml on a container and follow one mail through it. KEEP=1 leaves the containers up."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from workshop.lab import LabError, environment, labs
from workshop.lab.host import exec
from workshop.lab.provider import ACCOUNT, Provider

PROJECT = Path(__file__).resolve().parents[2]
LAB = "demo"
SERVER = "nas.lan"
CONTAINER = f"{LAB}-{SERVER}"
SUBJECT = "Disk /dev/sda is failing"


def say(text: str) -> None:
    """A heading of the demo."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def playbook(lab: str, **how: Any) -> subprocess.CompletedProcess[str]:
    """What a person does for a server of their own, with another inventory."""
    command = ["ansible-playbook", "--inventory", "workshop/lab/inventory", "--inventory", "workshop/demo/inventory",
               "--vault-password-file", "workshop/demo/vault-password", "site.yml"]  # fmt: skip
    if lab == LAB:
        print(f"$ {' '.join(command)}", flush=True)
    # Without the group_vars beside site.yml: they may be those of a real server.
    precedence = "all_inventory,groups_inventory,all_plugins_inventory,groups_plugins_inventory"
    settings = {**os.environ, **environment(), "ANSIBLE_PRECEDENCE": precedence}
    return subprocess.run([*command, f"--extra-vars=lab={lab}"], cwd=PROJECT, env=settings, check=False, **how)


def send(provider: Provider) -> tuple[EmailMessage, str, float]:
    """Send as cron does; returns what arrived, what Postfix logged, and the seconds it took."""
    text = f"Subject: {SUBJECT}\nTo: root\n\nSMART error (CurrentPendingSector): 8 sectors\n"
    print(f"{text}$ sendmail root")
    provider.clear()
    start = time.time()
    exec(CONTAINER, "/usr/sbin/sendmail", "-i", "root", input=text)
    mail = provider.wait_for_mail(lambda mail: mail["Subject"] == SUBJECT)
    seconds = time.time() - start
    since = f"--since=@{start - 1:.6f}"
    log = exec(CONTAINER, "journalctl", "--no-pager", "--output=cat", since, "_COMM=pickup", "+", "_COMM=smtp", since)
    return mail, log.stdout, seconds


def show(mail: EmailMessage, log: str, seconds: float) -> None:
    """What arrived, as people would ask for it."""
    received = " ".join(mail["Received"].split())
    verified = re.search(r"(Verified) TLS connection established to (\S+?)\[\S+\]:(\d+): (\S+)", log)
    login = re.search(r"Authenticated sender: ([^)]+)", received)
    before = re.search(r"from=<([^>]*)>", log)
    if not (verified and login and before):
        raise LabError(f"The mail arrived otherwise than promised:\n{mail}\n{log}")
    _word, relay, port, version = verified.groups()
    print(f"""
  cron ──▶ Postfix on {SERVER}, 127.0.0.1:25 ──▶ {relay}:{port} ──▶ inbox of {mail["X-Original-To"]}

  logged in as    {login.group(1)}
  over            {version}, certificate verified as that of {relay}
  From, before    {before.group(1)}@{SERVER}
  From, after     {mail["From"]}
  To              {mail["To"]}, delivered to {mail["X-Original-To"]}
  Subject         {mail["Subject"]}
  on its way      {seconds:.1f} s""")


def main() -> int:
    """From nothing to a delivered mail."""
    start = time.monotonic()
    try:
        say(f"A throw-away server, {SERVER}, and a stand-in for smtp.fastmail.com")
        labs.up(LAB, {SERVER: "bookworm"})
        provider = Provider(LAB)
        say(f"The playbook makes {SERVER} a smart host for {ACCOUNT}")
        if playbook(LAB).returncode:
            raise LabError("The playbook failed; its last lines above say why.")
        say("Cron has something to say")
        result = send(provider)
        say("What arrived at the provider")
        show(*result)
    except LabError as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    finally:
        if not os.environ.get("KEEP"):
            # Where there is no podman, the error above has said so.
            with contextlib.suppress(LabError):
                labs.down(LAB, [])
    print(f"\nAll of it took {time.monotonic() - start:.0f} s. Next: Your own server, in the README.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
