"""Which mailer programs reach, as the words of `alternatives` tell; a host that has several is in molecule/default."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._change import alternatives
from ansible_collections.homelab.mail.plugins.module_utils._change.errors import Refused
from ansible_collections.homelab.mail.plugins.module_utils._change.host import Host

OTHER = "/usr/sbin/sendmail.sendmail"


class Fake:
    """A host that answers these commands, and fails all others."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers, self.ran = answers, [""]

    def command(self, *argv: str, **_how: Any) -> tuple[int, str, str]:
        self.ran.append(" ".join(argv))
        return (0, self.answers[self.ran[-1]], "") if self.ran[-1] in self.answers else (2, "", "no")


def host(answers: dict[str, str]) -> tuple[Host, list[str]]:
    fake = Fake(answers)
    return cast("Host", fake), fake.ran


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The link that says which, to another mailer; Postfix is there as well."""
    link = tmp_path / "mta"
    link.symlink_to(OTHER)
    (tmp_path / "sendmail.postfix").touch()
    monkeypatch.setattr(alternatives, "LINK", str(link))
    monkeypatch.setattr(alternatives, "OURS", str(tmp_path / "sendmail.postfix"))
    return link


def test_nothing_is_done_where_programs_reach_postfix_or_there_is_no_choice(chosen: Path) -> None:
    assert alternatives.other() == OTHER
    chosen.unlink()
    assert alternatives.other() == ""
    chosen.symlink_to(alternatives.OURS)
    assert alternatives.other() == ""
    assert alternatives.note(host({})[0]) == {}


@pytest.mark.parametrize("mode", ["auto", "manual"])
@pytest.mark.parametrize("enabled", [True, False])
def test_a_choice_is_given_back_as_it_was(chosen: Path, mode: str, enabled: bool) -> None:
    answers = {"alternatives --display mta": f"mta - status is {mode}.\n link currently points to {OTHER}\n"}
    answers |= {"systemctl is-enabled sendmail": "enabled"} if enabled else {}
    found = alternatives.note(host(answers)[0])
    assert found == {
        "path": OTHER, "auto": mode == "auto", "unit": "sendmail", "running": False, "enabled": enabled
    }  # fmt: skip
    back = "alternatives --auto mta" if mode == "auto" else f"alternatives --set mta {OTHER}"
    here, ran = host({back: ""})
    alternatives.give_back(here, found)
    assert ran[1:] == [back, *(["systemctl enable sendmail"] if enabled else [])]


def test_a_choice_that_cannot_be_made_is_no_success(chosen: Path) -> None:
    with pytest.raises(Refused, match="programs reach another mailer: no"):
        alternatives.take(host({})[0])


def test_mail_that_waits_in_it_keeps_it(chosen: Path) -> None:
    alternatives.check(host({"mailq": "/var/spool/mqueue is empty\n\t\tTotal requests: 0\n"})[0])
    with pytest.raises(Refused, match=f"2 mails would stay behind in the queue of {OTHER}.*`{OTHER} -q`"):
        alternatives.check(host({"mailq": "...\n\t\tTotal requests: 2\n"})[0])
