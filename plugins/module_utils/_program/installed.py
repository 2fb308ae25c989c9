"""What the program `smarthost` on the managed host consists of: a launcher, and the role's own modules beside it.

The modules are the ones that the role runs with, so that the program and the role cannot say different things. On the
controller this tells whether a host has them; a host that has not takes them from the role's own archive.
"""

from __future__ import annotations

import importlib.util
import os
import pkgutil
import stat
from collections.abc import Mapping
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._program import services

PROGRAM = services.__name__.rpartition(".")[0]
SHARED = PROGRAM.rpartition(".")[0]
# All that the program imports: what lies here, but for this; a test compares.
_HERE = (f"{PROGRAM}.{name}" for _finder, name, _package in pkgutil.iter_modules([os.path.dirname(__file__)]))
MODULES = (f"{SHARED}.addresses", f"{SHARED}.configuration", *(name for name in _HERE if name != __name__))


def _source(module: str) -> str:
    spec = importlib.util.find_spec(module)
    loader: Any = spec and spec.loader
    source = loader.get_source(module)
    # Ansible's own loader, on the controller, gives bytes.
    return source.decode() if isinstance(source, bytes) else str(source)


def files(interpreter: str) -> dict[str, tuple[str, int]]:
    """Path -> text and mode of each file of the program, which this Python runs."""
    launcher = (
        f"#!{interpreter}\n"
        "# Managed by Ansible. How mail leaves this host, and why it does not: smarthost --help\n"
        "import sys\n\n"
        f'sys.path.insert(0, "{services.LIBRARY}")\n'
        f"from {PROGRAM} import smarthost\n\n"
        "sys.exit(smarthost.main())\n"
    )
    modules = {
        os.path.join(services.LIBRARY, *module.split(".")) + ".py": (_source(module), 0o644) for module in MODULES
    }
    return {**modules, services.LAUNCHER: (launcher, 0o755)}


def is_installed(seals: Mapping[str, str], interpreter: str, key: str) -> bool:
    """Whether a host whose files have these seals has all of them."""
    return all(
        seals.get(path) == configuration.seal(key, stat.S_IFREG | mode, text=text)
        for path, (text, mode) in files(interpreter).items()
    )
