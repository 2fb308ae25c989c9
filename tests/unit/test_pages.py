"""The pages: what guides take from the providers' files is fresh, and the rules accept what a page shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from ansible_collections.homelab.mail.plugins.module_utils._program import health, smarthost
from ansible_collections.homelab.mail.plugins.plugin_utils import rules

from tests import pages, rendering
from workshop.pages import guides, picture, provider_files, providers

PROJECT = providers.PROJECT
GUIDES = {path.name: path.read_text(encoding="utf-8") for path in providers.GUIDES.glob("*.md")}
PAGES = {
    path.name: path.read_text(encoding="utf-8") for path in (PROJECT / "README.md", *(PROJECT / "docs").glob("*.md"))
}
# A block of variables, and what a run says of it, if that is shown.
BLOCK = re.compile(r"^```yaml\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
BLOCKS = [
    pytest.param(block, said, id=f"{name}-{number}")
    for name, page in {**GUIDES, **PAGES}.items()
    for number, (block, said) in enumerate(BLOCK.findall(page), 1)
    if re.search("^ *smarthost_", block, re.MULTILINE)
]
each_block = pytest.mark.parametrize(("block", "said"), BLOCKS)


def hosts(block: str) -> Iterator[dict[str, Any]]:
    """The variables of each host of an inventory, or those that a block names."""
    found = yaml.safe_load(block)
    if "all" not in found:
        yield found
    for host in found.get("all", {"hosts": {}})["hosts"].values():
        yield {**found["all"].get("vars", {}), **(host or {})}


def password(provider: str) -> str:
    """One as the provider makes them."""
    example = provider_files.files()[provider].get("example", {"given": {}})["given"]
    return str(example.get("smarthost_password", "k3j5h6g7"))


def faults(block: str) -> list[str]:
    """What the rules say of a block, with what it does not name as the provider's example has it."""
    found = []
    for variables in hosts(block):
        given = {name.removeprefix("smarthost_"): value for name, value in variables.items() if "smarthost" in name}
        login = given.get("auth") not in ("none", "oauth") and given.get("provider") != "hub"
        if "provider" not in given:
            given.update(provider="fastmail", username="bob@bobs.org")
        if login:
            given["password"] = password(given["provider"])
        for account in given.get("accounts", ()):
            account["password"] = password(account["provider"])
        found += rules.judge(given, rendering.PROVIDERS).faults
    return found


def filled(block: str) -> str:
    """The block as a reader makes it their own."""
    own = re.sub(r"\{\{ vault_.*? \}\}", "k3j5h6g7f8d9s0a1", block).replace("YOUR-LOGIN@", "8a1b2c001@")
    own = own.replace("your.domain", "bobs.org")
    own = re.sub(r"\b(you@)?(example\.(com|org)|isp\.example)\b", lambda found: f"{found[1] or ''}bobs.org", own)
    return re.sub(r"\b(YOU|you)([@#+])", r"bob\2", own)


def test_a_guide_says_what_the_files_say() -> None:
    assert {preset for guide in providers.guides() for preset in guide.presets} == {
        "fastmail", "icloud", "gmail", "outlook", "microsoft365", "mailgun", "brevo",
    }  # fmt: skip
    for name, page in GUIDES.items():
        assert page == guides.page(page), f"{name}: run `make docs`"
        assert page.count("written by make docs -->") == page.count("<!-- end -->"), name


@each_block
def test_the_rules_say_of_an_example_what_its_page_says(block: str, said: str) -> None:
    assert "\n".join(faults(filled(block))) == said.rstrip("\n")
    names = re.findall(r"^ *(smarthost_\w+):", block, re.MULTILINE)
    assert rules.unknown_variables(names, list(rendering.load("defaults/main.yml"))) == []


@each_block
def test_a_placeholder_that_was_left_is_noticed(block: str, said: str) -> None:
    if "YOU" in block:
        assert any("placeholder" in fault for fault in faults(block))


