"""Asks a host to put its configuration in place only where it is not, by what was seen of it a moment ago."""

from __future__ import annotations

from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._program import installed
from ansible_collections.homelab.mail.plugins.plugin_utils import readable, templates


class ActionModule(readable.Action):
    """See plugins/modules/smarthost_configuration.py for what it takes and returns."""

    def work(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        arguments = dict(self._task.args)
        if "templates" in arguments:
            texts = templates.render(arguments.pop("templates"), lambda name: self._templar.template(task_vars[name]))
            arguments.update(main_cf=texts.pop("main.cf"), sasl_passwd=texts.pop("sasl_passwd"))
            further = [name for name in texts if configuration.mode_of(name) == 0o600]
            arguments["passwords"] = {name: texts.pop(name) for name in further}
            # All without secrets.
            arguments["tables"] = {**texts, **arguments["tables"]}
            # The password is in its table, and travels once.
            arguments["logins"] = [
                {key: value for key, value in login.items() if key != "password"} for login in arguments["logins"]
            ]
        seen, key = arguments.pop("seen", None), arguments.pop("key", "")
        if (
            seen
            and installed.is_installed(seen["program"], seen["interpreter"], key)
            and (configuration.is_in_place(seen, arguments, key))
        ):
            return {"changed": False, "actions": [], "dropped": []}
        result: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        return result
