"""Refuses a Python that is too old for the role's modules, in words that it can read itself: import it first."""

import json
import sys

OLDEST = (3, 9)

if sys.version_info < OLDEST:
    found, needed = (".".join(map(str, version[:2])) for version in (sys.version_info, OLDEST))
    print(
        json.dumps(
            {
                "failed": True,
                "msg": f"Nothing was changed: the Python of this host, {sys.executable}, is {found}; the role needs "
                f"{needed}. Install a newer one beside it and name that in ansible_python_interpreter.",
            }
        )
    )
    sys.exit(1)
