"""main.cf and its tables, rendered on the controller.

Not by Ansible's lookup, which copies all variables for each template and works out again, at each use, what one stands
for: that took a fifth of a run that changes nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import jinja2
from ansible import constants as C
from ansible.plugins.test.core import version_compare


class Cache(jinja2.BytecodeCache):
    """Compiled templates, kept for the next run, which takes a tenth of the time; without a word where that fails.

    Each with its hash: what is damaged would end Python, or be rendered as another configuration.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def _path(self, bucket: jinja2.bccache.Bucket) -> Path:
        return self.folder / f"{bucket.key}-{jinja2.__version__}"

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        with suppress(OSError):
            kept = self._path(bucket).read_bytes()
            if kept[:32] == hashlib.sha256(kept[32:]).digest():
                bucket.bytecode_from_string(kept[32:])

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        code = bucket.bytecode_to_string()
        with suppress(OSError):
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            new = self.folder / os.urandom(8).hex()
            new.write_bytes(hashlib.sha256(code).digest() + code)
            new.replace(self._path(bucket))


FOLDER = Path(__file__).resolve().parents[2] / "roles" / "smarthost" / "templates"


def load(cache: str) -> dict[str, jinja2.Template]:
    """All templates by their names, with this folder for what is compiled."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        bytecode_cache=Cache(cache),
    )
    environment.tests["version"] = version_compare
    return {path.stem: environment.get_template(path.name) for path in FOLDER.glob("*.j2")}


# Where this is loaded, which is once a run.
TEMPLATES = load(os.path.join(C.ANSIBLE_HOME, "homelab.mail"))
# The tables that each further account has for itself.
OF_ACCOUNT = ("sasl_passwd", "generic", "header_checks")


def render(names: Iterable[str], variables: Mapping[str, Any]) -> dict[str, str]:
    """Name -> text of these templates, those that each further account has for itself besides."""
    found = {name: TEMPLATES[name].render(variables) for name in names}
    for account, login in list(zip(variables["__smarthost_plan"]["accounts"], variables["__smarthost_logins"]))[1:]:
        own = {**variables, "__smarthost_account": account, "__smarthost_login": login}
        found.update({f"{name}-{account['id']}": TEMPLATES[name].render(own) for name in OF_ACCOUNT})
    return found
