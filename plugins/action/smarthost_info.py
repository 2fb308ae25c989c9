"""Asks a host what it is and has; and how its mail does, where that is wanted."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.homelab.mail.plugins.plugin_utils import readable, wanted


class ActionModule(readable.Action):
    """See plugins/modules/smarthost_info.py for what it takes and returns, and smarthost_check.py with C(report)."""

    def work(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        arguments, name = dict(self._task.args), "smarthost_info"
        preflight: dict[str, Any] = task_vars["__smarthost_preflight"] if arguments.pop("from_plan", False) else {}
        if preflight:
            # The controller's time, for a look at the host's clock.
            arguments.update(wanted.look(preflight), now=task_vars.get("__smarthost_now", time.time()))
        if arguments.pop("report", False):
            name = "smarthost_check"
            arguments["login"] = bool(preflight) and preflight["plan"]["verify_login"] != "no"
        result: dict[str, Any] = self._execute_module(
            module_name=f"homelab.mail.{name}", module_args=arguments, task_vars=task_vars
        )
        if preflight and "family" in result:
            result["of_family"] = preflight["families"][result["family"]]
            result["prepared"] = wanted.is_prepared(preflight, result)
            result["in_place"] = result["prepared"] and wanted.is_in_place(preflight, result)
        return result
