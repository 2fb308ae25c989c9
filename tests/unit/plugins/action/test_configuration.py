"""What the controller sends to a host."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from ansible_collections.homelab.mail.plugins.action import smarthost_configuration
from ansible_collections.homelab.mail.plugins.module_utils._change import plan

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
    variables = rendering.variables(rendering.judge(accounts=[FAMILY]))
    logins = variables["__smarthost_logins"]
    assert [login["password"] for login in logins] == PASSWORDS
    sent: dict[str, Any] = {}
    arguments = {"templates": ["main.cf", "sasl_passwd", "generic", "relay"], "tables": {}, "logins": logins}
    action = SimpleNamespace(
        _task=SimpleNamespace(args=arguments),
        _templar=SimpleNamespace(template=lambda value: value),
        _execute_module=lambda module_args, task_vars: sent.update(module_args) or {"changed": True},
    )
    smarthost_configuration.ActionModule.work(action, variables)
    assert [json.dumps(sent).count(password) for password in PASSWORDS] == [1, 1]
    options = {option: sent.get(option, ()) for option in plan.Wanted.__dataclass_fields__}
    options["watch"] = ""
    assert [login["password"] for login in plan.wanted(options).logins] == PASSWORDS
