"""The change of a host, without one: it is whole, or it is as if it had not been tried, wherever it ends."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._change import (
    aliases,
    daemon,
    host,
    original,
    plan,
    transaction,
)
from ansible_collections.homelab.mail.plugins.module_utils._change.errors import Failed, Refused
from ansible_collections.homelab.mail.plugins.module_utils._program import services, tokens

MAIN_CF = "relayhost = [h.test]:465\nsmtp_sasl_password_maps = texthash:@slot@/sasl_passwd\n"
TABLES = {"generic": "nas.lan me@h.test\n", "virtual": "/^root/ me@h.test\n"}
FIRST = plan.Wanted(MAIN_CF, TABLES, "[h.test]:465 me:first\n", "/ca", services={"scache/unix": "scache unix - - n"})
SECOND = dataclasses.replace(FIRST, main_cf=MAIN_CF + "biff = no\n", sasl_passwd="[h.test]:465 me:second\n")
BY_HAND = "relayhost = [old.test]:587\nsmtp_sasl_password_maps = texthash:{0}/by_hand\n"
# What a step ends in.
STEPS = ("open", "replace", "rename", "unlink", "mkdir", "rmdir", "link", "chmod", "chown", "utime")
MOST_STEPS = 300


class Killed(BaseException):
    """The end of the process: nothing is done any more, not even undone."""


class Steps:
    """Counts what is done to files, and lets one of these steps go wrong, or be the last."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.at, self.wrong = 0, 0, BaseException()
        for name in STEPS:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))
        # Nothing here outlives the power, and it takes most of the time.
        monkeypatch.setattr(os, "fsync", lambda _handle: self.step())

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            self.step()
            return function(*arguments, **named)

        return step

    def step(self) -> None:
        if self.at:
            self.count += 1
            if self.count == self.at or (self.count > self.at and isinstance(self.wrong, Killed)):
                # A new one each time: Python 3.9 never ends where an exception is its own context.
                raise type(self.wrong)(*self.wrong.args)

    def go_wrong(self, at: int, wrong: BaseException) -> None:
        self.count, self.at, self.wrong = 0, at, wrong

    def go_well(self) -> bool:
        """From now on; whether all has gone well until now."""
        passed, self.at = self.count < self.at, 0
        return passed


class House:
    """A host in a folder: real files, and a Postfix that writes down what it is told."""

    check_mode = False

    def __init__(self, folder: Path, steps: Steps) -> None:
        self.folder, self.steps = folder / "postfix", steps
        self.main_cf, self.master_cf = self.folder / "main.cf", self.folder / "master.cf"
        self.folder.mkdir()
        self.main_cf.write_text(BY_HAND.format(self.folder))
        self.master_cf.write_text("smtp inet n - y - - smtpd\n")
        (self.folder / "by_hand").write_text("[old.test]:587 me:old\n")
        self.host = host.Host(self, str(self.folder), "none", 0)
        self.runs = self.main_cf.read_text()
        self.commands: list[str] = []
        self.warnings: list[str] = []
        self.refuses = 0
        self.queue = ""

    # What a module of Ansible's has.

    def get_bin_path(self, name: str, **_other: object) -> str:
        return f"/usr/sbin/{name}"

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)

    def run_command(self, argv: list[str], data: str | None = None, **_other: object) -> tuple[int, str, str]:
        self.steps.step()
        command = " ".join(argv).removeprefix("/usr/sbin/")
        self.commands.append(command)
        lines = self.master_cf.read_text().splitlines(keepends=True)
        if command.startswith("postconf -M "):
            self.master_cf.write_text("".join([*lines, command.partition("=")[2] + "\n"]))
        elif command.startswith("postconf -MX "):
            name = argv[-1].replace("/", " ")
            self.master_cf.write_text("".join(line for line in lines if not line.startswith(name)))
        elif command.startswith("postconf -d "):
            # Not the one of a Postfix that this machine may have.
            return 0, f"queue_directory = {self.folder.parent}/queue\n", ""
        elif command.startswith("postmap -q - "):
            # Each table says of each address something else.
            return 0, (data or "").replace("\n", "\tx\n"), ""
        return 0, self.queue if command == "postqueue -j" else "", ""

    # What a run does.

    def plan(self, wanted: plan.Wanted) -> plan.Plan:
        return plan.make(wanted, plan.look(self.host, wanted))

    def change(self, wanted: plan.Wanted) -> None:
        transaction.carry_out(self.host, wanted, self.plan(wanted))

    def take(self, _host: host.Host, restart: bool) -> None:
        """Postfix takes what main.cf says."""
        self.steps.step()
        if self.refuses:
            self.refuses -= 1
            raise Refused("Postfix does not answer.")
        self.runs = self.main_cf.read_text()
        self.commands.append("restart" if restart else "reload")

    # What there is.

    def files(self) -> dict[str, tuple[str, str]]:
        """Path -> mode and text of all files."""
        found = {str(path.relative_to(self.folder)): path for path in sorted(self.folder.rglob("*"))}
        return {
            name: (oct(path.stat().st_mode), path.read_text() if path.is_file() else "") for name, path in found.items()
        }

    def password(self) -> str:
        """The one that main.cf leads to."""
        return self.host.read(configuration.table_files(self.main_cf.read_text(), str(self.folder))[0])


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(monkeypatch)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: Steps) -> House:
    """A host that was configured by hand, and nothing of the machine that the tests run on."""
    for module, name in ((services, "CRON"), (services, "LAUNCHER"), (services, "STATE"), (services, "LIBRARY")):
        monkeypatch.setattr(module, name, str(tmp_path / name))
    found = host.Found(running=True, astray="", enabled=True, outdated={}, begin=[], end=[])
    monkeypatch.setattr(host.Host, "look", lambda *_: found)
    monkeypatch.setattr(aliases, "look", lambda *_: aliases.Before())
    made = House(tmp_path, steps)
    monkeypatch.setattr(daemon, "take", made.take)
    monkeypatch.setattr(daemon, "start", lambda host: made.take(host, restart=True))
    return made


