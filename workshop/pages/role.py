"""Writes roles/smarthost/README.md, which Galaxy shows, from the role's own specification of its variables."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from .provider_files import PROJECT

ROLE = PROJECT / "roles/smarthost"
PAGE = ROLE / "README.md"

_PAGE = """\
# homelab.mail.smarthost

Written by `make docs` from [meta/argument_specs.yml](meta/argument_specs.yml); do not edit it here.

{description}

The [README of the collection](../../README.md) shows how to begin, the [guides](../../docs/guides) do so for the usual
providers, and [defaults/main.yml](defaults/main.yml) has the reason for each default.

```yaml
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - ansible.builtin.import_role:
        name: homelab.mail.smarthost
        rolespec_validate: false # the role itself says more, and shows no secret
```

| variable | type | default | meaning |
|---|---|---|---|
{rows}"""


def _plain(text: str) -> str:
    """A sentence of the specification without Ansible's marks."""
    plain = re.sub(r"\b[OVC]\((?:(smarthost_\w+)=)?(.*?)\)", lambda mark: _code(mark[1], mark[2]), text)
    return plain.replace("|", "\\|")


def _code(variable: str | None, text: str) -> str:
    return f"`{variable}: {text}`" if variable else f"`{text}`"


def _row(name: str, option: dict[str, Any]) -> str:
    kind = " or ".join(option["choices"]) if "choices" in option else option["type"]
    default = f"`{json.dumps(option['default'])}`" if option.get("default") is not None else ""
    return f"| `{name}` | {kind} | {default} | {_plain(' '.join(option['description']))} |\n"


def page() -> str:
    """The whole page."""
    spec = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]
    rows = "".join(_row(name, option) for name, option in spec["options"].items())
    return _PAGE.format(description="\n\n".join(map(_plain, spec["description"])), rows=rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(PROJECT)}")
