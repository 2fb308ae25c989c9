"""Runs a module of the host's by itself; meta/runtime.yml says which."""

from __future__ import annotations

from typing import Any

from ansible_collections.homelab.mail.plugins.plugin_utils import readable


class ActionModule(readable.Action):
    """See the module."""

    def work(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(task_vars=task_vars)
        return result
