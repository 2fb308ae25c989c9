"""The preflight as a person meets it: a playbook, run by ansible-playbook, on the controller alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.homelab.mail.plugins.action import smarthost_preflight
from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.plugin_utils import readable, rules

from tests import rendering
from tests.loaded import Playbooks
from workshop.pages import provider_files

ROOT = Path(__file__).resolve().parents[4]
ROLE = ROOT / "roles" / "smarthost"
# Only in these tests, and long enough to be found nowhere by chance.
PASSWORD = "Zq7XmT4wLr9KpV2c"
# Of the vault.
RIGHT = "open sesame"

GOOD = {
    "smarthost_provider": "fastmail",
    "smarthost_username": "bob@fastmail.com",
    "smarthost_password": PASSWORD,
}
# For the tasks beside it.
FACTS = {"ansible_python_interpreter": '"{{ ansible_playbook_python }}"'}
PLAY = f"""\
- hosts: localhost
  connection: local
  gather_facts: false
  vars_files:
    - {ROLE}/defaults/main.yml
    - variables.yml
  tasks:
    - homelab.mail.smarthost_preflight:
      register: __smarthost_preflight
    - debug:
        msg: went on
"""


class Controller:
    """A folder with a playbook and vault passwords, and Ansible."""

    def __init__(self, folder: Path, playbooks: Playbooks) -> None:
        self.folder = folder
        self.playbooks = playbooks
        self.environment = dict(playbooks.environment)
        (folder / "right").write_text(RIGHT + "\n")
        (folder / "wrong").write_text("open barley\n")

    def encrypted(self, secret: str) -> str:
        """An inline vault value, as people paste it."""
        text = VaultLib([("default", VaultSecret(RIGHT.encode()))]).encrypt(secret).decode()
        return "!vault |\n" + textwrap.indent(text, "  ").rstrip()

    def play(self, variables: dict[str, str], *options: str, then: str = "") -> subprocess.CompletedProcess[str]:
        """Run the preflight with variables, each written as in YAML, and go on after it."""
        lines = [f"{name}: {value}\n" for name, value in {**FACTS, **variables}.items()]
        (self.folder / "variables.yml").write_text("".join(lines), encoding="utf-8")
        (self.folder / "site.yml").write_text(PLAY + textwrap.indent(textwrap.dedent(then), "    "))
        arguments = ["-i", "localhost,", "site.yml", *options]
        if self.environment == self.playbooks.environment:
            return self.playbooks.run(*arguments, cwd=self.folder, timeout=60)
        return subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", *arguments],
            cwd=self.folder, env=self.environment, capture_output=True, check=False, text=True, timeout=60,
        )  # fmt: skip


@pytest.fixture(scope="module")
def playbooks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playbooks]:
    """Ansible with nothing of the person who runs the tests: no configuration, no vault password."""
    home = tmp_path_factory.mktemp("home")
    config = ["[defaults]", f"collections_path = {ROOT / '.collections'}", "retry_files_enabled = false"]
    (home / "ansible.cfg").write_text("\n".join(config))
    playbooks = Playbooks(
        {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(home),
            "ANSIBLE_CONFIG": str(home / "ansible.cfg"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
        }
    )
    yield playbooks
    playbooks.close()


@pytest.fixture
def controller(tmp_path: Path, playbooks: Playbooks) -> Controller:
    """A controller of its own for each test."""
    return Controller(tmp_path, playbooks)


def faults(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The faults that were reported, by variable; the play must have stopped there."""
    output = done.stdout + done.stderr
    assert done.returncode == 2, output
    assert "went on" not in output, "the play went on after a fault"
    assert "Traceback" not in output
    line = next(line for line in output.splitlines() if line.startswith("fatal: "))
    result = json.loads(line.partition("=> ")[2])
    assert result["changed"] is False
    said: str = result["msg"]
    assert said.startswith("Nothing was changed. ")
    found = [line[2:] for line in said.splitlines() if line.startswith("- ")]
    found = found or [said.removeprefix("Nothing was changed. ")]
    by_variable = {fault.partition(":")[0]: fault for fault in found}
    assert len(by_variable) == len(found), "a variable is named twice"
    return by_variable


