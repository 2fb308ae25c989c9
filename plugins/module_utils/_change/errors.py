"""How a change ends that cannot be made. Runs on the managed host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Refused(Exception):
    """Why the configuration cannot be put in place; the host is as it was."""


class Failed(Exception):
    """What went wrong after the host was changed, and how it is now."""


@contextmanager
def made_up_for_by_the_next_run() -> Iterator[None]:
    """What follows when the configuration is in place: it is not undone, but the next run sees what is missing."""
    try:
        yield
    except OSError as error:
        raise Failed(
            f"The configuration is in place, but not all that belongs to it: {error}. "
            "Mend that, then run the playbook again: it does what is missing."
        ) from error
