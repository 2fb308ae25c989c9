"""The certificates of one lab: .lab/LAB/ca.pem and one file (key, then chain) per kind."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from . import STATE, LabError

Kind = Literal["trusted", "wrong-name", "untrusted", "expired"]


def create(lab: str, names: tuple[str, ...]) -> Path:
    """Make the files unless they are there, and return their folder."""
    folder = STATE / lab
    if (folder / "ca.pem").exists():
        return folder
    try:
        import trustme  # noqa: PLC0415  # `setup` and `down` need no certificates
    except ImportError as error:
        raise LabError(
            "The Python package trustme, which makes the lab's certificates, is missing.\n"
            "Install it into this Python: python -m pip install trustme"
        ) from error

    ours, other = (trustme.CA(organization_name=f"homelab.mail {lab}") for _ in range(2))
    yesterday = datetime.now(UTC) - timedelta(days=1)
    leaves: dict[Kind, trustme.LeafCert] = {
        # The last for who reaches the provider through a port of this machine.
        "trusted": ours.issue_cert(*names, "localhost"),
        "wrong-name": ours.issue_cert("smtp.example.org"),
        "untrusted": other.issue_cert(*names),
        "expired": ours.issue_cert(*names, not_after=yesterday),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for kind, leaf in leaves.items():
        _write(folder / f"{kind}.pem", leaf.private_key_and_cert_chain_pem.bytes())
    # Last: its presence says that all the others are there.
    _write(folder / "ca.pem", ours.cert_pem.bytes())
    return folder


def _write(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
