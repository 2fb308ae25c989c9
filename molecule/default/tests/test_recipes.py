"""The recipes for the system itself: what people copy from the page sends the mail that it promises."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from email.message import EmailMessage

import pytest
import testinfra
from conftest import LAB, NAME
from testinfra.host import Host

from tests import pages
from workshop.lab.host import exec
from workshop.lab.provider import ACCOUNT, Provider

PAGE = pages.sections("docs/recipes.md")
FROM_THE_PAGE = "mail-test report mail-failure@.service service.d mail-failure@.service.d"


@pytest.fixture(scope="module")
def host() -> Host:
    """Testinfra's view of the host."""
    return testinfra.get_host(f"podman://{LAB}-{NAME}")


@pytest.fixture(scope="module")
def tidy() -> Iterator[None]:
    """Take the recipes away again."""
    yield
    folders = ("/etc/cron.d", "/etc/systemd/system", "/usr/local/bin")
    files = [f"{folder}/{name}" for folder in folders for name in FROM_THE_PAGE.split()]
    exec(f"{LAB}-{NAME}", "rm", "-rf", *files)
    exec(f"{LAB}-{NAME}", "sh", "-euc", "systemctl daemon-reload; systemctl reset-failed")


def follow(heading: str, own: Mapping[str, str] | None = None) -> None:
    """Do on the host what stands under a heading of the page; `own` goes in place of the page's names."""
    for block in PAGE[heading]:
        text = block.text
        for shown, name in (own or {}).items():
            text = text.replace(shown, name)
        if block.path:
            folder = block.path.rpartition("/")[0]
            write = f"mkdir -p {shlex.quote(folder)} && cat >>{shlex.quote(block.path)}"
            exec(f"{LAB}-{NAME}", "sh", "-euc", write, input=text)
        elif block.language == "sh":
            text = text.replace("sudo ", "").replace("apt install", "apt-get install -y")
            # What a recipe tries may be a failure; the mail decides.
            done = exec(f"{LAB}-{NAME}", "sh", "-uc", text, check=False)
            print(text, done.stdout, done.stderr)


def arrived(provider: Provider, subject: str) -> EmailMessage:
    """The mail whose subject begins so, as the provider has it: from the account, and to the person."""
    mail = provider.wait_for_mail(lambda mail: str(mail["Subject"]).startswith(subject))
    assert (mail.sender, mail.recipient) == (ACCOUNT, ACCOUNT)
    return mail


def test_cron_mails_what_a_job_prints(host: Host, provider: Provider, tidy: None) -> None:
    host.run_expect([0], "apt-get install --yes --no-install-recommends cron curl && systemctl stop cron")
    # What is due when cron starts need not be waited for.
    follow("cron", {"* * * * *": "@reboot"})
    host.run_expect([0], "rm -f /run/crond.reboot && systemctl start cron")
    mail = arrived(provider, f"Cron <root@{NAME}> echo")
    assert mail.get_content() == "Cron can send mail.\n"


def test_a_unit_that_fails_is_mailed_with_its_log(provider: Provider, tidy: None) -> None:
    follow("Units of systemd")
    text = arrived(provider, f"mail-test.service failed on {NAME}").get_content()
    assert "× mail-test.service - " in text and "Main process exited" in text


def test_a_service_without_rights_of_its_own_sends_by_smtp(provider: Provider, tidy: None) -> None:
    follow("Services that may not call sendmail")
    assert arrived(provider, "Report").get_content().strip() == "All is well."
