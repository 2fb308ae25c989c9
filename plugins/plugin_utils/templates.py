"""main.cf and its tables, rendered on the controller.

Not by Ansible's lookup, which copies all variables for each template and works out again, at each use, what one stands
for: that took a fifth of a run that changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import jinja2
from ansible import constants as C
from ansible.plugins.test.core import version_compare


def _cache() -> jinja2.BytecodeCache | None:
    """Where compiled templates are kept for the next run, which loads them at once; None where nothing can be kept."""
    folder = os.path.join(C.ANSIBLE_HOME, "homelab.mail")
    with suppress(OSError):
        os.makedirs(folder, mode=0o700, exist_ok=True)
    return jinja2.FileSystemBytecodeCache(folder) if os.access(folder, os.W_OK) else None


FOLDER = Path(__file__).resolve().parents[2] / "roles" / "smarthost" / "templates"
_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER),
    trim_blocks=True,
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
    autoescape=False,
    bytecode_cache=_cache(),
)
_ENVIRONMENT.tests["version"] = version_compare
# Read where this is loaded, which is once a run.
TEMPLATES = {path.stem: _ENVIRONMENT.get_template(path.name) for path in FOLDER.glob("*.j2")}
# The tables that each further account has for itself.
OF_ACCOUNT = ("sasl_passwd", "generic", "header_checks")


def render(names: Iterable[str], variables: Mapping[str, Any]) -> dict[str, str]:
    """Name -> text of these templates, those that each further account has for itself besides."""
    found = {name: TEMPLATES[name].render(variables) for name in names}
    for account, login in list(zip(variables["__smarthost_plan"]["accounts"], variables["__smarthost_logins"]))[1:]:
        own = {**variables, "__smarthost_account": account, "__smarthost_login": login}
        found.update({f"{name}-{account['id']}": TEMPLATES[name].render(own) for name in OF_ACCOUNT})
    return found
