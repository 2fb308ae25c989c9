"""Where the program `smarthost` lies on the managed host: a launcher, and the role's own modules beside it.

The modules are the ones that the role runs with, taken from its own archive, so that the program and
the role cannot say different things.
"""

from __future__ import annotations

import os
import shutil
import sys
from types import ModuleType
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import (
    addresses,
    configuration,
    diagnosis,
    login,
    services,
    smarthost,
    watch,
)

# All that the program imports; Ansible packs what is imported here into its archive.
MODULES = (addresses, configuration, diagnosis, login, services, smarthost, watch)
PACKAGE = smarthost.__name__.rpartition(".")[0]
LIBRARY = "/usr/local/lib/smarthost"
STATE = os.path.dirname(watch.STATE)


def _source(module: ModuleType) -> str:
    loader: Any = module.__loader__
    return str(loader.get_source(module.__name__))


def files() -> dict[str, tuple[str, int]]:
    """Path -> text and mode of each file of the program."""
    launcher = (
        f"#!{sys.executable}\n"
        "# Managed by Ansible. How mail leaves this host, and why it does not: smarthost --help\n"
        "import sys\n\n"
        f'sys.path.insert(0, "{LIBRARY}")\n'
        f"from {PACKAGE} import smarthost\n\n"
        "sys.exit(smarthost.main())\n"
    )
    folder = os.path.join(LIBRARY, *PACKAGE.split("."))
    modules = {
        os.path.join(folder, module.__name__.rpartition(".")[2] + ".py"): (_source(module), 0o644) for module in MODULES
    }
    return {**modules, services.LAUNCHER: (launcher, 0o755)}


def remove() -> None:
    """Take the program away."""
    for folder in (LIBRARY, STATE):
        shutil.rmtree(folder, ignore_errors=True)
    if os.path.lexists(services.LAUNCHER):
        os.unlink(services.LAUNCHER)
