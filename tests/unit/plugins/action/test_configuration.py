"""What the controller sends to a host."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from ansible_collections.homelab.mail.plugins.action import smarthost_configuration
from ansible_collections.homelab.mail.plugins.module_utils._change import plan
from ansible_collections.homelab.mail.plugins.plugin_utils import wanted

from tests import rendering

PASSWORDS = ["k3j5h6g7f8d9s0a1", "qwhr-tzui-opas-dfgh"]
FAMILY = {
    "name": "family",
    "provider": "icloud",
    "username": "sasha@icloud.com",
    "password": PASSWORDS[1],
    "senders": ["sasha@icloud.com"],
}


def test_a_password_travels_once_and_reaches_the_trial_of_its_login() -> None:
    preflight, info = rendering.found(rendering.judge(accounts=[FAMILY]))
    assert [login["password"] for login in wanted.logins(preflight, info)] == PASSWORDS
    sent: dict[str, Any] = {}
    action = SimpleNamespace(
        _task=SimpleNamespace(args={"from_plan": True}),
        _execute_module=lambda module_args, task_vars: sent.update(module_args) or {"changed": True},
    )
    known = {"__smarthost_preflight": preflight, "__smarthost_info": info}
    smarthost_configuration.ActionModule.work(action, known)
    assert [json.dumps(sent).count(password) for password in PASSWORDS] == [1, 1]
    assert [login["password"] for login in plan.wanted(sent).logins] == PASSWORDS
