"""Whether the controller tells a host that has the program from one that has not."""

from __future__ import annotations

import stat

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._program import installed, services

PYTHON = "/usr/bin/python3"


def test_a_host_has_the_program_if_each_file_of_it_is_there_as_it_should_be() -> None:
    files = installed.files(PYTHON)
    seals = {path: configuration.seal("k", stat.S_IFREG | mode, text=text) for path, (text, mode) in files.items()}
    assert installed.is_installed({**seals, "/usr/local/lib/smarthost/more.py": ""}, PYTHON, "k")
    assert not installed.is_installed(seals, "/usr/bin/python3.13", "k")
    for path in files:
        for seal in ("", configuration.seal("k", stat.S_IFREG | 0o600, text=files[path][0])):
            assert not installed.is_installed({**seals, path: seal}, PYTHON, "k")
    assert f"#!{PYTHON}\n" in files[services.LAUNCHER][0]
