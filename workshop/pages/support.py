"""Writes docs/support.md from what the tests on real hosts left in .lab/proof.

A host that has left nothing keeps its row, which has the day of the run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import yaml

from workshop.lab import STATE, images

from .providers import PROJECT

PROOF = STATE / "proof"
PAGE = PROJECT / "docs/support.md"
SYSTEMS = PROJECT / "tests/unit/systems.yml"
# What the tests speak of -> the heading of its column.
COLUMNS = {"delivery": "delivery", "idempotence": "second run", "reboot": "reboot", "absent": "absent"}
_INTRODUCTION = """\
# What has run where

Written by `make docs` from what the tests left behind; do not edit it here. There is a row for a host only where every
test about it in its [scenario](../molecule) passed, in a container of its own, with the ansible-core that
[requirements/dev.txt](../requirements/dev.txt) names.

"""

_MEANING = """
- **delivery**: a mail to root is at the provider, sent by the account over TLS with a verified certificate. The
  provider is a real Postfix with Dovecot that answers as `smtp.fastmail.com`.
- **second run**: another run of `site.yml` changes nothing. The test makes that run itself; Molecule's step
  `idempotence` has asked the same before.
- **reboot**: the host was stopped and started; Postfix is there and a mail arrives.
- **absent**: after `smarthost_state: absent` there is no Postfix (on a Mac Apple's own configuration), nothing of the
  role and no copy of the password on the host.
- **emulated**: a Debian that looks like a Mac to Ansible, launchd's plists and Postfix. What of it is not real stands
  in [workshop/lab/mac](../workshop/lab/mac/__init__.py); it is no proof of a Mac.
- **by hand**: nothing starts services there, as the role warns; after `postfix start` mail arrives.

## Not run

| | what there is |
|---|---|
"""

_NOT_RUN = {
    "Ubuntu 20.04, and RHEL 8 and its relatives": "Not supported: their Python (3.8, 3.6) is older than 3.9.",
    "a real Mac": "The stand-in above, and `.github/workflows/macos.yml` for GitHub's Macs, which has not run yet.",
    "providers' live servers": "The [presets](providers.md) come from the providers' documentation.",
    "ansible-core 2.17": "A host's whole life on Debian 13 (`make proof`), and the unit tests of variables and vault.",
    "ansible-core 2.21 (Python 3.13)": "The unit tests of variables and vault; runs on Debian 11, 12 and unstable, and "
    "on the hosts without systemd, by hand.",
}


def _cell(proof: dict[str, Any], what: str) -> str:
    if what not in proof["proved"]:
        return "not run"
    if proof["kind"] == "mac":
        return "emulated"
    return "by hand" if (what, proof["service_manager"]) == ("reboot", "none") else "yes"


def _row(proof: dict[str, Any]) -> str:
    emulated = " (emulated)" if proof["kind"] == "mac" else ""
    facts = [proof["system"] + emulated, f"`{proof['kind']}`", proof["postfix"] + emulated, proof["service_manager"]]
    return _line(*facts, *(_cell(proof, what) for what in COLUMNS), proof["day"])


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def _not_run(run: set[str]) -> dict[str, str]:
    """What was not run -> what there is in its place; of the lab's kinds these were run."""
    systems = [name for name in yaml.safe_load(SYSTEMS.read_text()) if not name.startswith(("Debian", "Ubuntu"))]
    from_registries = ", ".join(f"`{name}`" for name, kind in images.KINDS.items() if kind.image and name not in run)
    facts = (
        "By facts and packages only: a unit test reads what tells the system apart, with Ansible's own rules, and what "
        f"the role has for it. The kinds {from_registries} of the lab are there for who reaches a container registry "
        "(`.github/workflows/distributions.yml`); they have not run yet."
    )
    kinds = [
        name
        for name, kind in images.KINDS.items()
        if name not in (images.PROVIDER, images.INSTALLED) and not kind.image
    ]
    without = ", ".join(f"`{name}`" for name in kinds if name not in run)
    no_row = {without: "No whole run of the scenario has left a proof here yet."} if without else {}
    return {**no_row, ", ".join(systems): facts, **_NOT_RUN}


def page(proofs: Iterable[dict[str, Any]], before: str) -> str:
    """The whole page, with the rows that it has and the new ones."""
    rows = {kind: row for row, kind in re.findall(r"^(\|.*?\| `(\w+)` \|.*\n)", before, re.MULTILINE)}
    rows |= {proof["kind"]: _row(proof) for proof in proofs}
    heads = ["system", "in the lab", "Postfix", "started by", *COLUMNS.values(), "on"]
    table = (
        _line(*heads) + "|" + "---|" * len(heads) + "\n" + "".join(rows[kind] for kind in images.KINDS if kind in rows)
    )
    return _INTRODUCTION + table + _MEANING + "".join(_line(*pair) for pair in _not_run(set(rows)).items())


if __name__ == "__main__":
    found = [json.loads(path.read_text()) for path in sorted(PROOF.glob("*.json"))]
    PAGE.write_text(page(found, PAGE.read_text() if PAGE.exists() else ""))
    print(f"wrote {PAGE.relative_to(PROJECT)}: {len(found)} rows are new")
