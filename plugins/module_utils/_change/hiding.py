"""Differences that can be shown, without a login or a password. Runs on the managed host."""

from __future__ import annotations

import re

from ansible_collections.homelab.mail.plugins.module_utils import configuration


def hide_passwords(before: str, after: str) -> tuple[str, str]:
    """Two versions of a password table that can be shown: who logs in where, and whether it changed.

    Lines that are not of the role's own shape are hidden whole, because anything may stand there.

    >>> hide_passwords("[h]:465 me:one\\n", "[h]:465 me:two\\n")
    ('[h]:465 me:(the old password)\\n', '[h]:465 me:(the new password)\\n')
    """
    old, new = before.splitlines(), after.splitlines()
    both = set(old) & set(new)

    def hide(line: str, label: str) -> str:
        found = re.fullmatch(r"(\[[^\]\s]+\]:\d+) ([^:\s]+):(.+)", line)
        if found:
            key, name, password = found.groups()
            # Some providers' token is login and password in one.
            return f"{key} {name if name != password else f'({label})'}:({label})"
        return line if line in ("", configuration.OWN_COMMENT) else "(a line that is not shown)"

    shown_old = [hide(line, "a password" if line in both else "the old password") for line in old]
    shown_new = [hide(line, "a password" if line in both else "the new password") for line in new]
    end_old, end_new = ("\n" if text.endswith("\n") else "" for text in (before, after))
    return "\n".join(shown_old) + end_old, "\n".join(shown_new) + end_new


# Of a parameter's name that may stand for a login, and what people leave of one in a comment.
_SECRET = re.compile(r"passw|passphrase|_pw$|secret|token", re.IGNORECASE)
_FORMER = re.compile(r"static:|inline:|(?:passw\w*|_pw|secret|token)\s*[:=]", re.IGNORECASE)


def hide_logins(main_cf: str) -> str:
    """A main.cf that can be shown: some people write the login itself where a table is named, or into a variable.

    >>> hide_logins("smtp_sasl_password_maps =\\n  static:me:one\\na = b")
    'smtp_sasl_password_maps = (a login that is not shown)\\na = b'
    """
    parts: list[list[str]] = [[]]
    for line in main_cf.split("\n"):
        if line[:1].strip("# \t"):
            parts.append([])
        parts[-1].append(line)
    code = [" ".join(line for line in part if not _beside(line)) for part in parts]
    values = [(name.strip(), value) for name, _equals, value in (text.partition("=") for text in code)]
    secret = {name for name, _value in values if _SECRET.search(name)}
    for _round in range(3):
        # Also what these are made of.
        secret |= {part for name, value in values if name in secret for part in re.findall(r"\$[({]?(\w+)", value)}
    shown = []
    for part, (name, value) in zip(parts, values):
        hidden = name in secret and re.sub(r"(?:\$?\w+:)*(?:/|\$\w+)[^\s,:]*|[\s,]", "", value)
        shown += [f"{name} = (a login that is not shown)"] if hidden else []
        for line in part:
            if _beside(line):
                shown.append("# (a line that is not shown)" if _FORMER.search(line) else line)
            elif not hidden:
                shown.append(line)
    return "\n".join(shown)


def _beside(line: str) -> bool:
    """Whether a line is empty or a comment."""
    return not line.strip() or line.lstrip().startswith("#")
