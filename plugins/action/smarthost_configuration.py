"""Asks a host to put its configuration in place only where it is not, by what was seen of it a moment ago."""

from __future__ import annotations

from typing import Any

from ansible_collections.homelab.mail.plugins.plugin_utils import readable, wanted


class ActionModule(readable.Action):
    """See plugins/modules/smarthost_configuration.py for what it takes and returns."""

    def work(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        arguments = dict(self._task.args)
        if arguments.pop("from_plan", False):
            preflight, info = task_vars["__smarthost_preflight"], task_vars["__smarthost_info"]
            new, tried = (task_vars.get(name, {}) for name in ("__smarthost_installed", "__smarthost_tried"))
            if info["in_place"]:
                return {"changed": False, "actions": [], "dropped": []}
            arguments = wanted.arguments(preflight, info, new, tried.get("verdict", ""), arguments.pop("report", False))
        result: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        return result
