"""What a run leaves on a host besides what it is for."""

from __future__ import annotations

import testinfra
from conftest import LAB, NAME, changed, run


def test_a_dry_run_makes_no_folder_of_ansibles_own() -> None:
    host = testinfra.get_host(f"podman://{LAB}-{NAME}")
    host.run_expect([0], "rm -rf /root/.ansible")
    assert changed(run("--check", smarthost_parameters={"inet_protocols": "ipv4"})) == 1
    assert not host.file("/root/.ansible").exists
