"""Shows what all hosts said, as a table, and which of them are not well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.homelab.mail.plugins.plugin_utils import report


class ActionModule(ActionBase):
    """See plugins/modules/smarthost_report.py for what it takes and returns."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        hostvars = (task_vars or {})["hostvars"]
        make, columns = {
            "check": (report.check_row, report.CHECK_COLUMNS),
            "mail": (report.mail_row, report.MAIL_COLUMNS),
        }[self._task.args["of"]]
        rows = []
        for host in self._task.args["hosts"]:
            known = hostvars[host]
            answers = [known.get(name) or {} for name in self._task.args["variables"]]
            rows.append(make(host, {name: value for answer in answers for name, value in answer.items()}))
        self._display.display("\n".join(["", report.table(rows, columns), *report.summary(rows), ""]))
        path = self._task.args.get("json")
        if path:
            Path(path).write_text(json.dumps(rows, indent=2, default=str) + "\n", encoding="utf-8")
        # The run fails on each of these hosts, and on no other: people and programs go by the recap.
        result.update(changed=False, faulty=[row["host"] for row in rows if not row["healthy"]])
        return result
