"""A host with a Python that is too old for the role."""

from __future__ import annotations

import testinfra
from conftest import LAB, NAME, run, said

from workshop.lab.host import exec

# No release in the lab has one: a Python that takes itself for it.
OLD = """#!/bin/sh
exec python3 -c 'import sys; sys.version_info = (3, 8, 20, "final", 0); exec(compile(sys.stdin.read(), "-", "exec"))'
"""


def test_a_host_with_an_old_python_is_refused_in_a_sentence_and_stays_as_it_is() -> None:
    host = testinfra.get_host(f"podman://{LAB}-{NAME}")
    exec(f"{LAB}-{NAME}", "sh", "-c", "cat >/run/python3.8 && chmod 755 /run/python3.8", input=OLD)
    before = host.check_output("find /etc/postfix -printf '%p %T@ %m\\n'")
    done = run(ansible_python_interpreter="/run/python3.8", smarthost_parameters={"delay_warning_time": "4h"})
    assert done.returncode != 0
    assert "Nothing was changed: the Python of this host, " in said(done)
    assert "is 3.8; the role needs 3.9" in said(done)
    assert "Traceback" not in said(done)
    assert host.check_output("find /etc/postfix -printf '%p %T@ %m\\n'") == before
