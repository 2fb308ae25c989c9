"""Whose mail goes elsewhere after taking over, by what was found and by the aliases to come."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._change import aliases
from ansible_collections.homelab.mail.plugins.module_utils._change.aliases import Before

NEW = {"root": ["casey@fastmail.com"]}
FAMILY = "family@casey.test"


def changes(new: dict[str, list[str]] | None = None, **found: Any) -> str:
    """What is said of a host with these tables."""
    found.setdefault("domains", ["nas.lan", "localhost"])
    return " ".join(aliases.changes(Before(**found), new or NEW))


def written(text: str) -> Before:
    """A host with this /etc/aliases."""
    return Before(domains=["nas.lan"], aliases=aliases.parse(text))


# --- Reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("root: a@b.test", {"root": ["a@b.test"]}),
        ("ROOT :\ta@b.test , c@d.test", {"root": ["a@b.test", "c@d.test"]}),
        ("# root: x@y\n\nroot: a@b.test,\n# between\n\tc@d.test\n", {"root": ["a@b.test", "c@d.test"]}),
        ('"anna maria": a@b.test', {"anna maria": ["a@b.test"]}),
        ('ups: "|/bin/page -t \\"a, b\\"", \\ups', {"ups": ['|/bin/page -t "a, b"', "\\ups"]}),
        ("ups: |/bin/page", {"ups": ["|/bin/page"]}),
        ("list: :include:/etc/list, /var/log/mails", {"list": [":include:/etc/list", "/var/log/mails"]}),
        ("root: Casey <a@b.test>", {"root": ["a@b.test"]}),
        ("@:\t@\nYP_MASTER_NAME:\tnas\nroot:\ta@b.test", {"root": ["a@b.test"]}),
        ("no colon\n  \n", {}),
        ("root:", {"root": []}),
    ],
)
def test_a_file_of_aliases_is_read(text: str, table: dict[str, list[str]]) -> None:
    assert aliases.parse(text) == table


def test_a_forward_has_targets_on_lines_of_their_own() -> None:
    assert aliases.targets("# mine\n\\root\na@b.test, c@d.test\n") == ["\\root", "a@b.test", "c@d.test"]


# --- Who is named -----------------------------------------------------------------------------------


def test_whose_mail_goes_elsewhere_is_named_with_the_line_to_copy() -> None:
    assert changes(aliases={"root": [FAMILY]}) == (
        f"Until now mail of root goes to {FAMILY}; with this configuration it goes to casey@fastmail.com. "
        f"To keep it so, write smarthost_aliases: {{root: {FAMILY}}}."
    )


def test_who_shares_roots_mail_is_named_and_needs_no_line() -> None:
    said = changes(
        aliases={"root": [FAMILY], "postmaster": ["root"], "www": ["postmaster"], "ups": ["a@b.test", "root"]}
    )
    assert "mail of root, postmaster and www goes to family@casey.test" in said
    assert "mail of ups goes to a@b.test and family@casey.test" in said
    assert f"smarthost_aliases: {{root: {FAMILY}, ups: [a@b.test, {FAMILY}]}}" in said


def test_who_shared_roots_mail_but_has_an_alias_now_needs_a_line() -> None:
    said = changes({**NEW, "ups": ["x@y.test"]}, aliases={"root": [FAMILY], "ups": ["root"]})
    assert f"{{root: {FAMILY}, ups: {FAMILY}}}" in said


@pytest.mark.parametrize(
    ("found", "new"),
    [
        ({}, NEW),
        ({"aliases": {"root": ["casey@fastmail.com"]}}, NEW),
        ({"aliases": {"root": ["Casey@Fastmail.com"], "www": ["root"]}}, NEW),
        ({"aliases": {"root": ["b@x.test", "a@x.test"]}}, {"root": ["a@x.test", "b@x.test"]}),
        ({"aliases": {"ups": ["a@x.test"]}}, {**NEW, "ups": ["anna"], "anna": ["a@x.test"]}),
        ({"aliases": {"postmaster": ["root"], "www": ["postmaster"]}}, NEW),
        ({"aliases": {"root": ["casey"], "casey": ["casey"]}}, NEW),
        ({"aliases": {"a": ["b"], "b": ["a"]}}, NEW),
        ({"aliases": {"root": ["\\root", "casey@fastmail.com"]}}, NEW),
        ({"virtual": {"anna@elsewhere.test": ["b@x.test"]}}, NEW),
    ],
)
def test_where_the_same_people_get_the_mail_nothing_is_said(found: dict[str, Any], new: dict[str, list[str]]) -> None:
    assert changes(new, **found) == ""


@pytest.mark.parametrize(
    "virtual",
    [
        {"root@nas.lan": [FAMILY]},
        {"root": [FAMILY]},
        {"@nas.lan": [FAMILY]},
        {"root@localhost": [FAMILY]},
        {"root@nas.lan": ["anna"], "anna": [FAMILY]},
        {"root@nas.lan": ["root"]},
    ],
)
def test_virtual_aliases_count_and_come_first(virtual: dict[str, list[str]]) -> None:
    beyond = "root@nas.lan" in virtual and virtual["root@nas.lan"] == ["root"]
    said = changes(virtual=virtual, aliases={"root": [FAMILY if beyond else "never@x.test"]})
    assert said.startswith("Until now mail of root ") and f"goes to {FAMILY};" in said
    assert "never" not in said


def test_two_ways_to_one_alias_lead_to_the_same_people() -> None:
    found = {"root": ["anna", "bob"], "anna": ["all"], "bob": ["all"], "all": [FAMILY]}
    assert f"mail of root, all, anna and bob goes to {FAMILY};" in changes(aliases=found)


def test_commands_files_and_lists_are_named_and_no_argument_is_shown() -> None:
    found = {"ups": ["|/bin/page --token s3cret"], "log": ["/var/log/mails"], "list": [":include:/etc/list"]}
    said = changes(aliases=found)
    assert "mail of ups goes to the command /bin/page;" in said
    assert "mail of log goes to the file /var/log/mails;" in said
    assert "mail of list goes to the list /etc/list;" in said
    assert "Commands, files and lists get no mail any more" in said
    assert "s3cret" not in said and "smarthost_aliases" not in said


def test_the_line_to_copy_keeps_what_was_written_and_what_root_must_not_take_along() -> None:
    found = {"root": [FAMILY], "casey": ["casey@fastmail.com"], "www": ["root"]}
    said = changes({**NEW, "ups": ["anna", "b@x.test"], "anna": ["a@x.test"]}, aliases=found)
    line = f"{{root: {FAMILY}, ups: [anna, b@x.test], anna: a@x.test, casey: casey@fastmail.com}}"
    assert f"smarthost_aliases: {line}." in said
    assert "casey goes" not in said


def test_a_line_to_copy_is_one_that_the_rules_take() -> None:
    said = changes(aliases={"root": ["root@mail.lan"], "no": [FAMILY], "a b": [FAMILY]})
    assert "mail of root goes to root@mail.lan;" in said
    assert f'smarthost_aliases: {{root: casey@fastmail.com, "no": {FAMILY}}}.' in said


def test_a_forward_that_is_read_no_more_is_named() -> None:
    path = "/root/.forward"
    said = changes(forwards={"root": [FAMILY]}, forward_files={path: [FAMILY]})
    assert f"Until now mail of root goes to {FAMILY};" in said
    assert f"{path} is not read any more; it leads to {FAMILY}." in said
    assert f"{{root: {FAMILY}}}" in said
    command = ["|/usr/bin/pvemailforward"]
    said = changes(forwards={"root": command}, forward_files={path: command})
    assert "Until now mail of root goes to the command /usr/bin/pvemailforward;" in said
    assert f"{path} is not read any more; it leads to the command /usr/bin/pvemailforward." in said


def test_a_forward_behind_an_alias_was_not_in_use_but_is_named() -> None:
    said = changes(
        aliases={"root": [FAMILY]}, forwards={"root": ["x@y.test"]}, forward_files={"/root/.forward": ["x@y.test"]}
    )
    assert f"Until now mail of root goes to {FAMILY};" in said
    assert "/root/.forward is not read any more; it leads to x@y.test." in said
    assert f"{{root: {FAMILY}}}" in said


def test_a_mailbox_with_mail_is_named_where_mail_ended_in_it() -> None:
    boxes = {"root": "/var/mail/root", "anna": "/var/mail/anna"}
    assert changes(mailboxes=boxes, aliases={"anna": [FAMILY]}).startswith("Until now mail of anna goes to")
    assert (
        "Until now mail of root stays on this host, in /var/mail/root; with this configuration it goes to "
        "casey@fastmail.com." in changes(mailboxes=boxes, aliases={"anna": [FAMILY]})
    )


def test_mail_of_users_that_do_not_exist_is_named() -> None:
    assert "users that do not exist goes to a@b.test (luser_relay)" in changes(luser_relay="a@b.test")
    assert changes(luser_relay="casey@fastmail.com") == ""


def test_signs_that_a_terminal_obeys_are_not_shown() -> None:
    assert "\x1b" not in changes(aliases={"ro\x1bot": ["a\x1b[2J@b.test"]})


def test_a_whole_file_as_debian_has_it() -> None:
    before = written(
        f"mailer-daemon: postmaster\npostmaster: root\nnobody: root\nwww: webmaster\nwebmaster: root\nroot: {FAMILY}\n"
    )
    assert len(aliases.changes(before, NEW)) == 2


class FakeHost:
    """A host whose Postfix answers what is written here: the first words of a command -> output."""

    def __init__(self, files: dict[str, str], **answers: str) -> None:
        self.files = files
        self.answers = answers

    def command(self, program: str, *arguments: str, text: str = "") -> tuple[int, str, str]:
        if text:
            pattern = arguments[-1].partition(":")[2]
            return 0, "".join(f"{key}\t{FAMILY}\n" for key in text.split() if key.startswith(pattern)), ""
        out = self.answers.get(program if program == "postconf" else arguments[-1].replace(":", "_").replace("/", "_"))
        return (1, "", "cannot open") if out is None else (0, out, "")

    def read(self, path: str) -> str:
        return self.files.get(path, "")


def found_on(host: FakeHost, asks_postfix: bool = True) -> str:
    """What is said of whose mail goes elsewhere, without what the machine of this test has itself."""
    before = aliases.look(cast(Any, host), ["nas.lan"], asks_postfix)
    before.forwards, before.forward_files, before.mailboxes = {}, {}, {}
    return " ".join(aliases.changes(before, NEW))


USUAL = "mydestination = nas.lan, localhost\nmyorigin = nas.lan\n"


@pytest.mark.parametrize(
    "host",
    [
        FakeHost({}, postconf=USUAL + "alias_maps = hash:/a\n", hash__a=f"root:\t{FAMILY}\n"),
        FakeHost({}, postconf=USUAL + "alias_maps = proxy:hash:/a\n", hash__a=f"root:\t{FAMILY}\n"),
        FakeHost({"/a": f"root: {FAMILY}"}, postconf=USUAL + "alias_maps = hash:/a\n"),
        FakeHost({"/a": f"root {FAMILY}"}, postconf=USUAL + "alias_maps = texthash:/a\n"),
        FakeHost({}, postconf=USUAL + "alias_maps = texthash:/a\n", texthash__a=f"root:\t{FAMILY}\n"),
        FakeHost({}, postconf=USUAL + "virtual_alias_maps = hash:/v\n", hash__v=f"root@nas.lan\t{FAMILY}\n"),
        FakeHost({}, postconf=USUAL + "virtual_alias_maps = regexp:root@\n"),
        FakeHost({}, postconf=USUAL + "virtual_alias_maps = ldap:root@nas\n"),
        FakeHost({"/m": "casey.test\n"}, postconf="mydestination = \nmyorigin = /m\nvirtual_alias_maps = hash:/v\n",
                 hash__v=f"root\t{FAMILY}\n"),
        FakeHost({"/etc/aliases": f"root: {FAMILY}"}, postconf=""),
    ],
)  # fmt: skip
def test_postfix_is_asked_what_its_tables_say(host: FakeHost) -> None:
    assert f"Until now mail of root goes to {FAMILY};" in found_on(host)


def test_aliases_that_postfix_does_not_use_are_not_named() -> None:
    files = {"/etc/aliases": f"root: {FAMILY}"}
    assert found_on(FakeHost(files, postconf=USUAL + "alias_maps =\n")) == ""
    # Mail of local users leaves as it is, for the same name elsewhere.
    away = "mydestination =\nmyorigin = casey.test\nalias_maps = hash:/etc/aliases\n"
    assert "mail of root goes to root@casey.test;" in found_on(FakeHost(files, postconf=away))
    assert found_on(FakeHost(files, postconf=away.replace("casey.test", "nas.lan"))) == ""
    assert "mail of root" in found_on(FakeHost(files), asks_postfix=False)


def test_a_forward_is_its_owners_where_users_share_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".forward").touch()
    user = os.getuid()
    accounts = [SimpleNamespace(pw_name=f"user{uid}", pw_uid=uid, pw_dir=str(tmp_path)) for uid in (user, user + 1)]
    monkeypatch.setattr("pwd.getpwall", lambda: accounts)
    path = f"{tmp_path}/.forward"
    before = aliases.look(cast(Any, FakeHost({path: "x@y.test\n"})), ["nas.lan"], False)
    assert (before.forwards, before.forward_files) == ({f"user{user}": ["x@y.test"]}, {path: ["x@y.test"]})


def test_tables_written_out_stay_whole() -> None:
    assert aliases.split_maps("hash:/a,inline:{ {x = y, z} }\n regexp:{{/^a b/ c@d}}") == [
        "hash:/a", "inline:{ {x = y, z} }", "regexp:{{/^a b/ c@d}}",
    ]  # fmt: skip
