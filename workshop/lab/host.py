"""podman, and commands inside the containers of a lab."""

import os
import subprocess
import tempfile
from pathlib import Path

from . import LabError, environment

ENTER = Path(__file__).parent / "enter"


def podman(*arguments: str, input: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run podman; with check, a failure is a LabError with podman's own words."""
    return _run("podman", *arguments, input=input, check=check)


def exec(container: str, *argv: str, input: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run argv inside the container, with input on its standard input."""
    return _run(str(ENTER), container, *argv, input=input, check=check)


def _run(*command: str, input: str | None, check: bool) -> subprocess.CompletedProcess[str]:
    # Files, because a pipe has no end while a daemon that the command started has it open.
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        stdin.write((input or "").encode())
        stdin.seek(0)
        try:
            status = subprocess.run(
                command, stdin=stdin, stdout=stdout, stderr=stderr, env=os.environ | environment(), check=False
            ).returncode
        except FileNotFoundError as error:
            raise LabError("podman is not installed; to install it: python -m workshop.lab setup") from error
        texts = []
        for file in (stdout, stderr):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    done = subprocess.CompletedProcess(command, status, *texts)
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip()
        # Scripts can be long: the first line of each argument is enough to find the place.
        words = " ".join(argument.partition("\n")[0] for argument in (Path(command[0]).name, *command[1:]))
        raise LabError(f"`{words}` failed with status {done.returncode}:\n{said}")
    return done
