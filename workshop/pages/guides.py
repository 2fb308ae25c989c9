"""Writes into docs/guides what comes from the providers' files: between two lines, as the first of them asks."""

from __future__ import annotations

import re
from typing import Any

from . import provider_files, providers

# <!-- facts of PRESET: written by make docs -->, and likewise "run with PRESET" and "replies KEY, KEY".
_PART = re.compile(
    r"(<!-- (facts of|run with|replies) (.+?): written by make docs -->\n).*?(<!-- end -->\n)", re.DOTALL
)

# What is the same everywhere.
_RUN = """\
Put the {secret} into a vault. The vault password is your own choice; the name is `smarthost_password`, letter for
letter:

```sh
ansible-vault encrypt_string --ask-vault-pass --prompt --output group_vars/all/vault.yml
```
```text
New Vault password:
Confirm New Vault password:
Variable name (enter for no name): smarthost_password
String to encrypt (hidden): (the {secret})
```

Run. Add `--ask-become-pass` if sudo on the host wants a password, and `--check --diff` to see first what would happen:

```sh
ansible-playbook site.yml --ask-vault-pass
```

Then see, on the host, the provider's reply, or why there is none:

```sh
sudo smarthost test you@example.com
```

For a new {secret}, make `vault.yml` anew and run again. If the provider refuses it, the old one stays. If not, revoke
the old one.
"""


def _run(name: str) -> str:
    return _RUN.format(secret=provider_files.presets()[name]["password_kind"])


def _facts(name: str) -> str:
    preset = provider_files.presets()[name]
    rows = [("`smarthost_provider`", f"`{name}`"), ("Host", f"`{providers.host(preset)}`")]
    rows += [("Ports", providers.ports(preset["ports"])), *providers.facts(preset)]
    sources = " ".join(f"[{number}]({url})" for number, url in enumerate(preset["source"], 1))
    rows += [("Sources", f"{sources}; {preset['certainty']}, read on {preset['checked']}")]
    return "| | |\n|---|---|\n" + "".join(f"| {heading} | {text} |\n" for heading, text in rows)


def _said(met: Any) -> str:
    text = met if isinstance(met, str) else next(iter(met.values()))
    return " ".join(text.split())


def _replies(keys: str) -> str:
    known = {reply["key"]: reply for file in provider_files.files().values() for reply in file.get("replies", [])}
    chosen = [known[key] for key in keys.split(", ")]
    return "\n".join(
        f"**`{_said(reply['met'][0])}`**\n\n{reply['cause']}\n\n*What to do:* {reply['remedy']}\n" for reply in chosen
    )


def page(before: str) -> str:
    """A guide, with its parts in their places."""
    write = {"facts of": _facts, "run with": _run, "replies": _replies}
    return _PART.sub(lambda part: f"{part[1]}\n{write[part[2]](part[3])}\n{part[4]}", before)


if __name__ == "__main__":
    for guide in providers.guides():
        path = providers.GUIDES / guide.file
        path.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {providers.GUIDES.relative_to(providers.PROJECT)}")