@pytest.mark.parametrize("page", GUIDES.values(), ids=GUIDES)
def test_a_command_of_a_guide_is_one_of_the_readme_or_of_the_program(page: str) -> None:
    known = PAGES["README.md"]
    for block in re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        assert [line for line in block.splitlines() if line.partition(" you@")[0] not in known] == []


def test_the_page_of_health_shows_what_smarthost_status_says() -> None:
    said = "server smtp.fastmail.com[103.168.172.45] said: 535 5.7.0 Incorrect username, password or access token"
    reason = f"SASL authentication failed; {said}"
    sent = {"time": 1, "to": "you@example.com", "said": "250 2.0.0 Ok: queued as A28603422D1"}
    waiting = [{"messages": 2, "reason": reason, **health.explained(reason, "fastmail")}]
    state = {
        "host": "nas.lan", "provider": "Fastmail", "relayhost": "[smtp.fastmail.com]:465", "running": True,
        "listening": ["127.0.0.1", "::1"], "queue": {"messages": 2, "oldest_seconds": 750, "reasons": waiting},
        "last_delivery": sent, "last_failure": None, "healthy": False, "problems": [],
    }  # fmt: skip
    [shown] = re.findall(r"^\$ smarthost status\n(.*?)^```", PAGES["health.md"], re.DOTALL | re.MULTILINE)
    # Wrapped as a terminal does.
    assert shown.split() == smarthost.show(state, 5401).split()


def test_moving_in_names_the_variables_and_mailers_that_there_are() -> None:
    page = PAGES["moving.md"]
    assert {*re.findall(r"smarthost_\w+", page)} <= {*rendering.load("defaults/main.yml")}
    for name, mailer in rendering.load("mailers.yml").items():
        [row] = re.findall(rf"^\| {name}4? \| (.*) \| (.*) \|$", page, re.MULTILINE)
        flush = f"`{mailer['flush']}`" if mailer["flush"] else "it has no queue"
        assert row == (", ".join(f"`{path}`" for path in mailer["settings"]), flush)


def test_a_picture_of_a_run_shows_the_tasks_that_did_something() -> None:
    stars = " *****"
    said = [
        f"PLAY [A]{stars}",
        f"TASK [End]{stars}",
        f"PLAY [B]{stars}",
        f"TASK [homelab.mail.smarthost : C]{stars}",
        "ok: [nas]",
    ]
    said += [f"TASK [D]{stars}", "skipping: [nas]", f"PLAY RECAP{stars}", "nas : ok=1"]
    shown = ["PLAY [B]", "TASK [C]", "ok: [nas]", "PLAY RECAP", "nas : ok=1"]
    assert picture.run("\n\n".join(said).replace("\n\nok", "\nok").replace("\n\nsk", "\nsk")) == shown
    drawn = ElementTree.fromstring(picture.svg("A & B", ["$ a <b>", "", "ok"]))
    assert [text.text for text in drawn.findall(".//{*}text")] == ["$ a <b>", "ok"]


def test_the_readme_shows_a_run_and_a_status_that_were_made() -> None:
    for name, command in {
        "run": "$ ansible-playbook site.yml --ask-vault-pass",
        "status": "$ smarthost status",
    }.items():
        drawn = ElementTree.parse(PROJECT / f"docs/{name}.svg")
        assert drawn.findall(".//{*}text")[0].text == command
        assert f"](docs/{name}.svg)" in PAGES["README.md"]


def test_a_recipe_is_run_or_says_that_it_is_not() -> None:
    run = "".join(path.read_text() for path in (PROJECT / "molecule/default/tests").glob("test_recipes*.py"))
    recipes = pages.sections("docs/recipes.md")
    assert [name for name in recipes if f'"{name}"' not in run and not name.endswith(" (not run)")] == []
    assert [name for name in recipes if f'"{name}"' in run and name.endswith(" (not run)")] == []
