"""Print what the changelog says of a release, if tag, galaxy.yml and changelog agree.

python -m workshop.pages.release v1.2.3. Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def notes(tag: str, galaxy: str, changelog: str) -> str:
    """The section of the version that a tag names; a ValueError says what does not fit."""
    found = re.search(r"^version: (\S+)$", galaxy, re.MULTILINE)
    version = found[1] if found else ""
    if not re.fullmatch(r"v\d+\.\d+\.\d+", tag):
        raise ValueError(f"{tag} is no tag of a release, such as v1.2.3")
    if tag != f"v{version}":
        raise ValueError(f"the tag is {tag}, but galaxy.yml has the version {version}")
    # As antsibull-changelog writes it.
    heading = re.escape(f"## v{version}".replace(".", r"\."))
    section = re.search(rf'^{heading}\n(.*?)(?=^<a id="v[^"]*"></a>\n## |\Z)', changelog, re.M | re.S)
    if not (section and section[1].strip()):
        raise ValueError(f"CHANGELOG.md has nothing about {version}: run antsibull-changelog release")
    return section[1].strip() + "\n"


if __name__ == "__main__":
    if left := sorted(path.name for path in (PROJECT / "changelogs/fragments").glob("*.yml")):
        sys.exit(f"changelogs/fragments has {', '.join(left)}, of no release yet: run antsibull-changelog release")
    try:
        texts = ((PROJECT / name).read_text(encoding="utf-8") for name in ("galaxy.yml", "CHANGELOG.md"))
        print(notes(sys.argv[1], *texts), end="")
    except ValueError as wrong:
        sys.exit(str(wrong))
