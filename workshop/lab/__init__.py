"""A lab of real hosts, a stand-in for a Mac and a real mail provider, in podman containers.

What of the Mac is real and what is not: workshop/lab/mac/__init__.py.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Everything that a run makes for itself; relative to the package, so that any clone works.
STATE = Path(__file__).resolve().parents[2] / ".lab"


class LabError(Exception):
    """Something that the user has to know: what happened, why and what to do."""


def environment() -> dict[str, str]:
    """Variables that podman needs on this machine; none on an ordinary one."""
    conf = STATE / "containers.conf"
    if "CONTAINERS_CONF" in os.environ or not conf.exists():
        return {}
    return {"CONTAINERS_CONF": str(conf)}


@contextmanager
def step(text: str) -> Iterator[None]:
    """Say in one line that a step is done, and how long it took."""
    start = time.monotonic()
    yield
    print(f"{text}: {time.monotonic() - start:.1f} s", flush=True)
