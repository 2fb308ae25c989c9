"""What the role says of itself in several places says the same in each."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from tests import rendering
from workshop.pages import release, role

PROJECT = Path(__file__).resolve().parents[2]
DEFAULTS = rendering.load("defaults/main.yml")
SPECIFICATION = rendering.load("meta/argument_specs.yml")["argument_specs"]["main"]
OPTIONS = SPECIFICATION["options"]
COLLECTION = yaml.safe_load((PROJECT / "galaxy.yml").read_text())


def test_every_variable_has_a_default_and_a_specification() -> None:
    assert set(DEFAULTS) == set(OPTIONS)


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_specification_names_the_default_that_the_role_has(name: str) -> None:
    assert OPTIONS[name].get("default") == DEFAULTS[name]


def test_what_galaxy_shows_of_the_role_is_what_the_specification_says() -> None:
    assert role.PAGE.read_text(encoding="utf-8") == role.page(), "run `make docs`"
    galaxy = rendering.load("meta/main.yml")["galaxy_info"]
    assert galaxy["description"] == SPECIFICATION["short_description"]
    assert [galaxy["author"]] == SPECIFICATION["author"] == COLLECTION["authors"]
    runtime = yaml.safe_load((PROJECT / "meta/runtime.yml").read_text())
    assert runtime["requires_ansible"] == f">={galaxy['min_ansible_version']}"


def test_a_report_of_a_fault_comes_with_the_state_of_the_host() -> None:
    forms = sorted((PROJECT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
    assert len(forms) == 3
    assert [form.name for form in forms if "`sudo smarthost status --json`" not in form.read_text()] == []


def test_a_release_is_what_tag_galaxy_and_changelog_agree_on() -> None:
    galaxy = "name: mail\nversion: 1.2.3\n"
    before = '\n<a id="v1-2-2"></a>\n## v1\\.2\\.2\n\n* B\n'
    changes = f'# Changes\n\n<a id="v1-2-3"></a>\n## v1\\.2\\.3\n\n### Mended\n\n* A\\.\n{before}'
    assert release.notes("v1.2.3", galaxy, changes) == "### Mended\n\n* A\\.\n"
    for tag, changelog, fault in (
        ("1.2.3", changes, "is no tag of a release"),
        ("v1.2.4", changes, "the tag is v1.2.4, but galaxy.yml has the version 1.2.3"),
        ("v1.2.3", "# Changes\n\n* A\n", "has nothing about 1.2.3"),
        ("v1.2.3", f"## v1\\.2\\.3\n{before}", "has nothing about 1.2.3"),
    ):
        with pytest.raises(ValueError, match=fault):
            release.notes(tag, galaxy, changelog)


def test_the_changelog_is_what_its_tool_writes(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "changelogs", tmp_path / "changelogs")
    shutil.copyfile(PROJECT / "galaxy.yml", tmp_path / "galaxy.yml")
    tool = Path(sys.executable).with_name("antsibull-changelog")
    for command in ("lint", "generate"):
        subprocess.run([tool, command], cwd=tmp_path, check=True)
    assert (tmp_path / "CHANGELOG.md").read_text() == (PROJECT / "CHANGELOG.md").read_text()


def test_the_version_stands_in_galaxy_yml_alone() -> None:
    command = ["git", "grep", "--fixed-strings", "--files-with-matches", COLLECTION["version"], "--", ":!*.lock"]
    found = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in found if not name.startswith(("requirements/", "CHANGELOG", "changelogs/"))] == [
        "galaxy.yml"
    ]


def test_every_variable_that_yaml_or_a_template_reads_is_public() -> None:
    files = [*(rendering.ROLE / "tasks").glob("*.yml"), *(rendering.ROLE / "templates").glob("*.j2")]
    read = {name for file in files for name in re.findall(r"(?<!_)(?<!\.)\bsmarthost_[a-z_]+", file.read_text())}
    # In comments and messages of main.cf the role names variables as well.
    assert read - {"smarthost_configure", "smarthost_install"} <= set(DEFAULTS)


def test_every_link_of_the_pages_leads_somewhere() -> None:
    for page in (
        *PROJECT.glob("*.md"),
        *PROJECT.glob(".github/*.md"),
        *(PROJECT / "docs").glob("**/*.md"),
        *rendering.ROLE.glob("**/*.md"),
    ):
        for path, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
            target = (page.parent / path) if path else page
            assert target.exists(), f"{page.name}: {path}"
            assert not anchor or anchor in _anchors(target.read_text()), f"{page.name}: {path}#{anchor}"


def _anchors(page: str) -> set[str]:
    """Those that a page sets, and those that GitHub makes of its headings."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {
        *re.findall(r'<a id="(.*?)">', page),
        *(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings),
    }


def test_each_preset_is_named_in_the_readme() -> None:
    readme = (PROJECT / "README.md").read_text()
    assert [name for name in rendering.PROVIDERS if f"docs/providers.md#{name})" not in readme] == []


def test_each_proof_that_the_page_of_threats_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", (PROJECT / "docs/security.md").read_text()))
    files = [*(PROJECT / "tests").rglob("test_*.py"), *(PROJECT / "molecule").rglob("test_*.py")]
    there = {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)}
    assert len(named) > 20
    assert named - there == set()


def test_the_archive_holds_what_other_playbooks_use_and_nothing_that_lies_beside(tmp_path: Path) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, check=True, capture_output=True, text=True).stdout.split()
    for name in listed:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if (PROJECT / name).is_file():
            shutil.copyfile(PROJECT / name, tmp_path / name)
    for name in ("host_vars/nas/vault.yml", "check.json", "playbooks/host_vars/nas/vault", "plugins/modules/x.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("secret")
    build = [Path(sys.executable).with_name("ansible-galaxy"), "collection", "build", tmp_path]
    done = subprocess.run(build, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with tarfile.open(next(tmp_path.glob("homelab-mail-*.tar.gz"))) as archive:
        held = {member.name for member in archive if member.isfile()} - {"MANIFEST.json", "FILES.json"}
    folders = {"changelogs", "meta", "playbooks", "plugins", "roles", "docs"}
    files = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"}
    assert held == {name for name in listed if name in files or name.partition("/")[0] in folders}
