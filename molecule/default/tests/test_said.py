"""What people read of a run that fails: the reason, once, and none of the role's own lines."""

from __future__ import annotations

import pytest
import testinfra
from conftest import LAB, NAME, PROJECT, Change, run, run_site, said

from workshop.lab.host import exec

FAKES = {
    "password": ("sudo: a password is required", "Missing sudo password", "--ask-become-pass"),
    "sudoers": ("casey is not in the sudoers file.", "casey is not in the sudoers file.", "--ask-become-pass"),
    "nothing": ("/bin/sh: 1: sudo: not found", "/bin/sh: 1: sudo: not found", "ansible_become: false"),
}


@pytest.mark.parametrize(("said_by_sudo", "why", "remedy"), FAKES.values(), ids=FAKES)
def test_a_user_who_may_not_become_root_is_told_what_to_do(
    usual: Change, said_by_sudo: str, why: str, remedy: str
) -> None:
    script = f"#!/bin/sh\necho '{said_by_sudo}' >&2\nexit 1\n"
    exec(f"{LAB}-{NAME}", "sh", "-c", "cat >/run/sudo && chmod 755 /run/sudo", input=script)
    how = {"ansible_become_exe": "/run/sudo", "ansible_become_user": "nobody"}
    done = run(**how)
    assert done.returncode != 0
    assert f"Nothing was changed: Ansible may not become root on this host ({why})" in said(done)
    assert remedy in said(done)
    assert "json" not in said(done).lower() and "Traceback" not in said(done)


def test_a_refusal_is_said_once_and_without_the_roles_lines(usual: Change) -> None:
    host = testinfra.get_host(f"podman://{LAB}-{NAME}")
    before = host.check_output("find /etc/postfix -printf '%p %T@ %m\\n'")
    done = run(smarthost_parameters={"smtpd_recipient_restrictions": "permit_nonsense"})
    assert done.returncode != 0
    assert said(done).count("Nothing was changed") == 1
    assert "permit_nonsense" in said(done)
    host.run_expect([0], "systemctl stop postfix")
    checked = run_site(limit=NAME, playbook=PROJECT / "playbooks/check.yml")
    host.run_expect([0], "systemctl start postfix")
    assert checked.returncode != 0
    assert "The table above says why." in said(checked)
    for told in (done, checked):
        assert "Origin: " not in said(told)
    assert host.check_output("find /etc/postfix -printf '%p %T@ %m\\n'") == before
