"""Writes docs/run.svg and docs/status.svg: what a terminal shows of a first run, and of mail that waits.

It runs them on a server of the lab, through a provider that speaks Fastmail's words: python -m workshop.pages.picture.
"""

from __future__ import annotations

import re
import sys
import textwrap
import time
from collections.abc import Sequence
from xml.sax.saxutils import escape

from workshop.demo.__main__ import PROJECT, SERVER, playbook
from workshop.lab import LabError, labs
from workshop.lab.host import exec
from workshop.lab.provider import ACCOUNT
from workshop.lab.scripted import Scripted

LAB = "picture"
COLUMNS, ADVANCE, LINE, MARGIN = 114, 7.85, 18, 16
# On a ground of its own, so that it can be read on a light page and on a dark one.
GROUND, TEXT, COMMAND, TASK, CHANGED, OK = "#161b22", "#e6edf3", "#79c0ff", "#8b949e", "#e3b341", "#7ee787"
COLOURS = {r"\$ ": COMMAND, r"PLAY|TASK": TASK, "changed:": CHANGED, "ok:": OK}
# What a run says of tasks that had nothing to do.
IDLE = re.compile(r"^TASK [^\n]*\n(?:skipping|included): [^\n]*\n+|^PLAY [^\n]*\nskipping[^\n]*\n+", re.MULTILINE)


def svg(title: str, lines: Sequence[str]) -> str:
    """A terminal that shows these lines, as text."""
    width, height = round(COLUMNS * ADVANCE) + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN
    shown = [
        f'<text x="{MARGIN}" y="{MARGIN + LINE * number - 5}" fill="{_colour(line)}">{escape(line)}</text>\n'
        for number, line in enumerate(lines, 1)
        if line
    ]
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}" viewBox="0 0 {width} {height}">
<title>{escape(title)}</title>
<rect width="100%" height="100%" rx="8" fill="{GROUND}"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="13" xml:space="preserve">
{"".join(shown)}</g>
</svg>
"""


def _colour(line: str) -> str:
    return next((colour for begins, colour in COLOURS.items() if re.match(begins, line)), TEXT)


def wrapped(text: str) -> list[str]:
    """The lines of a text, none longer than the picture; what goes on is as far in as it began."""
    lines = []
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()))
        lines += textwrap.wrap(line, COLUMNS, subsequent_indent=indent, drop_whitespace=True) or [""]
    return lines


def run(text: str) -> list[str]:
    """What a run said, but for tasks that had nothing to do, and the stars behind headings."""
    shown = IDLE.sub("", re.sub(r" \*{3,}$", "", text, flags=re.MULTILINE))
    lines: list[str] = []
    for line in reversed(wrapped(shown.replace("homelab.mail.smarthost : ", ""))):
        # Below a heading of nothing, the next play begins.
        if line and not (re.match("PLAY|TASK", line) and lines[-1].startswith("PLAY [")):
            lines.append(line)
    return lines[::-1]


def _on_the_server(*command: str) -> str:
    return exec(f"{LAB}-{SERVER}", *command, check=False).stdout


def main() -> int:
    """Run what the pictures show."""
    try:
        labs.up(LAB, {SERVER: "bookworm"}, "scripted")
        done = playbook(LAB, capture_output=True, text=True)
        if done.returncode:
            raise LabError(done.stdout + done.stderr)
        tried = _on_the_server("smarthost", "test", ACCOUNT)
        lines = ["$ ansible-playbook site.yml --ask-vault-pass", *run(done.stdout)]
        lines += ["", f"$ sudo smarthost test {ACCOUNT}", *wrapped(tried)]
        (PROJECT / "docs/run.svg").write_text(svg("A first run of site.yml, and a test mail", lines))
        Scripted(LAB).play("fastmail-wrong-password")
        for subject in ("SMART error on /dev/sda", "Backup failed"):
            exec(f"{LAB}-{SERVER}", "/usr/sbin/sendmail", "root", input=f"Subject: {subject}\n\nx\n")
        deadline = time.monotonic() + 60
        while (status := _on_the_server("smarthost", "status")).count("2 waiting") != 1:
            if time.monotonic() > deadline:
                raise LabError(status)
            time.sleep(5)
        lines = ["$ smarthost status", *wrapped(status)]
        (PROJECT / "docs/status.svg").write_text(svg("smarthost status, while the provider refuses the login", lines))
    except LabError as error:
        print(f"picture: {error}", file=sys.stderr)
        return 1
    finally:
        labs.down(LAB, [])
    print("wrote docs/run.svg and docs/status.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
