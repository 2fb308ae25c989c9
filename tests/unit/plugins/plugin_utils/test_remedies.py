"""A remedy that is named can be followed: the role takes what it says, at every provider that it is said of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._program import diagnosis
from ansible_collections.homelab.mail.plugins.plugin_utils import rules

from workshop.pages import provider_files

EXAMPLES: dict[str, dict[str, Any]] = {
    name: {key.removeprefix("smarthost_"): value for key, value in file["example"]["given"].items()}
    for name, file in provider_files.files().items()
    if "example" in file
}
# "smarthost_port is 587", "set smarthost_tls to starttls"; what follows else is no value but words about it.
SETS = re.compile(
    r"smarthost_(\w+)(?: out or set it)? (?:to|is)(?: a name with a dot in it, such as)? "
    r"(all|\d+|implicit|starttls|apikey|resend|[\w-]+(?:\.[\w-]+)+)(?=[ ,;.]|$)"
)
LEAVES_OUT = re.compile(r"[Ll]eave smarthost_(\w+) out|smarthost_(\w+) is left out")
PARAMETERS = re.compile(
    r"(?:[Ss]et|[Ll]ower|or) (\w+_\w+)(?: to (\w+))?(?=(?: or set \w+| or \w+ to \w+)? in\s+smarthost_parameters)"
)


def followed(remedy: str) -> dict[str, Any]:
    """The variables that a remedy gives a value, or leaves out."""
    variables: dict[str, Any] = {name: int(value) if value.isdigit() else value for name, value in SETS.findall(remedy)}
    parameters = {name: value or "1" for name, value in PARAMETERS.findall(remedy) if not name.startswith("smarthost_")}
    variables.update({"parameters": parameters} if parameters else {})
    return {**variables, **{name or other: None for name, other in LEAVES_OUT.findall(remedy)}}


def cases() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for entry in diagnosis.TABLE:
        variables = followed(entry.remedy)
        for provider in entry.providers or EXAMPLES:
            if variables and provider in EXAMPLES:
                yield provider, entry.key, variables


CASES = list(cases())


def test_remedies_are_read() -> None:
    read = {key: variables for _provider, key, variables in CASES}
    assert read["icloud-wrong-tls"] == {"port": 587, "tls": "starttls"}
    assert read["gmail-helo"] == {"hostname": "nas.lan"}
    assert read["gmx-sender-refused"] == {"from": None, "rewrite": "all"}
    assert read["network-unreachable"] == {"parameters": {"inet_protocols": "ipv4", "smtp_address_preference": "ipv4"}}
    assert read["sendgrid-login-refused"] == {"username": None}
    assert len(read) > 30


@pytest.mark.parametrize(("provider", "key", "variables"), CASES, ids=[f"{case[1]}, {case[0]}" for case in CASES])
def test_the_role_takes_what_a_remedy_says(
    providers: dict[str, Any], provider: str, key: str, variables: dict[str, Any]
) -> None:
    given = {"provider": provider, **EXAMPLES[provider], **variables}
    kept = {name: value for name, value in given.items() if value is not None}
    assert rules.judge(kept, providers).faults == []