def test_good_variables_go_on(controller: Controller) -> None:
    done = controller.play(GOOD)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "went on" in done.stdout
    assert "changed=0" in done.stdout


def test_whom_a_watch_tells_is_not_shown_where_it_is_no_text(controller: Controller) -> None:
    [said] = faults(controller.play({**GOOD, "smarthost_watch_ntfy": "[https://ntfy.sh/a-s3cret-topic]"})).values()
    assert said.startswith("smarthost_watch_ntfy: its value is not a text.")


# --- The vault ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "variables",
    [
        lambda secret: {"smarthost_password": secret},
        lambda secret: {"vault_password": secret, "smarthost_password": '"{{ vault_password }}"'},
    ],
    ids=["in the variable itself", "in a variable that it refers to"],
)
@pytest.mark.parametrize(
    ("options", "what", "remedy"),
    [
        pytest.param([], "no vault password was given", "--ask-vault-pass", id="missing"),
        pytest.param(
            ["--vault-password-file", "wrong"],
            "the vault password is wrong",
            "Give the one that it was encrypted with",
            id="wrong",
        ),
    ],
)
def test_a_vault_password_that_does_not_fit_is_told_with_the_remedy(
    controller: Controller, variables: Callable[[str], dict[str, str]], options: list[str], what: str, remedy: str
) -> None:
    secret = controller.encrypted(PASSWORD)
    found = faults(controller.play({**GOOD, **variables(secret)}, *options))
    assert list(found) == ["smarthost_password"]
    assert what in found["smarthost_password"]
    assert remedy in found["smarthost_password"]


def test_a_vaulted_password_may_hold_any_signs(controller: Controller) -> None:
    word = "T8c {{ x {% y {# z: a # ' \" \\ $1 ä !k2p"
    show = """\
    - copy:
        content: "{{ __smarthost_preflight.secrets.logins[0].password }}"
        dest: "{{ playbook_dir }}/seen"
    """
    variables = {
        "smarthost_provider": "migadu",
        "smarthost_username": "nas@bobs.org",
        "smarthost_password": controller.encrypted(word),
    }
    done = controller.play(variables, "--vault-password-file", "right", then=show)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (controller.folder / "seen").read_text(encoding="utf-8") == word


FAMILY = "[{name: family, provider: icloud, username: sasha@icloud.com, password: %s, senders: [a@sasha.test]%s}]"


def test_a_password_of_a_further_account_may_be_in_the_vault(controller: Controller) -> None:
    vault = {"vault_password": controller.encrypted("kqzd-wfrh-xjkm-mvzp")}
    show = """\
    - copy:
        content: "{{ __smarthost_preflight.secrets.logins[1].password }}"
        dest: "{{ playbook_dir }}/seen"
    """
    variables = {**GOOD, **vault, "smarthost_accounts": FAMILY % ('"{{ vault_password }}"', "")}
    done = controller.play(variables, "--vault-password-file", "right", then=show)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (controller.folder / "seen").read_text(encoding="utf-8") == "kqzd-wfrh-xjkm-mvzp"
    found = faults(controller.play(variables))
    assert list(found) == ["smarthost_accounts"] and "no vault password was given" in found["smarthost_accounts"]


