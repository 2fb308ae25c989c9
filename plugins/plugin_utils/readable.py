"""Actions whose failures people read: each said once, about their own files, without the lines of the role."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

try:
    from ansible._internal._datatag._tags import Origin, VaultedValue
    from ansible.module_utils._internal import _messages
except ImportError:  # ansible-core before 2.19 says a failure once.
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
        else "Give sudo's password by --ask-become-pass, or let the user whom Ansible logs in as use sudo without one."
    )
    return f"Nothing was changed: Ansible may not become root on this host ({last}). {remedy}"


def place(value: Any) -> str:
    """File and line in which a value stands, as far as Ansible knows; below the folder of this run without that."""
    path, number = _origin(value)
    return _line(Path(path), number) if path and number else ""


def _origin(value: Any) -> tuple[str | None, int | None]:
    """File and line of a value, as Ansible noted them; before 2.19 of texts that no template has touched."""
    if not _messages:
        return getattr(value, "ansible_pos", (None, None, 0))[:2]
    origin = Origin.get_tag(value)
    return (origin.path, origin.line_num) if origin else (None, None)


def _line(path: Path, number: int) -> str:
    # inventory/group_vars is a link to the folder that people know.
    path = path.resolve()
    return f"{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}:{number}"


# Where people write variables, below the folder of an inventory or a playbook.
_FILES = ("*", "group_vars/*", "group_vars/*/*", "host_vars/*", "host_vars/*/*")
_ENDINGS = ("", ".yml", ".yaml", ".json", ".ini")
_LARGEST = 1 << 17


def astray(name: str, folders: Iterable[Any]) -> str:
    """File and line that give a variable a value which does not reach the host; empty where none is seen."""
    given = re.compile(rf"""[^#\n]*\b{name}["']?[ \t]*[:=][ \t]*(?!null\b|~|""|'')[^\s#]""")
    for folder in dict.fromkeys(Path(folder) for folder in folders if folder):
        for path in (path for pattern in _FILES for path in sorted(folder.glob(pattern))):
            # In the folders for variables, a wrong ending may be just what is wrong.
            if path.parent != folder or path.suffix in _ENDINGS:
                for number, line in enumerate(_lines(path), 1):
                    if given.match(line):
                        return _line(path, number)
    return ""


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines() if path.stat().st_size < _LARGEST else []
    except OSError:
        return []


def stands_open(value: Any) -> bool:
    """Whether a value stands in a file that is not in the vault, nor the value itself."""
    path, _number = _origin(value)
    if not path or (_messages and VaultedValue.is_tagged_on(value)):
        return False
    try:
        with open(path, "rb") as file:
            return not file.read(14).startswith(b"$ANSIBLE_VAULT")
    except OSError:
        return False
