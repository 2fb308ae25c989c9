"""ansible-playbook, forked from a process that has loaded it: each run saves most of a second of a processor.

What a run does is the same; its settings are those of the environment that the process was started with.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

# What every run loads in the end. Ansible finds plugins that are there by these names.
PRELOADED = (
    *("cli.playbook", "executor.playbook_executor", "executor.task_executor", "executor.module_common"),
    *("plugins.strategy.linear", "plugins.strategy.free", "plugins.callback.default", "plugins.shell.sh"),
    *("plugins.connection.ssh", "plugins.connection.local", "plugins.action.normal", "plugins.inventory.yaml"),
    *("plugins.vars.host_group_vars", "plugins.filter.core", "plugins.test.core"),
)
# And of collections, ours among them.
OURS = "homelab.mail.plugins.action.smarthost"
COLLECTIONS = ("ansible.builtin", *(f"{OURS}_{name}" for name in ("preflight", "info", "configuration", "report")))


class Playbooks:
    """Runs ansible-playbook in one environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())], env=self.environment, pass_fds=[theirs.fileno()]
            )
        self._asks = ours

    def run(self, *arguments: str, cwd: Path, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run it as `ansible-playbook ARGUMENTS` would, with nothing on its standard input."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            with theirs:
                message = json.dumps({"arguments": arguments, "cwd": str(cwd)}).encode()
                socket.send_fds(self._asks, [message], [theirs.fileno(), stdout.fileno(), stderr.fileno()])
            ours.settimeout(timeout)
            pid = int(ours.recv(20))
            try:
                status = int(ours.recv(20) or -signal.SIGKILL)
            except TimeoutError as error:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(["ansible-playbook", *arguments], timeout) from error
            texts = []
            for file in (stdout, stderr):
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
        return subprocess.CompletedProcess(["ansible-playbook", *arguments], status, *texts)

    def close(self) -> None:
        """End the process; runs that are under way go on."""
        self._asks.close()
        self._process.wait()


def _serve(asks: socket.socket) -> None:
    """Fork for each request; the kernel takes in what has ended."""
    import importlib  # noqa: PLC0415  # only the process that serves needs it

    for name in PRELOADED:
        importlib.import_module(f"ansible.{name}")
    importlib.import_module("ansible.plugins.loader").init_plugin_loader()
    for name in COLLECTIONS:
        importlib.import_module(f"ansible_collections.{name}")
    # Each run would find that this was done before.
    warnings.filterwarnings("ignore", message="AnsibleCollectionFinder has already been configured")
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(asks, 1_000_000, 3)
        if not message:
            return
        if os.fork() == 0:
            _run(json.loads(message), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _run(request: dict[str, object], answer: int, stdout: int, stderr: int) -> None:
    status = 1
    try:
        os.setsid()
        os.write(answer, f"{os.getpid()}".ljust(20).encode())
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        # Ansible's own processes outlive it at times.
        os.set_inheritable(answer, False)
        os.chdir(str(request["cwd"]))
        from ansible.cli.playbook import PlaybookCLI  # noqa: PLC0415  # not in pytest's own process

        # What json has read is of any type.
        sys.argv = ["ansible-playbook", *map(str, request["arguments"])]  # type: ignore[call-overload]
        PlaybookCLI.cli_executor(sys.argv)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1 if end.code else 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(answer, f"{status}".ljust(20).encode())
        os._exit(status)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