def test_v_shows_what_the_variables_come_to_without_a_password(controller: Controller) -> None:
    own = {"smarthost_parameters": "{my_bind_pw: Wx8sNc3vBq7}"}
    done = controller.play({**GOOD, **own, "smarthost_accounts": FAMILY % (PASSWORD[::-1].lower(), "")}, "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"username": "sasha@icloud.com"' in done.stdout and '"my_bind_pw"' in done.stdout
    assert not [word for word in (PASSWORD, PASSWORD[::-1].lower(), "Wx8sNc3vBq7") if word in done.stdout + done.stderr]


@pytest.mark.parametrize("wrong", [", port: x", ", generic: [x]", ", pasword: y", ", tls: [x]"])
def test_a_fault_in_an_account_shows_no_password(controller: Controller, wrong: str) -> None:
    done = controller.play({**GOOD, "smarthost_accounts": FAMILY % (PASSWORD, wrong)}, "-vvv")
    assert done.returncode != 0 and "smarthost_accounts[" in done.stdout
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize("given", [f"{{password: {PASSWORD}}}", f"[{PASSWORD}]", f"'{PASSWORD}'"])
def test_accounts_that_are_none_show_no_password(controller: Controller, given: str) -> None:
    done = controller.play({**GOOD, "smarthost_accounts": given}, "-vvv")
    assert done.returncode != 0 and "smarthost_accounts" in done.stdout
    assert PASSWORD not in done.stdout + done.stderr


def test_on_success_nothing_shows_the_password(controller: Controller) -> None:
    controller.environment |= {
        "ANSIBLE_LOG_PATH": str(controller.folder / "ansible.log"),
        "HOME": str(controller.folder),
    }
    variables = {**GOOD, "smarthost_password": controller.encrypted(PASSWORD)}
    done = controller.play(variables, "--vault-password-file", "right", "--diff", "-vvv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    files = [path for path in controller.folder.rglob("*") if path.is_file()]
    assert controller.folder / "ansible.log" in files
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {
            "smarthost_username": "bob",
            "smarthost_port": "many",
            "smarthost_aliases": "[root]",
            "smarthost_parameters": '{relayhost: "{{ smarthost_password }}"}',
            "smarthost_from": '"{{ nowhere }}"',
        },
        {"smarthost_provider": "outlook", "smarthost_username": "bob@outlook.com"},
    ],
    ids=["many faults", "a password that the provider does not take"],
)
def test_on_failure_nothing_shows_the_password(controller: Controller, wrong: dict[str, str]) -> None:
    secret = controller.encrypted(PASSWORD)
    variables = {**GOOD, "smarthost_password": secret, **wrong}
    done = controller.play(variables, "--vault-password-file", "right", "-vvv")
    assert done.returncode == 2, done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr


# --- Variables that cannot be read ----------------------------------------------------------------


def test_variables_that_refer_to_an_undefined_one_are_named_with_it(controller: Controller) -> None:
    variables = {
        "smarthost_password": '"{{ nowhere }}"',
        "smarthost_username": '"{{ nowhere.at_all }}"',
        "smarthost_aliases": '{root: ["{{ nowhere }}"]}',
        "smarthost_parameters": '{mynetworks: "127.0.0.0/8 {{ nowhere }}"}',
    }
    found = faults(controller.play({**GOOD, **variables}))
    assert set(found) == set(variables)
    for fault in found.values():
        assert "not defined" in fault
        assert "'nowhere'" in fault
        assert "Define it, or write the value here." in fault


@pytest.mark.parametrize("signs", ["{{", "{#"])
def test_a_plain_password_with_signs_of_jinja_gets_a_remedy(controller: Controller, signs: str) -> None:
    """In the vault they stand for themselves; in the open they begin a template."""
    found = faults(controller.play({**GOOD, "smarthost_password": f"'{PASSWORD}{signs}x'"}))
    assert list(found) == ["smarthost_password"]
    assert "vault" in found["smarthost_password"] or "!unsafe" in found["smarthost_password"]
    assert PASSWORD not in found["smarthost_password"]


# --- Wrong types ----------------------------------------------------------------------------------

MISTYPED = {
    "smarthost_port": ("many", "'many' is not a number"),
    "smarthost_aliases": ("[root]", "is not a mapping (name: value)"),
    "smarthost_generic": ("nut", "'nut' is not a mapping (name: value)"),
    "smarthost_parameters": ("5", "is not a mapping (name: value)"),
    "smarthost_tls": ("ssl", "Write one of: implicit, starttls, none."),
    "smarthost_rewrite": ("everything", "Write one of: local, all."),
    "smarthost_map_type": ("dbm", "texthash"),
    "smarthost_tls_security_level": ("none", "Write one of: secure, verify, encrypt."),
}


@pytest.fixture(scope="module")
def mistyped(tmp_path_factory: pytest.TempPathFactory, playbooks: Playbooks) -> dict[str, str]:
    """What is said of every wrong type, from one run."""
    wrong = {variable: value for variable, (value, _sentence) in MISTYPED.items()}
    return faults(Controller(tmp_path_factory.mktemp("mistyped"), playbooks).play({**GOOD, **wrong}))


def test_wrong_types_are_all_told_and_nothing_else(mistyped: dict[str, str]) -> None:
    assert set(mistyped) == set(MISTYPED)


