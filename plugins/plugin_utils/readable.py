"""Actions whose failures people read: each said once, about their own files, without the lines of the role."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

try:
    from ansible._internal._datatag._tags import Origin, VaultedValue
    from ansible.module_utils._internal import _messages
except ImportError:  # ansible-core before 2.19 says a failure once and does not know where a value stands.
    _messages = None

_NOT_ROOT = re.compile(
    r"a password is required|Missing \w+ password|Incorrect \w+ password|not in the sudoers|not allowed to execute|"
    r"become success|\bsudo: (command )?not found"
)


class Action(ActionBase):
    """An action that does its work in `work`."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        # Ansible quotes the source of a task that fails. That is the role's, and tells people nothing.
        self._task._ds = None
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            result.update(self.work(task_vars or {}))
            said = f"{result.get('msg')}\n{result.get('module_stderr', '')}" if result.get("failed") else ""
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            said = str(error)
            if not self._may_not_become_root(said):
                raise
        if said and self._may_not_become_root(said):
            result = {"changed": False, "failed": True, "msg": _no_root(said)}
        if result.get("failed") and _messages and self._display.verbosity < 3:
            # Otherwise the message would stand here, too.
            result["exception"] = _messages.ErrorSummary(event=_messages.Event(msg="The reason stands below."))
            # YAML shows a text of more than one line as it is, and another one in quotes.
            result["msg"] = f"{str(result.get('msg', '')).rstrip()}\n"
        return result

    def work(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Do it; what comes of it."""
        raise NotImplementedError

    def _may_not_become_root(self, said: str) -> bool:
        connection = getattr(self, "_connection", None)
        return bool(getattr(connection, "become", None) and _NOT_ROOT.search(said))


def _no_root(said: str) -> str:
    last = said.strip().splitlines()[-1].strip()
    remedy = (
        "Install sudo there, or log in as root and set ansible_become: false."
        if "not found" in last
        else "Run ansible-playbook with --ask-become-pass, or let the user whom Ansible logs in as use sudo without a "
        "password."
    )
    return f"Nothing was changed: Ansible may not become root on this host ({last}). {remedy}"


def place(value: Any) -> str:
    """File and line in which a value stands, as far as Ansible knows; below the folder of this run without that."""
    origin = Origin.get_tag(value) if _messages else None
    if not origin or not origin.path or not origin.line_num:
        return ""
    path = Path(origin.path)
    return f"{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}:{origin.line_num}"


def stands_open(value: Any) -> bool:
    """Whether a value stands in a file that is not in the vault, nor the value itself."""
    if not place(value) or VaultedValue.is_tagged_on(value):
        return False
    try:
        with open(Origin.get_tag(value).path, "rb") as file:
            return not file.read(14).startswith(b"$ANSIBLE_VAULT")
    except OSError:
        return False