def test_a_change_is_in_place_and_nothing_is_left_to_do(house: House) -> None:
    house.change(FIRST)
    assert house.password() == FIRST.sasl_passwd
    assert house.runs == house.main_cf.read_text()
    assert "scache" in house.master_cf.read_text()
    assert not (house.folder / "by_hand").exists()
    again = house.plan(FIRST)
    assert plan.report(again).actions == []
    house.change(SECOND)
    assert (house.password(), house.commands[-2:]) == (SECOND.sasl_passwd, ["reload", "postqueue -f"])
    assert FIRST.sasl_passwd not in str(house.files())


@pytest.mark.parametrize("first", [True, False])
def test_what_goes_wrong_at_any_step_is_undone(house: House, steps: Steps, first: bool) -> None:
    if not first:
        house.change(FIRST)
    before, ends = house.files(), set()
    for at in range(1, MOST_STEPS):
        steps.go_wrong(at, OSError(28, "No space left on device"))
        try:
            house.change(SECOND)
        except (OSError, Failed) as error:
            ends.add(type(error))
            in_place = "The configuration is in place, but not all that belongs to it" in str(error)
            assert in_place or isinstance(error, OSError) or str(error).endswith("is back in place and runs."), error
            if in_place:
                # The next run makes up for it.
                steps.go_well()
                assert house.runs == house.main_cf.read_text()
                house.change(SECOND)
                break
        assert not steps.go_well()
        assert house.files() == before
        assert house.runs == house.main_cf.read_text()
    assert ends == {OSError, Failed}
    assert plan.report(house.plan(SECOND)).actions == []
    assert house.password() == SECOND.sasl_passwd


@pytest.mark.parametrize("first", [True, False])
def test_a_run_that_is_killed_at_any_step_leaves_one_whole_configuration(
    house: House, steps: Steps, first: bool
) -> None:
    if not first:
        house.change(FIRST)
    wanted, other = (SECOND, FIRST)
    passwords = {house.password(), FIRST.sasl_passwd, SECOND.sasl_passwd}
    left = {"main.cf", "found.json", "password_table_0"}
    for at in range(1, MOST_STEPS):
        steps.go_wrong(at, Killed())
        with suppress(Killed):
            house.change(wanted)
        if steps.go_well():
            break
        assert house.password() in passwords
        planned = house.plan(wanted)
        assert house.runs == house.main_cf.read_text() or planned.restart
        # The next run makes it good.
        house.change(wanted)
        assert plan.report(house.plan(wanted)).actions == []
        assert (house.runs, house.password()) == (house.main_cf.read_text(), wanted.sasl_passwd)
        assert set(os.listdir(house.host.original)) == left
        assert len(os.listdir(house.host.folder)) == 2
        assert set(os.listdir(house.folder)) == {"main.cf", "master.cf", "smarthost"}
        wanted, other = other, wanted
    else:
        pytest.fail("A change that has no end.")


def test_a_postfix_that_does_not_answer_gets_the_old_configuration_back(house: House) -> None:
    before = house.files()
    house.refuses = 1
    with pytest.raises(Failed, match=r"^Postfix does not answer\. The configuration from before is back in place and"):
        house.change(FIRST)
    assert (house.files(), house.commands[-1]) == (before, "restart")


def test_that_the_old_configuration_does_not_run_either_is_said(house: House) -> None:
    before = house.files()
    house.refuses = 2
    with pytest.raises(Failed, match=r"is back in place, but does not run either: Postfix does not answer\.$"):
        house.change(FIRST)
    assert house.files() == before


