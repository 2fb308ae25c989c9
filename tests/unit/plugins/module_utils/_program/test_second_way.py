"""When mail takes the second way, and when no longer."""

from __future__ import annotations

from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils._program import second_way


class Look:
    """Looks at a provider, half a minute apart."""

    def __init__(self) -> None:
        self.now, self.memory = 1000.0, dict[str, Any]()

    def on(self, reached: bool, waits: bool = True, times: int = 1) -> bool:
        """Whether the other account delivers, so many looks later."""
        for _time in range(times):
            self.now += 30
            self.memory = second_way.decide(self.memory, waits, lambda: reached, self.now, 15)
        return bool(self.memory.get("on"))


def test_mail_takes_the_second_way_when_the_provider_has_been_away_for_as_long_as_was_said() -> None:
    look = Look()
    assert not look.on(reached=False, times=30)
    assert look.on(reached=False)


def test_a_moment_in_which_it_is_reached_begins_anew() -> None:
    look = Look()
    look.on(reached=False, times=20)
    assert not look.on(reached=True) and look.memory == {}
    assert not look.on(reached=False, times=30)


def test_mail_that_is_just_tried_does_not_begin_anew_but_a_past_outage_does() -> None:
    look = Look()
    look.on(reached=False, times=20)
    assert look.on(reached=False, waits=False, times=11)
    other = Look()
    other.on(reached=False, times=20)
    other.now += 86400
    assert not other.on(reached=False)


def test_where_nothing_waits_the_provider_is_not_asked() -> None:
    assert second_way.decide({}, False, lambda: bool(1 / 0), 1000, 15) == {}


def test_it_ends_when_the_provider_has_been_back_for_two_minutes_whatever_waits() -> None:
    look = Look()
    look.on(reached=False, times=31)
    assert look.on(reached=True, waits=False, times=4)
    assert look.on(reached=False, waits=False)
    assert look.on(reached=True, waits=False, times=4)
    assert not look.on(reached=True, waits=False)
    assert look.memory == {}


def test_a_clock_that_was_put_back_makes_nothing_last_longer() -> None:
    look = Look()
    look.now += 86400
    look.on(reached=False)
    look.now -= 86400
    assert not look.on(reached=False)
    assert look.on(reached=False, times=30)
    look.on(reached=True)
    look.now -= 86400
    assert not look.on(reached=True, times=5)