@pytest.mark.parametrize("variable", MISTYPED)
def test_a_wrong_type_is_told_with_the_right_one(mistyped: dict[str, str], variable: str) -> None:
    assert MISTYPED[variable][1] in mistyped[variable]


@pytest.mark.parametrize(
    ("variable", "parameter", "value"),
    [
        ("smarthost_tls_security_level", "smtp_tls_security_level", "secure"),
        ("smarthost_map_type", "smtp_sasl_password_maps", "texthash:@slot@/sasl_passwd"),
        ("smarthost_rewrite", "canonical_maps", None),
    ],
)
def test_a_variable_set_to_null_is_refused_or_has_its_default(
    controller: Controller, variable: str, parameter: str, value: str | None
) -> None:
    """`smtp_tls_security_level = None` is TLS switched off, and `None:` is no type of table."""
    show = """\
    - copy:
        content: "{{ __smarthost_preflight | to_json }}"
        dest: "{{ playbook_dir }}/seen"
    """
    done = controller.play({**GOOD, variable: "null"}, then=show)
    if done.returncode != 0:
        assert list(faults(done)) == [variable]
        return
    seen = json.loads((controller.folder / "seen").read_text())
    verdict = rules.Verdict(plan=seen["plan"], secrets=seen["secrets"])
    main_cf = configuration.parse_main_cf(rendering.render(verdict)["main.cf"])
    assert main_cf.get(parameter) == value


# --- All at once ----------------------------------------------------------------------------------


def test_faults_of_every_kind_are_reported_together(controller: Controller) -> None:
    variables = {
        "smarthost_provider": "fastmail",
        "smarthost_username": "bob",
        "smarthost_password": controller.encrypted(PASSWORD),
        "smarthost_port": "many",
        "smarthost_rewrite": "everything",
        "smarthost_from": '"{{ nowhere }}"',
        "smarthost_generic": "{nut: nut}",
        "smarthost_aliases": '{root: "|sh"}',
        "smarthost_parameters": "{relayhost: x}",
        "smarthost_hostname": "nas",
        "smarthost_regoin": "eu",
    }
    done = controller.play(variables)
    assert set(faults(done)) == set(variables) - {"smarthost_provider"}
    assert f"{len(variables) - 1} faults in the variables" in done.stdout + done.stderr


def test_a_variable_that_cannot_be_read_is_not_called_missing_too(controller: Controller) -> None:
    found = faults(controller.play({**GOOD, "smarthost_provider": '"{{ nowhere }}"'}))
    assert list(found) == ["smarthost_provider"]
    assert "not defined" in found["smarthost_provider"]


@pytest.mark.parametrize("name", ["smarthost_form", "smarthos_from"])
def test_a_misspelt_variable_is_told(controller: Controller, name: str) -> None:
    found = faults(controller.play({**GOOD, name: "nas@bobs.org"}))
    assert list(found) == [name]
    assert "Write smarthost_from" in found[name]


def test_a_warning_reaches_the_person_without_the_password(controller: Controller) -> None:
    done = controller.play({**GOOD, "smarthost_tls_security_level": "encrypt"}, "-vvv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "any server that answers" in " ".join((done.stdout + done.stderr).split())
    assert PASSWORD not in done.stdout + done.stderr


def test_a_dry_run_judges_as_well(controller: Controller) -> None:
    found = faults(controller.play({**GOOD, "smarthost_username": "bob"}, "--check", "--diff"))
    assert list(found) == ["smarthost_username"]


# --- The inventory --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("playbook", "remedy"),
    [("smarthost.yml", "Write yours into inventory/hosts.yml"), ("check.yml", "A warning above says why")],
)
def test_an_inventory_without_a_host_is_told(controller: Controller, playbook: str, remedy: str) -> None:
    (controller.folder / "hosts.yml").write_text("all: {hosts: {}}\n")
    arguments = ("--inventory", "hosts.yml", str(ROOT / "playbooks" / playbook))
    done = controller.playbooks.run(*arguments, cwd=controller.folder, timeout=120)
    assert done.returncode != 0
    assert f"Ansible found no host. {remedy}" in done.stdout + done.stderr


def test_of_a_provider_all_is_read_but_its_replies() -> None:
    assert provider_files.presets() == smarthost_preflight.PROVIDERS


