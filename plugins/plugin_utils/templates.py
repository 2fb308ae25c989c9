"""main.cf and its tables, rendered on the controller.

Not by Ansible's lookup, which copies all variables for each template and works out again, at each use, what one stands
for: that took a fifth of a run that changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jinja2
from ansible.plugins.test.core import version_compare

FOLDER = Path(__file__).resolve().parents[2] / "roles" / "smarthost" / "templates"
_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER),
    trim_blocks=True,
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
    autoescape=False,
)
_ENVIRONMENT.tests["version"] = version_compare
# Read where this is loaded, which is once a run.
TEMPLATES = {path.stem: _ENVIRONMENT.get_template(path.name) for path in FOLDER.glob("*.j2")}
# The tables that each further account has for itself.
OF_ACCOUNT = ("sasl_passwd", "generic", "header_checks")
VARIABLES = {name for path in FOLDER.glob("*.j2") for name in re.findall(r"__smarthost_\w+", path.read_text("utf-8"))}


def render(names: Iterable[str], value: Callable[[str], Any]) -> dict[str, str]:
    """Name -> text of these templates; `value` is asked once for each variable that any of them has."""
    variables = {name: value(name) for name in VARIABLES}
    found = {name: TEMPLATES[name].render(variables) for name in names}
    for account, login in list(zip(variables["__smarthost_plan"]["accounts"], variables["__smarthost_logins"]))[1:]:
        own = {**variables, "__smarthost_account": account, "__smarthost_login": login}
        found.update({f"{name}-{account['id']}": TEMPLATES[name].render(own) for name in OF_ACCOUNT})
    return found
