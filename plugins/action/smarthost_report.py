"""Shows what all hosts said, as a table, and which of them are not well."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.homelab.mail.plugins.plugin_utils import inbox, readable, report


class ActionModule(readable.Action):
    """See plugins/modules/smarthost_report.py for what it takes and returns."""

    _requires_connection = False

    def work(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        if self._task.args["of"] == "verdict":
            return {"changed": False, "failed": True, "msg": "The table above says why."}
        hostvars = task_vars["hostvars"]
        make, columns = {
            "check": (report.check_row, report.CHECK_COLUMNS),
            "mail": (report.mail_row, report.MAIL_COLUMNS),
            "arrival": (report.arrival_row, report.ARRIVAL_COLUMNS),
        }[self._task.args["of"]]
        found = {}
        for host in self._task.args["hosts"]:
            answers = [hostvars[host].get(name) or {} for name in self._task.args["variables"]]
            found[host] = {name: value for answer in answers for name, value in answer.items()}
        if self._task.args["of"] == "arrival":
            self._look(found, hostvars)
        rows = [make(host, answer) for host, answer in found.items()]
        self._display.display("\n".join(["", report.table(rows, columns), *report.summary(rows), ""]))
        path = self._task.args.get("json")
        if path:
            Path(path).write_text(json.dumps(rows, indent=2, default=str) + "\n", encoding="utf-8")
        # The run fails on each of these hosts, and on no other: people and programs go by the recap.
        return {"changed": False, "faulty": [row["host"] for row in rows if not row["healthy"]]}

    def _look(self, found: dict[str, dict[str, Any]], hostvars: Mapping[str, Any]) -> None:
        """Add to each mail that was sent what its mailbox has of it; one login for all mails of a mailbox."""
        minutes, tidy = float(self._task.args.get("minutes", 5)), boolean(self._task.args.get("tidy", False))
        boxes: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for host, answer in found.items():
            if answer.get("status") == "sent":
                # Taken from where the preflight left it: an argument of a task can be shown.
                box = hostvars[host]["__smarthost_preflight"]["secrets"].get(
                    "inbox", {"said": "It is not known where."}
                )
                boxes.setdefault(tuple(box.items()), []).append(answer)

        def look(box: tuple[Any, ...]) -> None:
            tokens = [answer["token"] for answer in boxes[box]]
            seen, said = inbox.watch(dict(box), tokens, minutes, tidy, self._display.display)
            for answer in boxes[box]:
                answer["arrival"] = seen.get(answer["token"], {"said": said})

        # All at once: each look may take all of the minutes.
        with ThreadPoolExecutor(len(boxes) or 1) as pool:
            list(pool.map(look, boxes))