# --- What people read -----------------------------------------------------------------------------


def test_a_fault_is_said_once_with_the_persons_own_line_and_none_of_the_roles(controller: Controller) -> None:
    variables = {**GOOD, "smarthost_port": "many", "smarthost_username": '"{{ login }}"', "login": "bob"}
    done = controller.play(variables)
    found = faults(done)
    lines = (controller.folder / "variables.yml").read_text().splitlines()
    for name in ("smarthost_port", "smarthost_username"):
        [number] = [number for number, line in enumerate(lines, 1) if line.startswith(f"{name}:")]
        assert found[name].endswith(f"(variables.yml:{number})")
    output = done.stdout + done.stderr
    assert output.count("'many' is not a number") == 1
    assert "- homelab.mail.smarthost_preflight" not in output and "Origin: " not in output


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        ("group_vars/all.yml", "mail:\n  smarthost_username: bob@fastmail.com\n", 2),
        ("group_vars/all.yml", "smarthost_aliases:\n  root: a@b.test\n  'smarthost_username': bob\n", 3),
        ("group_vars/everybody.yml", "# smarthost_username: alice\nsmarthost_username: bob@fastmail.com\n", 2),
        ("group_vars/all/mail.txt", "smarthost_username: bob@fastmail.com\n", 1),
        ("host_vars/nas/mail.yml", "- smarthost_username: bob@fastmail.com\n", 1),
        ("hosts.yml", "all:\n  hosts:\n    localhost:\n  children:\n    x:\n      smarthost_username: bob\n", 6),
    ],
)
def test_a_value_that_does_not_reach_the_host_is_named_where_it_stands(
    controller: Controller, path: str, text: str, line: int
) -> None:
    (controller.folder / path).parent.mkdir(parents=True, exist_ok=True)
    (controller.folder / path).write_text(text)
    given = {name: value for name, value in GOOD.items() if name != "smarthost_username"}
    found = faults(controller.play(given))["smarthost_username"]
    assert "is not set." in found
    assert f"{path}:{line} gives it, but Ansible does not take that for a variable of this host" in found


def test_a_file_is_named_by_the_folder_that_people_wrote_it_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/all.yml").write_text("smarthost_username: bob\n")
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory/group_vars").symlink_to("../group_vars")
    monkeypatch.chdir(tmp_path)
    assert readable.astray("smarthost_username", [tmp_path / "inventory"]) == "group_vars/all.yml:1"


@pytest.mark.parametrize(
    "text", ["# smarthost_username: bob\n", "x:\n  smarthost_username:\n", "my_smarthost_username: b\n"]
)
def test_what_gives_no_value_is_not_named(controller: Controller, text: str) -> None:
    (controller.folder / "group_vars").mkdir()
    (controller.folder / "group_vars/all.yml").write_text(text)
    given = {name: value for name, value in GOOD.items() if name != "smarthost_username"}
    assert "gives it" not in faults(controller.play(given))["smarthost_username"]


@pytest.mark.parametrize("refers", [False, True], ids=["in the variable itself", "in a variable that it refers to"])
def test_a_password_outside_of_the_vault_is_named_with_its_file_and_not_shown(
    controller: Controller, refers: bool
) -> None:
    referring = {"smarthost_password": '"{{ mine }}"', "mine": PASSWORD} if refers else {}
    done = controller.play({**GOOD, **referring})
    said = " ".join((done.stdout + done.stderr).split())
    assert "smarthost_password stands in plain text in variables.yml:" in said
    assert "ansible-vault encrypt_string" in said
    assert PASSWORD not in said


@pytest.mark.parametrize("whole", [False, True], ids=["a value", "a whole file"])
def test_a_password_in_the_vault_is_not_warned_of(controller: Controller, whole: bool) -> None:
    if whole:
        vault = VaultLib([("default", VaultSecret(RIGHT.encode()))])
        (controller.folder / "group_vars").mkdir()
        text = vault.encrypt(f"kept: {PASSWORD}\n")
        (controller.folder / "group_vars/all.yml").write_bytes(text)
    password = '"{{ kept }}"' if whole else controller.encrypted(PASSWORD)
    done = controller.play({**GOOD, "smarthost_password": password}, "--vault-password-file", "right")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "plain text" not in done.stdout + done.stderr
