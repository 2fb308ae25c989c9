"""Mail whose header is not as it should be: it arrives all the same, as the account may send it."""

from __future__ import annotations

import uuid

import testinfra
from conftest import LAB, NAME

from workshop.lab.provider import Provider

# What programs and scripts write, and the name that a reader sees.
FROMS = {
    '"root@web" <>': "",
    "a@b <>": "",
    "<>": "",
    "Foo [x] <root>": "Foo [x]",
    "Foo [x] <root@web>": "Foo [x]",
    "backup: done <root@web.lan>": "backup@trixie.localdomain:done",
    "Foo@web bar <root@localhost>": "Foo@web bar",
    "Foo;bar <root>": "Foo@trixie.localdomain;bar",
    "Foo root@web>": "Foo",
    "Foo root@web": "",
    "Cron Daemon <root@nas> <root@nas>": "",
    # As they should be.
    '"Cron <root@nas>" <root>': "Cron <root@nas>",
    "Foo (x) <root>": "Foo",
    "root (Foo)": "",
    "Foo <root@[192.0.2.1]>": "Foo",
    "<root@web>, Foo <root@web>": "",
}


def test_a_sender_s_name_that_should_be_in_quotes_costs_no_mail(provider: Provider) -> None:
    host, tag = testinfra.get_host(f"podman://{LAB}-{NAME}"), uuid.uuid4().hex[:8]
    for number, sender in enumerate(FROMS):
        text = f"Subject: {tag}-{number:02}\nFrom: {sender}\nTo: root\n\nThe disk is full.\n"
        host.run_expect([0], f"printf %s '{text}' | /usr/sbin/sendmail -i root")
    for number, (sender, name) in enumerate(FROMS.items()):
        mail = provider.wait_for_mail(lambda mail, subject=f"{tag}-{number:02}": mail["Subject"] == subject)
        shown = mail["From"].addresses
        assert {one.addr_spec for one in shown} == {"casey@fastmail.com"}, sender
        assert shown[0].display_name == name, sender
