"""Asks a host what it is and has; and how its mail does, where that is wanted."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """See plugins/modules/smarthost_info.py for what it takes and returns, and smarthost_check.py with C(report)."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if arguments.pop("report", False):
            name = "smarthost_check"
        else:
            name = "smarthost_info"
            arguments.pop("login", None)
        module = f"homelab.mail.{name}"
        result.update(self._execute_module(module_name=module, module_args=arguments, task_vars=task_vars))
        return result
