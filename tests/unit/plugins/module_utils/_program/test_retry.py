"""When what waits is told to leave, and that nothing is told so again and again."""

from __future__ import annotations

from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils._program import retry

AWAY = "connect to smtp.fastmail.com[1.2.3.4]:465: Connection refused"
LOOK_SECONDS = 30


class House:
    """A host with a queue and a provider, and a clock that the test moves."""

    def __init__(self, mails: int = 3) -> None:
        self.now = 0.0
        self.queue: dict[str, str | None] = {f"M{number}": AWAY for number in range(mails)}
        self.memory: dict[str, Any] = {}
        self.up = True
        self.stale = False
        self.probes = 0
        self.done: list[str] = []

    def probe(self) -> bool:
        """Connect to the provider."""
        self.probes += 1
        return self.up

    def look(self, seconds: float = LOOK_SECONDS) -> str:
        """What is done after so long."""
        self.now += seconds
        action, self.memory = retry.decide(self.memory, self.queue, self.now, self.probe, lambda: self.stale)
        self.done.append(action)
        return action

    def unreached(self) -> str:
        """What is said of it."""
        return retry.unreached(self.memory, "smtp.fastmail.com")


def test_a_provider_that_is_away_is_asked_at_each_look() -> None:
    house = House()
    house.up = False
    for _look in range(120):
        assert house.look() == retry.NOTHING
    assert (house.probes, house.unreached()) == (120, "")
    house.up = True
    assert house.look() == retry.FLUSH


def test_what_waits_leaves_although_the_clock_was_put_back() -> None:
    house = House()
    house.now = 90000
    assert house.look() == retry.FLUSH
    # What Postfix has put off until tomorrow would leave the day after.
    assert house.look(-86400) == retry.FLUSH


def test_what_waits_leaves_when_the_provider_is_back() -> None:
    house = House()
    assert house.look() == retry.FLUSH
    # Postfix is at it.
    house.queue = dict.fromkeys(house.queue, "")
    assert (house.look(), house.probes) == (retry.NOTHING, 1)
    house.queue.pop("M0")
    assert (house.look(), house.memory) == (retry.NOTHING, {})
    assert house.unreached() == ""


def test_a_provider_that_goes_again_is_not_blamed_on_postfix() -> None:
    house = House()
    house.look()
    house.up = False
    assert (house.look(), house.unreached()) == (retry.NOTHING, "")
    house.up = True
    assert house.look() == retry.FLUSH


def test_where_postfix_alone_cannot_reach_it_one_mail_is_tried_now_and_then() -> None:
    house = House(mails=20)
    house.look()
    for _look in range(120):
        house.look()
    # A flush, and the rest are attempts of a single mail.
    assert house.done.count(retry.FLUSH) == 1
    assert house.done.count(retry.ATTEMPT) == 30
    assert house.probes == 2
    assert house.unreached().startswith("This host reaches smtp.fastmail.com, but Postfix does not: " + AWAY)
    [tried] = house.memory["ids"]
    house.queue.pop(tried)
    assert (house.look(), house.unreached()) == (retry.FLUSH, "")


def test_a_mail_that_the_provider_answers_lets_the_others_leave() -> None:
    house = House()
    for _look in range(2):
        house.look()
    [tried] = house.memory["ids"]
    house.queue[tried] = None
    assert (house.look(), house.memory) == (retry.FLUSH, {})


def test_old_copies_are_a_reason_to_restart_once() -> None:
    house = House()
    house.stale = True
    assert [house.look() for _look in range(2)] == [retry.FLUSH, retry.RESTART]
    for _look in range(120):
        house.look()
    assert house.done.count(retry.RESTART) == 1 and house.done.count(retry.FLUSH) == 1
    assert 28 <= house.done.count(retry.ATTEMPT) <= 30
    assert "It was restarted, which did not help." in house.unreached()


def test_a_restart_that_helps_is_the_end_of_it() -> None:
    house = House()
    house.stale = True
    for _look in range(2):
        house.look()
    house.queue.popitem()
    assert (house.look(), house.memory) == (retry.NOTHING, {})


def test_what_the_provider_puts_off_is_never_told_to_leave() -> None:
    house = House(mails=0)
    house.queue = {"M0": None, "M1": ""}
    for _look in range(120):
        assert house.look() == retry.NOTHING
    assert house.probes == 0


def test_a_second_look_within_a_moment_judges_nothing() -> None:
    house = House()
    house.look()
    assert (house.look(1), house.unreached()) == (retry.NOTHING, "")


def test_a_queue_that_was_emptied_by_hand_is_forgotten() -> None:
    house = House()
    for _look in range(3):
        house.look()
    house.queue = {}
    assert (house.look(), house.memory) == (retry.NOTHING, {})
