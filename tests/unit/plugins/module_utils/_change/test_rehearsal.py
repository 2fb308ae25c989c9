"""What comes of a rehearsal, from what the second Postfix says; it itself runs in molecule/default/tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._change import rehearsal, second_postfix
from ansible_collections.homelab.mail.plugins.module_utils._change.rehearsal import Rehearsed

TRIAL = rehearsal.Trial(
    "mail_owner = post\nx = bad\ncompatibility_level = 3.6\n", {"a": "b"}, {}, "/e", "/b", {"": "secure"}
)


def rehearse(
    monkeypatch: pytest.MonkeyPatch, own: Rehearsed, defaults: Rehearsed | None = None
) -> list[rehearsal.Trial]:
    """The trials that are made where the first, and that of Postfix' defaults, come to this."""
    made: list[rehearsal.Trial] = []

    def attempt(trial: rehearsal.Trial) -> Rehearsed:
        made.append(trial)
        found = own if len(made) == 1 else defaults
        assert found is not None
        return found

    monkeypatch.setattr(rehearsal, "_attempt", attempt)
    assert rehearsal.rehearse(TRIAL) == own
    return made


def test_a_configuration_that_sends_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rehearse(monkeypatch, Rehearsed([], {"": ""})) == [TRIAL]


def test_a_complaint_is_the_configurations_if_postfix_has_none_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = rehearse(monkeypatch, Rehearsed(["bad value"]), Rehearsed([]))
    # The system's own users stay, and the real relay is not asked again.
    assert made[1].main_cf == "compatibility_level = 3.6\nalias_maps =\nmail_owner = post\n"
    assert (made[1].levels, made[1].tables) == ({}, {})


def test_a_complaint_that_postfix_always_has_is_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(rehearsal.CannotRehearse, match="no sockets here"):
        rehearse(monkeypatch, Rehearsed(["no sockets here"]), Rehearsed(["no sockets here"]))


def test_a_user_that_is_not_there_is_the_configurations(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(rehearse(monkeypatch, Rehearsed(["mail_owner or setgid_group: name not found: 'x'"]))) == 1


@pytest.mark.parametrize("error", [OSError(28, "No space left"), subprocess.TimeoutExpired("postconf", 8)])
def test_a_host_without_room_or_with_a_program_that_hangs_cannot_rehearse(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def attempt(_trial: rehearsal.Trial) -> Rehearsed:
        raise error

    monkeypatch.setattr(rehearsal, "_attempt", attempt)
    with pytest.raises(rehearsal.CannotRehearse):
        rehearsal.rehearse(TRIAL)


def test_the_mail_takes_its_way_whatever_the_configuration_says_of_others(tmp_path: Path) -> None:
    folder = second_postfix.Folder(str(tmp_path), "/usr/sbin")
    folder.main_cf = "transport_maps = hash:/own\ncontent_filter = x:y\nrelayhost = [h.test]:465\n"
    text = rehearsal._on_its_way(folder, {"a@b.test": "smtp:[127.0.0.1]:1"})
    assert text.count("content_filter") == 1
    assert "content_filter = \n" in text
    # What a person has said stays behind it: a table that is not there would keep all mail waiting.
    assert "transport_maps = inline:{ { a@b.test = smtp:[127.0.0.1]:1 } }, hash:/own\n" in text
    assert f"queue_directory = {folder.queue}\n" in text


def test_no_login_is_written_for_the_rehearsal(tmp_path: Path) -> None:
    folder = second_postfix.Folder(str(tmp_path), "/usr/sbin")
    folder.put_tables({"sasl_passwd": "[h.test]:465 me:secret\n", "generic": "a b\n"}, {})
    assert [path.read_text() for path in sorted((tmp_path / "t").iterdir())] == ["a b\n", ""]


def delivered(**what: object) -> rehearsal._Delivered:
    """What came of the mails, one of which arrived in part where nothing else is said."""
    nothing: dict[str, object] = {"lines": ["x"], "said": [], "answer": "", "lost": ["SMTP"], "kept": {}}
    return rehearsal._Delivered(**{**nothing, **what})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"lost": []}, []),
        ({}, ["what is handed in by SMTP does not arrive with its subject and text"]),
        ({"kept": {"a@b.test": "discard"}}, ["mail to a@b.test would be given to discard"]),
        (
            {"lines": ["c/cleanup[7]: 4F: discard: body x from local"]},
            ["of a mail it says: discard: body x from local"],
        ),
        ({"lines": ["c/cleanup[7]: 4F: reject: header X: y"]}, ["of a mail it says: reject: header X: y"]),
        # A rule that was meant: programs learn of it at once.
        ({"lines": ["c/smtpd[7]: NOQUEUE: reject: RCPT from x: 554 no"], "lost": []}, []),
    ],
)
def test_a_mail_that_does_not_arrive_as_it_was_is_a_fault(tmp_path: Path, what: dict[str, object], words: str) -> None:
    folder = second_postfix.Folder(str(tmp_path), "/usr/sbin")
    assert rehearsal._faults(folder, delivered(**what), []) == words


def test_a_mail_that_only_smtp_brings_to_postfix_tells_of_another_sendmail(tmp_path: Path) -> None:
    folder = second_postfix.Folder(str(tmp_path), "/usr/sbin")
    stuck = [rehearsal.RECIPIENT]
    assert rehearsal._faults(folder, delivered(lost=["sendmail"]), stuck) == [rehearsal.NOT_OURS]
    assert rehearsal._faults(folder, delivered(lost=["sendmail"], answer="smtpd says no"), stuck) == ["smtpd says no"]
    [silent] = rehearsal._faults(folder, delivered(lost=["sendmail", "SMTP"]), [rehearsal.RECIPIENT, rehearsal.WHOLE])
    assert "Postfix does not say why" in silent
