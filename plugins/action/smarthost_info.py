"""Asks a host what it is and has; and how its mail does, where that is wanted."""

from __future__ import annotations

from typing import Any

from ansible_collections.homelab.mail.plugins.plugin_utils import readable


class ActionModule(readable.Action):
    """See plugins/modules/smarthost_info.py for what it takes and returns, and smarthost_check.py with C(report)."""

    def work(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        arguments = dict(self._task.args)
        if arguments.pop("report", False):
            name = "smarthost_check"
        else:
            name = "smarthost_info"
            arguments.pop("login", None)
        module = f"homelab.mail.{name}"
        result: dict[str, Any] = self._execute_module(module_name=module, module_args=arguments, task_vars=task_vars)
        return result
