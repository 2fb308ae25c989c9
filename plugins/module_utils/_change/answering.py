"""What a module answers, fit for Ansible."""

from __future__ import annotations

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule


class Module(AnsibleModule):  # type: ignore[misc]  # Ansible has no types
    """Says nothing with bytes that are no UTF-8, as old files have them: Ansible refuses such an answer."""

    def warn(self, warning: str, **options: Any) -> None:
        super().warn(readable(warning), **options)

    def exit_json(self, **result: Any) -> None:
        super().exit_json(**readable(result))

    def fail_json(self, msg: str, **result: Any) -> None:
        super().fail_json(msg=readable(msg), **result)


def readable(said: Any) -> Any:
    """The same with question marks in place of such bytes."""
    return json.loads(json.dumps(said, ensure_ascii=False).encode(errors="replace"))
