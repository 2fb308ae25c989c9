"""Filters around the names of a host, for templates."""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.homelab.mail.plugins.module_utils import addresses


class FilterModule:
    """Makes pure functions of module_utils usable in templates."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"host_name": addresses.host_name, "local_names": addresses.local_names}
