"""podman, and commands inside the containers of a lab."""

import os
import subprocess

from . import LabError, environment


def podman(*arguments: str, input: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run podman; with check, a failure is a LabError with podman's own words."""
    try:
        done = subprocess.run(
            ["podman", *arguments],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=os.environ | environment(),
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError("podman is not installed; to install it: python -m workshop.lab setup") from error
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip()
        # Scripts can be long: the first line of each argument is enough to find the place.
        command = " ".join(argument.partition("\n")[0] for argument in arguments)
        raise LabError(f"`podman {command}` failed with status {done.returncode}:\n{said}")
    return done


def exec(container: str, *argv: str, input: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run argv inside the container, with input on its standard input."""
    interactive = [] if input is None else ["--interactive"]
    return podman("exec", *interactive, container, *argv, input=input, check=check)
