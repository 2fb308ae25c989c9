"""Writes plugins/module_utils/_program/replies.py: what the program on the host knows of the providers' replies."""

from __future__ import annotations

import pprint

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


def module() -> str:
    """The whole module."""
    entries = (pprint.pformat(reply, width=116, sort_dicts=False) for reply in provider_files.replies())
    return _HEAD + "".join(f"    {entry},\n".replace("\n ", "\n     ") for entry in entries) + ")\n"


if __name__ == "__main__":
    MODULE.write_text(module(), encoding="utf-8")
    print(f"wrote {MODULE.relative_to(provider_files.PROJECT)}")
