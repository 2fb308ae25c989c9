"""Writes plugins/module_utils/_program/replies.py: what the program on the host knows of the providers' replies."""

from __future__ import annotations

import pprint
from typing import Any

from . import provider_files

MODULE = provider_files.PROJECT / "plugins/module_utils/_program/replies.py"

_HEAD = '''\
"""What providers, servers and Postfix say, and what it means. Written by `make docs`; do not edit it here.

It comes from roles/smarthost/providers, where each reply also has the real lines that it was met with.
"""

from __future__ import annotations

from typing import Any

REPLIES: tuple[dict[str, Any], ...] = (
'''


_MIDDLE = """\
)

# What a code tells where no sentence is known; the first that fits.
CODES: tuple[dict[str, Any], ...] = (
"""


def _written(entries: list[dict[str, Any]]) -> str:
    written = (pprint.pformat(entry, width=116, sort_dicts=False) for entry in entries)
    return "".join(f"    {entry},\n".replace("\n ", "\n     ") for entry in written)


def module() -> str:
    """The whole module."""
    return _HEAD + _written(provider_files.replies()) + _MIDDLE + _written(provider_files.codes()) + ")\n"


if __name__ == "__main__":
    MODULE.write_text(module(), encoding="utf-8")
    print(f"wrote {MODULE.relative_to(provider_files.PROJECT)}")
