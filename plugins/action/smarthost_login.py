"""Tries the logins of the role, or those that are given."""

from __future__ import annotations

from typing import Any

from ansible_collections.homelab.mail.plugins.plugin_utils import readable, wanted


class ActionModule(readable.Action):
    """See plugins/modules/smarthost_login.py for what it takes and returns."""

    def work(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        arguments = dict(self._task.args)
        if arguments.pop("from_plan", False):
            arguments["logins"] = wanted.logins(task_vars["__smarthost_preflight"], task_vars["__smarthost_info"])
        result: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        return result
