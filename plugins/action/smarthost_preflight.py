"""Judges the variables of the role on the controller, before anything touches the host."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.homelab.mail.plugins.plugin_utils import readable, rules
from ansible_collections.homelab.mail.plugins.plugin_utils.verdict import PREFIX

ROLE = Path(__file__).resolve().parents[2] / "roles" / "smarthost"


def _load(path: Path) -> Any:
    # What a server replies, at the end, is nothing to go by here, and most of what there is to read.
    return yaml_load(path.read_text(encoding="utf-8").partition("\nreplies:\n")[0]) or {}


# Read where the plugin is loaded, which is once a run, and not by each of the processes that work on a host.
SPEC = _load(ROLE / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
_FILES = {path.stem: _load(path) for path in sorted((ROLE / "providers").glob("*.yml"))}
PROVIDERS = {name: file["preset"] for name, file in _FILES.items() if "preset" in file}
FAMILIES = {path.stem: _load(path) for path in sorted((ROLE / "families").glob("*.yml"))}


def _is_secret(name: str) -> bool:
    """Whether a password may be in a variable."""
    return "_password" in name or "_secret" in name or name == f"{PREFIX}accounts"


def _plain(value: Any) -> Any:
    """A value with all of its parts decrypted, which a vaulted one before ansible-core 2.19 does itself."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return str(value) if getattr(value, "__ENCRYPTED__", False) else value


