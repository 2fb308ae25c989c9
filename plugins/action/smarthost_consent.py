"""Shows the codes that a host was given, and waits with it until a person has entered them."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.homelab.mail.plugins.plugin_utils import readable, wanted

TOLD_SECONDS = 60


class ActionModule(readable.Action):
    """See plugins/modules/smarthost_consent.py for what it takes and returns."""

    def work(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        logins = wanted.logins(task_vars["__smarthost_preflight"], task_vars["__smarthost_info"])
        host, found = task_vars["inventory_hostname"], self._ask(task_vars, logins, begin=True)
        waits, who = {one["id"]: one for one in found.get("asked", [])}, {}
        for one in waits.values():
            self._display.display(
                f"{host}: open {one['address']}, enter {one['code']} and sign in as {one['username']}."
            )
        told = time.monotonic()
        end = told + min((one["seconds"] for one in waits.values()), default=0)
        pause = max((one["interval"] for one in waits.values()), default=1)
        while waits and not found.get("failed") and time.monotonic() < end:
            time.sleep(pause)
            found = self._ask(task_vars, [login for login in logins if login["id"] in waits], begin=False)
            pause += found.get("slower", 0)
            for name, person in found.get("who", {}).items():
                who[name] = person
                self._display.display(_consented(host, person, waits.pop(name)["username"]))
            if waits and time.monotonic() > told + TOLD_SECONDS:
                told = time.monotonic()
                self._display.display(f"{host}: waits for it, {max(1, round((end - told) / 60))} minutes more.")
        if waits and not found.get("failed"):
            names = ", ".join(one["username"] for one in waits.values())
            again = "Run the playbook again. Where the page allows no code, docs/oauth.md knows a way without."
            found = {"failed": True, "msg": f"No consent for {names} came in time. {again}"}
        return {**found, "changed": bool(who), "who": who}

    def _ask(self, task_vars: dict[str, Any], logins: list[Any], begin: bool) -> dict[str, Any]:
        arguments = {"logins": logins, "begin": begin}
        answer: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        return answer


def _consented(host: str, person: str, username: str) -> str:
    other = "" if person.lower() == username.lower() else f" Mail leaves only if they may send as {username}."
    return f"{host}: {person} has consented.{other}"