def test_mail_on_its_way_is_queued_anew_while_postfix_is_stopped(house: House) -> None:
    mail = {"queue_id": "4A", "sender": "a@b.test", "recipients": [{"address": "root@nas.lan"}]}
    house.queue = "".join(json.dumps({**mail, "queue_name": queue}) + "\n" for queue in ("deferred", "active", "hold"))
    house.change(FIRST)
    told = [line for line in house.commands if re.match("postfix|postsuper|restart|reload", line)]
    assert told[:3] == ["postfix stop", "postsuper -r - deferred incoming active", "restart"]
    # What has been handed in meanwhile, but nothing that may be on its way.
    assert told[3:] == ["postsuper -r - deferred"]
    assert house.host.earlier_senders() == ["a@b.test"]


def test_a_postfix_that_did_not_run_is_stopped_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = host.Found(running=False, astray="", enabled=True, outdated={}, begin=[], end=[])
    monkeypatch.setattr(host.Host, "look", lambda *_: stopped)
    house.refuses = 1
    with pytest.raises(Failed, match=r"The configuration from before is back in place\.$"):
        house.change(FIRST)
    assert house.commands[-1] == "postfix stop"


def test_a_program_that_cannot_be_run_has_been_complained_of(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise SystemExit(1)

    before = house.files()
    monkeypatch.setattr(transaction.waiting, "count", stop)
    with pytest.raises(SystemExit):
        house.change(FIRST)
    assert (house.files(), house.runs) == (before, house.main_cf.read_text())


def test_a_main_cf_that_cannot_be_put_back_is_not_said_to_be(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    house.refuses = 1
    monkeypatch.setattr(transaction, "_take_back", broken)
    with pytest.raises(Failed, match=r"Read-only file system.* could not be put back: see .*/main.cf"):
        house.change(FIRST)


def test_what_was_there_is_given_back(house: House) -> None:
    before = house.files()
    house.change(FIRST)
    house.change(SECOND)
    assert original.give_back(house.host, abandon_queue=False)["changed"]
    assert (house.files(), house.runs) == (before, BY_HAND.format(house.folder))
    assert not original.give_back(house.host, abandon_queue=False)["changed"]


@pytest.mark.parametrize(("link", "behind"), [("nowhere", None), ("nowhere", "x = 1\n"), ("", None), ("", "")])
def test_a_main_cf_that_is_a_link_or_says_nothing_comes_back(house: House, link: str, behind: str | None) -> None:
    def seen() -> tuple[str, str | None]:
        named = os.readlink(house.main_cf) if house.main_cf.is_symlink() else ""
        return named, house.main_cf.read_text() if house.main_cf.exists() else None

    (house.folder / "by_hand").unlink()
    house.main_cf.unlink()
    if link:
        house.main_cf.symlink_to(link)
    if behind is not None:
        house.main_cf.write_text(behind)
    house.refuses = 1
    with pytest.raises(Failed):
        house.change(FIRST)
    assert seen() == (link, behind)
    house.change(FIRST)
    # Somebody takes the role's away, and the change that would bring it again fails.
    house.main_cf.unlink()
    house.refuses = 1
    with pytest.raises(Failed):
        house.change(FIRST)
    house.change(FIRST)
    assert original.give_back(house.host, abandon_queue=False)["changed"]
    assert seen() == (link, behind)
    assert not original.give_back(house.host, abandon_queue=False)["changed"]


def test_giving_back_may_be_killed_at_any_step(house: House, steps: Steps) -> None:
    before = house.files()
    for at in range(1, MOST_STEPS):
        house.change(FIRST)
        steps.go_wrong(at, Killed())
        with suppress(Killed):
            original.give_back(house.host, abandon_queue=False)
        if steps.go_well():
            break
        original.give_back(house.host, abandon_queue=False)
        assert (house.files(), house.runs) == (before, BY_HAND.format(house.folder))


def test_nothing_is_kept_of_an_account_that_is_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "STATE", str(tmp_path))
    monkeypatch.setattr(tokens, "FOLDER", str(tmp_path / "oauth"))
    (tmp_path / "oauth").mkdir()
    account = {"username": "a", "oauth": {}}
    kept = f"oauth/{os.path.basename(tokens.path(account))}"
    ours = {"retry.json", "retry-a.json", "second_way.json", kept, "oauth/secret"}
    for name in {*ours, "retry-b.json", "oauth/token-b.json", "oauth/token.json"}:
        (tmp_path / name).write_text("{}")
    wanted = dataclasses.replace(
        FIRST, services={"smarthost-a/unix": ""}, tables={configuration.OAUTH: json.dumps({"a": account})}
    )
    transaction._forget(wanted)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == ours
    transaction._forget(FIRST)
    assert sorted(os.listdir(tmp_path)) == ["retry.json", "second_way.json"]