class ActionModule(readable.Action):
    """See plugins/modules/smarthost_preflight.py for what it takes and returns."""

    _requires_connection = False

    def work(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        settings, faults = self._settings(SPEC, task_vars)
        if settings.get("state") == "absent":
            # What is taken away needs no login, nor the vault that it is in.
            wanted = ("smarthost_state", "smarthost_abandon_queue")
            faults = [fault for fault in faults if fault.startswith(wanted)]
        faults += rules.unknown_variables(list(task_vars), list(SPEC))
        verdict = rules.judge(settings, PROVIDERS)
        # A variable that could not be read is no longer there; do not complain of that as well.
        unread = {fault.partition(":")[0] for fault in faults}
        faults += [fault for fault in verdict.faults if fault.partition(":")[0] not in unread]

        if faults:
            msg = self._message([fault + self._where(fault, task_vars) for fault in faults])
            return {"changed": False, "failed": True, "msg": msg}
        for warning in [*verdict.warnings, *self._open_secrets(PREFIX.rstrip("_"), settings)]:
            # Not in the result: old versions hide all of that together with the plan.
            self._display.warning(warning)
        # Of people's own parameters the names alone, because one may be a login.
        shown = {**verdict.plan, "parameters": sorted(verdict.plan.get("parameters", {}))}
        self._display.v(
            f"What the variables come to:\n{json.dumps(shown, indent=2, default=str)}",
            host=task_vars["inventory_hostname"],
        )
        # What holds a password goes into a registered variable and onto no screen.
        return {
            "changed": False,
            "plan": verdict.plan,
            "secrets": verdict.secrets,
            "public_domains": sorted(rules.public_domains(verdict.plan)),
            # What the host will be compared by; no other place needs to know it.
            "key": secrets.token_hex(),
            # Of every family: the host is asked once, before it has said of which it is.
            "families": {
                name: {**family, "ca_file": verdict.plan.get("ca_file") or family.get("ca_file")}
                for name, family in task_vars.get("__smarthost_families", FAMILIES).items()
            },
            "_ansible_no_log": True,
        }

    @staticmethod
    def _where(fault: str, task_vars: dict[str, Any]) -> str:
        """Where the value stands that a fault is about; or where one stands that Ansible takes for something else."""
        name = fault.partition(":")[0]
        where = readable.place(task_vars.get(name))
        if where or task_vars.get(name) not in (None, ""):
            return f" ({where})" if where else ""
        stray = readable.astray(name, (task_vars.get("inventory_dir"), task_vars.get("playbook_dir")))
        return stray and (
            f" {stray} gives it, but Ansible does not take that for a variable of this host: see how far it is "
            "indented, what it stands below, and what file or folder it is in."
        )

    def _open_secrets(self, name: str, value: Any) -> list[str]:
        """A sentence for each password that is not in the vault."""
        if isinstance(value, (dict, list)):
            inner = value.items() if isinstance(value, dict) else ((None, one) for one in value)
            return [said for key, one in inner for said in self._open_secrets(f"{name}_{key}" if key else name, one)]
        if not re.search("password|secret", name) or not value or not readable.stands_open(value):
            return []
        return [
            f"{name} stands in plain text in {readable.place(value)}, for all who can read that file or a copy of it. "
            "Put it in the vault: ansible-vault encrypt_string --ask-vault-pass --prompt"
        ]

    def _settings(self, spec: dict[str, Any], task_vars: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The variables of the spec, templated and typed, without their prefix; what is wrong with the rest."""
        values: dict[str, Any] = {}
        faults: list[str] = []
        for name, option in spec.items():
            try:
                value = _plain(self._templar.template(task_vars.get(name)))
            except AnsibleError as error:
                faults.append(f"{name}: {self._why_unreadable(name, error)}")
            else:
                values[name] = option.get("default") if value is None else value
        # What has a password is judged by the rules alone: a validator's complaint would quote it.
        checked = {name: value for name, value in values.items() if value is not None and not _is_secret(name)}
        validated = ArgumentSpecValidator({name: spec[name] for name in checked}).validate(checked)
        faults += [self._type_fault(name, spec[name], checked[name]) for name in self._mistyped(spec, checked)]
        values.update(validated.validated_parameters)
        wrong = {fault.partition(":")[0] for fault in faults}
        return {name.removeprefix(PREFIX): None if name in wrong else value for name, value in values.items()}, faults

    @staticmethod
    def _mistyped(spec: dict[str, Any], checked: dict[str, Any]) -> list[str]:
        return [
            name
            for name, value in checked.items()
            # Ansible would make a text of a list.
            if (spec[name]["type"] == "str" and isinstance(value, (list, dict)))
            or ArgumentSpecValidator({name: spec[name]}).validate({name: value}).error_messages
        ]

    @staticmethod
    def _type_fault(name: str, option: dict[str, Any], value: Any) -> str:
        if "choices" in option:
            return f"{name}: {value!r} is not one of its values. Write one of: {', '.join(option['choices'])}."
        kind = {"str": "a text", "int": "a number", "bool": "true or false", "dict": "a mapping (name: value)"}
        # Who knows where a watch writes can write there.
        shown = "its value" if "_watch_" in name else repr(value)
        return f"{name}: {shown} is not {kind.get(option['type'], option['type'])}. Write one."

    @staticmethod
    def _why_unreadable(name: str, error: AnsibleError) -> str:
        text = str(error)
        if "no vault secrets found" in text:
            return (
                "is in the vault, and no vault password was given. "
                "Run ansible-playbook with --ask-vault-pass or --vault-password-file."
            )
        if "Decryption failed" in text:
            return "is in the vault, and the vault password is wrong. Give the one that it was encrypted with."
        if isinstance(error, AnsibleUndefinedVariable):
            return f"refers to something that is not defined ({text}). Define it, or write the value here."
        if _is_secret(name):
            # Jinja's complaint may quote what stands between the braces.
            return (
                "is taken for a template, because it has {{, {% or {#. Put it in the vault, or write !unsafe before it."
            )
        return f"cannot be read: {text}"

    @staticmethod
    def _message(faults: list[str]) -> str:
        if len(faults) == 1:
            return f"Nothing was changed. {faults[0]}"
        return f"Nothing was changed. {len(faults)} faults in the variables:\n" + "\n".join(f"- {f}" for f in faults)
