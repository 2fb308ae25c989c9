"""Shows the codes that a host was given, and waits with it until a person has entered them."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase

TOLD_SECONDS = 60


class ActionModule(ActionBase):
    """See plugins/modules/smarthost_consent.py for what it takes and returns."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        host, logins = (task_vars or {})["inventory_hostname"], list(self._task.args["logins"])
        found = self._ask(logins, task_vars, begin=True)
        waits = {one["id"]: one for one in found.get("asked", [])}
        for one in waits.values():
            self._say(f"{host}: open {one['address']}, enter {one['code']} and sign in as {one['username']}.")
        end = time.monotonic() + min((one["seconds"] for one in waits.values()), default=0)
        pause, told, who = max((one["interval"] for one in waits.values()), default=1), time.monotonic(), {}
        while waits and not found.get("failed") and time.monotonic() < end:
            time.sleep(pause)
            found = self._ask([login for login in logins if login.get("id", "") in waits], task_vars, begin=False)
            pause += found.get("slower", 0)
            for name, person in found.get("who", {}).items():
                who[name] = person
                self._say(_consented(host, person, waits.pop(name)["username"]))
            if waits and time.monotonic() > told + TOLD_SECONDS:
                told = time.monotonic()
                self._say(f"{host}: waits for it, {max(1, round((end - told) / 60))} minutes more.")
        if found.get("failed"):
            result.update(found)
        elif waits:
            names = ", ".join(one["username"] for one in waits.values())
            result.update(failed=True, msg=f"No consent for {names} came in time. Run the playbook again.")
        result.update(changed=bool(who), who=who)
        return result

    def _say(self, text: str) -> None:
        self._display.display(text)

    def _ask(self, logins: list[Any], task_vars: dict[str, Any] | None, begin: bool) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_args={"logins": logins, "begin": begin}, task_vars=task_vars
        )
        return answer


def _consented(host: str, person: str, username: str) -> str:
    other = "" if person.lower() == username.lower() else f" Mail leaves only if they may send as {username}."
    return f"{host}: {person} has consented.{other}"
